"""Reports on delays and on relayed messages, and what the sender doesn't want to hear (RFC 3461)."""

from __future__ import annotations

import attrs

from seg.config.schema import DoubleBounces, QueueSettings
from seg.events.gateway import Fault
from seg.events.queue import BounceGenerated, DoubleBounce
from seg.mail.envelope import DSNNotify, Envelope, Recipient
from seg.mail.outcome import Delayed, Outcome
from seg.queue.gathering import QUIET
from seg.queue.settlement import GRACE
from tests.queue.house import DELIVERED, HARD, NOW, SOFT, HouseCase
from tests.queue.test_reports import drain

HOUR = 3600.0


class NoticeTests(HouseCase):
    """What becomes of NOTIFY, and of a message that waits long."""

    def put(
        self,
        *notify: frozenset[DSNNotify] | None,
        sender: str = "from@sender.test",
        envid: str = "",
        double_bounce: bool = False,
    ) -> int:
        """A message to one recipient at one.test for each wish."""
        mid = self.house.counters.next_mid()
        writer = self.house.queue.begin(mid)
        writer.write(b"Subject: x\r\n\r\nhi\r\n")
        recipients = tuple(Recipient(rid, f"r{rid}@one.test", notify=asked) for rid, asked in enumerate(notify))
        envelope = Envelope(
            mid, sender, recipients, self.house.clock.seconds(), envid=envid, double_bounce=double_bounce
        )
        self.successResultOf(writer.commit(envelope))
        return mid

    def reports(self) -> list[str]:
        """The reports that can be delivered when they have waited for others: their first lines."""
        self.house.clock.advance(QUIET)
        found = []
        while (lease := self.house.queue.lease("sender.test")) is not None:
            found.append(f"sender.test: {self.house.head(lease)}")
            self.house.queue.settle(lease, dict.fromkeys(lease.rids, DELIVERED))
        return found

    def test_a11_delay_is_told_once(self) -> None:
        """After four hours the sender hears once that the message waits, whatever holds it up, also over a restart; it stays queued."""
        self.put(None)
        said = []
        for _ in range(12):
            self.house.attempt("one.test", SOFT)
            said.append(self.reports())
            self.house.clock.advance(HOUR)
            self.restart(QueueSettings(jitter=0.0))
        wanted = ["sender.test: MID 1 RIDs [0] delayed"]
        self.assertEqual([bool(lines) for lines in said].index(True), 4)
        self.assertEqual([lines for lines in said if lines], [wanted])
        self.assertEqual(self.house.attempt("one.test", DELIVERED), 1)

    def test_never_tried(self) -> None:
        """A message that isn't tried at all, as deliveries there are suspended or at a limit, is told of once too, also over a restart;
        a try that is under way is waited for."""
        self.put(None, frozenset({DSNNotify.FAILURE}))
        self.house.clock.advance(4 * HOUR - 1)
        self.assertEqual(self.house.composer.told, [])
        self.house.clock.advance(1)
        self.house.clock.advance(QUIET)
        self.assertEqual([self.text_of(told) for told in self.house.composer.told], ["not tried in 4 hours"])
        self.restart(QueueSettings(jitter=0.0))
        self.house.clock.advance(10 * HOUR)
        self.assertEqual(self.house.composer.told, [])
        self.assertEqual(self.reports(), ["sender.test: MID 1 RIDs [0] delayed"])
        self.put(None)
        later = self.house.clock.seconds() + 5 * HOUR
        self.restart(QueueSettings(jitter=0.0), later)  # the gateway was down meanwhile: the message gets its try first
        self.house.clock.advance(600.0)
        self.assertEqual(self.house.composer.told, [])
        self.house.clock.advance(HOUR)
        self.house.clock.advance(QUIET)
        self.assertEqual(len(self.house.composer.told), 1)
        self.reports()
        self.house.composer.told.clear()
        self.put(None)
        lease = self.house.queue.lease("one.test")
        assert lease is not None
        self.house.clock.advance(5 * HOUR)
        self.assertEqual(self.house.composer.told, [])
        self.house.queue.settle(lease, {})  # there was no connection for it
        self.house.clock.advance(2 * GRACE)
        self.house.clock.advance(QUIET)
        self.assertEqual(len(self.house.composer.told), 1)

    def test_suspended_after_a_try(self) -> None:
        """One whose next try doesn't come is told of with what the last one said."""
        self.put(None)
        self.house.attempt("one.test", SOFT)
        self.house.clock.advance(5 * HOUR)
        self.house.clock.advance(QUIET)
        (waits,) = self.house.composer.told
        self.assertEqual(self.text_of(waits), "tried once in 5 hours")
        assert isinstance(waits, Delayed)
        self.assertIn("; last: 4.2.1 mailbox busy", waits.error.text)

    def text_of(self, outcome: Outcome) -> str:
        """How often it was tried, in how long."""
        assert isinstance(outcome, Delayed)
        return outcome.error.text.removeprefix("Waiting for its turn: ").partition(",")[0]

    def test_delay_unwanted(self) -> None:
        """No word of a delay where it is switched off, where the sender doesn't want it, or to nobody."""
        for settings, notify, sender in (
            (QueueSettings(jitter=0.0, delay_warning=0.0), None, "from@sender.test"),
            (QueueSettings(jitter=0.0), frozenset({DSNNotify.FAILURE}), "from@sender.test"),
            (QueueSettings(jitter=0.0), frozenset(), "from@sender.test"),
            (QueueSettings(jitter=0.0), None, ""),
        ):
            self.restart(settings, NOW)
            self.put(notify, sender=sender)
            self.house.clock.advance(5 * HOUR)
            self.house.attempt("one.test", SOFT)
            self.assertEqual(self.reports(), [])
            self.house.clock.advance(HOUR)
            self.house.attempt("one.test", DELIVERED)

    def test_success(self) -> None:
        """A recipient of whose success the sender wants to hear, handed to a server without DSN: one report, `relayed`. A server that
        knows DSN has the duty itself, and nobody else's success is told."""
        success = frozenset({DSNNotify.SUCCESS})
        self.put(success, None, success)
        self.house.attempt("one.test", DELIVERED)
        self.assertEqual(self.reports(), ["sender.test: MID 1 RIDs [0, 2] relayed"])
        self.put(success)
        self.house.attempt("one.test", attrs.evolve(DELIVERED, notifies=True))
        self.assertEqual(self.reports(), [])
        self.assertEqual(self.house.files(), [])

    def test_failure_unwanted(self) -> None:
        """A failure of which the sender doesn't want to hear ends the recipient without a report; the others have theirs."""
        self.put(frozenset(), frozenset({DSNNotify.SUCCESS}), frozenset({DSNNotify.FAILURE}), None)
        self.house.attempt("one.test", HARD)
        self.assertEqual(self.reports(), ["sender.test: MID 1 RIDs [2, 3]"])
        self.put(frozenset())
        self.house.attempt("one.test", HARD)
        self.assertEqual(self.reports(), [])
        self.assertEqual(self.house.files(), [])
        self.assertEqual(len(self.house.sink.of(BounceGenerated)), 1)
        self.assertEqual(self.house.sink.of(DoubleBounce), [])

    def test_expired_after_a_warning(self) -> None:
        """A message that was warned of and then expires has its failure report all the same."""
        self.put(None)
        self.house.clock.advance(5 * HOUR)
        self.house.attempt("one.test", SOFT)
        self.assertEqual(len(self.reports()), 1)
        self.house.clock.advance(80 * HOUR)
        self.assertEqual(self.reports(), ["sender.test: MID 1 RIDs [0]"])

    def test_double_bounce(self) -> None:
        """A failure of a message without a reverse-path is told in the log; to the postmaster only where the operator wants it, once."""
        for kind, envid, ours, reports in (
            (DoubleBounces.DROP, "", False, 0),
            (DoubleBounces.POSTMASTER, "", False, 1),
            (DoubleBounces.POSTMASTER, "double-bounce", False, 1),  # as any client may say
            (DoubleBounces.POSTMASTER, "", True, 0),
        ):
            self.restart(QueueSettings(jitter=0.0, double_bounces=kind), NOW)
            told = len(self.house.sink.of(DoubleBounce))
            asked = len(self.house.composer.heads)
            self.put(None, sender="", envid=envid, double_bounce=ours)
            self.house.attempt("one.test", HARD)
            self.assertEqual(len(self.house.sink.of(DoubleBounce)) - told, 1)
            self.assertEqual(len(self.house.composer.heads) - asked, reports)
            self.assertEqual(self.house.files(), [])


class BrokenComposerTests(HouseCase):
    """A report that can't be composed keeps no message, and its sender hears all the same."""

    def test_plain_report(self) -> None:
        """The plain one takes its place, of a failure and of a delay."""

        def broken(*parts: object) -> None:
            raise KeyError("a fault of the composer")

        self.house.composer.compose = broken  # type: ignore[assignment, method-assign]
        mid = self.house.put("a@one.test", "b@one.test")
        self.house.attempt("one.test", HARD)
        self.house.clock.advance(QUIET)
        self.assertEqual(drain(self.house), [f"sender.test: plain: MID {mid} RIDs [0, 1]"])
        self.assertEqual(self.house.files(), [])
        self.assertIn("can't be composed", self.house.sink.of(Fault)[0].text)
        self.assertEqual(len(self.flushLoggedErrors(KeyError)), 1)

    def test_nothing_works(self) -> None:
        """Where not even that can be made the log says so, and no recipient stays in between for ever."""

        def broken(*parts: object) -> None:
            raise KeyError("a fault of the composer")

        self.house.composer.compose = self.house.composer.plain = broken  # type: ignore[assignment, method-assign]
        self.house.put("a@one.test")
        self.house.attempt("one.test", HARD)
        self.house.clock.advance(QUIET)
        self.assertEqual((drain(self.house), self.house.files()), ([], []))
        self.assertEqual(len(self.flushLoggedErrors(KeyError)), 2)
