"""What certificates a gateway has and trusts, told without using them: for people, before something expires."""

from __future__ import annotations

import datetime
import itertools
import warnings
from collections.abc import Sequence

import attrs
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.utils import CryptographyDeprecationWarning

from seg.common.errors import ConfigurationError
from seg.tls.context import server_context
from seg.tls.credential import key_pem, server_chain
from seg.tls.names import UNREADABLE, issuer_of, names_of, subject_of
from seg.tls.pem import read_pem
from seg.tls.roots import read_bundle

SOON = datetime.timedelta(days=21)  # a certificate that ends within it should have been renewed


@attrs.frozen
class CertificateSummary:
    """One certificate."""

    subject: str
    issuer: str
    names: tuple[str, ...]  # dNSName entries
    not_before: str  # ISO 8601
    not_after: str
    days_left: int  # negative: expired so many days ago
    sha256: str  # fingerprint, hexadecimal


@attrs.frozen
class ServerFile:
    """A file with a server certificate, the intermediates behind it, and what is wrong with it."""

    file: str
    key_file: str
    chain: tuple[CertificateSummary, ...]  # the server's own first
    problems: tuple[str, ...]


@attrs.frozen
class TrustList:
    """A file of trusted roots."""

    file: str
    roots: tuple[CertificateSummary, ...]
    problems: tuple[str, ...]


def listed(certificate: x509.Certificate, now: datetime.datetime) -> CertificateSummary:
    """What stands in a certificate."""
    until = certificate.not_valid_after_utc
    with warnings.catch_warnings():
        # Some old roots have a serial number of 0; nobody needs to know here.
        warnings.simplefilter("ignore", CryptographyDeprecationWarning)
        names = names_of(certificate)
    return CertificateSummary(
        subject_of(certificate),
        issuer_of(certificate),
        names,
        certificate.not_valid_before_utc.isoformat(),
        until.isoformat(),
        (until - now).days,
        certificate.fingerprint(hashes.SHA256()).hex(),
    )


def server_file(certificate_file: str, key_file: str, now: datetime.datetime) -> ServerFile:
    """A server's certificate: whether it could be used, is complete, and lasts. Reads the files. Never raises.

    :param key_file: "" = the key is in the certificate file.
    :param now: aware.
    """
    try:
        chain = server_chain(certificate_file)
        problems = [*_usable(certificate_file, key_file, now), *_order(chain), *_lasting(chain, now)]
        return ServerFile(certificate_file, key_file, tuple(listed(each, now) for each in chain), tuple(problems))
    except ConfigurationError as error:
        return ServerFile(certificate_file, key_file, (), error.problems)
    except UNREADABLE as error:  # a field is only read when it is asked for
        return ServerFile(certificate_file, key_file, (), (f"{certificate_file}: {error}",))


def exported(file: str, with_key: bool) -> bytes:
    """The chain of a PEM file as PEM again, and the key that is in it. Reads it.

    :raises ConfigurationError: it can't be read, or the key isn't there.
    """
    pem = b"".join(certificate.public_bytes(Encoding.PEM) for certificate in server_chain(file))
    return pem + key_pem(file) if with_key else pem


def trust_list(file: str, now: datetime.datetime) -> TrustList:
    """The roots of a PEM file, those that end first first. Reads it. Never raises."""
    try:
        certificates, problems = read_bundle(read_pem(file))
    except ConfigurationError as error:
        return TrustList(file, (), error.problems)
    roots = []
    for certificate in certificates:
        try:
            roots.append(listed(certificate, now))
        except UNREADABLE as error:
            problems.append(f"{subject_of(certificate)}: {error}")
    roots.sort(key=lambda root: root.not_after)
    return TrustList(file, tuple(roots), tuple(problems))


def _usable(certificate_file: str, key_file: str, now: datetime.datetime) -> tuple[str, ...]:
    try:
        server_context(certificate_file, key_file, now)
    except ConfigurationError as error:
        return error.problems
    return ()


def _order(chain: Sequence[x509.Certificate]) -> list[str]:
    """Each certificate must be issued by the next one; a root at the end isn't wrong, but sent in vain."""
    problems = []
    for below, above in itertools.pairwise(chain):
        try:
            below.verify_directly_issued_by(above)
        except (InvalidSignature, *UNREADABLE):
            problems.append(f"{subject_of(below)} isn't issued by the certificate behind it, {subject_of(above)}")
    leaf = chain[0]
    if len(chain) == 1 and leaf.issuer != leaf.subject:
        problems.append(f"no intermediate certificate: peers may not find the way from {issuer_of(leaf)} to a root")
    return problems


def _lasting(chain: Sequence[x509.Certificate], now: datetime.datetime) -> list[str]:
    return [
        f"{subject_of(each)} ends in {(each.not_valid_after_utc - now).days} days"
        for each in chain
        if now <= each.not_valid_after_utc < now + SOON
    ]
