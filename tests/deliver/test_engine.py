"""The delivery engine: fair, within limits, and never losing sight of a lease."""

from __future__ import annotations

from collections.abc import Callable
from unittest.mock import patch

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from seg.deliver.connection_limits import LimitReached
from seg.deliver.destination import INITIAL_WINDOW, UNGREETED_WINDOW
from seg.deliver.progress import AttemptProgress
from seg.deliver.rate_limits import UNLIMITED, RateLimit
from seg.deliver.scheduler import PUT_IN_LINE, STARTS, DeliveryScheduler
from seg.events.gateway import Fault
from seg.mail.envelope import Envelope, Recipient
from seg.mail.outcome import Delayed, Delivered, Outcome
from seg.queue.interfaces import Lease
from tests.doubles import MemoryContent, RecordingSink, TurningClock


def lease_of(mid: int, domain: str) -> Lease:
    """A lease of one recipient."""
    recipient = Recipient(0, f"bob@{domain}")
    return Lease(Envelope(mid, "", (recipient,), 0.0), domain, (recipient,), MemoryContent(b""))


class FakeQueue:
    """Gives leases from lists, and notes what comes back."""

    def __init__(self) -> None:
        self.due: dict[str, list[Lease]] = {}
        self.settled: list[tuple[int, dict[int, Outcome]]] = []
        self.ready: Callable[[str], None] = lambda domain: None

    def subscribe(self, on_ready: Callable[[str], None]) -> None:
        """Tell of what is due already."""
        self.ready = on_ready
        for domain in self.due:
            on_ready(domain)

    def add(self, mid: int, domain: str) -> None:
        """One more message is due."""
        self.due.setdefault(domain, []).append(lease_of(mid, domain))

    def lease(self, domain: str, most: int = 0) -> Lease | None:
        """The first due one."""
        due = self.due.get(domain)
        return due.pop(0) if due else None

    def settle(self, lease: Lease, outcomes: dict[int, Outcome]) -> Deferred[None]:
        """Note it."""
        self.settled.append((lease.mid, dict(outcomes)))
        done: Deferred[None] = Deferred()
        done.callback(None)
        return done


class FakeAttempt:
    """An attempt that ends when the test says so."""

    def __init__(self, lease: Lease) -> None:
        self.lease = lease
        self.outcomes: dict[int, Outcome] = {}
        self.connected = True
        self.progress = AttemptProgress()
        self.crowded: list[LimitReached] = []
        self.done: Deferred[None] = Deferred()

    async def run(self) -> None:
        """Wait for the test."""
        await self.done

    def succeed(self) -> None:
        """Delivered."""
        self.outcomes[0] = Delivered(1, "ok")
        self.done.callback(None)


class EngineTests(SynchronousTestCase):
    """`DeliveryScheduler`."""

    def setUp(self) -> None:
        self.queue = FakeQueue()
        self.clock = TurningClock()
        self.sink = RecordingSink()
        self.attempts: list[FakeAttempt] = []

    def engine(
        self,
        limit: int = 500,
        max_active: int = 100,
        rate: Callable[[str], RateLimit] = lambda domain: UNLIMITED,
        suspended: Callable[[str], bool] = lambda domain: False,
    ) -> DeliveryScheduler:
        """An engine at work on the queue."""

        def attempt(lease: Lease) -> FakeAttempt:
            self.attempts.append(FakeAttempt(lease))
            return self.attempts[-1]

        engine = DeliveryScheduler(self.queue, attempt, lambda _: limit, max_active, self.sink, self.clock)  # type: ignore[arg-type]
        engine.rate, engine.suspended = rate, suspended
        engine.start()
        return engine

    def mids(self) -> list[int]:
        """The messages attempted, in order."""
        return [attempt.lease.mid for attempt in self.attempts]

    def test_rate(self) -> None:
        """A destination gets no more recipients than its limit in its minutes; others aren't held up, and it goes on by itself."""
        engine = self.engine(rate=lambda domain: RateLimit(2, 1) if domain == "slow.example" else UNLIMITED)
        for mid in range(1, 6):
            self.queue.add(mid, "slow.example")
        self.queue.add(9, "free.example")
        self.queue.ready("slow.example")
        self.queue.ready("free.example")
        self.assertEqual(self.mids(), [1, 2, 9])
        for attempt in self.attempts:
            attempt.succeed()
        self.clock.advance(59)
        self.assertEqual(len(self.attempts), 3)
        self.clock.advance(3)
        self.assertEqual(self.mids(), [1, 2, 9, 3, 4])
        engine.rate = lambda domain: UNLIMITED
        engine.resume()
        self.assertEqual(self.mids()[-1], 5)
        for attempt in self.attempts[3:]:
            attempt.succeed()
        self.successResultOf(Deferred.fromCoroutine(engine.stop(1.0)))
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_crowded(self) -> None:
        """A domain that gets no connection waits for one, and costs no vain attempts; its window is what it has, and grows slowly."""
        room = 0
        engine = self.engine()
        for mid in range(1, 40):
            self.queue.add(mid, "a.example")
        self.queue.add(99, "b.example")
        self.queue.ready("a.example")
        self.attempts[0].progress.heard()
        self.queue.ready("b.example")
        self.clock.advance(0)
        self.assertEqual(len(self.attempts), INITIAL_WINDOW + 1)
        for attempt in self.attempts[2:INITIAL_WINDOW]:
            attempt.crowded.append(LimitReached("192.0.2.1", lambda: room))
            attempt.done.callback(None)
        self.assertEqual(engine.limited("a.example"), "192.0.2.1 has all the connections that it may have")
        self.assertEqual(len(self.attempts), INITIAL_WINDOW + 1)
        self.attempts[0].succeed()
        engine.waiters.freed("192.0.2.1")
        self.clock.advance(0)
        self.assertEqual(len(self.attempts), INITIAL_WINDOW + 2)
        for attempt in (
            self.attempts[1],
            self.attempts[-1],
        ):  # two have room, and a third one is tried when two have been
            attempt.succeed()
            self.clock.advance(0)
        self.assertEqual(len(self.attempts), INITIAL_WINDOW + 5)
        self.attempts[-1].crowded.append(LimitReached("192.0.2.1", lambda: room))
        self.attempts[-1].done.callback(None)
        self.assertIn("a.example", engine.waiters)
        engine.resume()  # as after a commit: limits may be others
        self.assertNotIn("a.example", engine.waiters)
        for attempt in self.attempts:
            if not attempt.done.called:
                attempt.succeed()
        stopping = Deferred.fromCoroutine(engine.stop(1.0))
        for attempt in self.attempts:
            if not attempt.done.called:
                attempt.succeed()
        self.successResultOf(stopping)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_limited(self) -> None:
        """It says which limit holds a destination's mail back, and how many destinations wait for one."""
        engine = self.engine(limit=1, rate=lambda domain: RateLimit(1, 1) if domain == "slow.example" else UNLIMITED)
        for mid, domain in ((1, "slow.example"), (2, "slow.example"), (3, "full.example")):
            self.queue.add(mid, domain)
        self.queue.ready("slow.example")
        self.queue.ready("full.example")
        self.assertEqual(engine.limited("full.example"), "it has all the connections that it may have")
        self.attempts[0].succeed()
        said = engine.limited("slow.example")
        self.assertEqual(said, "it has had all the recipients that it may have; more may go in 61 seconds")
        self.assertEqual((engine.held_back, engine.limited("free.example")), (1, ""))

    def test_crowded_at_one_host(self) -> None:
        """A domain whose message went by another host doesn't wait for the one that was full."""
        engine = self.engine()
        self.queue.add(1, "a.example")
        self.queue.add(2, "a.example")
        self.queue.ready("a.example")
        self.attempts[0].crowded.append(LimitReached("192.0.2.1", lambda: 0))
        self.attempts[0].succeed()
        self.assertNotIn("a.example", engine.waiters)
        self.queue.add(3, "a.example")
        self.queue.ready("a.example")
        self.assertEqual(self.mids(), [1, 2, 3])

    def test_suspended(self) -> None:
        """A suspended destination gets nothing, and all that waited when it is resumed."""
        engine = self.engine(suspended=lambda domain: domain == "a.example")
        self.queue.add(1, "a.example")
        self.queue.add(2, "b.example")
        self.queue.ready("a.example")
        self.queue.ready("b.example")
        self.assertEqual(self.mids(), [2])
        engine.suspended = lambda domain: False
        engine.resume()
        self.assertEqual(self.mids(), [2, 1])

    def test_turns(self) -> None:
        """Destinations take turns: one with much due doesn't make the others wait."""
        for mid in (1, 2, 3):
            self.queue.add(mid, "much.example")
        self.queue.add(4, "little.example")
        self.engine(max_active=1)
        for number in range(3):
            self.attempts[number].succeed()
        self.assertEqual(self.mids(), [1, 2, 4, 3])

    def test_limit(self) -> None:
        """A destination never has more attempts at a time than its profile allows."""
        for mid in range(1, 6):
            self.queue.add(mid, "a.example")
        engine = self.engine(limit=2)
        self.assertEqual((self.mids(), engine.active), ([1, 2], 2))
        self.attempts[0].succeed()
        self.assertEqual((self.mids(), engine.active), ([1, 2, 3], 2))

    def test_window_grows_and_falls(self) -> None:
        """A destination starts with two attempts, has a few more as soon as it has greeted, gets one more with each success, and half after
        a failure to connect."""
        for mid in range(1, 100):
            self.queue.add(mid, "a.example")
        engine = self.engine()
        self.assertEqual(engine.active, UNGREETED_WINDOW)
        self.attempts[1].progress.heard()
        self.assertEqual(engine.active, INITIAL_WINDOW)
        self.attempts[0].succeed()
        self.clock.advance(0)
        self.assertEqual(engine.active, INITIAL_WINDOW + 1)
        unreachable = self.attempts[1]
        unreachable.connected = False
        unreachable.done.callback(None)
        self.assertEqual(engine.active, INITIAL_WINDOW)

    def test_settled(self) -> None:
        """What an attempt found out is handed to the queue."""
        self.queue.add(7, "a.example")
        self.engine()
        self.attempts[0].succeed()
        self.assertEqual(self.queue.settled, [(7, {0: Delivered(1, "ok")})])

    def test_broken_attempt(self) -> None:
        """An attempt that breaks by a fault of ours delays its recipients, is told, and doesn't stop the others."""
        self.queue.add(1, "a.example")
        self.queue.add(2, "b.example")
        self.engine()
        self.attempts[0].done.errback(ZeroDivisionError("oops"))
        self.attempts[1].succeed()
        (mid, outcomes), _ = self.queue.settled
        outcome = outcomes[0]
        assert isinstance(outcome, Delayed)
        self.assertEqual((mid, outcome.error.enhanced), (1, "4.3.0"))
        self.assertIn("oops", self.sink.of(Fault)[0].text)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    def test_ended_at_once(self) -> None:
        """Thousands of attempts that end without waiting don't deepen the stack."""
        for mid in range(1, 3000):
            self.queue.add(mid, "a.example")

        def attempt(lease: Lease) -> FakeAttempt:
            made = FakeAttempt(lease)
            made.succeed()
            return made

        engine = DeliveryScheduler(self.queue, attempt, lambda _: 5, 5, self.sink, self.clock)  # type: ignore[arg-type]
        engine.start()
        for _ in range(2999 // STARTS):
            self.assertLess(len(self.queue.settled), 2999)
            self.clock.turn()
        self.assertEqual(len(self.queue.settled), 2999)

    def test_starts_of_one_turn(self) -> None:
        """However many destinations become due together, a few attempts begin in one turn of the reactor, the rest in the next ones; a
        suspended one gets none then, and behind a stop nobody."""
        for mid in range(1, 1000):
            self.queue.add(mid + 1, f"d{mid}.example")
        engine = self.engine(max_active=1000)
        self.assertEqual(len(self.attempts), STARTS)
        for turn in range(2, 20):
            self.clock.turn()
            self.assertEqual(len(self.attempts), turn * STARTS)
        engine.suspended = lambda domain: True
        self.clock.turn()
        self.assertEqual(len(self.attempts), 19 * STARTS)
        engine.suspended = lambda domain: False
        engine.resume()
        stopping = Deferred.fromCoroutine(engine.stop(0.0))
        begun = len(self.attempts)
        self.assertLessEqual(begun, 20 * STARTS)
        for _ in range(10):
            self.clock.turn()
        self.successResultOf(stopping)
        self.assertEqual((len(self.attempts), self.clock.getDelayedCalls()), (begun, []))

    def test_starts_in_any_turns(self) -> None:
        """Whoever becomes due gets its turn, whatever was begun before and however long ago."""
        engine = self.engine(max_active=10_000)
        mid = 0
        for burst in (1, 4, 5, 9, 10, 11, 25, 1, 1, 1, 7):
            for _ in range(burst):
                mid += 1
                self.queue.add(mid + 1, f"d{mid}.example")
                self.queue.ready(f"d{mid}.example")
            self.assertLessEqual(len(self.attempts), mid)
            for _ in range(4):
                self.clock.turn()
            self.assertEqual(engine.active, mid)

    def test_resumed_in_turns(self) -> None:
        """However many destinations were suspended, those that may go on are put in line a few in one turn of the reactor."""
        for mid in range(3 * PUT_IN_LINE):
            self.queue.add(mid + 1, f"d{mid}.example")
        engine = self.engine(suspended=lambda domain: True)
        for _ in range(10):
            self.clock.turn()
        engine.suspended = lambda domain: False
        put: list[int] = []
        with patch.object(engine, "_wait", side_effect=lambda domain: put.append(1)):
            engine.resume()
            self.assertEqual(len(put), PUT_IN_LINE)
            self.clock.turn()
            self.assertEqual(len(put), 2 * PUT_IN_LINE)
            self.clock.turn()
            self.assertEqual(len(put), 3 * PUT_IN_LINE)

    def test_ends_of_one_turn(self) -> None:
        """Attempts that have had their time all at once are ended a few in each turn."""
        for mid in range(1, 101):
            self.queue.add(mid + 1, f"d{mid}.example")
        engine = self.engine(max_active=1000)
        for _ in range(20):
            self.clock.turn()
        self.assertEqual(engine.active, 100)
        engine.attempt_timeout = 1.0
        self.clock.rightNow += 1.0
        self.clock.turn()
        self.assertEqual(engine.active, 100 - STARTS)
        for turn in range(2, 11):
            self.clock.turn()
            self.assertEqual(engine.active, 100 - turn * STARTS)
        self.assertEqual(len(self.queue.settled), 100)

    def test_stop(self) -> None:
        """Stopping starts nothing new, waits for attempts under way, then cancels them; what was certain is settled."""
        self.queue.add(1, "a.example")
        self.queue.add(2, "b.example")
        engine = self.engine()
        stopped = Deferred.fromCoroutine(engine.stop(10))
        self.queue.add(3, "c.example")
        self.queue.ready("c.example")
        self.assertEqual(self.mids(), [1, 2])
        self.attempts[0].succeed()
        self.attempts[1].outcomes[0] = Delivered(2, "taken")
        self.assertNoResult(stopped)
        self.clock.advance(10)
        self.successResultOf(stopped)
        self.assertEqual(self.queue.settled, [(1, {0: Delivered(1, "ok")}), (2, {0: Delivered(2, "taken")})])

    def test_stop_idle(self) -> None:
        """With nothing under way it stops at once."""
        engine = self.engine()
        self.successResultOf(Deferred.fromCoroutine(engine.stop(10)))
