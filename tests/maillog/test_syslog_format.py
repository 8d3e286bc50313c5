"""Syslog messages as they go out."""

from __future__ import annotations

import json
import re

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from seg.config.log import Facility
from seg.maillog.log_table import Level
from seg.maillog.syslog_format import (
    LONGEST,
    LONGEST_DATAGRAM,
    LONGEST_HEAD,
    SyslogLine,
    local_format,
    network_format,
    octet_counted,
    priority,
    shortened,
)
from tests.zones import utc

AT = 1727364219.25
HEAD = b"<22>1 2024-09-26T15:23:39.250+00:00 gw.example.net seg 4711 MessageReceived - "
LEVELS = st.sampled_from(list(Level))
FACILITIES = st.sampled_from(list(Facility))
# RFC 5424 §6, without structured data
MESSAGE = re.compile(
    rb"<(\d{1,3})>1 \d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}[+-]\d\d:\d\d [!-~]{1,255} seg \d+ [!-~]{1,32} - (.*)",
    re.DOTALL,
)


def line(text: str, level: Level = Level.INFO, msgid: str = "MessageReceived") -> SyslogLine:
    """A line at the moment of all examples."""
    return SyslogLine(AT, level, msgid, text)


class FormatCase(SynchronousTestCase):
    """All times are UTC."""

    def setUp(self) -> None:
        self.enterContext(utc())


class NetworkTests(FormatCase):
    """RFC 5424."""

    def setUp(self) -> None:
        super().setUp()
        self.format = network_format("gw.example.net", 4711, LONGEST)

    def test_golden(self) -> None:
        """The whole message: priority, version, time with zone, host, name, process, event, no structured data."""
        self.assertEqual(
            self.format(Facility.MAIL, line("Info: MID 7 ICID 9 From: <a@b>")), HEAD + b"Info: MID 7 ICID 9 From: <a@b>"
        )

    def test_priority(self) -> None:
        """Facility and severity (RFC 5424 §6.2.1)."""
        for facility, level, number in [
            (Facility.MAIL, Level.INFO, 22),
            (Facility.MAIL, Level.WARNING, 20),
            (Facility.MAIL, Level.DEBUG, 23),
            (Facility.USER, Level.INFO, 14),
            (Facility.FTP, Level.INFO, 94),
            (Facility.LOCAL0, Level.INFO, 134),
            (Facility.LOCAL7, Level.DEBUG, 191),
        ]:
            self.assertEqual(priority(facility, level), number)
            self.assertTrue(self.format(facility, line("x", level)).startswith(b"<%d>1 " % number))

    def test_utf8(self) -> None:
        """What isn't ASCII is UTF-8 and marked as such (§6.4)."""
        self.assertEqual(
            self.format(Facility.MAIL, line("Info: MID 7 Subject 'Grüße'")),
            HEAD + b"\xef\xbb\xbfInfo: MID 7 Subject 'Gr\xc3\xbc\xc3\x9fe'",
        )

    def test_escaped(self) -> None:
        """Ends of lines and everything else that isn't printable is escaped."""
        text = "a\r\nb\x00\x1b[2J\x7f\x85\u2028\u202e\ud800"
        self.assertEqual(
            self.format(Facility.MAIL, line(text)),
            HEAD + rb"a\r\nb\x00\x1b[2J\x7f\x85\u2028\u202e\ud800",
        )

    def test_long(self) -> None:
        """A long text is cut where the message is full, not within a character, and says so."""
        for longest in (LONGEST_DATAGRAM, LONGEST):
            message = network_format("gw.example.net", 4711, longest)(Facility.MAIL, line("x" * 20000))
            self.assertEqual(len(message), longest)
            self.assertTrue(message.endswith(b"xxx..."))
            message = network_format("gw.example.net", 4711, longest)(Facility.MAIL, line("€" * 20000))
            self.assertIn(len(message), range(longest - 2, longest + 1))
            self.assertTrue(message.decode("utf-8").endswith("€..."))

    def test_head(self) -> None:
        """Host and event that don't fit the header's fields are made to; a head never gets long."""
        for host, shown in [("gw", b"gw"), ("", b"-"), ("g w\xe4\n", b"gw"), ("h" * 300, b"h" * 255)]:
            message = network_format(host, 4711, LONGEST)(Facility.MAIL, line("", msgid="E" * 50))
            self.assertTrue(message.endswith(b" %s seg 4711 %s - " % (shown, b"E" * 32)), message)
            self.assertLess(len(message), LONGEST_HEAD)

    def test_octet_counted(self) -> None:
        """Over a stream each message is preceded by its length in octets (RFC 6587 §3.4.1)."""
        self.assertEqual(octet_counted("<22>ü".encode()), b"6 <22>\xc3\xbc")

    @given(text=st.text(max_size=400) | st.text("é€\n\r\0", max_size=4000), level=LEVELS, facility=FACILITIES)
    def test_nothing_unescaped(self, text: str, level: Level, facility: Facility) -> None:
        """Whatever the text: a message of the standard's form, UTF-8, without a control character, not too long."""
        for longest in (LONGEST_DATAGRAM, LONGEST):
            message = network_format("gw.example.net", 4711, longest)(facility, line(text, level))
            match = MESSAGE.fullmatch(message)
            assert match is not None, message
            self.assertEqual(int(match[1]), priority(facility, level))
            self.assertLessEqual(len(message), longest)
            self.assertTrue(match[2].removeprefix(b"\xef\xbb\xbf").decode("utf-8").isprintable())


class LocalTests(FormatCase):
    """What /dev/log gets."""

    def test_golden(self) -> None:
        """Priority, local time, name and process, then the text; no host."""
        local = local_format(4711, LONGEST)
        self.assertEqual(
            local(Facility.MAIL, line("Warning: gréa\nt", Level.WARNING)),
            b"<20>Sep 26 15:23:39 seg[4711]: Warning: gr\xc3\xa9a\\nt",
        )
        self.assertEqual(
            local(Facility.LOCAL1, SyslogLine(1725200000.0, Level.DEBUG, "", "x")), b"<143>Sep  1 14:13:20 seg[4711]: x"
        )

    @given(text=st.text(max_size=400), level=LEVELS, facility=FACILITIES)
    def test_nothing_unescaped(self, text: str, level: Level, facility: Facility) -> None:
        """Whatever the text: one line without a control character."""
        message = local_format(4711, LONGEST)(facility, line(text, level))
        self.assertTrue(message.decode("utf-8").isprintable())


class ShortenedTests(SynchronousTestCase):
    """JSON that is too long for a message."""

    def test_fits(self) -> None:
        """What fits stays as it is."""
        self.assertEqual(shortened('{"event":"a"}', 13), '{"event":"a"}')

    def test_left_out(self) -> None:
        """The longest fields go, and are named; what remains is JSON."""
        record = {"time": "t", "level": "info", "event": "e", "mid": 5, "recipients": ["r" * 90] * 9, "text": "x" * 300}
        short = shortened(json.dumps(record), 400)
        self.assertLessEqual(len(short), 400)
        self.assertEqual(
            json.loads(short),
            {"time": "t", "level": "info", "event": "e", "mid": 5, "text": "x" * 300, "left_out": ["recipients"]},
        )
        self.assertEqual(json.loads(shortened(json.dumps(record), 150))["left_out"], ["recipients", "text"])

    def test_nothing_left(self) -> None:
        """Time, level and event stay whatever their length."""
        self.assertEqual(
            json.loads(shortened('{"event":"' + "e" * 50 + '","a":1}', 10)), {"event": "e" * 50, "left_out": ["a"]}
        )

    @given(st.dictionaries(st.text(max_size=10), st.text(max_size=200), max_size=8), st.integers(0, 600))
    def test_json(self, fields: dict[str, str], longest: int) -> None:
        """It is a JSON object of the fields that stayed."""
        found = json.loads(shortened(json.dumps({"event": "e", **fields}), longest))
        left_out = set(found.pop("left_out", ())) if "left_out" not in fields else set()
        for name in found.keys() - {"left_out", "event"}:
            self.assertEqual(found[name], fields[name])
        if "left_out" not in fields:
            self.assertEqual(found.keys() | left_out, fields.keys() | {"event"})
