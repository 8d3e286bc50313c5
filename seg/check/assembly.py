"""The operator's checks, put together: the parts that deliver, with connections and TLS sessions of their own."""

from __future__ import annotations

import random
from collections.abc import Callable

import attrs

from seg.check.checks import Checks, CheckServices
from seg.check.dry_run import NoIds
from seg.common.machine import own_addresses
from seg.config.destinations import Destinations
from seg.config.schema import Settings
from seg.deliver.connect import Connector
from seg.deliver.connections import ConnectionOpener
from seg.deliver.handshake import TLSServices
from seg.deliver.host_connector import ConnectionServices
from seg.deliver.plan import AttemptPlan
from seg.deliver.pool import ConnectionPool
from seg.deliver.routes import Router
from seg.deliver.sender_factory import ESMTPSenderFactory
from seg.events.base import IEventSink
from seg.events.runtime import Runtime
from seg.policy.assembly import PolicyServices
from seg.tls.context import ClientTLS
from seg.tls.identities import ClientIdentities
from seg.tls.parameters import outbound

# Seconds that a check waits at most, whatever deliveries do: somebody sits in front of it.
CHECK_WAITS = {"connect_timeout": 15.0, "greeting_timeout": 30.0, "command_timeout": 30.0, "tls_timeout": 30.0}


def build_checks(
    runtime: Runtime,
    settings: Settings,
    destinations: Callable[[], Destinations],
    lookups: PolicyServices,
    identities: ClientIdentities,
) -> Checks:
    """What answers the operator's questions by these settings.

    :param destinations: those in force.
    """
    waits = {name: min(getattr(settings.delivery, name), most) for name, most in CHECK_WAITS.items()}
    delivery = attrs.evolve(settings.delivery, **waits)
    own, ties = own_addresses(), random.Random(0)  # noqa: S311 - the same order of equal hosts each time
    senders = ESMTPSenderFactory(runtime.hostname, delivery, runtime.reactor, NoIds(), in_thread=runtime.in_thread)

    def router(plan: Callable[[str], AttemptPlan], notebook: IEventSink) -> Router:
        return Router(lookups.resolver, plan, delivery, runtime.hostname, own, ties, notebook)

    def sessions(notebook: IEventSink) -> ConnectionOpener:
        services = ConnectionServices(Connector(runtime.reactor), senders, ConnectionPool(runtime.reactor, 0.0))
        tls = TLSServices(ClientTLS(parameters=outbound(settings.tls)), lookups.roots, identities)
        return ConnectionOpener(services, tls, delivery, notebook, runtime.posix)

    return Checks(
        CheckServices(
            resolver=lookups.resolver,
            providers=lookups.providers,
            policies=lookups.policies,
            destinations=destinations,
            router=router,
            sessions=sessions,
            sink=runtime.sink,
            settings=delivery,
            clock=runtime.reactor,
        )
    )
