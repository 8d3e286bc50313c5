"""A report's size is bounded, whatever strangers say and however many recipients there are, and it stays a valid one."""

from __future__ import annotations

import time
from collections.abc import Callable
from email import message_from_bytes
from email.message import EmailMessage, Message
from email.policy import default
from typing import cast

from twisted.trial.unittest import SynchronousTestCase

from seg.config.schema import QueueSettings
from seg.dsn.composer import ReportComposer
from seg.dsn.fields import LONGEST_REPLY
from seg.dsn.languages import Languages, available
from seg.dsn.report_text import IN_FULL
from seg.mail.envelope import Envelope, Recipient
from seg.mail.errors import Permanent, Temporary
from seg.mail.outcome import Bounced, Delayed, Delivered, DSNAction, Outcome

HEAD = b"Subject: x\r\n\r\nx\r\n"
REPLIES: dict[str, Callable[[int], tuple[str, ...]]] = {
    "long": lambda number: (f"{number} " + "word " * 10_000,),
    "one word": lambda number: (f"{number}" + "x" * 50_000,),
    "many lines": lambda number: tuple(f"{number} {line}" for line in range(5000)),
    "empty lines": lambda number: ("",) * 5000,
    "equal": lambda number: ("5.1.1 no such user",),
    "short": lambda number: (f"5.1.1 no user {number}",),
    "beyond ascii": lambda number: ("\U0001f4a9\x1b" * 5000,),
}


class SizeTests(SynchronousTestCase):
    """1000 recipients of one message, all told of in one report."""

    def compose(self, action: DSNAction, outcomes: list[Outcome], *languages: str) -> bytes:
        """The report."""
        composer = ReportComposer(
            "gw.example",
            "postmaster@gw.example",
            lambda: 1_700_000_000.0,
            Languages(None, self.fail),
            lambda domain, profile: QueueSettings(report_languages=languages or ("en",)),
        )
        recipients = tuple(Recipient(rid, f"user{rid}@domain{rid}.example", attempts=1) for rid in range(len(outcomes)))
        envelope = Envelope(7, "alice@sender.example", recipients, 1_699_900_000.0, size=len(HEAD))
        began = time.process_time()
        made = composer.compose(action, envelope, list(enumerate(outcomes)), HEAD, 8, 1_700_100_000.0)
        self.took = time.process_time() - began
        assert made is not None
        return made[1]

    def groups(self, report: bytes) -> list[Message]:
        """The groups of fields for each recipient (RFC 3464 §2.3), of a report that is well-formed."""
        parsed = cast(EmailMessage, message_from_bytes(report, policy=default))
        parts = list(parsed.walk())
        self.assertEqual([part.defects for part in parts], [[]] * len(parts))
        (status,) = [part for part in parts if part.get_content_type() == "message/delivery-status"]
        first, *groups = cast("list[Message]", status.get_payload())
        self.assertEqual(first["Reporting-MTA"], "dns; gw.example")
        return groups

    def test_bounded(self) -> None:
        """Whatever the servers said, in one language or in all: 256 KiB beside the quotation, every recipient named to programs with
        action and status, and the time of the reactor kept within bounds."""
        for name, reply in REPLIES.items():
            outcomes: list[Outcome] = [
                Bounced(Permanent("5.1.1", "Bad address", 550, reply(rid)), 3, "mx.x.example") for rid in range(1000)
            ]
            for languages in (("en",), tuple(available())):
                report = self.compose(DSNAction.FAILED, outcomes, *languages)
                self.assertLess(len(report), 256 * 1024, (name, languages))
                self.assertLess(self.took, 0.3, (name, languages))  # some 30 ms, on a machine with nothing else to do
                self.assertTrue(report.isascii())
                self.assertLessEqual(max(map(len, report.split(b"\r\n"))), 998)
                groups = self.groups(report)
                self.assertEqual(len(groups), 1000)
                for rid, group in enumerate(groups):
                    self.assertEqual(group["Final-Recipient"], f"rfc822; user{rid}@domain{rid}.example")
                    self.assertEqual((group["Action"], group["Status"]), ("failed", "5.1.1"))
                    said = group["Diagnostic-Code"]
                    self.assertEqual(said is not None, rid < IN_FULL)
                    self.assertLess(len(" ".join((said or "").split())), LONGEST_REPLY + 50)

    def test_equal_replies(self) -> None:
        """What is the same for many is told once; the others are listed, each with its status."""
        same = Bounced(Permanent("5.1.1", "Bad address", 550, ("no such user",)), 3, "mx.x.example")
        other = Bounced(Permanent("5.7.1", "", 554, ("go away",)), 3, "mx.y.example")
        text = self.text(self.compose(DSNAction.FAILED, [same] * 999 + [other]))
        self.assertEqual(text.count("no such user"), 1)
        self.assertEqual(text.count("go away"), 1)
        self.assertIn("The same holds for 989 more recipients", text)
        self.assertTrue("\n<user998@domain998.example> 5.1.1\r\n" in text)
        self.assertEqual(text.count("<user999@"), 1)

    def test_few(self) -> None:
        """A report on a few recipients tells all of each."""
        outcomes: list[Outcome] = [
            Bounced(Permanent("5.1.1", "Bad address", 550, (f"no {rid}",)), 3) for rid in range(9)
        ]
        text = self.text(self.compose(DSNAction.FAILED, outcomes))
        for rid in range(9):
            self.assertIn(f"no {rid}", text)
        self.assertNotIn("more recipients", text)

    def test_delays_and_successes(self) -> None:
        """The same holds for the other kinds of reports."""
        long = "word " * 10_000
        for action, outcome in (
            (DSNAction.DELAYED, Delayed(Temporary("4.2.1", long, 450, (long,)), 3, host=long)),
            (DSNAction.RELAYED, Delivered(3, long)),
        ):
            report = self.compose(action, [outcome] * 1000)
            self.assertLess(len(report), 256 * 1024)
            self.assertEqual(len(self.groups(report)), 1000)

    def text(self, report: bytes) -> str:
        """The part for people."""
        parsed = cast(EmailMessage, message_from_bytes(report, policy=default))
        return str(cast(EmailMessage, next(iter(parsed.iter_parts()))).get_content())

    def test_quotation(self) -> None:
        """What is quoted costs time in proportion to its size, whatever it holds."""
        composer = ReportComposer(
            "gw.example",
            "p@gw.example",
            lambda: 0.0,
            settings_of=lambda domain, profile: QueueSettings(max_report_size=10**6),
        )
        for content in (b"x" * 998 + b"\r\n", b"report-8-1 ", b"\r", b"\n", b"ab\r\n"):
            head = b"Subject: x\r\n\r\n" + content * (10**6 // len(content) - 1)
            envelope = Envelope(7, "a@b.example", (Recipient(0, "b@x.test"),), 0.0, size=len(head))
            began = time.process_time()
            composer.compose(DSNAction.FAILED, envelope, [(0, Bounced(Permanent("5.0.0", "x")))], head, 8)
            self.assertLess(time.process_time() - began, 0.2, content[:5])

    def test_plain(self) -> None:
        """The least report names every recipient and its status, in 7 bits, to nobody but the sender."""
        composer = ReportComposer("gw.example", "postmaster@gw.example", lambda: 0.0)
        envelope = Envelope(7, "a@b.example", (Recipient(0, "b@x.test"), Recipient(1, "c@x.test\r\nX: y")), 0.0)
        fared = [(0, Bounced(Permanent("5.1.1", "x"))), (1, Bounced(Permanent("5.4.7", "x")))]
        made = composer.plain(DSNAction.FAILED, envelope, fared, 8)
        assert made is not None
        letter, content = made
        self.assertEqual((letter.mid, letter.reverse_path, letter.size), (8, "", len(content)))
        parsed = message_from_bytes(content, policy=default)
        self.assertEqual((parsed["To"], parsed["Auto-Submitted"], parsed["X"]), ("a@b.example", "auto-replied", None))
        self.assertIn("<b@x.test> 5.1.1", parsed.get_content())  # type: ignore[attr-defined]
        self.assertIsNone(composer.plain(DSNAction.FAILED, Envelope(7, "", envelope.recipients, 0.0), fared, 8))
