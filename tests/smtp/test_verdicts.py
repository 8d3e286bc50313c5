"""What a refusal is a verdict on."""

from __future__ import annotations

from itertools import product
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

import seg
from seg.mail.errors import Permanent
from seg.smtp.reply import Phase, Reply, TooManyRecipients
from seg.smtp.verdicts import ROWS, SESSION_PHASES, Circumstance, ReplyVerdict, page_text, verdict_on

STATUSES = (
    *(
        "",
        "0.0",
        "1.0",
        "1.1",
        "1.2",
        "1.3",
        "1.6",
        "1.7",
        "1.8",
        "1.10",
        "2.0",
        "2.1",
        "2.2",
        "2.3",
        "3.0",
        "3.1",
        "3.2",
    ),
    *(
        "3.4",
        "4.1",
        "4.2",
        "4.4",
        "4.5",
        "4.7",
        "5.0",
        "5.1",
        "5.2",
        "5.3",
        "5.4",
        "5.5",
        "6.0",
        "6.3",
        "6.7",
        "7.0",
        "7.1",
    ),
    *("7.5", "7.8", "7.9", "7.10", "7.11", "7.26", "7.27", "7.30", "7.57", "7.505"),
)
SESSION_OR_COMMAND = (500, 502, 503, 504, 530, 534, 535, 538)
WORDS = frozenset(Circumstance) - {Circumstance.ANY}
CIRCUMSTANCES = (
    frozenset[Circumstance](),
    frozenset({Circumstance.SOME_ACCEPTED}),
    frozenset({Circumstance.TLS_FAILED}),
    frozenset({Circumstance.AFTER_354}),
    frozenset({Circumstance.PARAMETERS}),
    WORDS,
)


class TableTests(SynchronousTestCase):
    """`ROWS`."""

    def test_every_refusal(self) -> None:
        """In every phase, with every code and every usual enhanced code: only a verdict on sender, recipient or message returns mail."""
        used = set()
        for phase, code, status, where in product(Phase, range(400, 600), STATUSES, CIRCUMSTANCES):
            used.add(next(row for row in ROWS if row.fits(phase, code, status, where)))
            text = f"{code // 100}.{status} words" if status else "words"
            error = Reply(code, (text,)).to_error(phase, where)
            returned = isinstance(error, Permanent)
            said = (phase, code, status, where)
            self.assertEqual(returned, verdict_on(phase, code, status, where) is ReplyVerdict.RETURNED, said)
            if returned:
                long_line = (phase, code) == (Phase.CONTENT, 500) and Circumstance.AFTER_354 in where
                self.assertFalse(code < 500 or phase in SESSION_PHASES, said)
                self.assertFalse(code in SESSION_OR_COMMAND and not long_line, said)
                self.assertNotIn(status, ("5.1", "5.3", "7.10", "7.11"), said)
                self.assertFalse(
                    Circumstance.TLS_FAILED in where and status.startswith("7.") and phase is not Phase.CONTENT, said
                )
            elif code >= 500 and phase is Phase.RCPT and code not in SESSION_OR_COMMAND:
                self.assertFalse(status.startswith(("1.", "2.")), said)
        self.assertEqual(used, set(ROWS))

    def test_split(self) -> None:
        """Too many recipients by whatever code are too many; 452 and 552 alone are so where others were accepted."""
        accepted = frozenset({Circumstance.SOME_ACCEPTED})
        for code, text, where, split in (
            (550, "5.5.3 Too many recipients", accepted, True),
            (550, "5.5.3 Too many recipients", frozenset[Circumstance](), True),
            (452, "4.5.3 Too many recipients", accepted, True),
            (451, "4.5.3 Too many recipients", accepted, True),
            (452, "Too many recipients", accepted, True),
            (452, "Too many recipients", frozenset[Circumstance](), False),
            (552, "Too many recipients", accepted, True),
            (452, "4.3.1 disk full", accepted, False),
            (452, "4.2.2 mailbox full", accepted, False),
            (552, "5.2.2 mailbox full", accepted, False),
        ):
            with self.subTest(f"{code} {text}"):
                error = Reply(code, (text,)).to_error(Phase.RCPT, where)
                self.assertEqual(isinstance(error, TooManyRecipients), split)

    def test_long_line(self) -> None:
        """500 to the final dot is about the content where DATA was answered with 354, and about the command where it was BDAT."""
        after = frozenset({Circumstance.AFTER_354})
        for text, where, expected in (
            ("Line too long (see RFC5321 4.5.3.1.6)", after, ReplyVerdict.RETURNED),
            ("5.6.0 Line too long", after, ReplyVerdict.RETURNED),
            ("5.5.1 what?", after, ReplyVerdict.COMMAND),
            ("Line too long", frozenset[Circumstance](), ReplyVerdict.COMMAND),
        ):
            with self.subTest(text):
                self.assertIs(verdict_on(Phase.CONTENT, 500, Reply(500, (text,)).enhanced[2:], where), expected)

    def test_words(self) -> None:
        """A refusal that isn't one of the message keeps the server's words and says what was refused, and with what."""
        for phase, code, text, expected in (
            (
                Phase.RCPT,
                503,
                "5.5.1 need MAIL command",
                "4.5.1 Invalid command: RCPT refused with 503 (5.5.1 need MAIL command)",
            ),
            (Phase.DATA, 503, "no", "4.5.1 Invalid command: DATA refused with 503 (no)"),
            (
                Phase.MAIL,
                530,
                "5.7.0 STARTTLS first",
                "4.7.0 Other security problem: MAIL refused with 530 (5.7.0 STARTTLS first)",
            ),
            (Phase.CONTENT, 502, "5.5.1 what", "4.5.1 Invalid command: end of data refused with 502 (5.5.1 what)"),
            (Phase.MAIL, 538, "no", "4.7.11 Other security problem: MAIL refused with 538 (no)"),
        ):
            with self.subTest(f"{phase} {code}"):
                error = Reply(code, (text,)).to_error(phase)
                self.assertEqual((str(error), error.remote), (expected, (text,)))

    def test_page(self) -> None:
        """The page has this table."""
        page = (Path(seg.__file__).parent.parent / "docs" / "smtp.md").read_text("utf-8")
        self.assertEqual(page, page_text(page))
