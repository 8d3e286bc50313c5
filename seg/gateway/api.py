"""All that the admin API of the running gateway serves, in one table."""

from __future__ import annotations

import attrs

from seg.admin.api import AdminAPI, Identity
from seg.admin.changes import ChangesAPI
from seg.admin.checks import ChecksAPI
from seg.admin.conditions import Conditions
from seg.admin.configuration.control import ChangeControl
from seg.admin.corrupt import CorruptAPI
from seg.admin.delivery import DeliveryAPI
from seg.admin.destination_statistics import DestinationStatistics
from seg.admin.destinations import DestinationsAPI
from seg.admin.dialogues import DialoguesAPI
from seg.admin.dns import DNSAPI
from seg.admin.http import RouteTable
from seg.admin.metrics import Metrics
from seg.admin.metrics_page import MetricsAPI
from seg.admin.policy_holds import PolicyHoldsAPI
from seg.admin.policy_report import PolicyReport
from seg.admin.traffic import Traffic
from seg.admin.workqueue import WorkQueueAPI
from seg.check.assembly import build_checks
from seg.check.checks import Checks
from seg.config.destinations import Destinations
from seg.events.bus import EventBus
from seg.events.runtime import Runtime
from seg.gateway.active import ActiveConfiguration, MailServices
from seg.gateway.view import GatewayView


@attrs.frozen
class Statistics:
    """Those who hear all events, and can be asked what came of them."""

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


def admin_paths(
    runtime: Runtime,
    identity: Identity,
    now: ActiveConfiguration,
    mail: MailServices,
    window: GatewayView,
    changes: ChangeControl,
    observers: Statistics,
) -> RouteTable:
    """Each path with who answers it."""

    def destinations() -> Destinations:
        return now.destinations

    def checks() -> Checks:
        identities = now.ongoing.identities
        return build_checks(runtime, now.settings, destinations, now.lookups, identities)

    reactor, sink = runtime.reactor, runtime.sink
    seconds, traffic, suspension, began = runtime.posix, observers.traffic, window.suspension, reactor.seconds()

    def uptime() -> float:
        return float(reactor.seconds() - began)

    table = AdminAPI(identity, mail.queue, window, traffic, observers.conditions, uptime).routes()
    for part in (
        DestinationsAPI(destinations, seconds),
        ChecksAPI(checks),
        ChangesAPI(changes),
        CorruptAPI(mail.queue.corrupt),
        MetricsAPI(observers.metrics),
        PolicyHoldsAPI(mail.queue, seconds),
        observers.policies,
        WorkQueueAPI(suspension, window, sink, seconds),
        DNSAPI(traffic, window, reactor),
        DialoguesAPI(now.ongoing.dialogues, sink),
        DeliveryAPI(mail.queue, observers.statistics, suspension, window, destinations, sink, seconds),
    ):
        part.add_to(table)
    return table
