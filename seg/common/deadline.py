"""A time-out that is moved with nearly every reply, and so must cost next to nothing to move."""

from __future__ import annotations

from collections.abc import Callable
from math import inf

from twisted.internet.interfaces import IDelayedCall, IReactorTime


class Deadline:
    """Calls `expired` once when a deadline passes that was neither moved nor cleared.

    Moving it later only stores a number; the one timer that runs looks at it when it fires.
    """

    def __init__(self, clock: IReactorTime, expired: Callable[[], None]) -> None:
        self._clock = clock
        self._expired = expired
        self._at = inf
        self._timer: IDelayedCall | None = None
        self.since = clock.seconds()  # when it was last set

    def set(self, seconds: float) -> None:
        """Expire `seconds` from now."""
        self.since = now = self._clock.seconds()
        self._at = now + seconds
        if self._timer is None:
            self._timer = self._clock.callLater(seconds, self._fired)
        elif self._timer.getTime() > self._at:
            self._timer.reset(seconds)

    def clear(self) -> None:
        """Don't expire; cheap, for it leaves the timer running."""
        self._at = inf

    def stop(self) -> None:
        """Clear, and leave no timer behind."""
        self._at = inf
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _fired(self) -> None:
        self._timer = None
        remaining = self._at - self._clock.seconds()
        if remaining <= 0:
            self._at = inf
            self._expired()
        elif remaining < inf:
            self._timer = self._clock.callLater(remaining, self._fired)
