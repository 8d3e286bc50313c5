"""A reply (RFC 5321 §4.2), read from a server or made for a client; and what it means for a recipient."""

from __future__ import annotations

import re
from collections.abc import Mapping

import attrs

from seg.mail.errors import Permanent, Temporary
from seg.mail.status import status_text
from seg.smtp.verdicts import SESSION_PHASES as SESSION_PHASES
from seg.smtp.verdicts import Circumstance, ReplyVerdict, verdict_on
from seg.smtp.verdicts import Phase as Phase

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
    that of the whole reply, also when the lines were cut (`kept`). `line` is what a server of ours sends: replies of one line are made
    by `of`.
    """

    code: int
    lines: tuple[str, ...]
    enhanced: str = attrs.field(eq=False, repr=False)
    line: bytes = attrs.field(default=b"", eq=False, repr=False)

    @enhanced.default
    def _find_enhanced(self) -> str:
        for line in self.lines:
            found = _ENHANCED.match(line)
            if found and int(found[1]) == self.code // 100:
                return f"{found[1]}.{found[2]}"
        return ""

    @classmethod
    def of(cls, code: int, enhanced: str, text: str) -> Reply:
        """A reply to a client.

        :param enhanced: "" where there is none: 220, 354, and the answer to EHLO and HELO (RFC 2034 §3).
        :param text: printable ASCII, never more than a line.
        """
        told = f"{enhanced} {text}" if enhanced else text
        return cls(code, (told,), enhanced, f"{code} {told}\r\n".encode("ascii"))

    def __str__(self) -> str:
        return f"{self.code} {self.text}"

    @property
    def message(self) -> str:
        """The text without the enhanced status code in front of it."""
        return self.text.removeprefix(self.enhanced).lstrip() if self.enhanced else self.text

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
