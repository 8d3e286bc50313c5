"""Those who hear events all the time, and can be asked what came of them."""

from __future__ import annotations

import attrs

from seg.admin.conditions import Conditions
from seg.admin.counters import EventCounters
from seg.admin.destination_statistics import DestinationStatistics
from seg.admin.metrics import Metrics
from seg.admin.policy_report import PolicyReport
from seg.admin.traffic import Traffic
from seg.events.bus import EventBus
from seg.events.runtime import Runtime


@attrs.frozen
class Statistics:
    """One for each kind of question."""

    counters: EventCounters
    traffic: Traffic
    statistics: DestinationStatistics
    metrics: Metrics
    conditions: Conditions
    policies: PolicyReport

    @property
    def all(self) -> tuple[EventCounters | DestinationStatistics | Metrics | Conditions | PolicyReport, ...]:
        """Each that hears events."""
        return self.counters, self.statistics, self.metrics, self.conditions, self.policies


def build_statistics(runtime: Runtime, bus: EventBus) -> Statistics:
    """All of them; they hear nothing yet."""
    counters = EventCounters(runtime.posix)
    return Statistics(
        counters,
        Traffic(counters, bus, runtime.reactor),
        DestinationStatistics(runtime.posix),
        Metrics(counters, runtime.reactor.seconds, runtime.posix),
        Conditions(runtime.posix),
        PolicyReport(runtime.posix),
    )
