"""Those who hear events all the time, and can be asked what came of them."""

from __future__ import annotations

import attrs

from seg.admin.conditions import Conditions
from seg.admin.destination_statistics import DestinationStatistics
from seg.admin.metrics import Metrics
from seg.admin.policy_report import PolicyReport
from seg.admin.traffic import Traffic
from seg.events.bus import EventBus
from seg.events.runtime import Runtime


@attrs.frozen
class Statistics:
    """One for each kind of question."""

    traffic: Traffic
    statistics: DestinationStatistics
    metrics: Metrics
    conditions: Conditions
    policies: PolicyReport

    @property
    def all(self) -> tuple[Traffic | DestinationStatistics | Metrics | Conditions | PolicyReport, ...]:
        """Each of them."""
        return self.traffic, self.statistics, self.metrics, self.conditions, self.policies


def build_statistics(runtime: Runtime, bus: EventBus) -> Statistics:
    """All of them; they hear nothing yet."""
    return Statistics(
        Traffic(bus, runtime.reactor),
        DestinationStatistics(runtime.posix),
        Metrics(runtime.reactor.seconds, runtime.posix),
        Conditions(runtime.posix),
        PolicyReport(runtime.posix),
    )
