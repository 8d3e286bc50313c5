"""Sees when the system's clock is set while the gateway runs, or was wrong at the start, and tells of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Final

from twisted.internet.interfaces import IDelayedCall, IReactorTime

from seg.common.clock import SteadyClock, ahead, posix
from seg.events.base import IEventSink
from seg.events.conditions import Condition
from seg.events.gateway import ConditionKind

EVERY: Final = 1.0  # seconds between two looks
TOLD: Final = 5.0  # seconds by which the clock has to be set before that is told
LASTS: Final = 600.0  # seconds without another step after which the clock counts as right again


class ClockWatch:
    """Compares the system's clock with the time that has passed.

    :param stepped: called with the seconds by which the system's clock was set, when it was.
    """

    def __init__(self, clock: IReactorTime, sink: IEventSink, stepped: Callable[[float], object]) -> None:
        self._clock = clock
        self._stepped = stepped
        self._condition = Condition(sink, ConditionKind.CLOCK)
        self._ahead = 0.0
        self._quiet_at = 0.0  # when the last step is long enough ago
        self._call: IDelayedCall | None = None

    def start(self, youngest: float = 0.0) -> None:
        """Begin.

        :param youngest: when the run before wrote something last, in POSIX seconds: it can't have been later than now.
        """
        if isinstance(self._clock.seconds, SteadyClock):
            self._clock.seconds.watched()
        self._ahead = ahead(self._clock)
        if youngest - posix(self._clock) > TOLD:
            behind = span(youngest - posix(self._clock))
            self._tell(f"the system's clock is {behind} behind what this gateway wrote before it was started")
        self._call = self._clock.callLater(EVERY, self._look)

    def stop(self) -> None:
        """Look no more."""
        if self._call is not None:
            self._call.cancel()
            self._call = None

    def _look(self) -> None:
        self._call = self._clock.callLater(EVERY, self._look)
        now = ahead(self._clock)
        step, self._ahead = now - self._ahead, now
        if abs(step) >= TOLD:
            way = "forward" if step > 0 else "back"
            slept = " (or the machine slept, or the gateway was stopped)" if step > 0 else ""
            self._tell(
                f"the system's clock was set {way} by {span(abs(step))}{slept}; waits and retries go on by the time passed"
            )
        elif self._condition.active and self._clock.seconds() >= self._quiet_at:
            self._condition.end("the system's clock has gone evenly for ten minutes")
        if step:
            self._stepped(step)

    def _tell(self, text: str) -> None:
        self._quiet_at = self._clock.seconds() + LASTS
        self._condition.begin(text)


def last_written(paths: Iterable[Path]) -> float:
    """When one of these files was changed last, in POSIX seconds; 0.0: there is none."""
    return max((path.stat().st_mtime for path in paths if path.exists()), default=0.0)


def span(seconds: float) -> str:
    """A time for people, rounded: "3 days", "2 hours", "90 seconds"."""
    for size, name in ((86400, "days"), (3600, "hours"), (60, "minutes")):
        if seconds >= 1.99 * size:  # 7,199.9 seconds are 2 hours, not 120 minutes
            return f"{seconds / size:.0f} {name}"
    return f"{seconds:.0f} seconds"
