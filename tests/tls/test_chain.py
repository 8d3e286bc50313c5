"""Tests for `seg.tls.chain`: paths to an anchor, and the words for what is wrong."""

from __future__ import annotations

from pathlib import Path

import attrs
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding
from twisted.trial.unittest import SynchronousTestCase

from seg.tls.chain import MAX_CHAIN, path_to_anchor
from seg.tls.roots import RootStore
from tests.certificates import CLIENT_AUTH, DAY, NOW, Authority, self_signed

ROOT = Authority.root()
INTERMEDIATE = ROOT.intermediate()
ROOTS = RootStore((ROOT.certificate,))
GOOD = INTERMEDIATE.leaf("mx.example.com")


@attrs.frozen
class Row:
    """A presented chain, what the summary has to be, and words that the lines have to hold."""

    name: str
    chain: tuple[x509.Certificate, ...]
    summary: str = ""
    words: tuple[str, ...] = ()


EXPIRED = INTERMEDIATE.leaf("mx.example.com", days=(-20, -10))
FUTURE = INTERMEDIATE.leaf("mx.example.com", days=(5, 10))
OLD_INTERMEDIATE = ROOT.intermediate("Old Intermediate", days=(-100, -1))
CLIENT = INTERMEDIATE.leaf("mx.example.com", eku=(CLIENT_AUTH,))
CLIENT_CA = ROOT.intermediate("Client CA", eku=(CLIENT_AUTH,)).leaf("mx.example.com")
STRANGER = Authority.root("Stranger").leaf("mx.example.com")
ALONE = self_signed("mx.example.com")
WEAK = INTERMEDIATE.leaf("mx.example.com", key=rsa.generate_private_key(65537, 1024))
NOT_A_CA = ROOT.intermediate("Not a CA", ca=False).leaf("mx.example.com")
_DER = GOOD.certificate.public_bytes(Encoding.DER)
FORGED = x509.load_der_x509_certificate(_DER[:-1] + bytes([_DER[-1] ^ 1]))  # one bit of the signature
_OLD_DER = OLD_INTERMEDIATE.leaf("mx.example.com").certificate.public_bytes(Encoding.DER)
OTHERWISE_FORGED = x509.load_der_x509_certificate(_OLD_DER[:-1] + bytes([_OLD_DER[-1] ^ 1]))
UNKNOWN = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.3.6.1.4.1.99999.1"), b"\x05\x00")
CRITICAL = INTERMEDIATE.leaf("mx.example.com", extra=[(UNKNOWN, True)])
NO_CAPACITY = ROOT.intermediate("Leaves only", path_length=0).intermediate("One too many").leaf("mx.example.com")

ROWS = (
    Row("good", GOOD.chain),
    Row("root sent as well", GOOD.full_chain),
    Row("unordered, with strangers", (GOOD.certificate, STRANGER.certificate, *GOOD.issuers[::-1])),
    Row("no serverAuth restriction", INTERMEDIATE.leaf("mx.example.com", eku=None).chain),
    Row("none", (), "no certificate from server", ("no certificate",)),
    Row(
        "intermediate missing",
        (GOOD.certificate,),
        "unable to get local issuer certificate",
        ("issuer CN=Test Intermediate of CN=mx.example.com was not sent and isn't trusted",),
    ),
    Row(
        "unknown root",
        STRANGER.chain,
        "unable to get local issuer certificate",
        ("issuer CN=Stranger of CN=mx.example.com was not sent and isn't trusted",),
    ),
    Row(
        "unknown root sent",
        STRANGER.full_chain,
        "self signed certificate in certificate chain",
        ("CN=Stranger",),
    ),
    Row("self-signed", ALONE.chain, "self signed certificate", ("CN=mx.example.com (depth 0)",)),
    Row(
        "expired",
        EXPIRED.chain,
        "certificate has expired",
        ("CN=mx.example.com expired on 2025-05-22 12:00:00 UTC",),
    ),
    Row(
        "not yet",
        FUTURE.chain,
        "certificate is not yet valid",
        ("is valid only from 2025-06-06 12:00:00 UTC",),
    ),
    Row(
        "intermediate expired",
        OLD_INTERMEDIATE.leaf("mx.example.com").chain,
        "certificate has expired",
        ("CN=Old Intermediate expired on 2025-05-31",),
    ),
    Row(
        "expired and unknown",
        (EXPIRED.certificate,),
        "unable to get local issuer certificate",
        ("was not sent", "expired on 2025-05-22"),
    ),
    Row(
        "expired and for clients",
        INTERMEDIATE.leaf("mx.example.com", days=(-20, -10), eku=(CLIENT_AUTH,)).chain,
        "certificate has expired",
        ("expired on", "no serverAuth"),
    ),
    Row(
        "for clients",
        CLIENT.chain,
        "unsuitable certificate purpose",
        ("CN=mx.example.com isn't for servers",),
    ),
    Row(
        "authority for clients",
        CLIENT_CA.chain,
        "unsuitable certificate purpose",
        ("CN=Client CA isn't for servers",),
    ),
    Row("weak key", WEAK.chain, "EE certificate key too weak", ("a key of 1024 bits only",)),
    Row("issuer isn't an authority", NOT_A_CA.chain, "invalid CA certificate", ("CN=Not a CA",)),
    Row("forged", (FORGED, INTERMEDIATE.certificate), "certificate signature failure", ("CN=mx.example.com",)),
    Row(
        "never valid at the same time",
        ROOT.intermediate("Ancient", days=(-1000, -500)).leaf("mx.example.com").chain,
        "certificate has expired",
        ("CN=Ancient expired on",),
    ),
    Row(
        "intermediate expired, and forged",
        (OTHERWISE_FORGED, OLD_INTERMEDIATE.certificate),
        "certificate has expired",
        ("CN=Old Intermediate expired on", "certificate signature failure"),
    ),
    Row("unknown critical extension", CRITICAL.chain, "unhandled critical extension", ("CN=mx.example.com",)),
    Row("path too long", NO_CAPACITY.chain, "path length constraint exceeded", ()),
    Row(
        "too many",
        (GOOD.certificate,) * (MAX_CHAIN + 1),
        "too many certificates from server",
        ("more than 32",),
    ),
)


class PathTests(SynchronousTestCase):
    """Each chain is accepted, or refused with all its faults."""

    def test_table(self) -> None:
        """Summaries are OpenSSL's words; the lines name certificates and dates."""
        for row in ROWS:
            path = path_to_anchor(row.chain, ROOTS, NOW)
            text = "\n".join(path.mismatches)
            with self.subTest(row.name):
                self.assertEqual((path.summary, path.ok), (row.summary, not row.summary), text)
                for words in row.words:
                    self.assertIn(words, text)

    def test_weak_signature(self) -> None:
        """A certificate signed with SHA-1 is too weak, whatever else is right; the anchor's own signature doesn't matter."""
        pem = (Path(__file__).parent / "data" / "sha1.pem").read_bytes()
        leaf, root = x509.load_pem_x509_certificates(pem)
        now = leaf.not_valid_before_utc + DAY
        path = path_to_anchor((leaf,), RootStore((root,)), now)
        self.assertEqual(path.summary, "CA signature digest algorithm too weak")
        self.assertEqual(path.mismatches, ("certificate CN=mx.example.com is signed with SHA1",))

    def test_path_is_returned(self) -> None:
        """A good path runs from the leaf to the anchor, whatever else was sent."""
        self.assertEqual(path_to_anchor(GOOD.chain, ROOTS, NOW).certificates, GOOD.full_chain)

    def test_time_is_looked_at_each_time(self) -> None:
        """The same store judges at whatever time it is asked for, in any order."""
        results = [path_to_anchor(GOOD.chain, ROOTS, NOW + days * DAY).ok for days in (0, 81, 0, -11, 79, 4000)]
        self.assertEqual(results, [True, False, True, False, True, False])

    def test_anchor_of_the_list_is_trusted_as_it_stands(self) -> None:
        """An intermediate in the operator's list ends a path, and needs no root above it."""
        roots = RootStore((INTERMEDIATE.certificate,))
        self.assertTrue(path_to_anchor((GOOD.certificate,), roots, NOW).ok)

    def test_expired_anchor(self) -> None:
        """An anchor whose time is over ends no path."""
        old = Authority.root("Old Root", days=(-100, -1))
        path = path_to_anchor(old.leaf("mx.example.com").chain, RootStore((old.certificate,)), NOW)
        self.assertEqual(path.summary, "certificate has expired")
        self.assertIn("CN=Old Root expired on", path.mismatches[0])

    def test_renewed_authority(self) -> None:
        """Among anchors of the same name the one with the right key is found."""
        twin = Authority.root()
        roots = RootStore((twin.certificate, ROOT.certificate, Authority.root().certificate))
        self.assertTrue(path_to_anchor(GOOD.chain, roots, NOW).ok)

    def test_hostile_chain_is_bounded(self) -> None:
        """A chain full of namesakes of the issuer costs little and proves nothing."""
        namesakes = tuple(ROOT.intermediate().certificate for _ in range(MAX_CHAIN - 1))
        self.assertFalse(path_to_anchor((GOOD.certificate, *namesakes), ROOTS, NOW).ok)
