"""What a refusal is a verdict on, and so what becomes of the recipients it concerns: one table of phase, code and enhanced code.

Pure. `verdict_on` looks it up; `seg.smtp.reply` makes the error of it. ``python -m seg.smtp.verdicts`` in the project's folder
writes the table into ``docs/smtp.md``; a test fails when the page differs.
"""

from __future__ import annotations

import enum
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

import attrs

from seg.config.marked import replace_block

COMMAND = "python -m seg.smtp.verdicts"


class Phase(enum.StrEnum):
    """What a reply answers. The value is its name in texts."""

    GREETING = "greeting"
    EHLO = "EHLO"
    HELO = "HELO"
    STARTTLS = "STARTTLS"
    AUTH = "AUTH"
    MAIL = "MAIL"
    RCPT = "RCPT"
    DATA = "DATA"
    CONTENT = "end of data"
    RSET = "RSET"
    QUIT = "QUIT"


class ReplyVerdict(enum.Enum):
    """What becomes of the recipients that a refusal concerns. The value is the words of the page."""

    RETURNED = "returned: a verdict on sender, recipient or message"
    WAITS = "waits"
    SPLIT = "another transaction at once: this one has too many recipients"
    SESSION = "waits: a verdict on the session"
    COMMAND = "waits: a verdict on the command, or on the order of commands"


class Circumstance(enum.Enum):
    """What has to hold for a row to count. The value is the words of the page."""

    ANY = ""
    SOME_ACCEPTED = "others of the transaction were accepted"
    AFTER_354 = "the content went behind a 354 to DATA"
    PARAMETERS = "the command had parameters"
    TLS_FAILED = "in clear text, because STARTTLS was refused or the handshake failed"


SESSION_PHASES = frozenset({Phase.GREETING, Phase.EHLO, Phase.HELO, Phase.STARTTLS, Phase.AUTH, Phase.RSET, Phase.QUIT})
_TRANSACTION = frozenset({Phase.MAIL, Phase.RCPT, Phase.DATA, Phase.CONTENT})
_EVERYWHERE = frozenset(Phase)
_4XX, _5XX = frozenset(range(400, 500)), frozenset(range(500, 600))
_REFUSALS = _4XX | _5XX
NONE = ""  # the reply has no enhanced code


@attrs.frozen
class Row:
    """One row of the table; the first that fits decides.

    :ivar statuses: enhanced codes without their class (``5.3``), ``7.*`` for a whole subject, `NONE` for a reply without; empty
        for any.
    :ivar source: RFC and section.
    :ivar case: what real servers say that this row is there for.
    """

    phases: frozenset[Phase]
    codes: frozenset[int]
    statuses: tuple[str, ...]
    verdict: ReplyVerdict
    source: str
    case: str
    when: Circumstance = Circumstance.ANY

    def fits(self, phase: Phase, code: int, status: str, circumstances: frozenset[Circumstance]) -> bool:
        """Whether this row speaks of such a reply."""
        if phase not in self.phases or code not in self.codes:
            return False
        if self.when is not Circumstance.ANY and self.when not in circumstances:
            return False
        subject = f"{status.partition('.')[0]}.*" if status else NONE
        return not self.statuses or status in self.statuses or subject in self.statuses


ROWS: tuple[Row, ...] = (
    Row(
        _EVERYWHERE, frozenset({421}), (), ReplyVerdict.SESSION,
        "RFC 5321 §3.8", "421 4.3.2 at any command: the host closes; all that has no outcome waits",
    ),
    Row(
        SESSION_PHASES, _REFUSALS, (), ReplyVerdict.SESSION,
        "RFC 5321 §3.1, §3.2; RFC 3207 §4; RFC 4954 §6", "554 5.7.1 for a greeting, 454 4.7.0 to STARTTLS, 535 5.7.8 to AUTH",
    ),
    Row(
        _TRANSACTION, _REFUSALS, ("5.3",), ReplyVerdict.SPLIT,
        "RFC 3463 §3.6; RFC 5321 §4.5.3.1.10", "550 5.5.3 or 452 4.5.3 from the 11th RCPT on; 554 5.5.3 to the content",
    ),
    Row(
        frozenset({Phase.RCPT}), frozenset({452, 552}), (NONE,), ReplyVerdict.SPLIT,
        "RFC 5321 §4.5.3.1.10", "452 Too many recipients, or 552 of old servers, without an enhanced code",
        Circumstance.SOME_ACCEPTED,
    ),
    Row(
        _TRANSACTION, frozenset({530, 534, 535, 538}), (), ReplyVerdict.SESSION,
        "RFC 3207 §4; RFC 4954 §6", "530 5.7.0 Must issue a STARTTLS command first, after a 454 to STARTTLS; 538 5.7.11",
    ),
    Row(
        _TRANSACTION, _5XX, ("7.10", "7.11"), ReplyVerdict.SESSION,
        "RFC 5248 §2.4; RFC 4954 §6", "523 5.7.10 Encryption needed",
    ),
    Row(
        frozenset({Phase.CONTENT}), frozenset({500}), (NONE, "6.*"), ReplyVerdict.RETURNED,
        "RFC 5321 §4.5.3.1.9", "500 Line too long, to the final dot: no command was said that it could be about",
        Circumstance.AFTER_354,
    ),
    Row(
        _TRANSACTION, frozenset({500, 502, 503, 504}), (), ReplyVerdict.COMMAND,
        "RFC 5321 §4.1.4, §4.2.4", "503 5.5.1 need MAIL command, to all that follows a 451 to the first RCPT; 502 5.5.1 to BDAT",
    ),
    Row(
        frozenset({Phase.MAIL, Phase.RCPT}), frozenset({555}), (NONE, "5.*"), ReplyVerdict.COMMAND,
        "RFC 5321 §4.1.1.11", "555 5.5.4 Unsupported option, of a proxy that passes the EHLO reply on",
        Circumstance.PARAMETERS,
    ),
    Row(
        _TRANSACTION, _5XX, ("5.1",), ReplyVerdict.COMMAND,
        "RFC 3463 §3.6", "554 5.5.1 no valid recipients, where some were accepted",
    ),
    Row(
        frozenset({Phase.MAIL, Phase.RCPT, Phase.DATA}), _5XX, ("7.*",), ReplyVerdict.SESSION,
        "RFC 3207 §4", "554 5.7.1 TLS required: a passing fault of TLS never returns mail", Circumstance.TLS_FAILED,
    ),
    Row(
        frozenset({Phase.MAIL}), _5XX, (NONE,), ReplyVerdict.SESSION,
        "RFC 3207 §4", "550 TLS required, without an enhanced code", Circumstance.TLS_FAILED,
    ),
    Row(
        _TRANSACTION, _4XX, (), ReplyVerdict.WAITS,
        "RFC 5321 §4.2.1", "450 4.2.0 greylisted; 452 4.3.1 disk full",
    ),
    Row(
        _TRANSACTION, _5XX, (), ReplyVerdict.RETURNED,
        "RFC 5321 §4.2.1, §6.1", "550 5.1.1 no such user; 554 5.7.1 to the content",
    ),
)  # fmt: skip


@lru_cache(maxsize=1024)
def verdict_on(
    phase: Phase, code: int, status: str = NONE, circumstances: frozenset[Circumstance] = frozenset()
) -> ReplyVerdict:
    """What a 4xx or 5xx says.

    :param status: its enhanced code without the class, `NONE` where it has none.
    """
    return next(row.verdict for row in ROWS if row.fits(phase, code, status, circumstances))


def table() -> str:
    """The table in Markdown."""
    lines = [
        "| reply to | code | enhanced | where | what becomes of the recipients | RFC | case |",
        "|---|---|---|---|---|---|---|",
    ]
    for row in ROWS:
        cells = (_phases(row), _codes(row), _statuses(row), row.when.value, row.verdict.value, row.source, row.case)
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def _phases(row: Row) -> str:
    if row.phases == _EVERYWHERE:
        return "anything"
    return ", ".join(phase.value for phase in Phase if phase in row.phases)


def _codes(row: Row) -> str:
    classes = [f"{name}xx" for name, codes in (("4", _4XX), ("5", _5XX)) if codes <= row.codes]
    return ", ".join(classes or map(str, sorted(row.codes)))


def _statuses(row: Row) -> str:
    def words() -> Iterator[str]:
        for status in row.statuses:
            yield f"x.{status}" if status else "none"

    return ", ".join(words()) or "any"


def page_text(page: str) -> str:
    """The page with its block renewed."""
    return replace_block(page, COMMAND, table())


if __name__ == "__main__":
    path = Path("docs") / "smtp.md"
    path.write_text(page_text(path.read_text("utf-8")), "utf-8")
