"""Client certificates of a listener: who holds one that is listed, or that a listed authority issued, may relay."""

from __future__ import annotations

import datetime

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import Encoding

from seg.errors import ConfigurationError
from seg.tls.names import subject_of
from seg.tls.roots import read_bundle


class ClientCertificates:
    """The certificates in a PEM file: of clients, and of authorities that issue to clients directly.

    :raises ConfigurationError: the file can't be read, or has no certificate.
    """

    def __init__(self, path: str) -> None:
        try:
            with open(path, "rb") as file:
                found, problems = read_bundle(file.read())
        except OSError as error:
            raise ConfigurationError((f"{path}: can't be read: {error.strerror or error}",)) from None
        if problems or not found:
            raise ConfigurationError(tuple(f"{path}: {problem}" for problem in problems or ["no certificate in it"]))
        self._listed = frozenset(certificate.public_bytes(Encoding.DER) for certificate in found)
        self._issuers = tuple(certificate for certificate in found if _is_authority(certificate))

    def knows(self, leaf: x509.Certificate, now: datetime.datetime) -> bool:
        """Whether the holder of a certificate, who proved in the handshake to have its key, may relay.

        :param now: aware; it has to be valid then.
        """
        if not leaf.not_valid_before_utc <= now <= leaf.not_valid_after_utc:
            return False
        listed = leaf.public_bytes(Encoding.DER) in self._listed
        return listed or any(_issued(leaf, issuer, now) for issuer in self._issuers)


def holder_of(leaf: x509.Certificate) -> str:
    """The subject, for the log."""
    return subject_of(leaf)


def _is_authority(certificate: x509.Certificate) -> bool:
    try:
        return certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except (x509.ExtensionNotFound, ValueError):
        return False


def _issued(leaf: x509.Certificate, issuer: x509.Certificate, now: datetime.datetime) -> bool:
    if not issuer.not_valid_before_utc <= now <= issuer.not_valid_after_utc:
        return False
    try:
        leaf.verify_directly_issued_by(issuer)
    except (ValueError, TypeError, InvalidSignature, UnsupportedAlgorithm):
        return False
    return True
