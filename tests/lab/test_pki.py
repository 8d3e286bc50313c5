"""The lab's certificate authority."""

from __future__ import annotations

import datetime
import hashlib
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key
from twisted.trial.unittest import SynchronousTestCase

from seg.lab.pki import Authority


class AuthorityTests(SynchronousTestCase):
    """Certificates of every kind."""

    def setUp(self) -> None:
        """One authority for all."""
        self.authority = Authority()

    def test_leaf_chains_to_the_root(self) -> None:
        """A leaf is signed by the intermediate, which is signed by the root."""
        leaf, intermediate = self.authority.issue(["a.example"]).chain
        leaf.verify_directly_issued_by(intermediate)
        intermediate.verify_directly_issued_by(self.authority.root)

    def test_names(self) -> None:
        """Host names and IP addresses go into subjectAltName, each as its own kind."""
        leaf = self.authority.issue(["a.example", "*.b.example", "192.0.2.1"]).leaf
        names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        self.assertEqual(names.get_values_for_type(x509.DNSName), ["a.example", "*.b.example"])
        self.assertEqual([str(a) for a in names.get_values_for_type(x509.IPAddress)], ["192.0.2.1"])

    def test_common_name_only(self) -> None:
        """A certificate without any subjectAltName can be had."""
        leaf = self.authority.issue([], common_name="a.example").leaf
        with self.assertRaises(x509.ExtensionNotFound):
            leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName)

    def test_expired(self) -> None:
        """An expired certificate ended before now."""
        leaf = self.authority.expired(["a.example"]).leaf
        self.assertLess(leaf.not_valid_after_utc, datetime.datetime.now(datetime.UTC))

    def test_self_signed(self) -> None:
        """A self-signed certificate is its own issuer, and alone."""
        credential = self.authority.self_signed(["a.example"])
        self.assertEqual(len(credential.chain), 1)
        credential.leaf.verify_directly_issued_by(credential.leaf)

    def test_pem(self) -> None:
        """The PEM file holds the key and the chain, and nobody else can read it."""
        credential = self.authority.issue(["a.example"])
        folder = Path(self.mktemp())
        folder.mkdir(parents=True)
        path = credential.write(folder / "a.pem")
        self.assertEqual(path.stat().st_mode & 0o777, 0o600)
        self.assertEqual(x509.load_pem_x509_certificates(path.read_bytes()), list(credential.chain))
        key = load_pem_private_key(path.read_bytes(), None)
        self.assertEqual(key.public_key(), credential.leaf.public_key())

    def test_tlsa(self) -> None:
        """TLSA data is the digest of what the selector names."""
        credential = self.authority.issue(["a.example"])
        der = credential.leaf.public_bytes(Encoding.DER)
        spki = credential.leaf.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        self.assertEqual(credential.tlsa(3, 1, 1), "3 1 1 " + hashlib.sha256(spki).hexdigest())
        self.assertEqual(credential.tlsa(3, 0, 2), "3 0 2 " + hashlib.sha512(der).hexdigest())
        self.assertEqual(credential.tlsa(3, 0, 0), "3 0 0 " + der.hex())
