"""Alerts on mail that is damaged in the queue."""

from __future__ import annotations

import email
import email.policy

from twisted.internet.defer import Deferred, fail, maybeDeferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from seg.dsn.postmaster_mail import PostmasterMail
from seg.dsn.spool_alerts import AGAIN, GATHERED, MOST_TOLD, SpoolAlerts
from seg.events.gateway import Fault
from seg.events.queue import MessageDamaged, SpoolFileCorrupt
from seg.events.runtime import Runtime
from seg.queue.interfaces import IMessageWriter
from tests.doubles import CountingCounters, MemoryQueue, MemoryWriter, RecordingSink


class BrokenWriter(MemoryWriter):
    """The disk is full."""

    def commit(self, envelope: object) -> Deferred[None]:
        """It fails."""
        return fail(OSError(28, "No space left on device"))


class SpoolAlertTests(SynchronousTestCase):
    """`SpoolAlerts`."""

    def setUp(self) -> None:
        self.queue, self.sink, self.clock = MemoryQueue(), RecordingSink(), Clock()
        runtime = Runtime(
            self.clock,
            self.sink,
            "gw.example",
            "postmaster@own.example",
            in_thread=maybeDeferred,  # type: ignore[arg-type]
            posix=lambda: 1000.0,
        )
        self.alerts = SpoolAlerts(PostmasterMail(self.queue, CountingCounters(), runtime), self.sink, self.clock)

    def letters(self) -> list[str]:
        """The texts that the postmaster gets."""
        return [
            email.message_from_bytes(message.content, policy=email.policy.default).get_content()  # type: ignore[attr-defined]
            for message in self.queue.messages.values()
        ]

    def test_one_letter(self) -> None:
        """What a start finds is told in one message, each with its reason; from nobody, and in one piece whatever a reason holds."""
        self.alerts.emit(MessageDamaged(5, "its envelope is missing\r\nX-Evil: 1"))
        self.alerts.emit(SpoolFileCorrupt("var/spool/new/00/7", "var/spool/corrupt/new-00-7", "the file is empty"))
        self.alerts.emit(SpoolFileCorrupt("var/spool/new/00/8", "", "can't be moved, and so will be found again"))
        self.clock.advance(GATHERED)
        (text,) = self.letters()
        (message,) = self.queue.messages.values()
        self.assertEqual(message.envelope.reverse_path, "")
        self.assertIn("MID 5 is held: its envelope is missing", text)
        self.assertIn("var/spool/new/00/7 was put aside: the file is empty", text)
        self.assertNotIn("can't be moved", text)
        self.assertNotIn("\nX-Evil", text)
        self.clock.advance(10 * AGAIN)
        self.assertEqual(len(self.queue.messages), 1)

    def test_bounded(self) -> None:
        """Of many, the first are told in full and the others as a number."""
        for mid in range(10_000):
            self.alerts.emit(MessageDamaged(mid, "its envelope is missing"))
        self.clock.advance(GATHERED)
        (text,) = self.letters()
        self.assertIn(f"... and {10_000 - MOST_TOLD} more", text)
        self.assertLess(len(text), 5000)

    def test_not_queued(self) -> None:
        """On a full disk it is tried again until it can be queued, and nothing of it is lost."""

        def broken(mid: int) -> IMessageWriter:
            return BrokenWriter(self.queue, mid)

        begin = self.queue.begin
        self.queue.begin = broken  # type: ignore[method-assign]
        self.alerts.emit(MessageDamaged(5, "its envelope is missing"))
        self.clock.pump([GATHERED, AGAIN])
        self.assertEqual(len(self.sink.of(Fault)), 2)
        self.queue.begin = begin  # type: ignore[method-assign]
        self.clock.advance(AGAIN)
        self.assertEqual(len(self.letters()), 1)
