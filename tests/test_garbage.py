"""The garbage collector's full rounds."""

from __future__ import annotations

import gc
from typing import Any
from unittest.mock import patch

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from seg.common import garbage
from seg.common.garbage import CALM, GarbageCollection


class Turns(Clock):
    """A clock with turns of a reactor."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[Any] = []

    def callFromThread(self, work: Any) -> None:
        """It is called by `turn`."""
        self.asked.append(work)

    def turn(self) -> None:
        """All that was asked for."""
        asked, self.asked = self.asked, []
        for work in asked:
            work()


class Circle:
    """Refers to itself, so that only the collector frees it."""

    def __init__(self, freed: list[int]) -> None:
        self.me = self
        self._freed = freed

    def __del__(self) -> None:
        self._freed.append(1)


class GarbageTests(SynchronousTestCase):
    """`GarbageCollection`."""

    def setUp(self) -> None:
        for name, number in (("MOST_SEEN", 2000), ("MANY", 3000), ("VERY_MANY", 30_000), ("SHARE", 1000)):
            patched = patch.object(garbage, name, number)
            patched.start()
            self.addCleanup(patched.stop)
        self.before = gc.get_threshold(), list(gc.callbacks), gc.get_freeze_count()
        self.reactor = Turns()
        self.records = 0
        self.collection = GarbageCollection(self.reactor, lambda: self.records)
        self.collection.start()
        self.addCleanup(self.collection.stop)
        self.most = 0  # objects that a full round went through
        gc.callbacks.append(self._began)
        self.addCleanup(gc.callbacks.remove, self._began)
        self.alive: list[Any] = []

    def _began(self, phase: str, info: dict[str, Any]) -> None:
        if phase == "start" and info["generation"] == 2:
            self.most = max(self.most, sum(len(gc.get_objects(generation=number)) for number in range(3)))

    def grow(self, number: int, turns: bool = True) -> None:
        """So many objects more that live long."""
        for count in range(number):
            self.alive.append([count])
            if turns and not count % 100:
                self.reactor.turn()

    def test_grows(self) -> None:
        """What grows while the gateway runs is gone through once or twice, however much there is: a full round stays short."""
        self.records = 200_000
        self.grow(100_000)
        self.assertLess(self.most, 40_000)
        self.assertGreater(self.most, 0)
        self.assertEqual(self.reactor.getDelayedCalls()[0].getTime(), CALM)

    def test_python_makes_none(self) -> None:
        """No full round comes of itself in the midst of other work."""
        self.grow(100_000, turns=False)
        self.assertEqual(self.most, 0)
        self.assertEqual(len(self.reactor.asked), 1)

    def test_left_out(self) -> None:
        """What has become garbage after it was left out goes when nothing goes on."""
        freed: list[int] = []
        self.alive.extend(Circle(freed) for _ in range(5000))
        self.grow(20_000)
        self.alive.clear()
        self.grow(20_000)
        self.assertEqual(len(freed), 0)
        self.reactor.advance(CALM)
        self.assertEqual(len(freed), 5000)

    def test_no_calm(self) -> None:
        """When there is never a quiet time it goes when it is very much."""
        freed: list[int] = []
        self.alive.extend(Circle(freed) for _ in range(40_000))
        self.grow(20_000)
        self.alive.clear()
        self.grow(80_000)
        self.assertEqual(len(freed), 40_000)

    def test_records(self) -> None:
        """A queue's records are never gone through again."""
        self.grow(20_000)
        self.records = 20_000
        self.most = 0
        self.reactor.advance(CALM)
        self.assertEqual(self.most, 0)

    def test_stopped(self) -> None:
        """Afterwards everything is as it was, and what is still asked for does nothing."""
        self.grow(50_000, turns=False)
        gc.callbacks.remove(self._began)
        self.collection.stop()
        self.reactor.turn()
        self.assertEqual((gc.get_threshold(), gc.callbacks, gc.get_freeze_count()), (*self.before[:2], 0))
        self.assertEqual(self.reactor.getDelayedCalls(), [])
        gc.callbacks.append(self._began)
