"""What sends mail, put together by the configuration in force."""

from __future__ import annotations

import random
from collections.abc import Callable

import attrs

from seg.common.machine import own_addresses
from seg.config.destinations import Destinations
from seg.config.schema import Delivery, Settings
from seg.deliver.attempt import Attempt, AttemptServices
from seg.deliver.connect import Connector
from seg.deliver.connection_limits import ConnectionLimits
from seg.deliver.connections import ConnectionOpener
from seg.deliver.debug_peers import DebugPeers
from seg.deliver.greetings import Greetings
from seg.deliver.handshake import TLSServices
from seg.deliver.host_connector import ConnectionServices
from seg.deliver.plan import AttemptPlans
from seg.deliver.pool import ConnectionPool
from seg.deliver.rate_limits import SendingRates
from seg.deliver.report_events import ReportEvents
from seg.deliver.routes import Router
from seg.deliver.sender_factory import ESMTPSenderFactory
from seg.deliver.transmit import SMTPTransmit
from seg.events.base import IEventSink
from seg.events.conditions import Condition
from seg.events.gateway import ConditionKind
from seg.events.runtime import Runtime
from seg.mail.ids import IMessageIds
from seg.policy.assembly import PolicyServices
from seg.policy.chain import ANSWER_TIMEOUT, PolicyChain
from seg.queue.interfaces import Lease
from seg.tls.identities import ClientIdentities


@attrs.define
class SharedState:
    """What goes on under a new configuration: recipients sent of late, our certificates, connections open, dialogues watched."""

    pace: SendingRates
    greetings: Greetings
    lacking: Condition  # what we lack to open connections
    identities: ClientIdentities = attrs.field(factory=ClientIdentities)
    lines: ConnectionLimits = attrs.field(factory=ConnectionLimits)
    dialogues: DebugPeers = attrs.field(factory=DebugPeers)
    alert: Callable[[str, str, str], object] = lambda domain, host, text: None


@attrs.frozen
class DeliveryServices:
    """What every attempt uses, and the connections that wait for the next message."""

    plans: AttemptPlans
    attempts: AttemptServices
    pool: ConnectionPool
    shared: SharedState
    sink: IEventSink

    def attempt(self, lease: Lease) -> Attempt:
        """The attempt for a lease."""
        plan = self.plans.of(lease.domain)
        return Attempt(lease, plan, self.attempts, ReportEvents(lease, plan, self.sink, self.shared.alert))


def build_shared(runtime: Runtime) -> SharedState:
    """What goes on, with nothing under way yet."""
    lacking = Condition(runtime.sink, ConditionKind.LOCAL, "delivery")
    return SharedState(SendingRates(runtime.reactor.seconds), Greetings(runtime.reactor), lacking)


def build_delivery(
    runtime: Runtime,
    settings: Settings,
    destinations: Callable[[], Destinations],
    lookups: PolicyServices,
    ids: IMessageIds,
    shared: SharedState,
) -> DeliveryServices:
    """What sends by these settings.

    :param destinations: those in force.
    """
    delivery = settings.delivery
    pool = ConnectionPool(runtime.reactor, delivery.idle_timeout)
    ties = random.Random()  # noqa: S311 - spreads load among equal hosts, keeps no secret
    patience = max(ANSWER_TIMEOUT, 2 * settings.mta_sts.fetch_timeout)
    plans = AttemptPlans(destinations, delivery, runtime.posix)
    opener = _build_opener(runtime, delivery, lookups, ids, pool, shared)
    attempts = AttemptServices(
        router=Router(lookups.resolver, plans.of, delivery, runtime.hostname, own_addresses(), ties, runtime.sink),
        policies=PolicyChain(lookups.providers, runtime.sink, runtime.reactor, patience),
        opener=opener,
        transmit=SMTPTransmit(opener, shared.pace),
    )
    return DeliveryServices(plans, attempts, pool, shared, runtime.sink)


def _build_opener(
    runtime: Runtime,
    delivery: Delivery,
    lookups: PolicyServices,
    ids: IMessageIds,
    pool: ConnectionPool,
    shared: SharedState,
) -> ConnectionOpener:
    """What opens connections."""
    services = ConnectionServices(
        connector=Connector(runtime.reactor),
        senders=ESMTPSenderFactory(runtime.hostname, delivery, runtime.reactor, ids, in_thread=runtime.in_thread),
        pool=pool,
        limits=shared.lines,
        debug_peers=shared.dialogues,
        greetings=shared.greetings,
        lacking=shared.lacking,
    )
    tls = TLSServices(lookups.tls, lookups.roots, shared.identities)
    return ConnectionOpener(services, tls, delivery, runtime.sink, runtime.posix)
