"""Alerts on required TLS that fails."""

from __future__ import annotations

import email
import email.policy

from twisted.internet.defer import Deferred, fail, maybeDeferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from seg.dsn.alerts import INTERVAL, LETTERS, TLSAlerts
from seg.dsn.postmaster_mail import PostmasterMail
from seg.events.delivery import TLSAlert
from seg.events.gateway import Fault
from seg.events.receive import MessageQueued
from seg.events.runtime import Runtime
from tests.doubles import CountingCounters, MemoryQueue, MemoryWriter, RecordingSink


class BrokenWriter(MemoryWriter):
    """The disk is full."""

    def commit(self, envelope: object) -> Deferred[None]:
        """It fails."""
        return fail(OSError(28, "No space left on device"))


class AlertTests(SynchronousTestCase):
    """`TLSAlerts`."""

    def setUp(self) -> None:
        self.queue, self.sink, self.now = MemoryQueue(), RecordingSink(), 1000.0
        runtime = Runtime(
            Clock(),
            self.sink,
            "gw.example",
            "postmaster@own.example",
            in_thread=maybeDeferred,  # type: ignore[arg-type]
            posix=lambda: self.now,
        )
        self.alerts = TLSAlerts(PostmasterMail(self.queue, CountingCounters(), runtime), self.sink, lambda: self.now)

    def letters(self) -> list[email.message.EmailMessage]:
        """What the postmaster gets."""
        return [
            email.message_from_bytes(message.content, policy=email.policy.default)  # type: ignore[misc]
            for message in self.queue.messages.values()
        ]

    def test_letter(self) -> None:
        """What failed, where, and what to do; 7-bit, from nobody, so that nothing comes back."""
        self.alerts.failed("a.example", "mx.a.example", "peer cert does not match domain a.example\r\nX-Evil: 1")
        (message,) = self.queue.messages.values()
        envelope = message.envelope
        self.assertEqual((envelope.reverse_path, envelope.recipients[0].address), ("", "postmaster@own.example"))
        self.assertEqual(envelope.recipients[0].notify, frozenset())
        self.assertTrue(message.content.isascii())
        self.assertEqual(message.content.replace(b"\r\n", b"").count(b"\n"), 0)
        (letter,) = self.letters()
        self.assertEqual(letter["Subject"], "Required TLS to a.example fails")
        self.assertEqual(letter["Auto-Submitted"], "auto-generated")
        self.assertEqual(letter["Date"], "Thu, 01 Jan 1970 00:16:40 +0000")
        self.assertIn("Host mx.a.example: peer cert does not match domain a.example", letter.get_content())
        self.assertIn("seg explain a.example", letter.get_content())
        self.assertIsNone(letter["X-Evil"])
        self.assertEqual(self.sink.of(MessageQueued), [MessageQueued(1)])

    def test_once_an_hour(self) -> None:
        """One destination is told of once an hour, with the number of failures meanwhile; another one at once."""
        for _ in range(4):
            self.alerts.failed("a.example", "mx.a.example", "expired")
        self.alerts.failed("b.example", "mx.b.example", "expired")
        self.now += INTERVAL
        self.alerts.failed("a.example", "mx.a.example", "expired")
        told = [(alert.domain, alert.since) for alert in self.sink.of(TLSAlert)]
        self.assertEqual(told, [("a.example", 0), ("b.example", 0), ("a.example", 3)])
        self.assertIn("it failed 3 more times", self.letters()[-1].get_content().replace("\n", " "))

    def test_many_destinations(self) -> None:
        """A fault of ours that makes all of them fail is no flood: twenty letters an hour, of which the last says so; the log tells of all."""
        for number in range(2 * LETTERS):
            self.alerts.failed(f"d{number}.example", "mx.example", "expired")
        self.assertEqual((len(self.letters()), len(self.sink.of(TLSAlert))), (LETTERS, 2 * LETTERS))
        texts = [letter.get_content().replace("\n", " ") for letter in self.letters()]
        self.assertEqual(["This is the last of 20" in text for text in texts], [False] * (LETTERS - 1) + [True])
        self.now += INTERVAL
        self.alerts.failed("later.example", "mx.example", "expired")
        self.assertEqual(len(self.letters()), LETTERS + 1)

    def test_own_domain(self) -> None:
        """When the postmaster's own domain is the one that fails there is only the line in the log."""
        self.alerts.failed("own.example", "mx.own.example", "expired")
        self.assertEqual((len(self.sink.of(TLSAlert)), self.letters()), (1, []))

    def test_disk_full(self) -> None:
        """A message that can't be queued is told in the log, and hurts nobody."""
        self.patch(self.queue, "begin", lambda mid: BrokenWriter(self.queue, mid))
        self.alerts.failed("a.example", "mx.a.example", "expired")
        (fault,) = self.sink.of(Fault)
        self.assertIn("alert on a.example could not be queued: [Errno 28] No space left", fault.text)

    def test_bounded(self) -> None:
        """Not more destinations are remembered than there is room for."""
        self.alerts._told.most = 2
        for name in ("a.example", "b.example", "c.example", "a.example"):
            self.alerts.failed(name, "mx", "expired")
        self.assertEqual(len(self.sink.of(TLSAlert)), 4)
