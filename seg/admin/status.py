"""How the gateway is doing, over the API."""

from __future__ import annotations

import os
from pathlib import Path

import attrs

from seg.admin.conditions import Conditions
from seg.admin.gauges import Gauges
from seg.admin.http import RouteTable
from seg.admin.openapi import text
from seg.admin.suspension import Suspension
from seg.admin.traffic import Traffic
from seg.admin.wire import operations
from seg.admin.wire.gateway import BoundListener, GaugesNow, OwnCertificate, QueueNumbers, StatusAnswer
from seg.admin.wire.route import NoParameters, RawResponse
from seg.version import __version__


@attrs.frozen
class Identity:
    """Which gateway this is."""

    hostname: str
    configuration: Path
    started: float  # POSIX seconds


class StatusRoutes:
    """Answers how the gateway is doing, and what the API is."""

    def __init__(
        self, identity: Identity, gauges: Gauges, traffic: Traffic, conditions: Conditions, suspension: Suspension
    ) -> None:
        self._identity = identity
        self._gauges = gauges
        self._traffic = traffic
        self._conditions = conditions
        self._suspension = suspension

    def add_to(self, table: RouteTable) -> None:
        """Serve them."""
        table.add(operations.DESCRIBE, self.description)
        table.add(operations.STATUS, self.status)

    async def description(self, asked: NoParameters, by: str) -> RawResponse:
        """The API as an OpenAPI document."""
        return RawResponse(text().encode(), "application/json")

    async def status(self, asked: NoParameters, by: str) -> StatusAnswer:
        """How the gateway is doing."""
        identity, gauges, columns = self._identity, self._gauges, self._traffic.columns()
        return StatusAnswer(
            version=__version__,
            hostname=identity.hostname,
            pid=os.getpid(),
            configuration=str(identity.configuration),
            started=identity.started,
            uptime=gauges.uptime(),
            listeners=[BoundListener(*each) for each in gauges.listeners()],
            resolver_validates=gauges.resolver_validates(),
            certificates=[OwnCertificate(**attrs.asdict(each), soon=each.soon) for each in gauges.certificates()],
            exemptions=gauges.exemptions(),
            queue=QueueNumbers(**attrs.asdict(gauges.counts())),
            gauges=GaugesNow(gauges.connections_in(), gauges.attempts(), gauges.connections_idle(), _resident()),
            counters=self._traffic.counted(),
            totals=columns.numbers,
            rates=self._traffic.rates.per_hour(),
            last_reset=columns.last_reset,
            counted_since=columns.since,
            suspension=self._suspension.facts(),
            conditions=self._conditions.facts(),
        )


def _resident() -> int:
    """Memory of this process in octets (proc(5), statm)."""
    try:
        with open("/proc/self/statm", encoding="ascii") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError, IndexError):
        return 0
