"""Whom we trust: the system's list of roots, or the operator's own, read once at the start."""

from __future__ import annotations

import datetime
import os
import re
import ssl
import warnings
from collections.abc import Iterable, Sequence
from pathlib import Path

import attrs
from cryptography import x509
from cryptography.utils import CryptographyDeprecationWarning
from OpenSSL import crypto

from seg.common.bounded import BoundedMap
from seg.common.errors import ConfigurationError
from seg.tls.names import UNREADABLE
from seg.tls.pem import read_pem

_ENTRY = re.compile(
    rb"-----BEGIN (?:TRUSTED |X509 )?CERTIFICATE-----.*?-----END (?:TRUSTED |X509 )?CERTIFICATE-----",
    re.DOTALL,
)

# Where systems keep their list, after what OpenSSL's environment and build say.
SYSTEM_LISTS = (
    "/etc/ssl/certs/ca-certificates.crt",  # Debian, Alpine, Arch
    "/etc/pki/tls/certs/ca-bundle.crt",  # Fedora, RHEL
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "/etc/ssl/ca-bundle.pem",  # SUSE
    "/etc/ssl/cert.pem",  # BSD, macOS
)


_PATHS_KEPT = 500

NameKey = tuple[tuple[str, str], ...]
Chain = tuple[x509.Certificate, ...]


def name_key(name: x509.Name) -> NameKey:
    """A name as compared along a path: without regard to case, spacing and string type (RFC 5280 §7.1)."""
    return tuple((part.oid.dotted_string, " ".join(str(part.value).lower().split())) for part in name)


@attrs.frozen(eq=False)
class RootStore:
    """Trust anchors, prepared once; for each examination only the few that its chain names are handed out.

    An OpenSSL store isn't kept: the time to verify at can be set on it only once, and setting it again is
    ignored. An intermediate in the operator's list is an anchor too: whatever is in the list is trusted as
    it stands.
    """

    anchors: tuple[x509.Certificate, ...] = ()
    problems: tuple[str, ...] = ()  # entries of the files that could not be used, one line each
    _by_subject: dict[NameKey, tuple[crypto.X509, ...]] = attrs.field(init=False, repr=False)
    _proven: BoundedMap[Chain, Chain] = attrs.field(init=False, repr=False, factory=lambda: BoundedMap(_PATHS_KEPT))

    @_by_subject.default
    def _index(self) -> dict[NameKey, tuple[crypto.X509, ...]]:
        index: dict[NameKey, tuple[crypto.X509, ...]] = {}
        for anchor in self.anchors:
            key = name_key(anchor.subject)
            index[key] = (*index.get(key, ()), crypto.X509.from_cryptography(anchor))
        return index

    def proven(self, chain: Sequence[x509.Certificate], now: datetime.datetime) -> Chain:
        """The path found for this very chain before, if all of it is valid at `now`; else ()."""
        path: Chain = self._proven.get(tuple(chain), ())
        in_time = all(c.not_valid_before_utc <= now < c.not_valid_after_utc for c in path)
        return path if in_time else ()

    def remember(self, chain: Sequence[x509.Certificate], path: Chain) -> None:
        """Keep a good path: finding it is most of the cost of a judgement, and servers seldom change."""
        self._proven[tuple(chain)] = path

    def for_chain(self, chain: Sequence[x509.Certificate], now: datetime.datetime) -> crypto.X509Store:
        """A store for verifying `chain` at `now`: anchors that a certificate in it names as issuer, or is."""
        store = crypto.X509Store()
        store.set_flags(crypto.X509StoreFlags.PARTIAL_CHAIN)
        store.set_time(now.astimezone(datetime.UTC))
        for key in {name_key(name) for certificate in chain for name in (certificate.issuer, certificate.subject)}:
            for anchor in self._by_subject.get(key, ()):
                store.add_cert(anchor)
        return store


def load_roots(ca_file: str = "", extra_ca_file: str = "") -> RootStore:
    """The roots of `ca_file` (empty: the system's list) and of `extra_ca_file` (empty: none).

    Broken entries are listed in `RootStore.problems`, the others used. Reads files: for the start only.

    :raises ConfigurationError: a file can't be read, or there is no usable root at all.
    """
    found: list[x509.Certificate] = []
    problems: list[str] = []
    for path in filter(None, (ca_file or system_list(), extra_ca_file)):
        certificates, faults = read_bundle(read_pem(path, "list of trusted roots"))
        found += certificates
        problems += (f"{path}: {fault}" for fault in faults)
    if not found:
        raise ConfigurationError((*problems, "no trusted root certificate: set tls.ca_file"))
    return RootStore(tuple(dict.fromkeys(found)), tuple(problems))


def system_list() -> str:
    """Path of the system's list of roots; "" when none is found."""
    paths = ssl.get_default_verify_paths()
    candidates: Iterable[str | None] = (os.environ.get(paths.openssl_cafile_env), paths.cafile, *SYSTEM_LISTS)
    return next((path for path in candidates if path and Path(path).is_file()), "")


def read_bundle(data: bytes) -> tuple[list[x509.Certificate], list[str]]:
    """The certificates of a PEM bundle, and a line by position for each entry that can't be used."""
    certificates: list[x509.Certificate] = []
    problems: list[str] = []
    for position, entry in enumerate(_ENTRY.findall(data), start=1):
        try:
            with warnings.catch_warnings():
                # Some old roots have a serial number of 0; they are trusted by their key.
                warnings.simplefilter("ignore", CryptographyDeprecationWarning)
                certificate = x509.load_pem_x509_certificate(entry)
            crypto.X509.from_cryptography(certificate)
            name_key(certificate.subject)
        except UNREADABLE as error:
            problems.append(f"certificate {position} can't be used: {error}")
        else:
            certificates.append(certificate)
    return certificates, problems
