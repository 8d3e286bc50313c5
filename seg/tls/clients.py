"""Client certificates of a listener: who holds one that is listed, or that a listed authority issued, may relay."""

from __future__ import annotations

import datetime
from collections.abc import Iterable, Sequence

import attrs
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from seg.common.errors import ConfigurationError
from seg.tls.chain import Purpose, path_to_anchor
from seg.tls.limits import excess
from seg.tls.names import UNREADABLE, dns_names, subject_of
from seg.tls.pem import read_pem
from seg.tls.roots import RootStore, read_bundle, system_list


class TrustedClients:
    """The certificates in a PEM file: of clients, and of authorities that issue to clients directly.

    :param names: of these one must be among the dNSName entries of a certificate that an authority issued; ``*.`` stands for one label.
        () = any certificate of theirs will do. One that is listed itself needs no name.
    :raises ConfigurationError: the file can't be read, or has no certificate.
    """

    def __init__(self, path: str, names: Sequence[str] = ()) -> None:
        found, problems = read_bundle(read_pem(path))
        if problems or not found:
            raise ConfigurationError(tuple(f"{path}: {problem}" for problem in problems or ["no certificate in it"]))
        self._path = path
        self._names = frozenset(name.lower() for name in names)
        self._listed = frozenset(certificate.public_bytes(Encoding.DER) for certificate in found)
        self._authorities = RootStore(tuple(certificate for certificate in found if _is_authority(certificate)))

    def warnings(self) -> tuple[str, ...]:
        """What lets strangers in: an authority that the system trusts issues to anybody. Reads the system's list: blocks."""
        public = _public_authorities() if self._authorities.anchors and not self._names else frozenset()
        return tuple(
            f"{self._path}: {subject_of(authority)} is a public authority: everybody who holds a certificate of it may relay; set client_names"
            for authority in self._authorities.anchors
            if _identity(authority) in public
        )

    def knows(self, leaf: x509.Certificate, now: datetime.datetime) -> bool:
        """Whether the holder of a certificate, who proved in the handshake to have its key, may relay. Never raises.

        An authority's own certificate is none of a client (RFC 5280 §4.2.1.9), be it listed or not.

        :param now: aware; it has to be valid then.
        """
        try:
            return not excess(leaf) and self._knows(leaf, now)
        except UNREADABLE:
            return False

    def _knows(self, leaf: x509.Certificate, now: datetime.datetime) -> bool:
        if not leaf.not_valid_before_utc <= now <= leaf.not_valid_after_utc or _is_authority(leaf):
            return False
        if leaf.public_bytes(Encoding.DER) in self._listed:
            return True
        if not _may_sign(leaf) or not self._named(leaf):
            return False
        # What the client sends besides doesn't count: an authority below a listed one isn't listed.
        return path_to_anchor((leaf,), self._authorities, now, purpose=Purpose.CLIENT).ok

    def _named(self, leaf: x509.Certificate) -> bool:
        return not self._names or any(_fits(name.lower(), self._names) for name in dns_names(leaf))


def holder_of(leaf: x509.Certificate) -> str:
    """The subject, for the log."""
    return subject_of(leaf)


def _fits(name: str, wanted: Iterable[str]) -> bool:
    return name in wanted or f"*.{name.partition('.')[2]}" in wanted


def _is_authority(certificate: x509.Certificate) -> bool:
    try:
        return certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except x509.ExtensionNotFound:
        return False


def _may_sign(leaf: x509.Certificate) -> bool:
    """Whether its key may sign a handshake (RFC 5280 §4.2.1.3)."""
    try:
        return leaf.extensions.get_extension_for_class(x509.KeyUsage).value.digital_signature
    except x509.ExtensionNotFound:
        return True


@attrs.frozen
class _Identity:
    """What makes an authority: its name and key, in whatever certificate."""

    subject: bytes
    key: bytes


def _identity(authority: x509.Certificate) -> _Identity:
    key = authority.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return _Identity(authority.subject.public_bytes(), key)


def _public_authorities() -> frozenset[_Identity]:
    path = system_list()
    if not path:
        return frozenset()
    try:
        found, _ = read_bundle(read_pem(path))
    except ConfigurationError:
        return frozenset()
    return frozenset(map(_identity, found))
