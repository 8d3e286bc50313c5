"""A certificate authority of the lab's own: root, intermediate, and leaf certificates of any kind.

Keys are EC P-256, which cost well under a millisecond each.
"""

from __future__ import annotations

import datetime
import hashlib
from collections.abc import Sequence
from ipaddress import ip_address
from pathlib import Path

import attrs
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

DAY = datetime.timedelta(days=1)
SHA256 = hashes.SHA256()


@attrs.frozen(eq=False)
class LabCredential:
    """A private key with its certificate chain as a server presents it: the leaf first, the root left out."""

    key: ec.EllipticCurvePrivateKey
    chain: tuple[x509.Certificate, ...]

    @property
    def leaf(self) -> x509.Certificate:
        """The certificate of the key."""
        return self.chain[0]

    def pem(self) -> bytes:
        """Private key, then the chain, as one PEM text."""
        key = self.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        return key + b"".join(certificate.public_bytes(Encoding.PEM) for certificate in self.chain)

    def write(self, path: Path) -> Path:
        """Write `pem` to a file that only its owner can read."""
        path.touch(mode=0o600)
        path.write_bytes(self.pem())
        return path

    def tlsa(self, usage: int = 3, selector: int = 1, matching: int = 1, *, link: int = 0) -> str:
        """TLSA record data (RFC 6698 §2.2) that matches the certificate `link` of the chain."""
        return tlsa(self.chain[link], usage, selector, matching)


def tlsa(certificate: x509.Certificate, usage: int, selector: int, matching: int) -> str:
    """TLSA record data in presentation form (RFC 6698 §2.2) for a certificate."""
    if selector == 0:
        data = certificate.public_bytes(Encoding.DER)
    else:
        data = certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    if matching:
        data = hashlib.new({1: "sha256", 2: "sha512"}[matching], data).digest()
    return f"{usage} {selector} {matching} {data.hex()}"


def _general_names(names: Sequence[str]) -> list[x509.GeneralName]:
    found: list[x509.GeneralName] = []
    for name in names:
        try:
            found.append(x509.IPAddress(ip_address(name)))
        except ValueError:
            found.append(x509.DNSName(name))
    return found


def _named(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text[:64])] if text else [])


def _issuer_key(key: ec.EllipticCurvePrivateKey) -> x509.AuthorityKeyIdentifier:
    return x509.AuthorityKeyIdentifier.from_issuer_public_key(key.public_key())


class Authority:
    """A root, an intermediate below it, and whatever leaf certificates are asked for."""

    def __init__(self, *, name: str = "Lab") -> None:
        self.now = datetime.datetime.now(datetime.UTC)
        self._root_key = ec.generate_private_key(ec.SECP256R1())
        self._intermediate_key = ec.generate_private_key(ec.SECP256R1())
        self.root = self._authority(f"{name} Root CA", self._root_key, f"{name} Root CA", self._root_key, 1)
        self.intermediate = self._authority(
            f"{name} Intermediate CA", self._intermediate_key, f"{name} Root CA", self._root_key, 0
        )

    def write_root(self, path: Path) -> Path:
        """Write the root certificate, which is what a relying party is to trust, as PEM."""
        path.write_bytes(self.root.public_bytes(Encoding.PEM))
        return path

    def issue(
        self,
        names: Sequence[str],
        *,
        common_name: str = "",
        starts: datetime.timedelta = -DAY,
        ends: datetime.timedelta = 30 * DAY,
        with_intermediate: bool = True,
    ) -> LabCredential:
        """A leaf certificate for these host names and IP addresses (as subjectAltName).

        :param starts: begin of validity, counted from now; `ends`: its end.
        :param with_intermediate: False presents the leaf alone, as a badly set up server does.
        """
        key = ec.generate_private_key(ec.SECP256R1())
        builder = self._leaf(names, common_name, key, starts, ends).issuer_name(self.intermediate.subject)
        builder = builder.add_extension(_issuer_key(self._intermediate_key), critical=False)
        leaf = builder.sign(self._intermediate_key, SHA256)
        return LabCredential(key, (leaf, self.intermediate) if with_intermediate else (leaf,))

    def expired(self, names: Sequence[str]) -> LabCredential:
        """A certificate that ended yesterday."""
        return self.issue(names, starts=-30 * DAY, ends=-DAY)

    def self_signed(self, names: Sequence[str]) -> LabCredential:
        """A certificate that nobody else vouches for."""
        key = ec.generate_private_key(ec.SECP256R1())
        name = names[0] if names else "self-signed"
        builder = self._leaf(names, name, key, -DAY, 30 * DAY).issuer_name(_named(name))
        return LabCredential(key, (builder.sign(key, SHA256),))

    def _leaf(
        self,
        names: Sequence[str],
        common_name: str,
        key: ec.EllipticCurvePrivateKey,
        starts: datetime.timedelta,
        ends: datetime.timedelta,
    ) -> x509.CertificateBuilder:
        builder = (
            x509.CertificateBuilder()
            .subject_name(_named(common_name))
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(self.now + starts)
            .not_valid_after(self.now + ends)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        )
        if names:
            # RFC 5280 §4.2.1.6: critical when the subject is empty.
            alternative = x509.SubjectAlternativeName(_general_names(names))
            builder = builder.add_extension(alternative, critical=not common_name)
        return builder

    def _authority(
        self,
        name: str,
        key: ec.EllipticCurvePrivateKey,
        issuer: str,
        issuer_key: ec.EllipticCurvePrivateKey,
        path_length: int,
    ) -> x509.Certificate:
        usage = x509.KeyUsage(
            digital_signature=False,
            content_commitment=False,
            key_encipherment=False,
            data_encipherment=False,
            key_agreement=False,
            key_cert_sign=True,
            crl_sign=True,
            encipher_only=False,
            decipher_only=False,
        )
        return (
            x509.CertificateBuilder()
            .subject_name(_named(name))
            .issuer_name(_named(issuer))
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(self.now - 365 * DAY)
            .not_valid_after(self.now + 365 * DAY)
            .add_extension(x509.BasicConstraints(ca=True, path_length=path_length), critical=True)
            .add_extension(usage, critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
            .add_extension(_issuer_key(issuer_key), critical=False)
            .sign(issuer_key, SHA256)
        )
