"""Domains whose messages wait until a connection is free, or until a limit of recipients allows more."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from twisted.internet.interfaces import IDelayedCall, IReactorTime

from seg.common.spread import SpreadCalls
from seg.deliver.connection_limits import LimitKey, LimitReached

LOOK_AGAIN = 1.0  # seconds between two looks, for room that comes by time alone


class LimitWaiters:
    """They wait in line for each group; as many are called as there is room for.

    :param ready: called with a domain that may try again.
    """

    def __init__(self, clock: IReactorTime, ready: Callable[[str], object]) -> None:
        self._clock = clock
        self._ready = ready
        self._reasons: dict[str, tuple[LimitReached, ...]] = {}
        self._lines: dict[LimitKey, dict[str, LimitReached]] = {}  # who waits for a group, in turn
        self._timer: IDelayedCall | None = None
        self._calls = SpreadCalls(clock)

    def __len__(self) -> int:
        return len(self._reasons)

    def __contains__(self, domain: str) -> bool:
        return domain in self._reasons

    def why(self, domain: str) -> str:
        """Why a domain waits, in words."""
        return "; ".join(dict.fromkeys(map(str, self._reasons[domain])))

    def add(self, domain: str, reasons: Sequence[LimitReached]) -> None:
        """Let a domain wait for any of these groups. It doesn't when one has had room since."""
        if not reasons or any(reason.room() for reason in reasons):
            return
        self._remove(domain)
        self._reasons[domain] = tuple(reasons)
        for reason in reasons:
            self._lines.setdefault(reason.group, {})[domain] = reason
        self._arm()

    def freed(self, group: LimitKey) -> None:
        """There is room in a group: whoever waits longest for it is called, in a later turn of the reactor."""
        waiting = self._lines.get(group)
        if waiting:
            self._call(next(iter(waiting)))

    def clear(self) -> tuple[str, ...]:
        """Nobody waits any more; who did."""
        domains = tuple(self._reasons)
        self._reasons.clear()
        self._lines.clear()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        return domains

    def _call(self, domain: str) -> None:
        self._remove(domain)
        self._calls.callLater(0, self._ready, domain)

    def _remove(self, domain: str) -> None:
        for reason in self._reasons.pop(domain, ()):
            waiting = self._lines.get(reason.group, {})
            waiting.pop(domain, None)
            if not waiting:
                self._lines.pop(reason.group, None)

    def _arm(self) -> None:
        if self._timer is None and self._reasons:
            self._timer = self._clock.callLater(LOOK_AGAIN, self._look)

    def _look(self) -> None:
        self._timer = None
        for waiting in tuple(self._lines.values()):
            if waiting:
                room = next(iter(waiting.values())).room()
                for domain in tuple(waiting)[:room]:
                    self._call(domain)
        self._arm()
