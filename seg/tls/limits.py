"""How large a stranger's certificate may be: what is larger is refused before anything in it is looked at.

Reading names and extensions takes time for each part, and a signature check for each bit of the key. Everything that `seg.tls`
does with certificates within these bounds stays well below 50 ms. Pure.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import dsa, rsa
from cryptography.hazmat.primitives.serialization import Encoding

MAX_CERTIFICATE = 32_768  # octets; one with 250 names has 10 kB
MAX_NAME = 4_096  # octets of the subject, and of the issuer
MAX_EXTENSIONS = 100
MAX_KEY_BITS = 8_192  # of RSA
MAX_EXPONENT = 33  # bits; 65537 has 17
MAX_DSA_BITS = 3_072

_VERSION, _EXTENSIONS = 0xA0, 0xA3


def excess(certificate: x509.Certificate) -> str:
    """What of a certificate is too much to look at: ``"a subject of 9000 octets, more than 4096"``; "" if nothing is.

    May raise one of `seg.tls.names.UNREADABLE`.
    """
    return size_excess(certificate.public_bytes(Encoding.DER)) or _key_excess(certificate)


def size_excess(der: bytes) -> str:
    """The same for the encoded certificate, of which only tags and lengths are read.

    :raises ValueError: it isn't the encoding of one.
    """
    if len(der) > MAX_CERTIFICATE:
        return f"{len(der)} octets, more than {MAX_CERTIFICATE}"
    ((_, whole, end),) = _children(der, 0, len(der))
    _, begin, end = _first(der, whole, end)  # TBSCertificate (RFC 5280 §4.1)
    fields = [field for field in _children(der, begin, end) if field[0] != _VERSION]
    if len(fields) < 6:
        raise ValueError("no certificate")
    for what, (_, begin, end) in (("an issuer", fields[2]), ("a subject", fields[4])):
        if end - begin > MAX_NAME:
            return f"{what} of {end - begin} octets, more than {MAX_NAME}"
    for tag, begin, end in fields[6:]:
        if tag == _EXTENSIONS:
            _, begin, end = _first(der, begin, end)
            count = sum(1 for _ in _children(der, begin, end))
            if count > MAX_EXTENSIONS:
                return f"{count} extensions, more than {MAX_EXTENSIONS}"
    return ""


def chain_excess(chain: Sequence[x509.Certificate]) -> str:
    """The first excess in a chain, and which certificate has it; "" if none has."""
    for position, certificate in enumerate(chain, start=1):
        found = excess(certificate)
        if found:
            return f"certificate {position} has {found}"
    return ""


def _key_excess(certificate: x509.Certificate) -> str:
    key = certificate.public_key()
    if isinstance(key, rsa.RSAPublicKey):
        if key.key_size > MAX_KEY_BITS:
            return f"an RSA key of {key.key_size} bits, more than {MAX_KEY_BITS}"
        exponent = key.public_numbers().e.bit_length()
        if exponent > MAX_EXPONENT:
            return f"an RSA exponent of {exponent} bits, more than {MAX_EXPONENT}"
    elif isinstance(key, dsa.DSAPublicKey) and key.key_size > MAX_DSA_BITS:
        return f"a DSA key of {key.key_size} bits, more than {MAX_DSA_BITS}"
    return ""


def _first(der: bytes, begin: int, end: int) -> tuple[int, int, int]:
    for found in _children(der, begin, end):
        return found
    raise ValueError("an empty value")


def _children(der: bytes, begin: int, end: int) -> Iterator[tuple[int, int, int]]:
    """(tag, begin, end) of each value within a constructed one (X.690 §8.1), of at most `MAX_CERTIFICATE` octets in all.

    :raises ValueError: a length that leads beyond the end.
    """
    while begin < end:
        if end - begin < 2:
            raise ValueError("a value without a length")
        tag, length, begin = der[begin], der[begin + 1], begin + 2
        if length >= 0x80:
            octets = length & 0x7F
            length = int.from_bytes(der[begin : begin + octets])
            begin += octets
        if begin + length > end:
            raise ValueError("a length beyond the end")
        yield tag, begin, begin + length
        begin += length
