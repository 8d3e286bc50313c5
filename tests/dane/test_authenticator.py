"""Tests for `seg.policy.dane.authenticator`."""

from __future__ import annotations

import attrs
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ed25519, rsa
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from seg.policy.dane.authenticator import DANEAuthenticator, signed_by
from seg.policy.dane.tlsa import TLSARecord
from seg.tls.interfaces import IAuthenticator
from seg.tls.peer import CertificateVerdict, PeerCertificates, Trust
from seg.tls.roots import RootStore
from tests.certificates import CLIENT_AUTH, NOW, Authority, self_signed, tlsa_data

ROOT = Authority.root()
INTERMEDIATE = ROOT.intermediate()
LEAF = INTERMEDIATE.leaf("mx.example.com")
STRANGER = Authority.root("Stranger")
ALONE = self_signed("mx.example.com", ca=True)
NAMES = ("base.example", "mx.example.com", "example.com")
EXPIRED = INTERMEDIATE.leaf("mx.example.com", days=(-20, -10))


def record(kind: str, certificate: x509.Certificate) -> TLSARecord:
    """``record("311", leaf)``: a record that matches a certificate."""
    usage, selector, matching = map(int, kind)
    return TLSARecord(usage, selector, matching, tlsa_data(certificate, selector, matching))


def examine(
    chain: tuple[x509.Certificate, ...], *records: TLSARecord, names: tuple[str, ...] = NAMES
) -> CertificateVerdict:
    """What the records say of a chain; the chain's own root is on the trusted list, which must not matter."""
    trust = Trust(RootStore((ROOT.certificate,)), NOW)
    return DANEAuthenticator(records, "base.example", names).examine(PeerCertificates(chain), trust)


@attrs.frozen
class Row:
    """A chain, records, and whether they fit."""

    name: str
    chain: tuple[x509.Certificate, ...]
    records: tuple[TLSARecord, ...]
    matched: str = ""  # "" = refused
    summary: str = ""


WRONG_NAME = INTERMEDIATE.leaf("other.example")
R, C, L = ROOT.certificate, INTERMEDIATE.certificate, LEAF.certificate
NO_MATCH = "no TLSA record matches the certificate"
CLIENT_CA = ROOT.intermediate("Client CA", eku=(CLIENT_AUTH,))

ROWS = (
    Row("3 1 1", LEAF.chain, (record("311", L),), "TLSA 3 1 1"),
    Row("3 0 2", LEAF.chain, (record("302", L),), "TLSA 3 0 2"),
    Row("3 1 0", LEAF.chain, (record("310", L),), "TLSA 3 1 0"),
    Row("3 1 1, expired", EXPIRED.chain, (record("311", EXPIRED.certificate),), "TLSA 3 1 1"),
    Row("3 1 1, other name", WRONG_NAME.chain, (record("311", WRONG_NAME.certificate),), "TLSA 3 1 1"),
    Row("3 1 1, self-signed", ALONE.chain, (record("311", ALONE.certificate),), "TLSA 3 1 1"),
    Row("3 1 1 of the issuer", LEAF.chain, (record("311", C),), "", NO_MATCH),
    Row("3 1 1, another key", LEAF.chain, (record("311", STRANGER.certificate),), "", NO_MATCH),
    Row("2 0 1, root sent", LEAF.full_chain, (record("201", R),), "TLSA 2 0 1, name mx.example.com"),
    Row("2 1 1, intermediate", LEAF.chain, (record("211", C),), "TLSA 2 1 1, name mx.example.com"),
    Row("2 0 1, root not sent", LEAF.chain, (record("201", R),), "", NO_MATCH),
    Row("2 0 0, root in the record only", LEAF.chain, (record("200", R),), "TLSA 2 0 0, name mx.example.com"),
    Row("2 1 0, root's key", LEAF.chain, (record("210", R),), "TLSA 2 1 0, name mx.example.com"),
    Row("2 1 0, key of the missing issuer", (L,), (record("210", C),), "TLSA 2 1 0, name mx.example.com"),
    Row("2 1 0, another key", LEAF.chain, (record("210", STRANGER.certificate),), "", NO_MATCH),
    Row("2 1 0, intermediate not sent", (L,), (record("210", R),), "", NO_MATCH),
    Row(
        "2 1 0, intermediate for clients",
        CLIENT_CA.leaf("mx.example.com").chain,
        (record("210", R),),
        "",
        "unsuitable certificate purpose",
    ),
    Row("2 0 1, expired leaf", EXPIRED.full_chain, (record("201", R),), "", "certificate has expired"),
    Row("2 1 0, expired leaf", (EXPIRED.certificate,), (record("210", C),), "", "certificate has expired"),
    Row(
        "2 0 1, other name",
        WRONG_NAME.full_chain,
        (record("201", R),),
        "",
        "peer cert does not match domain base.example",
    ),
    Row(
        "2 0 1, for clients",
        INTERMEDIATE.leaf("mx.example.com", eku=(CLIENT_AUTH,)).full_chain,
        (record("201", R),),
        "",
        "unsuitable certificate purpose",
    ),
    Row(
        "2 0 1 sent, but of another chain",
        (L, STRANGER.certificate),
        (record("201", STRANGER.certificate),),
        "",
        "unable to get local issuer certificate",
    ),
    Row("2 0 1 of the leaf", ALONE.chain, (record("201", ALONE.certificate),), "", NO_MATCH),
    Row("2 0 0 of the leaf", LEAF.chain, (record("200", L),), "", NO_MATCH),
    Row("2 1 0 of a self-signed leaf", ALONE.chain, (record("210", ALONE.certificate),), "", NO_MATCH),
    Row("2 1 1 of a leaf sent twice", (L, L), (record("211", L),), "", NO_MATCH),
    Row(
        "one of several",
        LEAF.chain,
        (record("311", STRANGER.certificate), record("211", C)),
        "TLSA 2 1 1, name mx.example.com",
    ),
    Row(
        "weak digest doesn't count beside a strong one",
        LEAF.chain,
        (record("311", L), record("312", STRANGER.certificate)),
        "",
        NO_MATCH,
    ),
    Row(
        "full data counts always",
        LEAF.chain,
        (record("310", L), record("312", STRANGER.certificate)),
        "TLSA 3 1 0",
    ),
    Row("no records", LEAF.chain, (), "", NO_MATCH),
    Row("no certificate", (), (record("311", L),), "", "no certificate from server"),
)


class ExaminationTests(SynchronousTestCase):
    """RFC 7672 §3.1 as a table."""

    def test_table(self) -> None:
        """Each chain is accepted by the record named, or refused with the summary given."""
        for row in ROWS:
            found = examine(row.chain, *row.records)
            with self.subTest(row.name):
                self.assertEqual((found.matched, found.summary), (row.matched, row.summary), found.mismatches)
                self.assertEqual(found.ok, bool(row.matched))

    def test_trusted_roots_play_no_part(self) -> None:
        """A certificate of a public authority doesn't help where the records name another key."""
        self.assertFalse(examine(LEAF.full_chain, record("311", STRANGER.certificate)).ok)

    def test_any_of_the_names(self) -> None:
        """Base, host and domain are equally good (RFC 7672 §3.2.2)."""
        for name in NAMES:
            leaf = ROOT.leaf(name)
            self.assertTrue(examine(leaf.full_chain, record("201", R)).ok)

    def test_lines(self) -> None:
        """A failure names the records and what was presented instead."""
        found = examine(LEAF.chain, record("311", STRANGER.certificate), record("201", STRANGER.certificate))
        text = "\n".join(found.mismatches)
        self.assertIn("TLSA 3 1 1 ", found.mismatches[0])
        self.assertIn(f"presented certificate has 3 1 1 {tlsa_data(L, 1, 1).hex()}", text)
        self.assertIn("no such trust anchor in the chain", text)

    def test_unreadable_chain(self) -> None:
        """A chain that could not be read is refused, even when its leaf would match."""
        peer = PeerCertificates(LEAF.chain, "the server sent more than 32 certificates")
        authenticator = DANEAuthenticator((record("311", L),), "base.example", NAMES)
        self.assertFalse(authenticator.examine(peer, Trust(RootStore(), NOW)).ok)

    def test_hostile_sizes(self) -> None:
        """Hundreds of certificates and records of any kind are looked at in bounded time, and refused."""
        chain = (L, *(INTERMEDIATE.certificate for _ in range(400)))
        records = [record("210", Authority.root().certificate) for _ in range(40)]
        records += (TLSARecord(2, 0, 1, n.to_bytes(32, "big")) for n in range(3000))
        self.assertFalse(examine(chain, *records).ok)

    def test_value(self) -> None:
        """It is an authenticator, and equal to another with the same records."""
        one, other = (DANEAuthenticator((record("311", L),), "b", NAMES) for _ in range(2))
        verifyObject(IAuthenticator, one)
        self.assertEqual((one, hash(one)), (other, hash(other)))


class BareKeyTests(SynchronousTestCase):
    """The signature check behind 2 1 0."""

    def test_kinds_of_keys(self) -> None:
        """RSA, EC and Ed25519 signatures are checked; one of another key isn't taken."""
        for key in (rsa.generate_private_key(65537, 2048), ed25519.Ed25519PrivateKey.generate()):
            leaf = self._signed(key)
            self.assertTrue(signed_by(leaf, key.public_key()))
            self.assertFalse(signed_by(leaf, LEAF.key.public_key()))
            self.assertFalse(signed_by(L, key.public_key()))
        self.assertTrue(signed_by(L, INTERMEDIATE.key.public_key()))
        self.assertFalse(signed_by(L, ROOT.key.public_key()))

    @staticmethod
    def _signed(key: rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey) -> x509.Certificate:
        name = x509.Name([])
        builder = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name)
            .public_key(LEAF.key.public_key())
            .serial_number(1)
            .not_valid_before(NOW)
            .not_valid_after(NOW)
        )
        return builder.sign(key, None if isinstance(key, ed25519.Ed25519PrivateKey) else hashes.SHA256())
