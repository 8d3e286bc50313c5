"""The parts of the gateway that need no folder, put together before it gives up its rights; `seg.gateway.mail` adds those that do.

Each room puts together what it has (``build_...`` in its `assembly`); here they learn of each other, in the order of a message's way.
`seg.gateway.service` starts and stops them.
"""

from __future__ import annotations

from typing import Any

import attrs

from seg.admin.assembly import build_token_access
from seg.admin.configuration.texts import Configuration
from seg.admin.listeners import APIListeners
from seg.admin.metrics_page import MetricsPort
from seg.auth.assembly import build_sasl_server
from seg.auth.backoff import Backoff
from seg.common.machine import machine_name
from seg.config.find import ConfigurationFiles
from seg.config.paths import aliases_path, log_path, seen_dane_path
from seg.config.schema import GatewaySettings
from seg.dsn.languages import FOLDER as REPORTS
from seg.dsn.languages import Languages
from seg.events.bus import EventBus
from seg.events.gateway import Fault
from seg.events.runtime import Runtime
from seg.gateway import startup
from seg.gateway.active import ActiveConfiguration, build_active
from seg.gateway.certificates import CertificatesInUse
from seg.gateway.descriptors import Descriptors, raise_limit
from seg.gateway.statistics import Statistics, build_statistics
from seg.gateway.watches import Watches, build_watches
from seg.local.mail import LocalMail
from seg.maillog.assembly import build_logs
from seg.maillog.logs import MailLogs
from seg.policy.dane.kept import SeenDANEFile
from seg.receive.connection_counter import ConnectionCounter
from seg.receive.listeners import Listeners
from seg.receive.rates import RecipientRateLimit


@attrs.frozen
class Gateway:
    """The gateway's parts by name, as far as they need no folder."""

    runtime: Runtime
    files: ConfigurationFiles
    now: ActiveConfiguration  # the one thing that a reload assigns to, beside `seg.gateway.active.MailServices`
    bus: EventBus
    start_log: startup.StartLog
    logs: MailLogs
    observers: Statistics
    listeners: Listeners
    connections: ConnectionCounter
    rates: RecipientRateLimit
    backoff: Backoff  # of clients that guess passwords
    local: LocalMail
    languages: Languages
    seen_dane: SeenDANEFile
    admin: APIListeners
    metrics_port: MetricsPort
    descriptors: Descriptors
    watches: Watches


def build_gateway(configuration: Configuration, files: ConfigurationFiles, reactor: Any) -> Gateway:
    """All that needs no folder. Keys are read, nothing is bound. Blocks.

    :param reactor: with its `seg.common.clock.SteadyClock`.
    :raises ConfigurationError: a file that is named can't be used.
    """
    settings = configuration.settings
    bus = EventBus()
    bus.hold()
    start_log = startup.StartLog()
    bus.add(start_log.emit, kinds=startup.KINDS)
    runtime = build_runtime(settings.gateway, bus, reactor)
    observers = build_statistics(runtime, bus)
    descriptors = Descriptors(raise_limit(), reactor, bus)
    limits = descriptors.limits(settings)
    backoff = Backoff(reactor.seconds)
    now = build_active(runtime, configuration, limits, build_sasl_server(runtime, settings, files.settings, backoff))
    names = (listener.name for listener in settings.listener)
    listeners = Listeners(reactor, descriptors.watch)
    admin = APIListeners(
        settings, lambda new: build_token_access(runtime, new, files.settings), reactor, bus, descriptors
    )
    return Gateway(
        runtime=runtime,
        files=files,
        now=now,
        bus=bus,
        start_log=start_log,
        logs=build_logs(runtime, bus, log_path(settings).parent),
        observers=observers,
        listeners=listeners,
        connections=ConnectionCounter(limits.connections_in, limits.connections_in_of_one, names),
        rates=RecipientRateLimit(reactor.seconds),
        backoff=backoff,
        local=LocalMail(runtime, aliases_path(files.settings), settings.gateway, lambda: now.destinations),
        languages=Languages(files.settings.parent / REPORTS, lambda text: bus.emit(Fault(text))),
        seen_dane=SeenDANEFile(now.lookups.seen, seen_dane_path(settings), reactor, runtime.in_thread, bus),
        admin=admin,
        metrics_port=MetricsPort(reactor, observers.metrics, descriptors.watch),
        descriptors=descriptors,
        watches=build_watches(runtime, now, CertificatesInUse(listeners, admin, now.ongoing.identities)),
    )


def build_runtime(settings: GatewaySettings, bus: EventBus, reactor: Any) -> Runtime:
    """What every part may use."""
    hostname = settings.hostname or machine_name()
    return Runtime(reactor, bus, hostname, settings.postmaster or f"postmaster@{hostname}")
