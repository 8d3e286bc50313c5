"""No more mail than memory has room for: new mail is refused before the queue's entries fill it."""

from __future__ import annotations

import errno

from twisted.internet.interfaces import IDelayedCall, IReactorTime

from seg.events.base import IEventSink
from seg.events.conditions import Condition
from seg.events.gateway import ConditionKind
from seg.queue.index import QueueIndex

LOOK = 5.0  # seconds between two looks while it is full
ENOUGH = 0.95  # of the room: new mail is taken again when so much is used
FULL = OSError(errno.ENOMEM, "the queue fills the memory that is set aside for it")


class Room:
    """Tells while the queue is full (Condition MEMORY). Deliveries, reports and commands go on.

    :ivar most: octets that entries may take; 0: any number.
    """

    def __init__(self, index: QueueIndex, sink: IEventSink, clock: IReactorTime) -> None:
        self.most = 0
        self._index = index
        self._clock = clock
        self._condition = Condition(sink, ConditionKind.MEMORY, "queue")
        self._timer: IDelayedCall | None = None

    def refusal(self) -> OSError | None:
        """What forbids to take new mail."""
        if not self.most:
            return None
        self._look()
        return FULL if self._condition.active else None

    def stop(self) -> None:
        """Look no more."""
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
        self.most = 0

    def _look(self) -> None:
        used = self._index.octets
        if used >= self.most:
            self._condition.begin(
                f"the queue's records fill the {self.most >> 20} MiB of memory that they may take: new mail is refused (452), "
                "deliveries go on; give the gateway more memory, or see what waits: seg queue list"
            )
        elif used < ENOUGH * self.most:
            self._condition.end("the queue has room in memory again")
        if self._condition.active and (self._timer is None or not self._timer.active()):
            self._timer = self._clock.callLater(LOOK, self._again)

    def _again(self) -> None:
        self._timer = None
        if self.most:
            self._look()
