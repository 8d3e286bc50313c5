"""The log lines of connections that are refused before they have a session: many of them must not fill the log."""

from __future__ import annotations

from typing import Final

from twisted.internet.interfaces import IDelayedCall, IReactorTime

from seg.events.base import IEventSink
from seg.events.receive import ReceiveFailed

MOST: Final = 20  # lines in a minute; the others are counted
MINUTE: Final = 60.0  # seconds


class RefusedConnections:
    """Tells of the first refusals in each minute, and how many more there were."""

    def __init__(self, sink: IEventSink, clock: IReactorTime) -> None:
        self._sink = sink
        self._clock = clock
        self._told = 0
        self._more = 0
        self._minute: IDelayedCall | None = None

    def refused(self, why: str) -> None:
        """A connection was refused."""
        if self._minute is None:
            self._minute = self._clock.callLater(MINUTE, self._over)
        if self._told < MOST:
            self._told += 1
            self._sink.emit(ReceiveFailed(0, why))
        else:
            self._more += 1

    def stop(self) -> None:
        """Tell what is left to be told."""
        if self._minute is not None:
            self._minute.cancel()
            self._over()

    def _over(self) -> None:
        self._minute, self._told, more, self._more = None, 0, self._more, 0
        if more:
            self._sink.emit(
                ReceiveFailed(0, f"Connection limit exceeded: {more} more connections refused within a minute")
            )
