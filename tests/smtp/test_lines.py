"""Command lines end with CRLF; nothing hidden behind a bare LF is ever given out as a line."""

from __future__ import annotations

import itertools

from twisted.trial.unittest import SynchronousTestCase

from seg.smtp.lines import LINE_LIMIT, LineBuffer, LineError


def lines(*chunks: bytes) -> list[bytes | LineError]:
    buffer = LineBuffer()
    found = []
    for chunk in chunks:
        buffer.feed(chunk)
        while (line := buffer.next()) is not None:
            found.append(line)
    return found


class LineTests(SynchronousTestCase):
    """`LineBuffer`."""

    def test_table(self) -> None:
        """Good lines come out, each fault once for all up to the next CRLF."""
        for data, wanted in [
            (b"NOOP\r\nQUIT\r\n", [b"NOOP", b"QUIT"]),
            (b"\r\n", [b""]),
            (b"NOOP", []),
            (b"NOOP\nMAIL FROM:<>\r\nQUIT\r\n", [LineError.BARE_LF, b"QUIT"]),
            (b"\nMAIL\nRCPT\n\r\nQUIT\r\n", [LineError.BARE_LF, b"QUIT"]),
            (b"NOOP\rMAIL FROM:<>\r\nQUIT\r\n", [LineError.BARE_CR, b"QUIT"]),
            (b"NOOP\r\r\nQUIT\r\n", [LineError.BARE_CR, b"QUIT"]),
            (b"NO\0OP\r\nQUIT\r\n", [LineError.NUL, b"QUIT"]),
            (b"x" * (LINE_LIMIT - 2) + b"\r\n", [b"x" * (LINE_LIMIT - 2)]),
            (b"x" * (LINE_LIMIT - 1) + b"\r\nQUIT\r\n", [LineError.TOO_LONG, b"QUIT"]),
            (b"x" * 5000 + b"\nMAIL\r\nQUIT\r\n", [LineError.TOO_LONG, b"QUIT"]),
            (b"\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03", [LineError.TLS]),
            (b"NOOP\r\n\x16\x03\x01\n\x02\r\0", [b"NOOP", LineError.TLS]),
            (b"\x16\x03" + b"x" * 5000 + b"\r\nQUIT\r\n", [LineError.TLS, b"QUIT"]),
            (b"\x16x\r\n", [b"\x16x"]),
        ]:
            self.assertEqual(lines(data), wanted, data[:40])
            self.assertEqual(lines(*(data[i : i + 1] for i in range(len(data)))), wanted, data[:40])

    def test_every_cut(self) -> None:
        """The lines are the same wherever the octets are cut."""
        data = b"A\r\nB\nC\r\nD\rE\r\nF\r\n"
        wanted = [b"A", LineError.BARE_LF, LineError.BARE_CR, b"F"]
        for one, two in itertools.combinations_with_replacement(range(len(data) + 1), 2):
            self.assertEqual(lines(data[:one], data[one:two], data[two:]), wanted, (one, two))

    def test_memory_is_bounded(self) -> None:
        """An endless line is reported once and not kept."""
        buffer = LineBuffer()
        found = []
        for _ in range(1000):
            buffer.feed(b"x" * 1000)
            while (line := buffer.next()) is not None:
                found.append(line)
            self.assertLessEqual(buffer.left, LINE_LIMIT)
        self.assertEqual(found, [LineError.TOO_LONG])

    def test_take(self) -> None:
        """What follows a line can be taken as it is: it is content."""
        buffer = LineBuffer()
        buffer.feed(b"DATA\r\na\nb")
        self.assertEqual(buffer.next(), b"DATA")
        self.assertEqual(buffer.take(), b"a\nb")
        self.assertEqual(buffer.left, 0)
