"""Listeners, put together by the configuration in force."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import attrs
from twisted.internet.interfaces import IOpenSSLServerConnectionCreator

from seg.auth.sasl_server import SASLServer
from seg.config.receive import BareNewlines, ListenerAuth, ListenerSettings, ListenerTLS
from seg.config.schema import Settings
from seg.dns.interfaces import IResolver
from seg.events.gateway import Fault
from seg.events.runtime import Runtime
from seg.filter.chain import ConfiguredFilter, FilterChain
from seg.filter.plugins import for_listener
from seg.filter.submission import SubmissionRules
from seg.local.table import LocalTable
from seg.mail.hosts import IPAddress
from seg.mail.ids import IMessageIds
from seg.queue.interfaces import IQueue
from seg.receive.access import HostAccess, sender_groups
from seg.receive.connection_counter import ConnectionCounter, ListenerConnections
from seg.receive.context import ListenerContext
from seg.receive.listener import Listener
from seg.receive.listeners import MakeFactory
from seg.receive.rates import RecipientRateLimit
from seg.receive.recipients import RecipientAccess
from seg.receive.senders import SenderRules
from seg.receive.turns import ClientTurns
from seg.receive.workqueue import WorkQueue
from seg.smtp.server_options import AddressLeniency, ServerOptions, VrfyPolicy
from seg.tls.listening import ListenerCertificates


@attrs.frozen
class ReceiveServices:
    """What all listeners share."""

    runtime: Runtime
    queue: IQueue
    ids: IMessageIds
    connections: ConnectionCounter  # counts connections
    rates: RecipientRateLimit
    work: WorkQueue
    turns: ClientTurns
    resolver: IResolver | None = None  # looks the names of clients up
    sasl: SASLServer | None = None  # where clients authenticate, if the listener says so
    local: Callable[[], LocalTable] | None = None  # tells who gets mail for this machine


def listener_maker(settings: Settings, services: ReceiveServices, filters: Iterable[ConfiguredFilter]) -> MakeFactory:
    """Makes listeners by these settings."""
    runtime, filters = services.runtime, tuple(filters)

    def make(listener: ListenerSettings, certificates: ListenerCertificates | None) -> Listener:
        for warning in certificates.warnings if certificates else ():
            runtime.sink.emit(Fault(warning))
        chain = FilterChain(for_listener(filters, listener.name), runtime.sink, runtime.reactor)
        return build_listener(settings, listener, services, certificates, chain)

    return make


def build_listener(
    settings: Settings,
    listener: ListenerSettings,
    services: ReceiveServices,
    tls: IOpenSSLServerConnectionCreator | None = None,
    filters: FilterChain | None = None,
) -> Listener:
    """One listener.

    :param tls: makes server-side TLS connections; without it, or when the listener says ``off``, STARTTLS isn't offered.
    :param filters: judge messages before their 250.
    :raises ConfigurationError: an entry of a table can't be read.
    """
    receive, runtime, local = settings.receive, services.runtime, services.local
    sasl = None if listener.auth is ListenerAuth.OFF else services.sasl
    if listener.tls is ListenerTLS.OFF:
        tls = None
    access = HostAccess(sender_groups(settings.sender_group, receive.relay_networks))
    proxies = HostAccess(sender_groups((), receive.xclient_networks))
    balancers = HostAccess(sender_groups((), receive.proxy_networks))
    hosts = (access, proxies, balancers)

    def expected(client: IPAddress) -> bool:
        return any(each.lookup(client).may_relay for each in hosts)

    context = ListenerContext(
        settings=receive,
        options=_options(settings, listener, runtime.hostname, within_tls=tls is not None, login=sasl is not None),
        listener=listener.name,
        postmaster=runtime.postmaster,
        queue=services.queue,
        counters=services.ids,
        sink=runtime.sink,
        clock=runtime.reactor,
        access=access,
        proxies=proxies,
        balancers=balancers,
        recipients=RecipientAccess(settings.recipients),
        local=local,
        rates=services.rates,
        connections=ListenerConnections(services.connections, listener.name, expected),
        work=services.work,
        turns=services.turns,
        resolver=services.resolver if access.needs_names or filters else None,
        tls=tls,
        implicit_tls=listener.tls is ListenerTLS.IMPLICIT,
        filters=filters or None,
        sasl=sasl,
        bounce_profile=listener.bounce_profile,
        auth_profile=settings.auth.checker or "users",
        senders=SenderRules(settings.auth),
        submission=SubmissionRules(
            runtime.hostname, settings.submission, lambda name: local is not None and local().has_name(name)
        ),
    )
    return Listener(listener, context)


def _options(
    settings: Settings, listener: ListenerSettings, hostname: str, *, within_tls: bool, login: bool
) -> ServerOptions:
    """How the sessions of a listener speak SMTP.

    :param within_tls: there is a certificate.
    :param login: there is a SASL server, so that clients may authenticate.
    """
    receive = settings.receive
    return ServerOptions(
        hostname=hostname,
        max_message_size=receive.max_message_size,
        max_faults=receive.max_unknown_commands,
        normalise=receive.bare_newlines is BareNewlines.NORMALISE,
        starttls=within_tls and listener.tls is not ListenerTLS.IMPLICIT,
        tls_required=listener.tls is ListenerTLS.REQUIRED,
        banner=listener.banner,
        vrfy=VrfyPolicy(receive.vrfy),
        lenient=AddressLeniency(receive.lenient_addresses),
        auth=login,
        auth_required=listener.auth is ListenerAuth.REQUIRED,
        max_recipients=receive.max_recipients,
        max_refusals=receive.max_refusals,
        max_idle_commands=receive.max_idle_commands,
    )
