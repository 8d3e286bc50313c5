"""The Received field and the header's facts."""

from __future__ import annotations

from email.utils import parsedate_to_datetime
from ipaddress import ip_address

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from seg.mail.dates import date_time
from seg.receive.received_header import from_clause, received_field
from seg.smtp.header_scan import HEADER_LIMIT, HeaderScan


class ReceivedTests(SynchronousTestCase):
    """`received_field`."""

    def test_ipv6(self) -> None:
        """An IPv6 client is written as an address literal, and TLS as ESMTPS."""
        self.assertEqual(
            received_field(
                from_clause("[IPv6:2001:db8::1]", ip_address("2001:db8::1")), "mx.test", "ESMTPS", 7, ["a", "b"], 0.9
            ),
            b"Received: from [IPv6:2001:db8::1] ([IPv6:2001:db8::1])\r\n"
            b"\tby mx.test with ESMTPS id 7;\r\n"
            b"\tThu, 1 Jan 1970 00:00:00 +0000\r\n",
        )

    def test_helo_is_cleaned(self) -> None:
        """Whatever a client calls itself, the field stays one field without comments of its making."""
        field = received_field(from_clause('a(b);c<d>"e\\f', ip_address("192.0.2.1")), "mx.test", "SMTP", 1, [], 0)
        self.assertTrue(field.startswith(b"Received: from a?b??c?d??e?f ([192.0.2.1])\r\n"))

    @given(st.integers(0, 4102444800))
    @settings(max_examples=50, deadline=None)
    def test_date(self, seconds: int) -> None:
        """The date says the time it was made from."""
        self.assertEqual(parsedate_to_datetime(date_time(seconds)).timestamp(), seconds)


class HeaderTests(SynchronousTestCase):
    """`HeaderScan`."""

    def read(self, *pieces: bytes) -> HeaderScan:
        reader = HeaderScan()
        for piece in pieces:
            reader.feed(piece)
        return reader

    def test_fields(self) -> None:
        """Fields are found in any case, unfolded, and only in the header."""
        text = b"SUBJECT:  one\r\n\ttwo \r\nX-Message-ID: <no>\r\nmessage-id:<yes>\r\n\r\nMessage-ID: <body>\r\n"
        for pieces in ([text], [text[i : i + 1] for i in range(len(text))]):
            reader = self.read(*pieces)
            self.assertTrue(reader.complete)
            self.assertEqual(reader.field(b"subject:"), "one\ttwo")
            self.assertEqual(reader.field(b"message-id:"), "<yes>")
            self.assertEqual(reader.field(b"date:"), "")

    def test_no_header(self) -> None:
        """A message that begins with an empty line has no fields."""
        reader = self.read(b"\r\nSubject: body\r\n")
        self.assertTrue(reader.complete)
        self.assertEqual((reader.field(b"subject:"), reader.hops), ("", 0))

    def test_last_line(self) -> None:
        """A field on the last line of a message without a body is found."""
        self.assertEqual(self.read(b"Subject: x").field(b"subject:"), "x")

    def test_bounded(self) -> None:
        """Only the first 64 KiB of an endless header are kept; a field passed on is bounded too."""
        reader = self.read(*[b"Subject: " + b"x" * 1000 + b"\r\n"] * 1000)
        self.assertTrue(reader.complete)
        self.assertLess(len(reader._text), HEADER_LIMIT + 2000)
        self.assertEqual(len(reader.field(b"subject:")), 998)

    def test_eight_bit(self) -> None:
        """Octets that are no UTF-8 don't hurt."""
        self.assertEqual(self.read(b"Subject: \xe9\r\n\r\n").field(b"subject:"), "\ufffd")

    def test_hops(self) -> None:
        """Every Received field counts, in any case; folded lines and the like don't."""
        self.assertEqual(self.read(b"Received: a\r\nRECEIVED:b\r\n received: c\r\nX-Received: d\r\n\r\n").hops, 2)
