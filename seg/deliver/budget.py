"""How much is begun in one turn of the reactor: a message to a thousand domains, or a list of many that may go again, is worked off
over many turns, so that others are served in between."""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.interfaces import IDelayedCall, IReactorTime

STARTS = 10  # attempts that begin in one turn; each costs a millisecond or two
LOOKS = 50  # at destinations that aren't to have one now, that cost as much as a start


class TurnBudget:
    """What may still be begun before the sockets are looked at again, in looks at a destination.

    The reactor is asked for another turn only when half is spent, so that a message now and then costs no timer.

    :param go_on: called in the next turn when there is a new budget.
    :ivar left: whoever spends takes from it, then calls `renew_later` if it is `low`.
    """

    def __init__(self, clock: IReactorTime, go_on: Callable[[], object]) -> None:
        self._clock = clock
        self._go_on = go_on
        self._timer: IDelayedCall | None = None
        self.left = STARTS * LOOKS

    @property
    def low(self) -> bool:
        """Whether half of it is spent."""
        return 2 * self.left <= STARTS * LOOKS

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
        self.left = STARTS * LOOKS
        self._go_on()
