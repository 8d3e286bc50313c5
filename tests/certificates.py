"""Certificates made to order: authorities, intermediates, and leaves with any names, dates and purposes.

Keys are EC P-256 unless said otherwise, and made anew for each authority and leaf: nothing is read from disk.
"""

from __future__ import annotations

import datetime
import hashlib
from collections.abc import Sequence
from pathlib import Path

import attrs
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

NOW = datetime.datetime(2025, 6, 1, 12, 0, tzinfo=datetime.UTC)
DAY = datetime.timedelta(days=1)
SERVER_AUTH = ExtendedKeyUsageOID.SERVER_AUTH
CLIENT_AUTH = ExtendedKeyUsageOID.CLIENT_AUTH

Key = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey


def new_key() -> ec.EllipticCurvePrivateKey:
    """A private key, quick to make."""
    return ec.generate_private_key(ec.SECP256R1())


@attrs.frozen(eq=False)
class Issued:
    """A certificate with its private key, and the certificates above it."""

    certificate: x509.Certificate
    key: Key
    issuers: tuple[x509.Certificate, ...] = ()  # the nearest first; the root last

    @property
    def chain(self) -> tuple[x509.Certificate, ...]:
        """As a server presents it: the leaf, then the intermediates; without the root."""
        return (self.certificate, *self.issuers[:-1])

    @property
    def full_chain(self) -> tuple[x509.Certificate, ...]:
        """The leaf, the intermediates and the root."""
        return (self.certificate, *self.issuers)

    def pem(self) -> bytes:
        """The presented chain as PEM."""
        return b"".join(certificate.public_bytes(Encoding.PEM) for certificate in self.chain)

    def key_pem(self) -> bytes:
        """The private key as PEM."""
        return self.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())

    def write(self, folder: str | Path, stem: str = "server") -> tuple[str, str]:
        """Write ``<stem>.pem`` and ``<stem>.key``; returns both paths."""
        certificate, key = Path(folder) / f"{stem}.pem", Path(folder) / f"{stem}.key"
        certificate.write_bytes(self.pem())
        key.write_bytes(self.key_pem())
        return str(certificate), str(key)


@attrs.frozen(eq=False)
class Authority(Issued):
    """Issues certificates; ``Authority.root()`` begins a tree, `intermediate` grows it, `leaf` ends it."""

    @classmethod
    def root(
        cls,
        name: str = "Test Root",
        *,
        now: datetime.datetime = NOW,
        days: tuple[int, int] = (-3650, 3650),
        key: Key | None = None,
    ) -> Authority:
        """A self-signed authority."""
        key = key or new_key()
        certificate = build(name, key, name, key, now=now, days=days, ca=True)
        return cls(certificate, key)

    def intermediate(
        self,
        name: str = "Test Intermediate",
        *,
        now: datetime.datetime = NOW,
        days: tuple[int, int] = (-1000, 1000),
        eku: Sequence[x509.ObjectIdentifier] | None = None,
        key: Key | None = None,
        ca: bool = True,
        path_length: int | None = None,
    ) -> Authority:
        """An authority below this one."""
        key = key or new_key()
        certificate = build(
            name,
            key,
            self.certificate.subject,
            self.key,
            now=now,
            days=days,
            ca=ca,
            eku=eku,
            path_length=path_length,
        )
        return Authority(certificate, key, (self.certificate, *self.issuers))

    def leaf(
        self,
        *names: str,
        common_name: str = "",
        now: datetime.datetime = NOW,
        days: tuple[int, int] = (-10, 80),
        eku: Sequence[x509.ObjectIdentifier] | None = (SERVER_AUTH,),
        key: Key | None = None,
        digest: hashes.SHA256 | hashes.SHA384 | hashes.SHA512 | None = None,
        extra: Sequence[tuple[x509.ExtensionType, bool]] = (),
    ) -> Issued:
        """A server certificate with `names` as dNSNames (none: no subjectAltName at all)."""
        key = key or new_key()
        certificate = build(
            common_name or (names[0] if names else "leaf"), key, self.certificate.subject, self.key,
            now=now, days=days, names=names, eku=eku, digest=digest, extra=extra,
        )  # fmt: skip
        return Issued(certificate, key, (self.certificate, *self.issuers))


def self_signed(
    *names: str, now: datetime.datetime = NOW, days: tuple[int, int] = (-10, 80), ca: bool = False
) -> Issued:
    """A certificate that nobody vouches for."""
    key = new_key()
    name = names[0] if names else "self-signed"
    return Issued(build(name, key, name, key, now=now, days=days, names=names, ca=ca), key)


def build(
    subject: str | x509.Name,
    key: Key,
    issuer: str | x509.Name,
    issuer_key: Key,
    *,
    now: datetime.datetime = NOW,
    days: tuple[int, int] = (-10, 80),
    names: Sequence[str] = (),
    ca: bool = False,
    eku: Sequence[x509.ObjectIdentifier] | None = None,
    path_length: int | None = None,
    digest: hashes.SHA256 | hashes.SHA384 | hashes.SHA512 | None = None,
    extra: Sequence[tuple[x509.ExtensionType, bool]] = (),
) -> x509.Certificate:
    """One certificate; `days` are the days from `now` on which it begins and ends."""
    builder = (
        x509.CertificateBuilder()
        .subject_name(_name(subject))
        .issuer_name(_name(issuer))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now + days[0] * DAY)
        .not_valid_after(now + days[1] * DAY)
        .add_extension(x509.BasicConstraints(ca, path_length), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key()), critical=False)
    )
    if ca:
        usage = x509.KeyUsage(True, False, False, False, False, True, True, False, False)
        builder = builder.add_extension(usage, critical=True)
    if names:
        builder = builder.add_extension(
            x509.SubjectAlternativeName([x509.DNSName(name) for name in names]), critical=False
        )
    if eku is not None:
        builder = builder.add_extension(x509.ExtendedKeyUsage(list(eku)), critical=False)
    for extension, critical in extra:
        builder = builder.add_extension(extension, critical=critical)
    return builder.sign(issuer_key, digest or hashes.SHA256())


def tlsa_data(certificate: x509.Certificate, selector: int, matching: int) -> bytes:
    """The certificate association data of a TLSA record for `certificate` (RFC 6698 §2.1.4)."""
    if selector == 0:
        data = certificate.public_bytes(Encoding.DER)
    else:
        data = certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return {0: bytes, 1: lambda d: hashlib.sha256(d).digest(), 2: lambda d: hashlib.sha512(d).digest()}[matching](data)


def tlsa_text(certificate: x509.Certificate, usage: int, selector: int, matching: int) -> str:
    """A TLSA record in presentation form."""
    return f"{usage} {selector} {matching} {tlsa_data(certificate, selector, matching).hex()}"


def _name(name: str | x509.Name) -> x509.Name:
    return name if isinstance(name, x509.Name) else x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name[:64])])
