"""How much is done in one turn of the reactor. One event may be what a thousand wait for: an answer of the DNS, a host's greeting, a write
to the disk, a time-out of many, a resume. Each then goes on with its work at once, and it adds up to seconds, unless they go on a few at a
time, so that others are served in between."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any, Final, TypeVar

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.python.failure import Failure

AT_A_TURN: Final = 5  # calls in one turn, of which each may take some milliseconds

T = TypeVar("T")


class TurnBudget:
    """What may still be done before the sockets are looked at again.

    The reactor is asked for another turn only when half is spent, so that a message now and then costs no timer.

    :param go_on: called in the next turn when there is a new budget.
    :param most: in any unit.
    :ivar left: whoever spends takes from it, then calls `renew_later` if it is `low`.
    """

    def __init__(self, clock: IReactorTime, go_on: Callable[[], object], most: int) -> None:
        self._clock = clock
        self._go_on = go_on
        self._most = most
        self._timer: IDelayedCall | None = None
        self.left = most

    @property
    def low(self) -> bool:
        """Whether half of it is spent."""
        return 2 * self.left <= self._most

    def renew_later(self) -> None:
        """Have a new one in the next turn."""
        if self._timer is None:
            self._timer = self._clock.callLater(0, self._renew)

    def stop(self) -> None:
        """Nothing more is to begin."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _renew(self) -> None:
        self._timer = None
        self.left = self._most
        self._go_on()


class SpreadCalls:
    """Makes calls in the order in which they are asked for, a few in each turn of the reactor: the first ones at once.

    :param most: calls in one turn.
    """

    def __init__(self, clock: IReactorTime, most: int = AT_A_TURN) -> None:
        self._clock = clock
        self._waiting: deque[tuple[Callable[..., object], tuple[Any, ...]]] = deque()
        self._calling = False
        self._budget = TurnBudget(clock, self._go_on, most)

    def __len__(self) -> int:
        """Calls that wait for their turn."""
        return len(self._waiting)

    def call(self, work: Callable[..., object], *arguments: Any) -> None:
        """Call this when its turn comes."""
        self._waiting.append((work, arguments))
        self._go_on()

    def each(self, work: Callable[[T], object], items: Iterable[T]) -> None:
        """Call it with each of these."""
        self._waiting.extend((work, (item,)) for item in items)
        self._go_on()

    def fire(self, waiters: Iterable[Deferred[T]], result: T | Failure | None = None) -> None:
        """Let all go on who wait, with a result or a failure; but for those who were cancelled."""
        self.each(partial(_fire, result), waiters)

    def callLater(self, delay: float, callable: Callable[..., object], *args: Any) -> IDelayedCall:
        """As `IReactorTime.callLater`, for time-outs that may come together: when its time has come, a call waits for its turn."""
        later: IDelayedCall = self._clock.callLater(delay, self.call, callable, *args)
        return later

    def _go_on(self) -> None:
        if self._calling:  # the loop further up goes on
            return
        self._calling = True
        budget = self._budget
        try:
            while self._waiting and budget.left > 0:
                budget.left -= 1
                work, arguments = self._waiting.popleft()
                work(*arguments)
        finally:
            self._calling = False
            if (
                budget.low or self._waiting
            ):  # the latter where a call has raised: those behind it have their turn all the same
                budget.renew_later()


def _fire(result: Any, waiter: Deferred[Any]) -> None:
    if not waiter.called:
        waiter.callback(result)  # a Failure takes the errback path
