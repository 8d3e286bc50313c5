"""Two clocks: elapsed time, which timers, waits and ages are measured by, and POSIX time, which is written to files and shown.

The gateway's reactor gets a `SteadyClock` before anything is scheduled (`seg.gateway.service`): ``reactor.seconds()`` and
``reactor.callLater`` then don't notice that the system's clock is set. Code that needs POSIX time asks `posix`; a moment that
comes from a file or goes into one is translated by `as_steady` and `as_posix`. For a clock of tests that is no `SteadyClock`
both are the same.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Final

from twisted.internet.interfaces import IReactorTime

STEP: Final = 1.0  # seconds that the system's clock has to be off before that counts as set
STANDSTILL: Final = (
    3.0  # seconds without a look at a clock that is looked at each second: the process was stopped meanwhile
)


class SteadyClock:
    """Seconds that begin at POSIX time and go on with the monotonic clock, whatever becomes of the system's clock.

    It begins at POSIX time, not at 0, for what a third party (or Twisted's own web log) shows of ``reactor.seconds()``.

    Time in which the process didn't run (a signal, a machine halted for a snapshot, a reactor kept busy) doesn't count once `watched`
    was called, as the time of a machine that sleeps doesn't: nobody can have been late meanwhile, and above all no time-out that
    fired for that reason may be taken for the silence of a policy host or a resolver.

    :param elapsed: a clock that is never set.
    :param system: the system's clock, in POSIX seconds.
    """

    def __init__(self, elapsed: Callable[[], float] = time.monotonic, system: Callable[[], float] = time.time) -> None:
        self._elapsed = elapsed
        self.posix = system
        self._begin = system() - elapsed()
        self._ahead = 0.0
        self._seen: float | None = None  # when it was last asked; None: not yet `watched`
        self._lock = threading.Lock()
        self.stood_still = 0.0  # seconds in which the process didn't run

    def __call__(self) -> float:
        """The present time."""
        now = self._elapsed()
        seen = self._seen
        if seen is not None:
            if now - seen > STANDSTILL:
                self._skip(now)
            self._seen = now
        return self._begin + now - self.stood_still

    def watched(self) -> None:
        """Somebody asks each second from now on (`seg.gateway.clockwatch`): whenever nobody does, the process stands still."""
        self._seen = self._elapsed()

    def _skip(self, now: float) -> None:
        """Leave out a standstill but for a second; of threads that see the same one the first does."""
        with self._lock:
            if self._seen is not None and now - self._seen > STANDSTILL:
                self.stood_still += now - self._seen - 1.0
                self._seen = now

    def ahead(self) -> float:
        """Seconds by which the system's clock is ahead of this one; exactly 0.0 until it is set (or machine or process stops)."""
        ahead = self.posix() - self()
        if abs(ahead - self._ahead) > STEP:
            self._ahead = ahead
        return self._ahead


def posix(clock: IReactorTime) -> float:
    """The present time in POSIX seconds, as it is written and shown; never to be compared with ``clock.seconds()``."""
    steady = clock.seconds
    return steady.posix() if isinstance(steady, SteadyClock) else steady()


def posix_of(clock: IReactorTime) -> Callable[[], float]:
    """`posix` of one clock, for those who ask often; the clock has its `SteadyClock` already."""
    steady = clock.seconds
    return steady.posix if isinstance(steady, SteadyClock) else lambda: posix(clock)


def cautious_of(clock: IReactorTime) -> Callable[[], float]:
    """POSIX seconds that never jump forward: for what must not end early, as a TLS policy, when the system's clock is set ahead.

    A clock that is set back is followed.
    """
    return lambda: min(posix(clock), clock.seconds())


def ahead(clock: IReactorTime) -> float:
    """Seconds by which POSIX time is ahead of ``clock.seconds()``."""
    steady = clock.seconds
    return steady.ahead() if isinstance(steady, SteadyClock) else 0.0


def stood_still(clock: IReactorTime) -> float:
    """Seconds in which the process didn't run; more of them than before: what failed meanwhile may have failed for that reason."""
    steady = clock.seconds
    return steady.stood_still if isinstance(steady, SteadyClock) else 0.0


def as_posix(clock: IReactorTime, moment: float) -> float:
    """A moment of ``clock.seconds()`` in POSIX seconds."""
    return moment + ahead(clock)


def as_steady(clock: IReactorTime, moment: float) -> float:
    """A moment in POSIX seconds as ``clock.seconds()`` counts it."""
    return moment - ahead(clock)
