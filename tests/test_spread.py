"""Nothing wakes everybody who waits in one turn of the reactor."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from ipaddress import ip_address
from typing import Any

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from seg.common.spread import AT_A_TURN, SpreadCalls
from seg.config.schema import DNS
from seg.deliver.connection_limits import LimitReached
from seg.deliver.greetings import PATIENCE, Greetings
from seg.deliver.limit_waiters import LOOK_AGAIN, LimitWaiters
from seg.dns.backend import TwistedBackend
from seg.dns.cache import CachingResolver
from seg.dns.exchange import _bounded
from seg.dns.turns import QueryTurns
from seg.mail.outcome import Delivered
from seg.policy.mtasts.turns import Claim, FetchTurns
from seg.queue.commit import TOLD, SpoolOperation, _CommitThread
from seg.queue.disk import Disk
from seg.queue.rewrites import SharedRewrites
from seg.queue.settlements import LONGEST_PAUSE, SharedSettlements
from tests.doubles import RecordingSink, TurningClock

MANY = 200
ONE = ip_address("192.0.2.1")


class SpreadCallsTests(SynchronousTestCase):
    """`SpreadCalls`."""

    def setUp(self) -> None:
        self.clock = TurningClock()
        self.spread = SpreadCalls(self.clock, 4)
        self.called: list[int] = []

    def test_in_order(self) -> None:
        """The first ones at once, the others in the next turns, in order, whoever asks meanwhile."""
        self.spread.each(self.called.append, range(10))
        self.spread.call(self.called.append, 10)
        self.assertEqual((self.called, len(self.spread)), ([0, 1, 2, 3], 7))
        self.clock.turn()
        self.assertEqual(self.called, list(range(8)))
        self.clock.turn()
        self.assertEqual(self.called, list(range(11)))
        self.clock.turn()
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_now_and_then(self) -> None:
        """A call now and then is made at once, and the reactor is asked for a turn only when half of them are spent."""
        self.spread.call(self.called.append, 1)
        self.assertEqual((self.called, self.clock.getDelayedCalls()), ([1], []))

    def test_one_that_asks_for_more(self) -> None:
        """What a call asks for comes behind those that wait already, and counts."""
        self.spread.each(lambda number: self.spread.call(self.called.append, number), range(3))
        self.assertEqual((self.called, len(self.spread)), ([0], 2))
        self.clock.turn()
        self.assertEqual(self.called, [0, 1, 2])

    def test_one_that_breaks(self) -> None:
        """The others go on without it."""
        self.assertRaises(
            ZeroDivisionError, self.spread.each, lambda number: self.called.append(1 // number), (1, 0, 1)
        )
        self.clock.turn()
        self.assertEqual(self.called, [1, 1])

    def test_the_first_one_breaks(self) -> None:
        """So they do when hardly anything of the turn was spent."""
        self.assertRaises(
            ZeroDivisionError, self.spread.each, lambda number: self.called.append(1 // number), (0, 1, 1)
        )
        self.clock.turn()
        self.assertEqual((self.called, len(self.spread)), ([1, 1], 0))

    def test_timers(self) -> None:
        """Timers that fire together wait for their turn, and one that was cancelled before doesn't fire."""
        timers = [self.spread.callLater(1.0, self.called.append, number) for number in range(6)]
        timers[0].cancel()
        self.clock.rightNow += 1.0
        self.clock.turn()
        self.assertEqual(self.called, [1, 2, 3, 4])
        self.clock.turn()
        self.assertEqual(self.called, [1, 2, 3, 4, 5])

    def test_cancelled(self) -> None:
        """Who was cancelled while he waited for his turn is passed over."""
        waiters: list[Deferred[Any]] = [Deferred(lambda _: None).addErrback(lambda _: None) for _ in range(6)]
        self.spread.fire(waiters, "news")
        waiters[5].cancel()
        self.clock.turn()
        self.assertEqual([self.successResultOf(each) for each in waiters], ["news"] * 5 + [None])


class Waiters:
    """Whoever waits at one place, and the event that wakes all of them."""

    def __init__(self, clock: TurningClock) -> None:
        self.clock = clock
        self.woken = 0
        self.kept: list[Deferred[None]] = []  # what goes on for ever

    def wait(self, work: Any) -> None:
        """One more who waits."""
        waiting = work if isinstance(work, Deferred) else Deferred.fromCoroutine(work)
        waiting.addBoth(self.wake)

    def wake(self, _: object = None) -> None:
        """He goes on."""
        self.woken += 1

    def later(self, seconds: float) -> None:
        """Time passes, and nothing else."""
        self.clock.rightNow += seconds

    # Each place: many wait; what it returns is the event. Besides these: mtasts/test_store, deliver/test_engine.

    def dns_answer(self) -> Callable[[], object]:
        """One question that many ask."""
        answer: Deferred[Any] = Deferred()

        class Inner:
            async def query(self, name: str, rdtype: str) -> Any:
                return await answer

        cache = CachingResolver(Inner(), self.clock, DNS(), RecordingSink())  # type: ignore[arg-type]
        for _ in range(MANY):
            self.wait(cache.query("a.test", "A"))
        return lambda: answer.errback(RuntimeError())

    def dns_datagrams(self) -> Callable[[], object]:
        """Answers to many questions come together."""
        backend = TwistedBackend(self.clock)
        return lambda: backend.spread.each(self.wake, range(MANY))

    def dns_timeouts(self) -> Callable[[], object]:
        """Many questions of one moment aren't answered."""
        backend = TwistedBackend(self.clock)

        async def never() -> None:
            self.kept.append(Deferred())
            await self.kept[-1]

        for _ in range(MANY):
            self.wait(_bounded(never(), backend.spread, 5.0))
        return lambda: self.later(5.0)

    def dns_turns(self) -> Callable[[], object]:
        """Many wait for a turn in vain."""
        turns, under_way = QueryTurns(1, "questions", self.clock), Deferred[None]()
        for number in range(MANY + 1):
            waiting = Deferred.fromCoroutine(turns.take("", lambda: under_way, 5.0))
            if number:
                self.wait(waiting)
        self.kept.append(under_way)
        return lambda: self.later(5.0)

    def greeting(self) -> Callable[[], object]:
        """Many attempts wait for one host's greeting."""
        greetings = Greetings(self.clock)
        first = greetings.begin(ONE)
        for _ in range(MANY):
            self.wait(greetings.news(ONE))
        return lambda: first.end(heard=True)

    def silence(self) -> Callable[[], object]:
        """The host doesn't greet."""
        self.greeting()
        return lambda: self.later(PATIENCE)

    def limit(self) -> Callable[[], object]:
        """Many destinations wait for hosts that have room again."""
        room = [0]
        waiters = LimitWaiters(self.clock, self.wake)
        for number in range(MANY):
            waiters.add(f"d{number}.test", [LimitReached(f"g{number % 100}", lambda: room[0])])

        def free() -> None:
            room[0] = 5
            self.later(LOOK_AGAIN)

        return free

    def settled(self) -> Callable[[], object]:
        """Outcomes of one message are settled together."""
        settlements, durable = SharedSettlements(self.clock), [Deferred[None]() for _ in range(2)]

        async def settle(rids: Any, outcomes: Any) -> None:
            await durable[0 if rids == {0} else 1]

        for rid in range(MANY + 1):
            self.wait(settlements.settle(1, MANY, (rid,), {rid: Delivered(1, "ok")}, settle))
        self.clock.advance(LONGEST_PAUSE)
        return lambda: durable[1].callback(None)

    def written(self) -> Callable[[], object]:
        """Those of one message are written together."""
        rewrites, writes = SharedRewrites(self.clock), [Deferred[None]() for _ in range(2)]
        begun = iter(writes)

        async def write() -> None:
            await next(begun)

        for _ in range(MANY):
            self.wait(rewrites.write(1, MANY, write))
        writes[0].callback(None)
        self.clock.advance(1.0)
        return lambda: writes[1].errback(OSError())

    def durable(self) -> Callable[[], object]:
        """A sync makes many changes durable."""
        thread = _CommitThread(self.clock, Disk())  # type: ignore[arg-type]
        batch: list[tuple[SpoolOperation, Deferred[None]]] = [(SpoolOperation(), Deferred()) for _ in range(MANY)]
        for _, done in batch:
            self.wait(done)
        return lambda: thread._report(batch, [None] * MANY)

    def fetch_turns(self) -> Callable[[], object]:
        """Many wait for a turn to fetch in vain."""
        turns = FetchTurns(self.clock, 1, 60.0)
        for number in range(MANY + 1):
            waiting = Deferred.fromCoroutine(turns.take(Claim(), None, lambda: True, lambda: None))
            if number:
                self.wait(waiting)
        return lambda: self.later(60.0)


PLACES = (
    Waiters.dns_answer,
    Waiters.dns_datagrams,
    Waiters.dns_timeouts,
    Waiters.dns_turns,
    Waiters.greeting,
    Waiters.silence,
    Waiters.limit,
    Waiters.settled,
    Waiters.written,
    Waiters.durable,
    Waiters.fetch_turns,
)


class EveryPlaceTests(SynchronousTestCase):
    """One event, and many who wait for it."""

    def turns(self, waiters: Waiters) -> Iterator[int]:
        """How many go on in each turn, until nobody does any more."""
        idle = 0
        while idle < 3:
            before = waiters.woken
            waiters.clock.turn()
            yield waiters.woken - before
            idle = 0 if waiters.woken > before else idle + 1

    def test_every_place(self) -> None:
        """Wherever many wait for one event a few go on in one turn of the reactor, and all in the end."""
        for place in PLACES:
            name = place.__name__
            waiters = Waiters(TurningClock())
            event = place(waiters)
            self.assertLessEqual(waiters.woken, 2, name)
            waiters.clock.turn()
            before = waiters.woken
            event()
            counts = [waiters.woken - before, *self.turns(waiters)]
            most = TOLD if place is Waiters.durable else AT_A_TURN
            self.assertLessEqual(max(counts), most + 1, name)  # one may go on for another reason
            self.assertGreaterEqual(waiters.woken, MANY, name)
