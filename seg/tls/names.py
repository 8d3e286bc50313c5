"""Which host a certificate speaks for (RFC 9525), and how to name a certificate to people.

Only dNSName entries of the subjectAltName count; the common name never does (RFC 9525 §2). Parsing of a
hostile certificate may fail late, since fields are decoded when first read: `UNREADABLE` lists what such a
failure can raise.
"""

from __future__ import annotations

import re

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import Encoding
from OpenSSL import crypto

from seg.mail.address import to_ascii
from seg.tls.limits import size_excess

UNREADABLE = (
    ValueError,
    TypeError,
    OverflowError,
    UnsupportedAlgorithm,
    crypto.Error,
    x509.DuplicateExtension,
    x509.UnsupportedGeneralNameType,
    x509.InvalidVersion,
)

_LABEL = re.compile(r"(?!-)[a-z0-9_-]{1,63}(?<!-)\Z")


def is_host_name(name: str) -> bool:
    """Whether `name` (A-labels, lower case) is a host name: not an address, not a literal, not empty."""
    labels = name.split(".")
    return len(name) <= 253 and all(_LABEL.match(label) for label in labels) and not labels[-1].isdigit()


def fitting(wanted: str) -> frozenset[str]:
    """The DNS-IDs, in lower case, that stand for the host name `wanted` (RFC 9525 §6.3).

    ``*`` counts only as the whole left-most label and stands for exactly one label. As in OpenSSL it has to
    have two labels behind it: nobody may speak for a whole top-level domain.
    """
    wanted = to_ascii(wanted)
    if not is_host_name(wanted):
        return frozenset()
    parent = wanted.partition(".")[2]
    return frozenset((wanted, f"*.{parent}")) if "." in parent else frozenset((wanted,))


def dns_names(certificate: x509.Certificate) -> tuple[str, ...]:
    """The dNSName entries as presented, in order. Raises one of `UNREADABLE` for broken extensions."""
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return ()
    return tuple(names.get_values_for_type(x509.DNSName))


def names_of(certificate: x509.Certificate, limit: int = 50) -> tuple[str, ...]:
    """The presented dNSNames for a log: printable, at most `limit`; () when unreadable, or too much to read. Never raises."""
    try:
        if size_excess(certificate.public_bytes(Encoding.DER)):
            return ()
        return tuple(printable(name, 255) for name in dns_names(certificate)[:limit])
    except UNREADABLE:
        return ()


def printable(text: str, limit: int = 200) -> str:
    """`text` of a remote certificate for people: printable characters only, cut at `limit`."""
    safe = "".join(character if character.isprintable() else "?" for character in text[: limit + 1])
    return safe if len(safe) <= limit else safe[: limit - 3] + "..."


def subject_of(certificate: x509.Certificate) -> str:
    """A certificate's subject for people; its serial number where the subject is empty. Never raises."""
    try:
        much = size_excess(certificate.public_bytes(Encoding.DER))
        if much:
            return f"({much})"
        return printable(certificate.subject.rfc4514_string()) or f"serial {certificate.serial_number:x}"
    except UNREADABLE:
        return "(unreadable subject)"


def issuer_of(certificate: x509.Certificate) -> str:
    """The name of a certificate's issuer for people. Never raises."""
    try:
        much = size_excess(certificate.public_bytes(Encoding.DER))
        if much:
            return f"({much})"
        return printable(certificate.issuer.rfc4514_string()) or "(empty name)"
    except UNREADABLE:
        return "(unreadable issuer)"
