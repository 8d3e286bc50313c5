"""Keys, requests and certificates that the gateway makes itself."""

from __future__ import annotations

import datetime
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from cryptography.x509.oid import NameOID
from twisted.trial.unittest import SynchronousTestCase

from seg.tls.inventory import exported, server_file
from seg.tls.selfsigned import LIFETIME, self_signed, signing_request
from tests.certificates import NOW

LONG = "a" * 60 + ".example"


def _names(made: x509.CertificateSigningRequest | x509.Certificate) -> list[str]:
    return made.extensions.get_extension_for_class(x509.SubjectAlternativeName).value.get_values_for_type(x509.DNSName)


class RequestTests(SynchronousTestCase):
    """A request for a certificate (PKCS #10)."""

    def test_request(self) -> None:
        """It bears the names, is signed by the key beside it, and cuts a common name that is too long (X.520)."""
        for names in (("mx.example",), (LONG, "mx.example")):
            key, pem = signing_request(names)
            request = x509.load_pem_x509_csr(pem)
            self.assertEqual(_names(request), list(names))
            self.assertTrue(request.is_signature_valid)
            self.assertEqual(load_pem_private_key(key, None).public_key(), request.public_key())
            subject = request.subject.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value
            self.assertEqual(subject, names[0][:64])


class SelfSignedTests(SynchronousTestCase):
    """A certificate without an authority."""

    def setUp(self) -> None:
        """Certificate and key in one file."""
        self.path = Path(self.mktemp())
        self.path.write_bytes(self_signed("mx.example", NOW, "mail.example"))

    def test_certificate(self) -> None:
        """All names, for about a year, no authority; it is usable as a server's."""
        certificate = x509.load_pem_x509_certificate(self.path.read_bytes())
        self.assertEqual(_names(certificate), ["mx.example", "mail.example"])
        self.assertEqual(certificate.not_valid_after_utc, NOW.replace(microsecond=0) + LIFETIME)
        self.assertLess(certificate.not_valid_before_utc, NOW)
        self.assertFalse(certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca)
        self.assertEqual(server_file(str(self.path), "", NOW + datetime.timedelta(days=1)).problems, ())

    def test_exported(self) -> None:
        """The chain goes out without the key unless that is asked for."""
        bare, whole = exported(str(self.path), False), exported(str(self.path), True)
        self.assertNotIn(b"PRIVATE", bare)
        self.assertTrue(whole.startswith(bare))
        self.assertEqual(
            load_pem_private_key(whole, None).public_key(), x509.load_pem_x509_certificate(bare).public_key()
        )
