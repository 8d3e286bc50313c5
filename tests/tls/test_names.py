"""Tests for `seg.tls.names`."""

from __future__ import annotations

from typing import cast

from cryptography import x509
from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from seg.tls.names import fitting, issuer_of, names_of, printable, subject_of
from tests.certificates import Authority, build, new_key

# presented, wanted, whether it stands for it
ROWS = [
    ("mx.example.com", "mx.example.com", True),
    ("MX.Example.COM", "mx.example.com", True),
    ("mx.example.com", "MX.example.com.", True),
    ("*.example.com", "mx.example.com", True),
    ("*.example.com", "a.mx.example.com", False),  # one label only
    ("*.example.com", "example.com", False),
    ("*.EXAMPLE.com", "mx.example.com", True),
    ("m*.example.com", "mx.example.com", False),  # the whole label only
    ("*x.example.com", "mx.example.com", False),
    ("mx.*.com", "mx.example.com", False),  # left-most only
    ("*.*.com", "mx.example.com", False),
    ("*", "example", False),
    ("*.test", "example.test", False),  # nobody speaks for a whole top-level domain
    ("*.test", "mx.example.test", False),
    ("mx.example.com.", "mx.example.com", False),  # RFC 9525 knows no trailing dot in a certificate
    ("", "mx.example.com", False),
    ("", "", False),
    ("mx.example.com", "", False),
    ("192.0.2.1", "192.0.2.1", False),  # an address is no DNS-ID
    ("*.0.2.1", "192.0.2.1", False),
    ("xn--bcher-kva.example", "bücher.example", True),
    ("*.xn--bcher-kva.example", "mx.bücher.example", True),
    ("xn--bcher-kva.example", "xn--bcher-kva.example", True),
    ("*.example.com", "xn--bcher-kva.example.com", True),
    ("mx.example.com\x00.evil.test", "mx.example.com", False),
    ("*.example.com", "*.example.com", False),
    ("_mx.example.com", "_mx.example.com", True),
    ("*.example.com", ".example.com", False),
]


def matches(presented: str, wanted: str) -> bool:
    """Whether a presented name stands for the one wanted."""
    return presented.lower() in fitting(wanted)


class NameTests(SynchronousTestCase):
    """RFC 9525 §6.3 as a table."""

    def test_table(self) -> None:
        """Each presented name stands for exactly what the table says."""
        wrong = [row for row in ROWS if matches(row[0], row[1]) is not row[2]]
        self.assertEqual(wrong, [])

    @given(st.text(max_size=30), st.text(max_size=30))
    @settings(max_examples=100)
    def test_never_raises(self, presented: str, wanted: str) -> None:
        """Any two texts can be compared, and few names fit any one: itself and one wildcard."""
        self.assertLessEqual(len(fitting(wanted)), 2)
        if matches(presented, wanted):
            self.assertTrue(presented.isascii())

    def test_common_name_does_not_count(self) -> None:
        """A certificate without dNSNames speaks for nobody."""
        leaf = Authority.root().leaf(common_name="mx.example.com")
        self.assertEqual(names_of(leaf.certificate), ())
        self.assertEqual(subject_of(leaf.certificate), "CN=mx.example.com")

    def test_unreadable(self) -> None:
        """A certificate whose fields can't be decoded has no names, and is called unreadable."""

        class Broken:
            def __getattr__(self, name: str) -> object:
                raise ValueError(name)

        broken = cast(x509.Certificate, Broken())
        self.assertEqual(names_of(broken), ())
        self.assertEqual((subject_of(broken), issuer_of(broken)), ("(unreadable subject)", "(unreadable issuer)"))

    def test_nameless(self) -> None:
        """A certificate without a subject is called by its serial number, an issuer without a name so."""
        key = new_key()
        leaf = build(x509.Name([]), key, x509.Name([]), key)
        self.assertEqual((subject_of(leaf), issuer_of(leaf)), (f"serial {leaf.serial_number:x}", "(empty name)"))

    def test_listing_is_bounded(self) -> None:
        """However many names a certificate has, a limited number is listed."""
        leaf = Authority.root().leaf(*(f"mx{n}.example.com" for n in range(300)))
        self.assertEqual(len(names_of(leaf.certificate)), 50)
        self.assertEqual(names_of(leaf.certificate, 2), ("mx0.example.com", "mx1.example.com"))

    def test_printable(self) -> None:
        """Control characters and overlong texts of a certificate don't reach a log as they are."""
        self.assertEqual(printable("a\r\nb\x1b[1m\u202ec"), "a??b?[1m?c")
        self.assertEqual(printable("x" * 300, 10), "xxxxxxx...")
