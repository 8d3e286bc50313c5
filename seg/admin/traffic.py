"""The numbers of ``seg status``: counters in three columns, and rates."""

from __future__ import annotations

from pathlib import Path

from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import LoopingCall

from seg.admin.counters import EventCounters
from seg.admin.http import Call, RouteTable
from seg.admin.rates import Rates
from seg.admin.totals import Totals
from seg.events import Event, Fault, OperatorActed
from seg.interfaces import IEventSink

SAVED_EVERY = 60  # seconds; what was counted since is lost by a kill


class Traffic:
    """Counters, rates and totals; listens on the event bus by `emit`."""

    def __init__(self, sink: IEventSink, clock: IReactorTime) -> None:
        self.counters = EventCounters()
        self.rates = Rates(clock.seconds)
        self._sink = sink
        self._clock = clock
        self._totals: Totals | None = None
        self._saving = LoopingCall(self._save)
        self._saving.clock = clock

    def emit(self, event: Event) -> None:
        """Count one event."""
        self.counters.emit(event)
        self.rates.emit(event)

    def start(self, path: Path) -> None:
        """Go on from what the runs before counted."""
        self._totals = Totals(path, self.running, self._clock.seconds)
        self._saving.start(SAVED_EVERY, now=False)

    def stop(self) -> None:
        """Write the numbers down for the next run."""
        if self._saving.running:
            self._saving.stop()
            self._save()

    def running(self) -> dict[str, int]:
        """The plain counters of this run."""
        return {name: number for name, number in self.counters.as_dict().items() if isinstance(number, int)}

    def facts(self) -> dict[str, object]:
        """For the API."""
        facts: dict[str, object] = {"counters": self.counters.as_dict(), "rates": self.rates.per_hour()}
        if self._totals is not None:
            facts["totals"] = self._totals.columns()
            facts["last_reset"] = self._totals.last_reset
            facts["counted_since"] = self._totals.since
        return facts

    def add_to(self, table: RouteTable) -> None:
        """Serve them."""
        table.add("POST", "/v1/counters/reset", self.reset)

    async def reset(self, call: Call) -> object:
        """Begin the column "reset" anew."""
        assert self._totals is not None  # the API is there only after `start`
        self._totals.reset()
        self._sink.emit(OperatorActed(call.by, "resetcounters"))
        return {"last_reset": self._totals.last_reset}

    def _save(self) -> None:
        assert self._totals is not None
        try:
            self._totals.save()
        except OSError as error:
            self._sink.emit(Fault(f"counters not saved: {error}"))
