"""The operator's side of the running gateway: what is suspended, what can be asked, and who answers it."""

from __future__ import annotations

from seg.admin.changes import ChangeRoutes
from seg.admin.checks import CheckRoutes
from seg.admin.clients import ClientRoutes
from seg.admin.configuration.control import ChangeControl
from seg.admin.corrupt import CorruptRoutes
from seg.admin.destinations import DestinationEntryRoutes
from seg.admin.dialogues import DialogueRoutes
from seg.admin.dns import DNSRoutes
from seg.admin.gauges import Gauges
from seg.admin.hosts import DestinationRoutes
from seg.admin.http import RouteTable
from seg.admin.messages import MessageRoutes
from seg.admin.metrics_page import MetricsRoutes
from seg.admin.policies import PolicyRoutes
from seg.admin.policy_holds import PolicyHoldRoutes
from seg.admin.status import Identity, StatusRoutes
from seg.admin.suspension import Suspension
from seg.admin.suspension_routes import SuspensionRoutes
from seg.admin.workqueue import WorkQueueRoutes
from seg.check.assembly import build_checks
from seg.check.checks import Checks
from seg.config.destinations import Destinations
from seg.config.paths import var_path
from seg.dns.cache import CachingResolver
from seg.gateway.active import MailServices
from seg.gateway.assembly import Gateway


def build_operation(gateway: Gateway, mail: MailServices, changes: ChangeControl) -> tuple[RouteTable, Suspension]:
    """All that operators may ask for, and what they have suspended."""
    gauges, suspension = build_gauges(gateway, mail), build_suspension(gateway, mail)
    observers = gateway.observers
    observers.traffic.start(var_path(gateway.now.settings) / "totals.json", gauges.dns)
    observers.metrics.watch(gauges, observers.conditions.counts)
    return admin_routes(gateway, mail, changes, gauges, suspension), suspension


def build_suspension(gateway: Gateway, mail: MailServices) -> Suspension:
    """What is suspended: in force once its `Suspension.apply` is called, and whenever it changes."""
    settings, listeners = gateway.now.settings, gateway.listeners

    def put_in_force() -> None:
        suspended = suspension.now
        listeners.suspend(suspended.listeners)
        mail.engine.suspended = suspended.held_back
        mail.engine.resume()

    path, names = var_path(settings) / "suspended.json", [listener.name for listener in settings.listener]
    suspension = Suspension(path, names, gateway.bus, gateway.runtime.reactor, put_in_force)
    return suspension


def build_gauges(gateway: Gateway, mail: MailServices) -> Gauges:
    """What goes on, to be asked whenever somebody looks."""
    now, runtime, reactor = gateway.now, gateway.runtime, gateway.runtime.reactor
    began = reactor.seconds()
    return Gauges(
        uptime=lambda: float(reactor.seconds() - began),
        connections_in=lambda: gateway.listeners.connections,
        listeners=gateway.listeners.bound,
        attempts=lambda: mail.engine.active,
        connections_idle=lambda: len(mail.sending.pool),
        limited_destinations=lambda: mail.engine.held_back,
        counts=mail.queueing.commands.counts,
        causes=mail.queueing.commands.causes,
        destinations=lambda: len(mail.queueing.commands.destinations()),
        exemptions=lambda: now.destinations.exemptions_in_force(runtime.posix()),
        policies_cached=lambda: len(now.lookups.policies.cache),
        resolver_validates=lambda: now.lookups.probe.verdict,
        dns=lambda: now.lookups.resolver.counters,
        certificates=gateway.watches.expiry.lasting,
    )


def admin_routes(
    gateway: Gateway, mail: MailServices, changes: ChangeControl, gauges: Gauges, suspension: Suspension
) -> RouteTable:
    """Each operation with who answers it."""
    now, observers, runtime, sink = gateway.now, gateway.observers, gateway.runtime, gateway.bus
    commands, seconds, traffic = mail.queueing.commands, runtime.posix, observers.traffic
    identity = Identity(runtime.hostname, gateway.files.settings.absolute(), runtime.posix())

    def destinations() -> Destinations:
        return now.destinations

    def resolver() -> CachingResolver:
        return now.lookups.resolver

    def checks() -> Checks:
        return build_checks(runtime, now.settings, destinations, now.lookups, now.ongoing.identities)

    def listeners() -> tuple[str, ...]:
        return tuple(listener.name for listener in now.settings.listener)

    table = RouteTable()
    for part in (
        StatusRoutes(identity, gauges, traffic, observers.conditions, suspension),
        MessageRoutes(commands),
        traffic,
        DestinationEntryRoutes(destinations, seconds),
        CheckRoutes(checks),
        ChangeRoutes(changes),
        CorruptRoutes(mail.queueing.corrupt),
        MetricsRoutes(observers.metrics),
        PolicyHoldRoutes(commands, seconds),
        observers.policies,
        WorkQueueRoutes(suspension, gateway.listeners.work, lambda: commands.counts().messages, sink, seconds),
        DNSRoutes(traffic, resolver, lambda: now.lookups.servers, gauges.resolver_validates, sink, runtime.reactor),
        DialogueRoutes(now.ongoing.dialogues, sink),
        DestinationRoutes(
            commands, observers.statistics, suspension, mail.engine.limited, destinations, resolver, seconds
        ),
        ClientRoutes(gateway.listeners.clients, seconds),
        SuspensionRoutes(suspension, listeners, sink),
        PolicyRoutes(lambda: now.lookups.policies, resolver, sink),
    ):
        part.add_to(table)
    return table
