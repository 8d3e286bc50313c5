"""The work queue over the API: messages that aren't queued yet, and the pause."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from seg.admin.http import APIError, APIRequest, RouteTable
from seg.admin.suspension import Pause, Suspension
from seg.events.base import IEventSink
from seg.events.gateway import OperatorActed
from seg.queue.index import QueueCounts
from seg.receive.workqueue import WorkQueue

LONGEST_REASON = 200  # characters


class WorkQueueGauges(Protocol):
    """What the API has done by the running gateway."""

    @property
    def work(self) -> WorkQueue:
        """Messages that aren't queued yet."""

    def counts(self) -> QueueCounts:
        """The queue in numbers."""

    def suspension_changed(self) -> None:
        """Work by what is suspended now."""


class WorkQueueAPI:
    """Serves the path below."""

    def __init__(
        self, suspension: Suspension, working: WorkQueueGauges, sink: IEventSink, now: Callable[[], float]
    ) -> None:
        self._suspension = suspension
        self._working = working
        self._sink = sink
        self._now = now

    def add_to(self, table: RouteTable) -> None:
        """Take the paths."""
        table.add("GET", "/v1/workqueue", self.status)
        table.add("POST", "/v1/workqueue", self.change)

    async def status(self, call: APIRequest) -> object:
        """How many messages aren't queued yet, and whether it is paused."""
        work = self._working.work
        return {
            "at": self._now(),
            "paused": self._suspension.facts()["paused"],
            "not_written": self._suspension.not_written,
            "pending": work.pending,
            "entered": work.entered,
            "left": work.left,
            "queued": self._working.counts().messages,
        }

    async def change(self, call: APIRequest) -> object:
        """Pause or resume; body: pause (the reason, a text), or resume (true)."""
        reason = call.body.get("pause")
        if isinstance(reason, str) and set(call.body) == {"pause"}:
            pause = self._pause(reason, call.by)
        elif call.body == {"resume": True}:
            pause = None
            if self._suspension.now.pause is None:
                raise APIError(409, "it isn't paused (seg suspenddel and seg resumedel are another thing)")
        else:
            raise APIError(400, "say pause (the reason, a text), or resume (true), and nothing else")
        self._suspension.pause(pause)
        self._working.suspension_changed()
        said = f"workqueue pause: {pause.reason}" if pause else "workqueue resume"
        self._sink.emit(OperatorActed(call.by, said))
        return await self.status(call)

    def _pause(self, reason: str, by: str) -> Pause:
        reason = " ".join(reason.split())
        if not reason or len(reason) > LONGEST_REASON or not reason.isprintable():
            raise APIError(400, f"pause wants a reason, of at most {LONGEST_REASON} characters")
        if self._suspension.now.pause is not None:
            raise APIError(409, f"it is paused already: {self._suspension.now.pause.reason}")
        return Pause(reason, by, self._now())
