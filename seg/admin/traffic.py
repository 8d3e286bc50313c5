"""The numbers of ``seg status``: counters in three columns, and rates."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import attrs
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import LoopingCall

from seg.admin.counters import EventCounters
from seg.admin.http import RouteTable
from seg.admin.rates import COUNTED, EventRates
from seg.admin.totals import Totals
from seg.admin.wire import operations
from seg.admin.wire.gateway import CountersAnswer, CountersResetAnswer, ObservedSessions
from seg.admin.wire.route import NoParameters
from seg.common.clock import posix_of
from seg.dns.cache import DNSCounters
from seg.events.base import Event, IEventSink
from seg.events.gateway import OperatorActed

DNS = "dns_"  # how the names of its counters begin among the others
SAVED_EVERY = 60  # seconds; what was counted since is lost by a kill


@attrs.frozen
class CountedColumns:
    """Counters since the last reset, since the start and ever."""

    numbers: dict[str, dict[str, int]]  # column -> name -> number
    last_reset: float  # POSIX seconds
    since: float  # POSIX seconds: when the counting began


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

    def counted(self) -> CountersAnswer:
        """What was counted since the start, for the API."""
        facts: dict[str, Any] = self.counters.as_dict()
        observed = {name: ObservedSessions(**counts) for name, counts in facts["policy_observed"].items()}
        return CountersAnswer(**facts | {"policy_observed": observed})

    def columns(self, prefix: str = "") -> CountedColumns:
        """The counters whose names begin so, without that, in the three columns; without a prefix those that aren't the DNS's."""
        assert self._totals is not None  # the API is there only after `start`
        columns = {
            column: {name.removeprefix(prefix): number for name, number in numbers.items() if _within(name, prefix)}
            for column, numbers in self._totals.columns().items()
        }
        return CountedColumns(columns, self._totals.last_reset, self._totals.since)

    def add_to(self, table: RouteTable) -> None:
        """Serve it."""
        table.add(operations.RESET_COUNTERS, self.reset)

    async def reset(self, asked: NoParameters, by: str) -> CountersResetAnswer:
        """Begin the column "reset" anew."""
        assert self._totals is not None  # the API is there only after `start`
        self._totals.reset()
        self._sink.emit(OperatorActed(by, "resetcounters"))
        return CountersResetAnswer(self._totals.last_reset)

    def _save(self) -> None:
        assert self._totals is not None
        self._totals.save()


def _within(name: str, prefix: str) -> bool:
    return name.startswith(prefix) if prefix else not name.startswith(DNS)
