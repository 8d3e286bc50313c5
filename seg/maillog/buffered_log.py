"""Where events leave the gateway as lines: what a file and a syslog have in common."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Final

from twisted.internet.interfaces import IDelayedCall, IReactorTime
from zope.interface import implementer

from seg.common.clock import posix_of
from seg.events.base import Event, IEventSink
from seg.events.gateway import Repeated
from seg.maillog.formatter import EventFormatter, FormattedEvent, Urgency
from seg.maillog.repeats import REPEATABLE, Repeats

LONGEST_WAIT: Final = 0.2  # seconds until an event is written
LARGEST_BATCH: Final = 256  # events written together at most


@implementer(IEventSink)
class BufferedLog(ABC):
    """Writes events a batch at a time. An event costs the stage that emits it no more than a place in a list."""

    def __init__(self, clock: IReactorTime, telling: EventFormatter) -> None:
        self._clock = clock
        self._now: Callable[[], float] = posix_of(clock)
        self._telling = telling
        self._waiting: list[tuple[float, Event]] = []
        self._call: IDelayedCall | None = None
        self._running = False
        self._repeats = Repeats(clock, self._tell)

    @property
    def debug(self) -> bool:
        """Whether `DebugEvent`s are wanted (`IEventSink.debug`)."""
        return self._telling.debug

    def emit(self, event: Event) -> None:
        """Take an event (`IEventSink.emit`): it is written soon, a warning at once."""
        wanted = self._telling.wanted[type(event)]
        if wanted is Urgency.NOT or not self._running:
            return
        if type(event) in REPEATABLE and not self._repeats.admits(event):
            return
        waiting = self._waiting
        waiting.append((self._now(), event))
        if len(waiting) >= LARGEST_BATCH or wanted is Urgency.AT_ONCE:
            self.flush()
        elif self._call is None:
            self._call = self._clock.callLater(LONGEST_WAIT, self._due)

    def _tell(self, count: Repeated) -> None:
        """Take the count of events that were left out."""
        if self._running and self._telling.wanted[Repeated] is not Urgency.NOT:
            self._waiting.append((self._now(), count))
            if self._call is None:
                self._call = self._clock.callLater(LONGEST_WAIT, self._due)

    def _due(self) -> None:
        self._call = None
        self.flush()

    def flush(self) -> None:
        """Write what waits."""
        if self._call is not None:
            self._call.cancel()
            self._call = None
        batch, self._waiting = self._waiting, []
        if batch:
            tell = self._telling.tell
            self._write([tell(event, at) for at, event in batch])

    @abstractmethod
    def _write(self, batch: Sequence[FormattedEvent]) -> None:
        """Write events, in this order. Raises nothing."""
