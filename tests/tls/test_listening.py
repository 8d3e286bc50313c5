"""Certificates of a listener: chosen by name, and renewed on disk."""

from __future__ import annotations

import os
from pathlib import Path

from OpenSSL import SSL
from twisted.internet.interfaces import IOpenSSLServerConnectionCreator
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from seg.common.errors import ConfigurationError
from seg.tls.context import ClientTLS, session_facts
from seg.tls.listening import ListenerCertificates
from seg.tls.names import names_of
from tests.certificates import NOW, Authority, Issued
from tests.tls.handshake import shake

ROOT = Authority.root()


class ListenerCertificatesTests(SynchronousTestCase):
    """`ListenerCertificates`."""

    def setUp(self) -> None:
        self.folder = Path(self.mktemp())
        self.folder.mkdir()

    def both(self, issued: Issued, stem: str) -> str:
        """One file with certificate, intermediates and key."""
        path = self.folder / f"{stem}.pem"
        path.write_bytes(issued.pem() + issued.key_pem())
        return str(path)

    def shown(self, certificates: ListenerCertificates, asked: str) -> tuple[str, ...]:
        """The names in the certificate that a client sees."""
        client, _ = shake(ClientTLS().creator(asked, "a"), certificates)
        return names_of(session_facts(client, asked).peer.chain[0])

    def test_by_name(self) -> None:
        """The name that a client asks for chooses; a wildcard counts; all others, and no name at all, get the first."""
        default, star = ROOT.leaf("mx.example.com"), ROOT.intermediate().leaf("*.example.org", "mail.example.net")
        files = [default.write(self.folder), (self.both(star, "star"), "")]
        certificates = ListenerCertificates(files, NOW)
        verifyObject(IOpenSSLServerConnectionCreator, certificates)
        for asked, wanted in (
            ("mx.example.com", "mx.example.com"),
            ("a.example.org", "*.example.org"),
            ("MAIL.example.net", "*.example.org"),
            ("a.b.example.org", "mx.example.com"),
            ("192.0.2.1", "mx.example.com"),
        ):
            self.assertEqual(self.shown(certificates, asked)[0], wanted, asked)

    def test_first_counts(self) -> None:
        """Of two certificates for one name the first is shown."""
        one, two = ROOT.leaf("mx.example.com", "one.example.com"), ROOT.leaf("mx.example.com", "two.example.com")
        certificates = ListenerCertificates([(self.both(one, "one"), ""), (self.both(two, "two"), "")], NOW)
        self.assertIn("one.example.com", self.shown(certificates, "mx.example.com"))
        self.assertIn("two.example.com", self.shown(certificates, "two.example.com"))

    def test_renewed(self) -> None:
        """A changed file is seen and taken up; connections made before aren't touched."""
        path = self.both(ROOT.leaf("old.example.com"), "one")
        certificates = ListenerCertificates([(path, "")], NOW)
        self.assertFalse(certificates.changed())
        before = certificates.serverConnectionForTLS(None)  # type: ignore[arg-type]
        self.both(ROOT.leaf("new.example.com", "more.example.com"), "one")
        self.assertTrue(certificates.changed())
        certificates.load()
        self.assertFalse(certificates.changed())
        self.assertEqual(self.shown(certificates, "x.example.com")[0], "new.example.com")
        self.assertIsInstance(before, SSL.Connection)

    def test_broken_renewal(self) -> None:
        """A file that is gone or broken is a change that can't be taken up: what was read stays in force."""
        path = self.both(ROOT.leaf("old.example.com"), "one")
        certificates = ListenerCertificates([(path, "")], NOW)
        for spoil in (lambda: Path(path).write_text("half a file"), lambda: os.unlink(path)):
            spoil()
            self.assertTrue(certificates.changed())
            self.assertRaises(ConfigurationError, certificates.load)
            self.assertEqual(self.shown(certificates, "old.example.com")[0], "old.example.com")
