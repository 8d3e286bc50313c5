"""The numbers of ``seg status``: counters in three columns, and rates."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import attrs
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import LoopingCall

from seg.admin.counters import EventCounters
from seg.admin.http import RouteTable
from seg.admin.rates import STEP, EventRates
from seg.admin.totals import Totals
from seg.admin.wire import operations
from seg.admin.wire.gateway import CountersAnswer, CountersResetAnswer, ObservedSessions
from seg.admin.wire.route import NoParameters
from seg.common.clock import posix_of
from seg.dns.cache import DNSCounters
from seg.events.base import IEventSink
from seg.events.gateway import OperatorActed

DNS = "dns_"  # how the names of its counters begin among the others
SAVED_EVERY = 60  # seconds; what was counted since is lost by a kill


@attrs.frozen
class CountedColumns:
    """Counters since the last reset, since the start and ever."""

    numbers: dict[str, dict[str, int]]  # column -> name -> number
    last_reset: float  # POSIX seconds
    since: float  # POSIX seconds: when the counting began


# The counters that operators see first, and what each counts (`seg.admin.counters`).
STATUS: Mapping[str, tuple[str, ...]] = {
    "connections_in": ("connections_accepted",),
    "connections_out": ("connections_out",),
    "messages_received": ("messages_received",),
    "recipients_delivered": ("recipients", "delivered"),
    "recipients_delayed": ("delays",),  # events: one recipient may be delayed many times
    "recipients_bounced": ("recipients", "bounced"),
    "verified_by_mta_sts": ("verified", "mta-sts"),
    "verified_by_dane": ("verified", "dane"),
    "policy_refusals": ("policy_refusals",),
}
RATES: Mapping[str, tuple[str, ...]] = {
    "connections_in": ("connections_accepted",),
    "connections_out": ("connections_out",),
    "messages_received": ("messages_received",),
    "recipients_received": ("recipients_received",),
    "recipients_delivered": ("recipients", "delivered"),
    "recipients_delayed": ("delays",),
    "recipients_bounced": ("recipients", "bounced"),
}


class Traffic:
    """Views of the counters: since the start, in an hour, and over all runs."""

    def __init__(self, counters: EventCounters, sink: IEventSink, clock: IReactorTime) -> None:
        self._counters = counters
        self.rates = EventRates(lambda: self._view(RATES), clock.seconds)
        self._sink = sink
        self._clock = clock
        self._totals: Totals | None = None
        self._dns: Callable[[], DNSCounters] = DNSCounters
        self._saving = LoopingCall(self._save)
        self._marking = LoopingCall(self.rates.mark)
        self._saving.clock = self._marking.clock = clock

    def _view(self, names: Mapping[str, tuple[str, ...]]) -> dict[str, int]:
        return {name: self._counters.total(*key) for name, key in names.items()}

    def start(self, path: Path, dns: Callable[[], DNSCounters] = DNSCounters) -> None:
        """Go on from what the runs before counted.

        :param dns: what the DNS cache has counted in this run.
        """
        self._dns = dns
        self._totals = Totals(path, self.running, posix_of(self._clock), self._sink)
        self._saving.start(SAVED_EVERY, now=False)
        self._marking.start(STEP, now=False)

    def stop(self) -> None:
        """Write the numbers down for the next run."""
        if self._saving.running:
            self._marking.stop()
            self._saving.stop()
            self._save()

    def running(self) -> dict[str, int]:
        """The plain counters of this run, those of the DNS included."""
        return self._view(STATUS) | {f"{DNS}{name}": number for name, number in attrs.asdict(self._dns()).items()}

    def counted(self) -> CountersAnswer:
        """What was counted since the start, for the API."""
        observed: dict[str, dict[str, int]] = {}
        for (provider, result), number, _ in self._counters.numbers("policy_observed"):
            observed.setdefault(provider, {"passed": 0, "failed": 0})[result] = number
        filters: dict[str, dict[str, int]] = {}
        for (name, answer), number, _ in self._counters.numbers("filters"):
            filters.setdefault(name, {})[answer] = number
        return CountersAnswer(
            **self._view(STATUS),
            policy_observed={name: ObservedSessions(**numbers) for name, numbers in observed.items()},
            filters=filters,
        )

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
