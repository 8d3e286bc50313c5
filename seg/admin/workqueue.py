"""The work queue over the API: messages that aren't queued yet, and the pause."""

from __future__ import annotations

from collections.abc import Callable

from seg.admin.http import APIError, RouteTable
from seg.admin.suspension import Pause, Suspension
from seg.admin.wire import operations
from seg.admin.wire.gateway import ChangeWorkQueue, WorkQueueAnswer
from seg.admin.wire.route import NoParameters
from seg.events.base import IEventSink
from seg.events.gateway import OperatorActed
from seg.receive.workqueue import WorkQueue


class WorkQueueRoutes:
    """Shows it, pauses it, and lets it go on.

    :param work: messages that aren't queued yet.
    :param queued: how many messages are in the queue.
    :param now: POSIX seconds.
    """

    def __init__(
        self,
        suspension: Suspension,
        work: WorkQueue,
        queued: Callable[[], int],
        sink: IEventSink,
        now: Callable[[], float],
    ) -> None:
        self._suspension = suspension
        self._work = work
        self._queued = queued
        self._sink = sink
        self._now = now

    def add_to(self, table: RouteTable) -> None:
        """Serve it."""
        table.add(operations.SHOW_WORK_QUEUE, self.status)
        table.add(operations.CHANGE_WORK_QUEUE, self.change)

    async def status(self, asked: NoParameters, by: str) -> WorkQueueAnswer:
        """How many messages aren't queued yet, and whether it is paused."""
        return self._facts()

    async def change(self, asked: ChangeWorkQueue, by: str) -> WorkQueueAnswer:
        """Pause or resume."""
        paused = self._suspension.now.pause
        if asked.pause is None:
            if paused is None:
                raise APIError(409, "it isn't paused (seg suspenddel and seg resumedel are another thing)")
            self._suspension.pause(None)
            self._sink.emit(OperatorActed(by, "workqueue resume"))
        else:
            if paused is not None:
                raise APIError(409, f"it is paused already: {paused.reason}")
            self._suspension.pause(Pause(asked.pause, by, self._now()))
            self._sink.emit(OperatorActed(by, f"workqueue pause: {asked.pause}"))
        return self._facts()

    def _facts(self) -> WorkQueueAnswer:
        suspended, work = self._suspension.facts(), self._work
        return WorkQueueAnswer(
            at=self._now(),
            paused=suspended.paused,
            pending=work.pending,
            entered=work.entered,
            left=work.left,
            queued=self._queued(),
            not_written=suspended.not_written,
        )
