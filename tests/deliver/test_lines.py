"""Connections counted by domain and by address, and who waits for one."""

from __future__ import annotations

from collections.abc import Callable
from ipaddress import ip_address

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from seg.deliver.connection_limits import ConnectionLimits, LimitKey, LimitReached
from seg.deliver.limit_waiters import LOOK_AGAIN, LimitWaiters

ONE, TWO = ip_address("192.0.2.1"), ip_address("192.0.2.2")


class FakeSender:
    """A connection that the test closes."""

    def __init__(self) -> None:
        self.close: Callable[[FakeSender], object] = lambda sender: None

    def on_closed(self, callback: Callable[[FakeSender], object]) -> None:
        """Keep it."""
        self.close = callback


class LinesTests(SynchronousTestCase):
    """`ConnectionLimits`."""

    def setUp(self) -> None:
        self.lines = ConnectionLimits()
        self.news: list[LimitKey] = []
        self.lines.on_room = self.news.append

    def test_count(self) -> None:
        """A connection counts for its domain and its address from before it is made until it has closed."""
        line = self.lines.begin("a.example", ONE)
        self.lines.begin("b.example", ONE)
        counted = [self.lines.room(group, 3) for group in ("a.example", "b.example", ONE, TWO)]
        self.assertEqual(counted, [2, 2, 1, 3])
        sender = FakeSender()
        self.lines.made(line, sender)  # type: ignore[arg-type]
        self.assertEqual(self.news, [])
        sender.close(sender)
        self.assertEqual((self.lines.room("a.example", 3), self.lines.room(ONE, 3)), (3, 2))
        self.assertEqual(self.news, ["a.example", ONE])

    def test_never_made(self) -> None:
        """One that can't be made frees its place."""
        self.lines.end(self.lines.begin("a.example", ONE))
        self.assertEqual(self.lines.room(ONE, 1), 1)

    def test_moves(self) -> None:
        """An open connection that takes another domain's message counts for that domain, and the first one hears that it has room."""
        sender = FakeSender()
        self.lines.made(self.lines.begin("a.example", ONE), sender)  # type: ignore[arg-type]
        self.lines.carries(sender, "b.example")  # type: ignore[arg-type]
        self.assertEqual((self.lines.room("a.example", 1), self.lines.room("b.example", 1)), (1, 0))
        self.assertEqual(self.news, ["a.example"])
        self.lines.rests(sender)  # type: ignore[arg-type]
        self.assertEqual(self.news, ["a.example", "b.example", ONE])
        self.assertIs(self.lines.within([sender], ONE), sender)  # type: ignore[list-item]
        self.assertIsNone(self.lines.within([sender], "a.example"))  # type: ignore[list-item]
        sender.close(sender)
        self.assertEqual((self.lines.room("b.example", 1), self.lines.room(ONE, 1)), (1, 1))

    def test_limit_lowered(self) -> None:
        """More connections than a new limit allows are no negative room."""
        for _ in range(3):
            self.lines.begin("a.example", ONE)
        self.assertEqual(self.lines.room(ONE, 2), 0)
        self.assertEqual([self.lines.over("a.example", limit) for limit in (2, 3)], [True, False])


class CrowdTests(SynchronousTestCase):
    """`LimitWaiters`."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.called: list[str] = []
        self.waiters = LimitWaiters(self.clock, self.called.append)
        self.room = {ONE: 0, TWO: 0}

    def waits(self, domain: str, *addresses: object) -> None:
        """A domain begins to wait for these."""
        self.waiters.add(domain, [LimitReached(group, lambda g=group: self.room[g]) for group in addresses])  # type: ignore

    def test_in_turn(self) -> None:
        """Each place that gets free calls one domain, the one that waits longest; those of other addresses wait on."""
        self.waits("a.example", ONE)
        self.waits("b.example", ONE, TWO)
        self.waits("c.example", TWO)
        self.waiters.freed(ONE)
        self.waiters.freed("a.example")
        self.clock.advance(0)
        self.assertEqual(self.called, ["a.example"])
        self.waiters.freed(TWO)
        self.waiters.freed(ONE)  # who waited for both has been called
        self.clock.advance(0)
        self.assertEqual(self.called, ["a.example", "b.example"])
        self.assertEqual([d in self.waiters for d in ("a.example", "b.example", "c.example")], [False, False, True])

    def test_room_since(self) -> None:
        """Who has had room meanwhile doesn't wait."""
        self.room[TWO] = 1
        self.waits("a.example", ONE, TWO)
        self.assertNotIn("a.example", self.waiters)

    def test_by_time(self) -> None:
        """Room that nobody tells of is seen by a look each second, and no more are called than there is room for."""
        for number in range(5):
            self.waits(f"{number}.example", ONE)
        self.clock.advance(LOOK_AGAIN)
        self.assertEqual(self.called, [])
        self.room[ONE] = 2
        self.clock.advance(LOOK_AGAIN)
        self.clock.advance(0)
        self.assertEqual(self.called, ["0.example", "1.example"])
        self.assertEqual(self.waiters.clear(), ("2.example", "3.example", "4.example"))
        self.assertEqual(self.clock.getDelayedCalls(), [])
