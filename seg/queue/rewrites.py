"""One write of a message's envelope for all outcomes that come close together.

The envelope of a message is written as a whole. If each of a thousand destinations had it written anew, the sender would choose
work that grows with the square of the recipients.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater
from twisted.python.failure import Failure

from seg.common.spread import SpreadCalls

FEW = 20  # recipients up to which each outcome is written by itself
PAUSE = 0.0005  # seconds for each recipient between two writes of a message with more: about a twentieth of the reactor's time
LONGEST_PAUSE = 0.5  # seconds: what was settled a second ago has to be durable

Write = Callable[[], Coroutine[Deferred[Any], Any, None]]


class SharedRewrites:
    """Writes envelopes; of a message with many recipients one write serves all who ask before it begins.

    :param clock: for the pauses between two writes of one message.
    """

    def __init__(self, clock: IReactorTime) -> None:
        self._clock = clock
        self._telling = SpreadCalls(clock)
        self._asked: dict[int, list[Deferred[None]]] = {}  # who waits for the next write, by MID
        self._busy: set[int] = set()  # messages that are being written, or pause

    async def write(self, mid: int, recipients: int, write: Write) -> None:
        """Return when a write that began after this call is done.

        :param recipients: how many of the message still wait.
        :param write: writes the state that the message has when it is called.
        :raises OSError: as `write` does.
        """
        if recipients <= FEW:
            await write()
            return
        done: Deferred[None] = Deferred()
        self._asked.setdefault(mid, []).append(done)
        if mid not in self._busy:
            self._busy.add(mid)
            Deferred.fromCoroutine(self._work_off(mid, min(recipients * PAUSE, LONGEST_PAUSE), write))
        await done

    async def _work_off(self, mid: int, pause: float, write: Write) -> None:
        """Write until nobody asks any more."""
        try:
            while mid in self._asked:
                asked = self._asked.pop(mid)
                try:
                    await write()
                except Exception:  # noqa: BLE001 - whoever asked gets it
                    self._telling.fire(asked, Failure())
                else:
                    self._telling.fire(asked)
                await deferLater(self._clock, pause)
        finally:
            self._busy.discard(mid)
