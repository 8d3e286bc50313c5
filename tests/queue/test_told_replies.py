"""How long the log of one attempt gets, whatever the server says of each recipient."""

from __future__ import annotations

import random

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from seg.config.schema import QueueSettings
from seg.mail.envelope import Envelope, Recipient
from seg.mail.errors import Permanent, Temporary
from seg.mail.outcome import Bounced, Delayed, Outcome
from seg.maillog.lines import render
from seg.queue.schedule import Schedule, Schedules
from seg.queue.settlement import settle
from seg.smtp.reply import CUT
from seg.smtp.told_replies import MOST, SHORT, ToldReplies

PEOPLE = tuple(Recipient(rid, f"r{rid}@one.test") for rid in range(1000))
FORM = 350  # octets of a line without what the server said


def octets(envelope: Envelope, outcomes: dict[int, Outcome], settings: QueueSettings) -> int:
    """Of the lines of an attempt."""
    told = settle(envelope, outcomes, Schedules(Schedule(settings, random.random)), 100.0)
    return sum(len(text) + 1 for event in told.events for _, text in render(event))


class LogTests(SynchronousTestCase):
    """`settle` and the lines of its events."""

    def test_bounded(self) -> None:
        """A thousand recipients, each with the longest reply of its own or the same for all, refused or delayed, with waits of any kind."""
        reply = tuple("x" * 499 for _ in range(2))
        for sender in ("a@sender.test", ""):
            envelope = Envelope(1, sender, PEOPLE, 0.0)
            for settings in (QueueSettings(), QueueSettings(jitter=0.0), QueueSettings(jitter=1.0)):
                for own in (True, False):
                    lines = [(*reply, f"{rid}") if own else reply for rid in range(len(PEOPLE))]
                    late: dict[int, Outcome] = {
                        rid: Delayed(Temporary("4.2.1", "refused", 451, each)) for rid, each in enumerate(lines)
                    }
                    doubt: dict[int, Outcome] = {
                        rid: Delayed(Temporary("4.2.1", f"refused {each}"), in_doubt=True)
                        for rid, each in enumerate(lines)
                    }
                    refused: dict[int, Outcome] = {
                        rid: Bounced(Permanent("5.1.1", "refused", 550, each)) for rid, each in enumerate(lines)
                    }
                    for outcomes in (late, doubt, refused):
                        size = octets(envelope, outcomes, settings)
                        self.assertLess(size, 3 * (MOST + len(PEOPLE) * (SHORT + FORM)), (sender, settings, own))

    def test_told(self) -> None:
        """A reply is told in full once, its beginning again for each other recipient; each has its line and its status."""
        long, short = ("5.1.1 " + "a" * 300,), ("5.1.1 no such user",)
        outcomes: dict[int, Outcome] = {
            rid: Bounced(Permanent("5.1.1", "refused", 550, long if rid % 2 else short)) for rid in range(6)
        }
        told = settle(
            Envelope(1, "a@sender.test", PEOPLE[:6], 0.0),
            outcomes,
            Schedules(Schedule(QueueSettings(), random.random)),
            1.0,
        )
        texts = [text for event in told.events for _, text in render(event)]
        self.assertEqual(len(texts), 6)
        self.assertTrue(all(f"RID {rid} - 5.1.1" in text for rid, text in enumerate(texts)))
        self.assertEqual([long[0] in text for text in texts], [False, True, False, False, False, False])
        self.assertEqual([short[0] in text for text in texts], [True, False, True, False, True, False])
        self.assertEqual(told.failures[5].error.remote, long)

    @given(st.lists(st.lists(st.text("ab", max_size=400), max_size=5).map(tuple), max_size=20))
    def test_replies(self, replies: list[tuple[str, ...]]) -> None:
        """A short one stays as it is; what is cut begins as it did, says so, and keeps code, status and class."""
        told = ToldReplies()
        for lines in replies:
            for error in (Temporary("4.2.1", "x", 451, lines), Permanent("5.1.1", "x", 550, lines)):
                shown = told.error(error)
                self.assertEqual((shown.enhanced, shown.code, type(shown)), (error.enhanced, error.code, type(error)))
                whole, part = "".join(lines), "".join(shown.remote)
                if len(whole) <= SHORT:
                    self.assertIs(shown, error)
                elif part != whole:
                    self.assertEqual(part, whole[:SHORT] + CUT if part.endswith(CUT) else whole[:SHORT])
                    self.assertTrue(part.endswith(CUT))

    def test_delivered(self) -> None:
        """The replies of an LMTP store, too, are told in full up to the bound."""
        told = ToldReplies()
        texts = [told.text(f"{number} " + "x" * 990) for number in range(1000)]
        self.assertLess(sum(map(len, texts)), MOST + 1000 * (SHORT + len(CUT)))
