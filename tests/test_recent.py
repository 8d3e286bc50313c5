"""What was learnt of other hosts a while ago."""

from __future__ import annotations

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from seg.common.recent import Recent


class RecentTests(SynchronousTestCase):
    """`Recent`."""

    def test_lifetime(self) -> None:
        """It holds for its lifetime, from when it was learnt last; a clock that was set back ends it."""
        clock = Clock()
        recent: Recent[str, int] = Recent(10.0, clock.seconds)
        recent.learn("a", 1)
        clock.advance(9)
        self.assertEqual((recent.get("a"), recent.get("b")), (1, None))
        recent.learn("a", 2)
        clock.advance(9)
        self.assertEqual(recent.get("a"), 2)
        clock.advance(1)
        self.assertEqual((recent.get("a"), len(recent)), (None, 0))
        recent.learn("a", 3)
        clock.rightNow -= 100
        self.assertIsNone(recent.get("a"))

    def test_bound(self) -> None:
        """Of many hosts the last ones are remembered."""
        recent: Recent[int, int] = Recent(10.0, lambda: 0.0, most=100)
        for host in range(1000):
            recent.learn(host, host)
        self.assertEqual((len(recent), recent.get(0), recent.get(999)), (100, None, 999))
