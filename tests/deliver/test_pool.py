"""The pool of idle connections, under a clock."""

from __future__ import annotations

from collections.abc import Callable
from ipaddress import ip_address

import attrs
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from seg.deliver.pool import LOOKED_AT, ConnectionPool, PoolKey
from seg.tls.peer import SessionFacts

KEY = PoolKey(ip_address("192.0.2.1"), 25)
OTHER = PoolKey(ip_address("192.0.2.2"), 25)


class StandIn:
    """What the pool sees of a sender."""

    def __init__(self, tls: bool = False, transactions: int = 1) -> None:
        self.facts = SessionFacts(tls=tls)
        self.transactions = transactions
        self.healthy = True
        self.closed = False
        self.quits = 0
        self.listeners: list[Callable[[StandIn], None]] = []
        self._gone: Deferred[None] = Deferred()

    def on_closed(self, callback: Callable[[StandIn], None]) -> None:
        self.listeners.append(callback)

    async def quit(self) -> None:
        self.quits += 1
        self.healthy = False
        await self._gone

    def close(self) -> None:
        """The connection goes."""
        self.closed, self.healthy = True, False
        for listener in self.listeners:
            listener(self)
        self._gone.callback(None)


def anything(sender: StandIn) -> bool:
    return True


def encrypted(sender: StandIn) -> bool:
    return sender.facts.tls


class PoolTests(SynchronousTestCase):
    """`ConnectionPool`."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.pool = ConnectionPool(self.clock, idle_timeout=5.0, max_idle=3)

    def give(self, sender: StandIn, key: PoolKey = KEY, most: int = 50) -> StandIn:
        self.pool.give(key, sender, most)  # type: ignore[arg-type]
        return sender

    def test_take_what_was_given(self) -> None:
        """A sender is taken once, and only for its own address, port and source."""
        sender = self.give(StandIn())
        self.assertIsNone(self.pool.take(OTHER, anything))
        self.assertIsNone(self.pool.take(PoolKey(KEY.address, 26), anything))
        self.assertIsNone(self.pool.take(PoolKey(KEY.address, 25, "192.0.2.9"), anything))
        self.assertIs(self.pool.take(KEY, anything), sender)
        self.assertIsNone(self.pool.take(KEY, anything))
        self.assertEqual((len(self.pool), sender.quits), (0, 0))

    def test_most_recent_that_satisfies(self) -> None:
        """Of several the one used last that does what the policy wants is taken; the others stay."""
        plain, old, new, unfit = StandIn(), StandIn(tls=True), StandIn(tls=True), StandIn()
        self.pool = ConnectionPool(self.clock, 5.0, max_idle=4)
        for sender in (plain, old, new, unfit):
            self.give(sender)
        self.assertIs(self.pool.take(KEY, encrypted), new)
        self.assertIs(self.pool.take(KEY, encrypted), old)
        self.assertIsNone(self.pool.take(KEY, encrypted))
        self.assertIs(self.pool.take(KEY, anything), unfit)
        self.assertIs(self.pool.take(KEY, anything), plain)

    def test_looks_at_a_few(self) -> None:
        """Of many connections to one address a few are judged for a message, and no more."""
        self.pool = ConnectionPool(self.clock, 5.0, max_idle=100)
        for _ in range(100):
            self.give(StandIn())
        judged: list[object] = []
        self.assertIsNone(self.pool.take(KEY, lambda sender: judged.append(sender) is not None))
        self.assertEqual(len(judged), LOOKED_AT)

    def test_unhealthy_is_passed_over(self) -> None:
        """A sender that isn't healthy any more isn't given out."""
        good, bad = self.give(StandIn()), self.give(StandIn())
        bad.healthy = False
        self.assertIs(self.pool.take(KEY, anything), good)

    def test_idle_time(self) -> None:
        """Each sender waits its own time, then it leaves with QUIT; being used starts the time anew."""
        first = self.give(StandIn())
        self.clock.advance(3)
        second = self.give(StandIn())
        self.assertIs(self.pool.take(KEY, lambda _: True), second)
        self.give(second)
        self.clock.advance(1.9)
        self.assertEqual(first.quits, 0)
        self.clock.advance(0.1)
        self.assertEqual((first.quits, second.quits), (1, 0))
        self.clock.advance(3)
        self.assertEqual(second.quits, 1)
        self.assertEqual(len(self.pool), 0)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_taken_before_its_time(self) -> None:
        """The timer of a sender that was taken meanwhile ends nobody."""
        sender = self.give(StandIn())
        self.clock.advance(4)
        self.pool.take(KEY, anything)
        self.clock.advance(4)
        self.assertEqual(sender.quits, 0)
        self.give(sender)
        self.clock.advance(4.9)
        self.assertEqual(sender.quits, 0)

    def test_worn_out(self) -> None:
        """A sender that has done its number of transactions leaves."""
        self.assertEqual(self.give(StandIn(transactions=9), most=10).quits, 0)
        self.assertEqual(self.give(StandIn(transactions=10), most=10).quits, 1)
        self.assertEqual(len(self.pool), 1)

    def test_unhealthy_is_ended(self) -> None:
        """An unhealthy sender isn't kept; one that is gone needs nothing."""
        bad, gone = StandIn(), StandIn()
        bad.healthy = False
        gone.close()
        self.assertEqual((self.give(bad).quits, self.give(gone).quits, len(self.pool)), (1, 0, 0))

    def test_no_idle_time(self) -> None:
        """With an idle time of 0 nothing is kept."""
        self.pool = ConnectionPool(self.clock, 0.0)
        self.assertEqual(self.give(StandIn()).quits, 1)

    def test_bound(self) -> None:
        """Above the bound the one that waits longest leaves, of whatever address."""
        senders = [self.give(StandIn(), key) for key in (OTHER, KEY, KEY, OTHER, KEY)]
        self.assertEqual([sender.quits for sender in senders], [1, 1, 0, 0, 0])
        self.assertEqual(len(self.pool), 3)

    def test_closed_by_the_server(self) -> None:
        """A connection that goes while it waits is forgotten, and hears from the pool once, however often it
        was given."""
        sender = self.give(StandIn())
        for _ in range(3):
            self.pool.take(KEY, anything)
            self.give(sender)
        self.assertEqual(len(sender.listeners), 1)
        sender.close()
        self.assertEqual(len(self.pool), 0)
        self.assertIsNone(self.pool.take(KEY, anything))
        self.clock.advance(10)
        self.assertEqual(sender.quits, 0)

    def test_close(self) -> None:
        """Closing ends all, also those given later, and waits until they, and those that were leaving, are
        gone."""
        leaving = self.give(StandIn(transactions=50))
        idle = self.give(StandIn())
        done = self.pool.close()
        self.assertEqual((leaving.quits, idle.quits), (1, 1))
        self.assertEqual(self.clock.getDelayedCalls(), [])
        leaving.close()
        self.assertNoResult(done)
        idle.close()
        self.successResultOf(done)
        late = self.give(StandIn())
        self.assertEqual((late.quits, len(self.pool)), (1, 0))

    def test_close_empty(self) -> None:
        """Closing an empty pool is done at once."""
        self.successResultOf(self.pool.close())

    def test_shares(self) -> None:
        """When there are too many, the address that has the most gives one up, its oldest; with one each the oldest of all goes."""
        other = attrs.evolve(KEY, port=2525)
        quiet = self.give(StandIn(), other)
        busy = [self.give(StandIn()) for _ in range(5)]
        self.assertEqual([sender.quits for sender in (quiet, *busy)], [0, 1, 1, 1, 0, 0])
        self.pool = ConnectionPool(self.clock, 5.0, max_idle=2)
        each = [self.give(StandIn(), attrs.evolve(KEY, port=port)) for port in (1, 2, 3)]
        self.assertEqual([sender.quits for sender in each], [1, 0, 0])
