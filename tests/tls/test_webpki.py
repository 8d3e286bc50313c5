"""Tests for `seg.tls.webpki`."""

from __future__ import annotations

from cryptography import x509
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from seg.tls.interfaces import IAuthenticator
from seg.tls.peer import CertificateVerdict, PeerCertificates, Trust
from seg.tls.roots import RootStore
from seg.tls.webpki import WebPKI
from tests.certificates import NOW, Authority, Issued, self_signed

ROOT = Authority.root()
TRUST = Trust(RootStore((ROOT.certificate,)), NOW)
LEAF = ROOT.intermediate().leaf("mx1.hoster.example", "*.mail.example")


def examine(server: Issued | None, *names: str, hint: str = "") -> CertificateVerdict:
    """What the web PKI says of a server's chain."""
    chain = server.chain if server else ()
    return WebPKI(names, "static", hint).examine(PeerCertificates(chain), TRUST)


class WebPKITests(SynchronousTestCase):
    """A path and a name: both have to be right."""

    def test_interface(self) -> None:
        """It is an authenticator, and a value."""
        verifyObject(IAuthenticator, WebPKI(("a.example",), "static"))
        self.assertEqual(hash(WebPKI(("a.example",), "static")), hash(WebPKI(("a.example",), "static")))

    def test_match(self) -> None:
        """One of the names is enough, and the one that matched is named."""
        self.assertEqual(
            examine(LEAF, "domain.com", "mx1.hoster.example"), CertificateVerdict(matched="name mx1.hoster.example")
        )
        self.assertEqual(examine(LEAF, "a.mail.example").matched, "name a.mail.example")

    def test_other_domain(self) -> None:
        """The vendor's line, the names wanted and presented, and what would help."""
        found = examine(LEAF, "domain.com", hint="option 6 fits hosted domains")
        self.assertEqual(found.summary, "peer cert does not match domain domain.com")
        self.assertEqual(
            found.mismatches,
            (
                "names wanted: domain.com; names presented: mx1.hoster.example, *.mail.example",
                "option 6 fits hosted domains",
            ),
        )

    def test_all_that_is_wrong(self) -> None:
        """A bad path doesn't hide a bad name; the summary is of the path."""
        found = examine(self_signed("other.example"), "domain.com")
        self.assertEqual(found.summary, "self signed certificate")
        self.assertEqual(len(found.mismatches), 2)
        self.assertIn("names presented: other.example", found.mismatches[1])

    def test_common_name(self) -> None:
        """A matching common name is no match."""
        found = examine(ROOT.leaf(common_name="domain.com"), "domain.com")
        self.assertEqual(found.summary, "peer cert does not match domain domain.com")
        self.assertIn("none (the common name does not count)", found.mismatches[0])

    def test_nothing_to_judge(self) -> None:
        """No chain, an unreadable one and no names at all are mismatches."""
        self.assertEqual(examine(None, "domain.com").summary, "no certificate from server")
        self.assertFalse(examine(LEAF).ok)
        fault = WebPKI(("mx1.hoster.example",), "static").examine(PeerCertificates(LEAF.chain, "unreadable"), TRUST)
        self.assertEqual((fault.ok, fault.summary), (False, "unreadable"))

    def test_broken_extension(self) -> None:
        """A subjectAltName that can't be decoded is a mismatch, not an error."""
        broken = x509.UnrecognizedExtension(x509.ObjectIdentifier("2.5.29.17"), b"\x30\x03\x82\x05a")
        found = examine(ROOT.leaf(extra=[(broken, False)]), "domain.com")
        self.assertFalse(found.ok)
