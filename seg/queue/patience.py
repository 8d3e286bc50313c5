"""What has to be done is done once there is memory for it."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater

from seg.events.memory import note
from seg.mail.envelope import Envelope
from seg.queue.state import QueueState

WAIT = 1.0  # seconds
TRIES = 60


async def patiently(clock: IReactorTime, work: Callable[[], Coroutine[Deferred[Any], Any, None]]) -> None:
    """Do some work, again from its beginning when memory runs out meanwhile.

    :raises MemoryError: it was out for a minute.
    """
    for _ in range(TRIES - 1):
        try:
            await work()
        except MemoryError as error:
            note(error)
            await deferLater(clock, WAIT)
        else:
            return
    await work()


class Acceptance:
    """Takes a message that is durable into custody, now or when there is memory: it got its 250, so that it has to be tried."""

    def __init__(self, custody: QueueState, clock: IReactorTime) -> None:
        self._custody = custody
        self._clock = clock

    def __call__(self, envelope: Envelope, content: bytes | None) -> None:
        """See `QueueState.accept`."""
        try:
            self._accept(envelope, content)
        except MemoryError as error:
            note(error)
            self._clock.callLater(WAIT, self, envelope, None)

    def _accept(self, envelope: Envelope, content: bytes | None) -> None:
        index = self._custody.index
        entry = index.get(envelope.mid)
        if entry is None:
            self._custody.accept(envelope, content)
        else:  # memory ran out when it was there already
            index.plan(entry, entry.envelope)
