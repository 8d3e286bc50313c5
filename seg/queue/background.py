"""Work that nobody waits for; what breaks it off is told."""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any

from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from seg.events.base import IEventSink
from seg.events.gateway import Fault


class BackgroundWork:
    """Coroutines under way."""

    log = Logger()

    def __init__(self, sink: IEventSink) -> None:
        self._sink = sink
        self._tasks: set[Deferred[None]] = set()

    def spawn(self, work: Coroutine[Deferred[Any], Any, None]) -> None:
        """Begin it; it goes on by itself."""
        task: Deferred[None] = Deferred.fromCoroutine(work)
        self._tasks.add(task)
        task.addBoth(self._done, task)

    def broke_off(self, failure: Failure) -> None:
        """Tell that some work failed in a way that nobody thought of."""
        self.log.failure("work on the queue broke off", failure)
        self._sink.emit(Fault(f"work on the queue broke off: {failure.getErrorMessage()}"))

    def under_way(self) -> list[Deferred[None]]:
        """What hasn't ended; each fires when it has."""
        return list(self._tasks)

    def _done(self, result: object, task: Deferred[None]) -> None:
        self._tasks.discard(task)
        if isinstance(result, Failure):
            self.broke_off(result)
