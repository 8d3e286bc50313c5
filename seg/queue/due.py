"""Who is due: for each destination the messages in the order in which they became so, and when the next ones
will."""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Callable

from twisted.internet.interfaces import IDelayedCall, IReactorTime

SPARE = 64  # wakes out of date that don't matter
AT_ONCE = 200  # messages woken before the reactor gets its turn


class DueQueue:
    """FIFOs of due MIDs by destination, and one timer for all that will be due later.

    Entries may be out of date: whoever takes one looks at the message again.

    :param wake: called with (MID, time asked for) when that time has come.
    """

    def __init__(self, clock: IReactorTime, wake: Callable[[int, float], None]) -> None:
        self._clock = clock
        self._wake = wake
        self._due: dict[str, deque[int]] = {}
        self._later: list[tuple[float, int]] = []  # a heap
        self._timer: IDelayedCall | None = None
        self._timer_at = 0.0
        self._subscribers: list[Callable[[str], None]] = []
        self._stopped = False

    def subscribe(self, on_ready: Callable[[str], None]) -> None:
        """Call `on_ready` with each destination that has due messages, now and whenever one comes to have
        some."""
        self._subscribers.append(on_ready)
        for domain in list(self._due):
            on_ready(domain)

    def add(self, domain: str, mid: int) -> None:
        """A message is due at a destination."""
        waiting = self._due.get(domain)
        if waiting is not None:
            waiting.append(mid)
            return
        self._due[domain] = deque((mid,))
        for on_ready in self._subscribers:
            on_ready(domain)

    def take(self, domain: str) -> int | None:
        """The MID that waits longest for a destination, no longer in the list."""
        waiting = self._due.get(domain)
        if waiting is None:
            return None
        mid = waiting.popleft()
        if not waiting:
            del self._due[domain]
        return mid

    def wake_at(self, when: float, mid: int) -> None:
        """Wake a message at a time in POSIX seconds (as the clock's)."""
        heapq.heappush(self._later, (when, mid))
        if self._later[0][0] == when:
            self._set_timer()

    def trim(self, messages: int, live: Callable[[int, float], bool]) -> None:
        """Forget wakes that nobody waits for, once they are more than the others: what is finished leaves nothing behind.

        :param messages: how many there are; each has at most one wake that counts.
        :param live: whether a (MID, time asked for) counts.
        """
        if not messages:
            self._later = []
            self._cancel_timer()
        elif len(self._later) > 2 * messages + SPARE:
            self._later = [(when, mid) for when, mid in self._later if live(mid, when)]
            heapq.heapify(self._later)

    def stop(self) -> None:
        """Wake nobody any more."""
        self._stopped = True
        self._cancel_timer()

    def _set_timer(self) -> None:
        if self._stopped or not self._later:
            return
        when = self._later[0][0]
        if self._timer is not None and self._timer.active():
            if self._timer_at <= when:
                return
            self._cancel_timer()
        self._timer_at = when
        self._timer = self._clock.callLater(max(0.0, when - self._clock.seconds()), self._time_has_come)

    def _cancel_timer(self) -> None:
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
        self._timer = None

    def _time_has_come(self) -> None:
        self._timer = None
        now = self._clock.seconds()
        for _ in range(AT_ONCE):
            if not self._later or self._later[0][0] > now:
                break
            when, mid = heapq.heappop(self._later)
            self._wake(mid, when)
        self._set_timer()
