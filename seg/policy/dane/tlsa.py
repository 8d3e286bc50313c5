"""TLSA records: which of them an SMTP sender can use, and what they match (RFC 6698, RFC 7671, RFC 7672).
Pure.
"""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Iterable

import attrs
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, load_der_public_key
from dns.rdata import GenericRdata, Rdata
from dns.rdatatype import RdataType
from dns.rdtypes.ANY.TLSA import TLSA

from seg.tls.names import UNREADABLE

DANE_TA = 2  # the record names a trust anchor (RFC 7218 §2.1)
DANE_EE = 3  # the record names the server's own certificate
CERTIFICATE = 0  # selectors
PUBLIC_KEY = 1
FULL = 0  # matching types
SHA256 = 1
SHA512 = 2

MAX_FULL = 8  # records with full data that are read in one set: keys of some curves take a millisecond each
MAX_RSA_BITS = 8192  # of a modulus
MAX_RSA_EXPONENT = 33  # bits: a check of a signature takes time for each

_VERSION = 0xA0  # tag of the version field: [0] EXPLICIT

_DIGEST_LENGTH = {SHA256: 32, SHA512: 64}


class TLSAError(ValueError):
    """A record can't be used; it is left out, and counts only as proof that there are TLSA records."""


@attrs.frozen
class TLSARecord:
    """One TLSA record's data (RFC 6698 §2.1)."""

    usage: int
    selector: int
    matching: int
    data: bytes

    @property
    def label(self) -> str:
        """``3 1 1``"""
        return f"{self.usage} {self.selector} {self.matching}"

    def __str__(self) -> str:
        shown = self.data[:16].hex()
        return f"{self.label} {shown}{'...' if len(self.data) > 16 else ''}"


@attrs.frozen
class TLSASet:
    """A TLSA RRset, sorted out."""

    usable: tuple[TLSARecord, ...] = ()
    faults: tuple[str, ...] = ()  # one line for each record that can't be used


def sort_out(records: Iterable[Rdata]) -> TLSASet:
    """Tell the usable records of an answer from the others. Never raises."""
    usable: list[TLSARecord] = []
    faults: list[str] = []
    full = 0
    for rdata in records:
        try:
            record = data_of(rdata)
            full += record.matching == FULL
            if record.matching == FULL and full > MAX_FULL:
                raise TLSAError(f"TLSA {record}: more than {MAX_FULL} records with full data")
            usable.append(checked(record))
        except TLSAError as error:
            faults.append(str(error))
    return TLSASet(tuple(dict.fromkeys(usable)), tuple(faults))


def read(rdata: Rdata) -> TLSARecord:
    """The record in an answer.

    :raises TLSAError: an SMTP sender can't use it: RFC 7672 §3.1.3 (usages 0 and 1), RFC 7671 §10 and
        RFC 6698 §4.1.
    """
    return checked(data_of(rdata))


def data_of(rdata: Rdata) -> TLSARecord:
    """The record in an answer, usable or not.

    :raises TLSAError: it isn't one.
    """
    if isinstance(rdata, TLSA):
        return TLSARecord(rdata.usage, rdata.selector, rdata.mtype, bytes(rdata.cert))
    if isinstance(rdata, GenericRdata) and rdata.rdtype == RdataType.TLSA and len(rdata.data) >= 3:
        # What dnspython's own class refuses to hold, such as a digest of the wrong length.
        usage, selector, matching = rdata.data[:3]
        return TLSARecord(usage, selector, matching, bytes(rdata.data[3:]))
    raise TLSAError(f"not a TLSA record, or too short for one: type {rdata.rdtype}")


def checked(record: TLSARecord) -> TLSARecord:
    """The record, if it can be used.

    :raises TLSAError: as in `read`.
    """
    fault = fault_of(record)
    if fault:
        raise TLSAError(f"TLSA {record}: {fault}")
    return record


def fault_of(record: TLSARecord) -> str:
    """Why a record can't be used; "" when it can."""
    if record.usage not in (DANE_TA, DANE_EE):
        return f"certificate usage {record.usage} can't be used in SMTP"
    if record.selector not in (CERTIFICATE, PUBLIC_KEY):
        return f"unknown selector {record.selector}"
    if record.matching == FULL:
        return _full_data_fault(record.selector, record.data)
    if record.matching not in _DIGEST_LENGTH:
        return f"unknown matching type {record.matching}"
    if len(record.data) != _DIGEST_LENGTH[record.matching]:
        return f"digest of {len(record.data)} octets instead of {_DIGEST_LENGTH[record.matching]}"
    return ""


@functools.lru_cache(maxsize=256)
def _full_data_fault(selector: int, data: bytes) -> str:
    """Remembered, because the same records are met with every message."""
    what = "certificate" if selector == CERTIFICATE else "public key"
    try:
        if selector == CERTIFICATE:
            key: object = x509.load_der_x509_certificate(data).public_key()
        else:
            key = load_der_public_key(data)
    except UNREADABLE as error:
        return f"{what} can't be parsed ({error})"
    if isinstance(key, rsa.RSAPublicKey):
        if key.key_size > MAX_RSA_BITS:
            return f"RSA key of {key.key_size} bits"
        if key.public_numbers().e.bit_length() > MAX_RSA_EXPONENT:
            return f"RSA key with an exponent of {key.public_numbers().e.bit_length()} bits"
    return ""


def strongest(records: Iterable[TLSARecord]) -> tuple[TLSARecord, ...]:
    """Digest agility (RFC 7671 §9): of each usage and selector only the strongest digest counts; full data
    always.

    Give it usable records only: one with a digest that we can't read must not switch off those that we can.
    """
    kept = tuple(records)
    best: dict[tuple[int, int], int] = {}
    for record in kept:
        key = (record.usage, record.selector)
        best[key] = max(best.get(key, FULL), record.matching)
    return tuple(r for r in kept if r.matching in (FULL, best[r.usage, r.selector]))


def association(certificate: x509.Certificate, selector: int, matching: int) -> bytes:
    """What a record's data has to be to match `certificate` (RFC 6698 §2.1.4)."""
    if selector == CERTIFICATE:
        data = certificate.public_bytes(Encoding.DER)
    else:
        data = public_key_info(certificate)
    if matching == FULL:
        return data
    return (hashlib.sha256 if matching == SHA256 else hashlib.sha512)(data).digest()


def public_key_info(certificate: x509.Certificate) -> bytes:
    """The SubjectPublicKeyInfo octet for octet as it stands in the certificate.

    A key that is parsed and encoded again may come out otherwise (RSASSA-PSS, explicit curve parameters).
    """
    body = certificate.tbs_certificate_bytes
    position, _ = _element(body, 0)  # into the outer SEQUENCE
    if body[position] == _VERSION:  # absent in X.509 v1
        position = _element(body, position)[1]
    for _ in ("serialNumber", "signature", "issuer", "validity", "subject"):
        position = _element(body, position)[1]
    return body[position : _element(body, position)[1]]


def _element(der: bytes, start: int) -> tuple[int, int]:
    """Where the content of the DER element at `start` begins and ends (X.690 §8.1.3)."""
    length, begin = der[start + 1], start + 2
    if length >= 0x80:  # the length itself follows, in so many octets
        begin += length & 0x7F
        length = int.from_bytes(der[start + 2 : begin], "big")
    return begin, begin + length
