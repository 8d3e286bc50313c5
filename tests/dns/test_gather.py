"""Coroutines side by side."""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.trial.unittest import SynchronousTestCase

from seg.common.concurrently import side_by_side


class SideBySideTests(SynchronousTestCase):
    """`side_by_side`."""

    def setUp(self) -> None:
        self.waits: list[Deferred[Any]] = []
        self.log: list[str] = []

    async def step(self, name: str, waits: int = 0, error: Exception | None = None) -> str:
        """A coroutine that waits some times; cancelling it is noted."""
        try:
            for _ in range(waits):
                wait: Deferred[str] = Deferred()
                self.waits.append(wait)
                self.log.append(name + await wait)
        except CancelledError:
            self.log.append(f"{name} cancelled")
            raise
        if error is not None:
            raise error
        return name

    def run_all(self, *steps: Coroutine[Deferred[Any], Any, str]) -> Deferred[list[str]]:
        """Begin all."""
        return Deferred.fromCoroutine(side_by_side(steps))

    def test_at_hand(self) -> None:
        """What doesn't wait is there at once, in order."""
        self.assertEqual(self.successResultOf(self.run_all(self.step("a"), self.step("b"))), ["a", "b"])
        self.assertEqual(self.successResultOf(self.run_all()), [])

    def test_waiting(self) -> None:
        """Those that wait go on by themselves; the results keep the order given."""
        running = self.run_all(self.step("a", 2), self.step("b"), self.step("c", 1))
        self.waits[1].callback("1")
        self.waits[0].callback("1")
        self.assertNoResult(running)
        self.waits[2].callback("2")
        self.assertEqual(self.successResultOf(running), ["a", "b", "c"])
        self.assertEqual(self.log, ["c1", "a1", "a2"])

    def test_error_in_a_wait(self) -> None:
        """A failed wait is raised inside the coroutine."""
        running = self.run_all(self.step("a", 1), self.step("b"))
        self.waits[0].errback(KeyError("x"))
        self.failureResultOf(running, KeyError)

    def test_first_error(self) -> None:
        """All end before the first error, in the order given, is raised."""
        errors = (self.step("b", 0, ValueError()), self.step("c", 0, KeyError()))
        running = self.run_all(self.step("a", 1), *errors)
        self.assertNoResult(running)
        self.waits[0].callback("1")
        self.failureResultOf(running, ValueError)

    def test_cancel(self) -> None:
        """Cancelling cancels all that wait."""
        running = self.run_all(self.step("a", 1), self.step("b"), self.step("c", 2))
        running.cancel()
        self.failureResultOf(running, CancelledError)
        self.assertEqual(self.log, ["a cancelled", "c cancelled"])
