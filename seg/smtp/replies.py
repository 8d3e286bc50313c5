"""Replies of a remote SMTP server (RFC 5321 §4.2): reading them, and what they mean for a recipient."""

from __future__ import annotations

import re
from collections.abc import Mapping

import attrs

from seg.mail.errors import Permanent, Temporary
from seg.mail.status import status_text
from seg.smtp.verdicts import SESSION_PHASES as SESSION_PHASES
from seg.smtp.verdicts import Circumstance, ReplyVerdict, verdict_on
from seg.smtp.verdicts import Phase as Phase

MAX_LINE = 2048  # octets before the LF; RFC 5321 §4.5.3.1.5 has 512, and real servers exceed it
MAX_LINES = 128  # of one reply
MAX_REPLY = 65536  # octets of one reply
KEPT = 1000  # characters kept of a reply that somebody is told of: in memory, in the envelope, in the log, in reports
CUT = " ..."  # stands for the rest


# The status (RFC 3463, without its class) that a reply stands for when it names none: by phase and code, then
# by code alone, then by phase.
_BY_PHASE_AND_CODE: Mapping[tuple[Phase, int], str] = {
    (Phase.MAIL, 552): "3.4",
    (Phase.RCPT, 552): "2.2",
    (Phase.CONTENT, 552): "3.4",
}
_BY_CODE: Mapping[int, str] = {
    421: "3.2",
    452: "3.1",
    500: "5.2",  # RFC 5248 §2.4, and so on
    502: "5.1",
    503: "5.1",
    504: "5.4",
    521: "3.2",  # RFC 7504 §3: the host takes no mail
    530: "7.0",
    534: "7.9",
    535: "7.8",
    538: "7.11",
    555: "5.4",
    556: "1.10",  # RFC 7504 §4
}
_BY_PHASE: Mapping[Phase, str] = {
    Phase.GREETING: "4.0",
    Phase.EHLO: "4.0",
    Phase.HELO: "4.0",
    Phase.STARTTLS: "7.0",
    Phase.AUTH: "7.0",
    Phase.MAIL: "1.0",
    Phase.RCPT: "1.0",
    Phase.DATA: "3.0",
    Phase.CONTENT: "3.0",
    Phase.RSET: "5.0",
    Phase.QUIT: "5.0",
}

_EMPTY_LINES = re.compile(rb"(?:\r?\n)*")
_ENHANCED = re.compile(r"([245])\.(\d{1,3}\.\d{1,3})(?:[ \t]|$)", re.ASCII)


class ReplyError(Temporary):
    """What came isn't an SMTP reply, exceeds a limit, or is none that the command can get. The connection can't be used any more."""


class TooManyRecipients(Temporary):
    """A transaction has more recipients than the server wants of one: the next one may have them.

    :ivar phase: what the server said so to: at RCPT the recipients before were accepted.
    """

    def __init__(self, phase: Phase, remote: tuple[str, ...] = ()) -> None:
        super().__init__("4.5.3", status_text("4.5.3"), remote=remote)
        self.phase = phase


@attrs.frozen
class Reply:
    """One complete reply; `lines` are its texts without code and separator, anything but ASCII escaped.

    `enhanced` is its enhanced status code (RFC 2034 §4) if it has one whose class fits the code, else ``""``; it is
    that of the whole reply, also when the lines were cut (`kept`).
    """

    code: int
    lines: tuple[str, ...]
    enhanced: str = attrs.field(eq=False, repr=False)

    @enhanced.default
    def _find_enhanced(self) -> str:
        for line in self.lines:
            found = _ENHANCED.match(line)
            if found and int(found[1]) == self.code // 100:
                return f"{found[1]}.{found[2]}"
        return ""

    def kept(self, most: int = KEPT) -> Reply:
        """This reply, its lines cut to so many characters in all: the server chooses how long they are."""
        if sum(map(len, self.lines)) <= most:
            return self
        lines: list[str] = []
        for line in self.lines:
            if len(line) > most:
                lines.append(line[:most] + CUT)
                break
            lines.append(line)
            most -= len(line)
        return attrs.evolve(self, lines=tuple(lines))

    @property
    def text(self) -> str:
        """All of the text as one line."""
        return self.lines[0] if len(self.lines) == 1 else " ".join(self.lines)

    @property
    def positive(self) -> bool:
        """Whether the command was done (2xx; only the first digit counts, RFC 5321 §4.2.1)."""
        return 200 <= self.code < 300

    @property
    def intermediate(self) -> bool:
        """Whether the server waits for more (3xx)."""
        return 300 <= self.code < 400

    @property
    def negative(self) -> bool:
        """Whether the command was refused (4xx or 5xx)."""
        return 400 <= self.code < 600

    def to_error(self, phase: Phase, circumstances: frozenset[Circumstance] = frozenset()) -> Temporary | Permanent:
        """What this reply, given instead of the one hoped for, means for the recipients that it concerns.

        A 5xx is permanent only where it is a verdict on sender, recipient or message (`seg.smtp.verdicts`). Whatever isn't a
        4xx or 5xx breaks the protocol: temporary, 4.5.0.
        """
        if not self.negative:
            return ReplyError("4.5.0", f"Unexpected reply to {phase.value}: {self.code} {self.text}", remote=self.lines)
        verdict = verdict_on(phase, self.code, self.enhanced[2:], circumstances)
        if verdict is ReplyVerdict.SPLIT:
            return TooManyRecipients(phase, self.lines)
        status = self._status(phase)
        if verdict is ReplyVerdict.RETURNED:
            return Permanent(f"5.{status}", status_text(f"5.{status}"), self.code, self.lines)
        enhanced = f"4.{status}"
        if self.code < 500 and phase not in SESSION_PHASES:
            return Temporary(enhanced, status_text(enhanced), self.code, self.lines)
        text = f"{status_text(enhanced)}: {phase.value} refused with {self.code}"
        return Temporary(enhanced, text, self.code if self.code < 500 else 0, self.lines)

    def _status(self, phase: Phase) -> str:
        if self.enhanced:
            return self.enhanced[2:]
        by_code = _BY_PHASE_AND_CODE.get((phase, self.code)) or _BY_CODE.get(self.code)
        return by_code or _BY_PHASE[phase]


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
