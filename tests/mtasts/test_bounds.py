"""What ends a fetch from outside: its time, and others who need its turn."""

from __future__ import annotations

from ipaddress import ip_address

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from seg.policy.mtasts.bounds import FetchBounds
from seg.policy.mtasts.errors import FetchError, FetchFault, OwnFetchFault
from seg.policy.mtasts.turns import SLOW, UNHEARD, Claim, FetchTurns
from seg.policy.mtasts.verified import FetchProgress

HOST = ip_address("192.0.2.1")
LIMIT = 60.0


class BoundsTests(SynchronousTestCase):
    """`FetchBounds`, with one turn for all."""

    def setUp(self) -> None:
        """Nobody fetches; there is one turn at a time."""
        self.clock = Clock()
        self.turns = FetchTurns(self.clock, 1, LIMIT)

    def fetch(self, work: Deferred[str], limit: float = LIMIT) -> Deferred[str]:
        """Fetch from a host: wait for the turn, then for the work."""
        bounds = FetchBounds(self.clock, limit, self.turns, Claim(), FetchProgress())

        async def fetching() -> str:
            await bounds.turn_at(HOST)
            return await work

        return Deferred.fromCoroutine(bounds.within(fetching()))

    def test_turn_taken_away(self) -> None:
        """A silent host's turn goes to one that waits: that is a fault of ours, tells nothing of the host, and leaves no timer."""
        silent = self.fetch(Deferred())
        waiting: Deferred[str] = Deferred()
        honest = self.fetch(waiting)
        self.clock.pump([0.1] * round((UNHEARD + 1) * 10))
        fault = self.failureResultOf(silent, OwnFetchFault).value
        self.assertEqual((fault.fault, fault.cause), (FetchFault.BUSY, "all 1 fetches are busy"))
        waiting.callback("policy")
        self.assertEqual(self.successResultOf(honest), "policy")
        self.assertEqual((self.clock.getDelayedCalls(), list(self.turns._running)), ([], []))

    def test_first_reason_counts(self) -> None:
        """Work that takes its time to end is told by what ended it, whatever else would have ended it meanwhile."""
        slow: Deferred[str] = Deferred(lambda _: _.callback("not yet"))
        last: Deferred[str] = Deferred()
        bounds = FetchBounds(self.clock, 2 * SLOW, self.turns, Claim(), FetchProgress())

        async def fetching() -> str:
            await bounds.turn_at(HOST)
            try:
                await slow
            finally:
                await last
            return ""

        silent = Deferred.fromCoroutine(bounds.within(fetching()))
        honest = self.fetch(Deferred())
        self.clock.pump([0.1] * round((UNHEARD + 1) * 10))
        self.assertNoResult(silent)
        self.clock.pump([1.0] * round(2 * SLOW))
        self.assertNoResult(silent)
        last.errback(ValueError("ended at last"))
        self.assertIs(self.failureResultOf(silent, OwnFetchFault).value.fault, FetchFault.BUSY)
        honest.cancel()
        self.failureResultOf(honest, CancelledError)

    def test_time(self) -> None:
        """The time of a fetch is its own: that in which it waits for its turn doesn't count."""
        first = self.fetch(Deferred(), 1.0)
        second = self.fetch(Deferred(), 0.5)
        self.clock.advance(0.9)
        self.assertNoResult(second)
        self.clock.advance(0.1)
        self.assertIs(self.failureResultOf(first, FetchError).value.fault, FetchFault.TIMEOUT)
        self.clock.advance(0.4)
        self.assertNoResult(second)
        self.clock.advance(0.1)
        self.failureResultOf(second, FetchError)
        self.assertEqual(self.clock.getDelayedCalls(), [])
