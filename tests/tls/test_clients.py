"""Clients that may relay by their certificate."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from OpenSSL import SSL
from twisted.trial.unittest import SynchronousTestCase

from seg.errors import ConfigurationError
from seg.tls.clients import ClientCertificates, holder_of
from seg.tls.listening import ListenerCertificates
from tests.certificates import NOW, Authority, Issued, new_key, self_signed
from tests.tls.handshake import shake

ROOT = Authority.root()
OTHER = Authority.root("Other Root")
LISTED = self_signed("app.example")


class ClientTests(SynchronousTestCase):
    """`ClientCertificates`."""

    def listed(self, *certificates: Issued) -> ClientCertificates:
        """A file of these."""
        path = Path(self.mktemp())
        path.write_bytes(b"".join(issued.pem() for issued in certificates))
        return ClientCertificates(str(path))

    def test_table(self) -> None:
        """Listed itself, or issued directly by a listed authority; valid; and nothing else."""
        old = Authority.root("Old Root", days=(-100, -1))
        clients = self.listed(LISTED, ROOT, old)
        table = (
            (LISTED, True),
            (ROOT.leaf("a.example"), True),
            (ROOT.leaf("a.example", days=(-10, -1)), False),
            (ROOT.leaf("a.example", days=(1, 10)), False),
            (ROOT.intermediate().leaf("a.example"), False),
            (OTHER.leaf("a.example"), False),
            (old.leaf("a.example"), False),
            (self_signed("app.example"), False),
            # Of the same name, by somebody else's key.
            (Authority.root().leaf("a.example"), False),
        )
        for number, (issued, known) in enumerate(table):
            self.assertIs(clients.knows(issued.certificate, NOW), known, str(number))
        self.assertIn("app.example", holder_of(LISTED.certificate))
        self.assertFalse(clients.knows(LISTED.certificate, NOW + timedelta(days=1000)))

    def test_leaf_is_no_authority(self) -> None:
        """A listed certificate of a client vouches for nobody else."""
        issuer = self_signed("app.example")
        pretender = Authority(issuer.certificate, issuer.key).leaf("evil.example")
        self.assertFalse(self.listed(issuer).knows(pretender.certificate, NOW))
        key = new_key()
        name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "says nothing")])
        unmarked = Authority(
            x509.CertificateBuilder(name, name, key.public_key(), 7, NOW - timedelta(1), NOW + timedelta(9)).sign(
                key, hashes.SHA256()
            ),
            key,
        )
        self.assertFalse(self.listed(unmarked).knows(unmarked.leaf("c.example").certificate, NOW))

    def test_files(self) -> None:
        """A file that is missing, or has no certificate, is a fault of the configuration."""
        path = Path(self.mktemp())
        self.assertRaises(ConfigurationError, ClientCertificates, str(path))
        for text in (b"", b"-----BEGIN CERTIFICATE-----\nxx\n-----END CERTIFICATE-----\n"):
            path.write_bytes(text)
            self.assertRaises(ConfigurationError, ClientCertificates, str(path))

    def test_asked_for(self) -> None:
        """A listener with such a file asks for a certificate, takes the handshake without one, and sees the one that is shown."""
        folder = Path(self.mktemp())
        folder.mkdir()
        pair = ROOT.leaf("mx.example").write(folder)
        (folder / "clients.pem").write_bytes(LISTED.pem())
        certificates = ListenerCertificates([pair], NOW, str(folder / "clients.pem"))
        assert certificates.clients is not None
        for issued, known in ((None, None), (LISTED, True), (OTHER.leaf("x.example"), False)):
            server = self.shaken(certificates, issued, folder)
            leaf = server.get_peer_certificate(as_cryptography=True)
            self.assertIs(None if leaf is None else certificates.clients.knows(leaf, NOW), known)
        self.assertFalse(certificates.changed())
        (folder / "clients.pem").write_bytes(OTHER.pem() + LISTED.pem())
        self.assertTrue(certificates.changed())

    def shaken(self, certificates: ListenerCertificates, issued: Issued | None, folder: Path) -> SSL.Connection:
        """The server's side behind a handshake with a client that shows this."""
        context = SSL.Context(SSL.TLS_CLIENT_METHOD)
        if issued is not None:
            certificate, key = issued.write(folder, "client")
            context.use_certificate_file(certificate)
            context.use_privatekey_file(key)

        class Creator:
            def clientConnectionForTLS(self, protocol: object) -> SSL.Connection:
                return SSL.Connection(context, None)

        _, server = shake(Creator(), certificates)  # type: ignore[arg-type]
        return server
