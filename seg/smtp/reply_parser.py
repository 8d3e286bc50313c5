"""Reading the replies of a remote SMTP server (RFC 5321 §4.2)."""

from __future__ import annotations

import re

from seg.smtp.reply import Reply, ReplyError

MAX_LINE = 2048  # octets before the LF; RFC 5321 §4.5.3.1.5 has 512, and real servers exceed it
MAX_LINES = 128  # of one reply
MAX_REPLY = 65536  # octets of one reply
_EMPTY_LINES = re.compile(rb"(?:\r?\n)*")


class ReplyParser:
    """Reads replies from octets in pieces of any size. Lines end with LF; the CR before it may be missing: no
    harm comes of it. Empty lines before a reply are passed over: some servers write one behind each.

    Call `feed`, then `next_reply` until it gives None.
    """

    __slots__ = ("_buffer", "_code", "_error", "_lines", "_position", "_size")

    def __init__(self) -> None:
        self._buffer = b""
        self._position = 0  # of the first octet in the buffer that isn't part of a line taken
        self._code = b""  # of the reply under way
        self._lines: list[str] = []  # of the reply under way
        self._size = 0  # octets of the reply under way
        self._error: ReplyError | None = None

    @property
    def pending(self) -> bool:
        """Whether octets were fed that no reply given out accounts for, other than empty lines behind one."""
        if self._lines:
            return True
        if self._position == len(self._buffer):
            return False
        if self._buffer.startswith((b"\r", b"\n"), self._position):
            found = _EMPTY_LINES.match(self._buffer, self._position)
            self._position = found.end() if found else self._position
        return self.rest not in (b"", b"\r")  # of an empty line, the LF may come yet

    @property
    def rest(self) -> bytes:
        """Octets that belong to no line taken."""
        return self._buffer[self._position :]

    def feed(self, data: bytes) -> None:
        """Take octets. Bounded as long as `next_reply` is called after each."""
        rest = self._buffer[self._position :]
        self._buffer = rest + data if rest else data
        self._position = 0

    def next_reply(self) -> Reply | None:
        """The next complete reply, or None when more octets are needed.

        :raises ReplyError: not a reply, or too long; every later call raises it again.
        """
        if self._error is not None:
            raise self._error
        buffer, lines = self._buffer, self._lines
        while (start := self._position) < len(buffer):
            end = buffer.find(b"\n", start, start + MAX_LINE + 1)
            if end < 0:
                if len(buffer) - start > MAX_LINE:
                    raise self._broken(f"reply line of more than {MAX_LINE} octets", buffer[start : start + 80])
                return None
            line = buffer[start : end - 1 if buffer[end - 1] == 0x0D and end > start else end]
            self._position = end + 1
            if not line and not lines:
                continue
            code, separator = line[:3], line[3:4]
            # RFC 5321 §4.2: a bare code without text is a reply too.
            if len(code) < 3 or not code.isdigit() or separator not in (b"", b" ", b"-"):
                raise self._broken("not an SMTP reply", line)
            if lines and code != self._code:
                raise self._broken("the lines of a reply differ in their codes", line)
            self._size += len(line)
            if len(lines) == MAX_LINES or self._size > MAX_REPLY:
                raise self._broken(f"reply of more than {MAX_LINES} lines or {MAX_REPLY} octets", line)
            self._code = code
            lines.append(line[4:].decode("ascii", "backslashreplace"))
            if separator != b"-":
                self._lines, self._size = [], 0
                return Reply(int(code), tuple(lines))
        return None

    def _broken(self, fault: str, line: bytes) -> ReplyError:
        shown = line[:80].decode("ascii", "backslashreplace")
        self._error = ReplyError("4.5.0", f"Protocol error: {fault}", remote=(shown,))
        self._buffer, self._position = b"", 0
        return self._error
