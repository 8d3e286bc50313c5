"""What bounds one fetch from outside: its time, and its turns."""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any, TypeVar

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime

from seg.mail.hosts import IPAddress
from seg.policy.mtasts.errors import FetchError, FetchFault
from seg.policy.mtasts.turns import Claim, FetchTurns, Turn
from seg.policy.mtasts.verified import FetchProgress

T = TypeVar("T")


class FetchBounds:
    """The time and the turn of one fetch. Waiting for a turn doesn't count.

    :param limit: seconds for the whole of the fetch.
    """

    def __init__(
        self, clock: IReactorTime, limit: float, turns: FetchTurns, claim: Claim, progress: FetchProgress
    ) -> None:
        self.limit = limit
        self.progress = progress
        self._clock = clock
        self._turns = turns
        self._claim = claim
        self._turn: Turn | None = None
        self._work: Deferred[Any] | None = None
        self._left = limit
        self._since = 0.0
        self._timer: IDelayedCall | None = None
        self._stopped: Exception | None = None  # why it was cancelled from here

    async def within(self, coroutine: Coroutine[Deferred[Any], Any, T]) -> T:
        """The result of the fetch.

        :raises FetchError: it took too long.
        :raises seg.policy.mtasts.errors.OwnFetchFault: others needed its turn.
        """
        self._go_on()
        work = self._work = Deferred.fromCoroutine(coroutine)
        try:
            return await work
        except Exception:
            if self._stopped is not None:
                raise self._stopped from None
            raise
        finally:
            self._pause()
            self._give_back()

    async def turn_at(self, address: IPAddress | None) -> None:
        """Wait for the turn to connect to an address (None: one that isn't known); a turn for another one is given back.

        :raises seg.policy.mtasts.errors.OwnFetchFault: there was none in time.
        """
        self._give_back()
        self._pause()
        self.progress.doing = "waiting for its turn"
        try:
            self._turn = await self._turns.take(self._claim, address, lambda: self.progress.facts.tls, self._taken_away)
        finally:
            self._go_on()

    def _give_back(self) -> None:
        turn, self._turn = self._turn, None
        if turn is not None:
            self._turns.give_back(turn)

    def _taken_away(self) -> None:
        self._turn = None
        self._stop(self._turns.busy)

    def _go_on(self) -> None:
        self._since = self._clock.seconds()
        self._timer = self._clock.callLater(max(0.0, self._left), self._too_late)

    def _pause(self) -> None:
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
            self._timer = None
            self._left -= self._clock.seconds() - self._since

    def _too_late(self) -> None:
        self._timer = None
        self._left = 0.0
        text = f"timed out after {self.limit:.0f} s {self.progress.doing}"
        self._stop(FetchError(FetchFault.TIMEOUT, text))

    def _stop(self, why: Exception) -> None:
        if self._stopped is None and self._work is not None:
            self._stopped = why
            self._work.cancel()
