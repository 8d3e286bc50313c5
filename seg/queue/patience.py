"""What has to be done is done once there is memory for it."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater

from seg.events.memory import note

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
