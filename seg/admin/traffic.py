"""The numbers of ``seg status``: counters in three columns, and rates."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import attrs
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import LoopingCall

from seg.admin.counters import EventCounters
from seg.admin.http import APIRequest, RouteTable
from seg.admin.rates import COUNTED, EventRates
from seg.admin.totals import Totals
from seg.common.clock import posix_of
from seg.dns.cache import DNSCounters
from seg.events.base import Event, IEventSink
from seg.events.gateway import OperatorActed

DNS = "dns_"  # how the names of its counters begin among the others
SAVED_EVERY = 60  # seconds; what was counted since is lost by a kill


class Traffic:
    """Counters, rates and totals; listens on the event bus by `emit`."""

    def __init__(self, sink: IEventSink, clock: IReactorTime) -> None:
        self.counters = EventCounters()
        self.rates = EventRates(clock.seconds)
        self._sink = sink
        self._clock = clock
        self._totals: Totals | None = None
        self._dns: Callable[[], DNSCounters] = DNSCounters
        self._saving = LoopingCall(self._save)
        self._saving.clock = clock

    @property
    def kinds(self) -> tuple[type[Event], ...]:
        """The classes of events that are told to it."""
        return (*self.counters.kinds, *COUNTED)

    def emit(self, event: Event) -> None:
        """Count one event."""
        self.counters.emit(event)
        self.rates.emit(event)

    def start(self, path: Path, dns: Callable[[], DNSCounters] = DNSCounters) -> None:
        """Go on from what the runs before counted.

        :param dns: what the DNS cache has counted in this run.
        """
        self._dns = dns
        self._totals = Totals(path, self.running, posix_of(self._clock), self._sink)
        self._saving.start(SAVED_EVERY, now=False)

    def stop(self) -> None:
        """Write the numbers down for the next run."""
        if self._saving.running:
            self._saving.stop()
            self._save()

    def running(self) -> dict[str, int]:
        """The plain counters of this run, those of the DNS included."""
        counted = {name: number for name, number in self.counters.as_dict().items() if isinstance(number, int)}
        return counted | {f"{DNS}{name}": number for name, number in attrs.asdict(self._dns()).items()}

    def facts(self) -> dict[str, object]:
        """For the API."""
        facts: dict[str, object] = {"counters": self.counters.as_dict(), "rates": self.rates.per_hour()}
        if self._totals is not None:
            facts["totals"] = {
                column: {name: number for name, number in numbers.items() if not name.startswith(DNS)}
                for column, numbers in self._totals.columns().items()
            }
            facts["last_reset"] = self._totals.last_reset
            facts["counted_since"] = self._totals.since
        return facts

    def dns(self) -> dict[str, object]:
        """What the DNS cache has counted, in the three columns."""
        assert self._totals is not None  # the API is there only after `start`
        columns = {
            column: {name.removeprefix(DNS): number for name, number in numbers.items() if name.startswith(DNS)}
            for column, numbers in self._totals.columns().items()
        }
        return {"totals": columns, "last_reset": self._totals.last_reset, "counted_since": self._totals.since}

    def add_to(self, table: RouteTable) -> None:
        """Serve them."""
        table.add("POST", "/v1/counters/reset", self.reset)

    async def reset(self, call: APIRequest) -> object:
        """Begin the column "reset" anew."""
        assert self._totals is not None  # the API is there only after `start`
        self._totals.reset()
        self._sink.emit(OperatorActed(call.by, "resetcounters"))
        return {"last_reset": self._totals.last_reset}

    def _save(self) -> None:
        assert self._totals is not None
        self._totals.save()
