"""Command lines as RFC 5321 §2.3.8 wants them: they end with CRLF, and CR and LF stand nowhere else.

What is no such line comes out as a `LineError`, once for all octets up to the next CRLF, so that nothing
hidden behind a bare LF is ever run as a command. Memory is bounded: an overlong line isn't kept, and one that never ends
is `LineError.ENDLESS` in its turn.
"""

from __future__ import annotations

import enum

# §4.5.3.1.4: 512 octets with CRLF. MAIL may have 26 more for SIZE (RFC 1870 §3) and 17 more for BODY
# (RFC 6152 §2), 10 for SMTPUTF8 (RFC 6531 §3.4), 12 for REQUIRETLS (RFC 8689 §2); RCPT 528 for NOTIFY and ORCPT (RFC 3461 §4).
LINE_LIMIT = 512 + 528
ENDLESS_LIMIT = 1024 * 1024  # octets that are passed over in search of the end of one line
TLS_HANDSHAKE = b"\x16\x03"  # how a record with a ClientHello begins (RFC 8446 §5.1); no command does


class LineError(enum.Enum):
    """Why octets can't be taken for a command line; the value is for people."""

    TOO_LONG = "Line too long"
    BARE_LF = "LF without CR"
    BARE_CR = "CR without LF"
    NUL = "NUL in a command"
    ENDLESS = "Line without an end"  # nobody has to read on
    TLS = "TLS handshake in clear text"  # nobody has to read on: it isn't SMTP


class LineBuffer:
    """Takes octets as they arrive and gives out command lines."""

    __slots__ = ("_buffer", "_closed", "_passed", "_position", "_skipping", "left")

    def __init__(self) -> None:
        self.left = 0  # octets not given out yet
        self._buffer = b""
        self._position = 0
        self._skipping = False  # behind a fault, until the next CRLF
        self._passed = 0  # octets passed over since the fault
        self._closed = False

    def feed(self, data: bytes) -> None:
        """Add octets that arrived."""
        if not self._closed:
            self._buffer = self._buffer[self._position :] + data
            self._position = 0
            self.left = len(self._buffer)

    def take(self, most: int | None = None) -> bytes:
        """All octets not given out yet, or so many of them: what follows the last line isn't a line (DATA, BDAT)."""
        if most is not None and most < self.left:
            begin, self._position = self._position, self._position + most
            self.left -= most
            return self._buffer[begin : self._position]
        rest = self._buffer[self._position :]
        self._buffer = b""
        self._position = self.left = 0
        self._skipping = False
        return rest

    def clear(self) -> None:
        """Forget what wasn't given out."""
        self.take()

    def close(self) -> None:
        """Forget what wasn't given out, and take nothing more."""
        self.take()
        self._closed = True

    def next(self, limit: int = LINE_LIMIT) -> bytes | LineError | None:
        """The next line without its CRLF; None when it isn't complete.

        :param limit: octets that it may have, its CRLF included.
        """
        if self._skipping and not self._skip():
            return LineError.ENDLESS if self._passed > ENDLESS_LIMIT else None
        start, buffer = self._position, self._buffer
        if buffer.startswith(TLS_HANDSHAKE, start):
            return self._fault(LineError.TLS)
        end = buffer.find(b"\n", start, start + limit)
        if end < 0:
            return self._fault(LineError.TOO_LONG) if self.left >= limit else None
        if end == start or buffer[end - 1] != 0x0D:
            return self._fault(LineError.BARE_LF)
        line = buffer[start : end - 1]
        self._position = end + 1
        self.left = len(buffer) - self._position
        if b"\r" in line:
            return LineError.BARE_CR
        return LineError.NUL if b"\0" in line else line

    def _fault(self, fault: LineError) -> LineError:
        self._skipping = True
        self._passed = 0
        self._skip()
        return fault

    def _skip(self) -> bool:
        """Drop everything up to the next CRLF; whether it was there."""
        end = self._buffer.find(b"\r\n", self._position)
        if end >= 0:
            self._position = end + 2
            self._skipping = False
        else:  # a CR at the very end may be the first half of the CRLF
            self._passed += self.left
            self._buffer = b"\r" if self.left and self._buffer.endswith(b"\r") else b""
            self._position = 0
        self.left = len(self._buffer) - self._position
        return end >= 0
