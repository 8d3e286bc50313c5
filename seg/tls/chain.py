"""A path from a presented leaf to a trust anchor at a given time (RFC 5280 §6), or why there is none.

OpenSSL builds and checks the path; purpose and strength are checked here, since its bare path check looks
at neither. It stops at the first fault, so the rest is looked for by hand afterwards, for people: nothing
found then can turn a refusal into a pass.
"""

from __future__ import annotations

import datetime
import enum
from collections.abc import Iterator

import attrs
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import dsa, ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID
from OpenSSL import crypto

from seg.mail.causes import CauseKind
from seg.tls.names import issuer_of, printable, subject_of
from seg.tls.roots import RootStore

MAX_CHAIN = 32  # certificates looked at; real chains have at most five

NO_CERTIFICATE = "no certificate from server"
NO_ISSUER = "unable to get local issuer certificate"
EXPIRED = "certificate has expired"
NOT_YET_VALID = "certificate is not yet valid"
WRONG_PURPOSE = "unsuitable certificate purpose"

# X509_V_ERR_*: codes whose words differ between releases of OpenSSL, or that need more to be said.
_NO_ISSUER_CODES = (2, 20, 21)
_DATE_CODES = (9, 10)
_WORDS = {
    2: NO_ISSUER,
    9: NOT_YET_VALID,
    10: EXPIRED,
    18: "self signed certificate",
    19: "self signed certificate in certificate chain",
    20: NO_ISSUER,
    21: NO_ISSUER,
}

_CAUSES = {
    2: CauseKind.CERTIFICATE_ISSUER,
    9: CauseKind.CERTIFICATE_NOT_YET_VALID,
    10: CauseKind.CERTIFICATE_EXPIRED,
    18: CauseKind.CERTIFICATE_ISSUER,
    19: CauseKind.CERTIFICATE_ISSUER,
    20: CauseKind.CERTIFICATE_ISSUER,
    21: CauseKind.CERTIFICATE_ISSUER,
    26: CauseKind.CERTIFICATE_PURPOSE,
    66: CauseKind.CERTIFICATE_WEAK,
    67: CauseKind.CERTIFICATE_WEAK,
    68: CauseKind.CERTIFICATE_WEAK,
}

_MIN_RSA_BITS = 2048  # 112 bits of security: NIST SP 800-57, OpenSSL's level 2
_MIN_EC_BITS = 224
_WEAK_DIGESTS = ("md5", "sha1")


class Purpose(enum.StrEnum):
    """What the holder of a certificate is in the handshake."""

    SERVER = "server"
    CLIENT = "client"

    @property
    def usage(self) -> x509.ObjectIdentifier:
        """What extendedKeyUsage has to list, if it is there (RFC 5280 §4.2.1.12)."""
        return ExtendedKeyUsageOID.SERVER_AUTH if self is Purpose.SERVER else ExtendedKeyUsageOID.CLIENT_AUTH


@attrs.frozen
class CertificatePath:
    """Leaf first, anchor last; or the reasons why there is no such path."""

    certificates: tuple[x509.Certificate, ...] = ()
    mismatches: tuple[str, ...] = ()  # each a line for people
    summary: str = ""  # the first fault in OpenSSL's words
    cause: CauseKind | None = None  # of the first fault

    @property
    def ok(self) -> bool:
        """Whether the path can be trusted."""
        return not self.mismatches


def path_to_anchor(
    chain: tuple[x509.Certificate, ...],
    roots: RootStore,
    now: datetime.datetime,
    *,
    anchor_issued: bool = False,
    purpose: Purpose = Purpose.SERVER,
) -> CertificatePath:
    """The path from ``chain[0]`` through the rest of `chain` to one of `roots`, valid at `now` for a server, or a client.

    :param anchor_issued: the anchors are only the upper end of what was sent, signed with a key that is
        trusted: their own purpose and signature count as well.

    May raise one of `seg.tls.names.UNREADABLE` when a certificate's fields can't be decoded: to the caller
    that is a mismatch.
    """
    if not chain:
        return CertificatePath((), ("the server sent no certificate",), NO_CERTIFICATE, CauseKind.CERTIFICATE_MISSING)
    if len(chain) > MAX_CHAIN:
        line = f"the server sent more than {MAX_CHAIN} certificates"
        return CertificatePath((), (line,), "too many certificates from server", CauseKind.CERTIFICATE_OTHER)
    path = () if anchor_issued else roots.proven(chain, now)
    if path:
        return CertificatePath(path)
    try:
        path = _verify(chain, roots, now)
    except crypto.X509StoreContextError as error:
        return _explain(error, chain, roots, now, purpose)
    faults = list(_unfit(path, anchor_issued, purpose))
    if faults:
        summary, _, cause = faults[0]
        return CertificatePath(path, tuple(line for _, line, _ in faults), summary, cause)
    if not anchor_issued:
        roots.remember(chain, path)
    return CertificatePath(path)


def _verify(
    chain: tuple[x509.Certificate, ...], roots: RootStore, now: datetime.datetime
) -> tuple[x509.Certificate, ...]:
    leaf, *untrusted = (crypto.X509.from_cryptography(certificate) for certificate in chain)
    context = crypto.X509StoreContext(roots.for_chain(chain, now), leaf, untrusted)
    return tuple(certificate.to_cryptography() for certificate in context.get_verified_chain())


Fault = tuple[str, str, CauseKind]  # summary, line, cause


def _unfit(path: tuple[x509.Certificate, ...], anchor_issued: bool, purpose: Purpose) -> Iterator[Fault]:
    """What is wrong for each certificate of a path that is of the wrong purpose or too weak."""
    for depth, certificate in enumerate(path):
        # An anchor is trusted as it stands: its own signature and purpose don't matter.
        anchor = depth > 0 and depth == len(path) - 1 and not anchor_issued
        if not anchor:
            yield from _wrong_purpose(certificate, purpose)
        yield from _weak(certificate, depth, signed=not anchor)


def _wrong_purpose(certificate: x509.Certificate, purpose: Purpose) -> Iterator[Fault]:
    try:
        usages = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    except x509.ExtensionNotFound:
        return
    if purpose.usage not in usages and ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE not in usages:
        line = f"certificate {subject_of(certificate)} isn't for {purpose}s (no {purpose}Auth in extendedKeyUsage)"
        yield WRONG_PURPOSE, line, CauseKind.CERTIFICATE_PURPOSE


def _weak(certificate: x509.Certificate, depth: int, signed: bool) -> Iterator[Fault]:
    key = certificate.public_key()
    bits = key.key_size if isinstance(key, rsa.RSAPublicKey | dsa.DSAPublicKey | ec.EllipticCurvePublicKey) else 0
    least = _MIN_EC_BITS if isinstance(key, ec.EllipticCurvePublicKey) else _MIN_RSA_BITS
    if 0 < bits < least:
        kind = "CA" if depth else "EE"
        yield (
            f"{kind} certificate key too weak",
            f"certificate {subject_of(certificate)} has a key of {bits} bits only",
            CauseKind.CERTIFICATE_WEAK,
        )
    digest = certificate.signature_hash_algorithm  # None: the algorithm has its own (Ed25519)
    if signed and digest is not None and digest.name in _WEAK_DIGESTS:
        line = f"certificate {subject_of(certificate)} is signed with {digest.name.upper()}"
        yield "CA signature digest algorithm too weak", line, CauseKind.CERTIFICATE_WEAK


def _explain(
    error: crypto.X509StoreContextError,
    chain: tuple[x509.Certificate, ...],
    roots: RootStore,
    now: datetime.datetime,
    purpose: Purpose,
) -> CertificatePath:
    """All that is wrong, beginning with what OpenSSL stopped at."""
    sent = _linked(chain)
    summary, line = _line(error)
    lines = [line, *_bad_dates(sent, now)]
    if error.errors[0] in _DATE_CODES:  # look at a time when the dates are right: what else is wrong?
        begin = max(certificate.not_valid_before_utc for certificate in sent)
        end = min(certificate.not_valid_after_utc for certificate in sent)
        try:
            _verify(chain, roots, min(begin, end))
        except crypto.X509StoreContextError as other:
            if other.errors[0] not in _DATE_CODES:
                lines.append(_line(other)[1])
    lines += (line for _, line, _ in _wrong_purpose(chain[0], purpose))
    return CertificatePath(
        (), tuple(dict.fromkeys(lines)), summary, _CAUSES.get(error.errors[0], CauseKind.CERTIFICATE_OTHER)
    )


def _line(error: crypto.X509StoreContextError) -> tuple[str, str]:
    """(summary, line) for what OpenSSL stopped at."""
    code, depth, text = error.errors
    certificate = error.certificate.to_cryptography()
    words = _WORDS.get(code, printable(str(text)))
    if code in _NO_ISSUER_CODES:
        issuer, subject = issuer_of(certificate), subject_of(certificate)
        return words, f"{words}: issuer {issuer} of {subject} was not sent and isn't trusted"
    if code in _DATE_CODES:
        return words, date_line(certificate, code == 10)
    return words, f"{words}: {subject_of(certificate)} (depth {depth})"


def date_line(certificate: x509.Certificate, expired: bool) -> str:
    """One line for a certificate whose time is over (or has not come), with the date."""
    limit = certificate.not_valid_after_utc if expired else certificate.not_valid_before_utc
    words = "expired on" if expired else "is valid only from"
    return f"certificate {subject_of(certificate)} {words} {limit:%Y-%m-%d %H:%M:%S} UTC"


def _bad_dates(certificates: tuple[x509.Certificate, ...], now: datetime.datetime) -> Iterator[str]:
    for certificate in certificates:
        if now > certificate.not_valid_after_utc:
            yield date_line(certificate, expired=True)
        elif now < certificate.not_valid_before_utc:
            yield date_line(certificate, expired=False)


def _linked(chain: tuple[x509.Certificate, ...]) -> tuple[x509.Certificate, ...]:
    """The leaf and the certificates sent that lead upwards from it by name, for explanations only."""
    path, rest = [chain[0]], list(chain[1:])
    while issuer := next((c for c in rest if c.subject == path[-1].issuer), None):
        rest.remove(issuer)
        path.append(issuer)
    return tuple(path)
