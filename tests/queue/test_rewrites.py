"""Outcomes of one message to many recipients that come together are written once."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from seg.queue.rewrites import FEW, LONGEST_PAUSE, SharedRewrites


class SharedRewriteTests(SynchronousTestCase):
    """`SharedRewrites`."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.rewrites = SharedRewrites(self.clock)
        self.writes: list[Deferred[None]] = []

    def ask(self, recipients: int, mid: int = 1) -> Deferred[None]:
        """Ask for a write of a message's envelope."""

        async def write() -> None:
            self.writes.append(Deferred())
            await self.writes[-1]

        work: Any = self.rewrites.write(mid, recipients, write)
        return Deferred.fromCoroutine(work)

    def test_many(self) -> None:
        """A thousand outcomes of a thousand recipients come to two writes: the one under way, and one for all that came meanwhile; the
        second begins half a second later at the latest."""
        asked = [self.ask(1000) for _ in range(1000)]
        self.assertEqual(len(self.writes), 1)
        self.writes[0].callback(None)
        self.successResultOf(asked[0])
        self.assertNoResult(asked[1])
        self.clock.advance(LONGEST_PAUSE)
        self.assertEqual(len(self.writes), 2)
        self.writes[1].callback(None)
        self.clock.advance(0)
        for each in asked[1:]:
            self.successResultOf(each)
        self.clock.advance(LONGEST_PAUSE)
        self.ask(1000)
        self.assertEqual(len(self.writes), 3)

    def test_few(self) -> None:
        """Of a message to a few each outcome is written at once."""
        for _ in range(3):
            self.ask(FEW)
        self.assertEqual(len(self.writes), 3)

    def test_others(self) -> None:
        """Other messages don't wait."""
        self.ask(1000)
        self.ask(1000, mid=2)
        self.assertEqual(len(self.writes), 2)

    def test_failure(self) -> None:
        """Who asked for a write that fails hears of it; the next one is tried."""
        first, second = self.ask(1000), self.ask(1000)
        self.writes[0].errback(OSError(28, "No space left on device"))
        self.failureResultOf(first, OSError)
        self.clock.advance(LONGEST_PAUSE)
        self.writes[1].callback(None)
        self.successResultOf(second)
