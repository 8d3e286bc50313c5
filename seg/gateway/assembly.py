"""The only place where the objects of the gateway learn of each other; `seg.gateway.service` starts and stops them.

`PolicyServices` is what finds out (DNS, policies) and needs no files to begin with; `MailServices` is what moves messages, and touches the
spool when it is made.
"""

from __future__ import annotations

import random
import socket
from collections.abc import Callable
from datetime import UTC, datetime
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import attrs
import psutil

from seg.admin.token_access import TokenAccess
from seg.admin.tokens import parse_tokens
from seg.auth.backoff import Backoff
from seg.auth.checker import UsersChecker
from seg.auth.interfaces import CheckerContext
from seg.auth.plugins import checker_named
from seg.auth.reloading_file import FileFormat, ReloadingFile
from seg.auth.sasl_server import MOST_HASHING, SASLServer
from seg.auth.store import UserStore
from seg.check.checks import Checks, CheckServices
from seg.check.dry_run import NoIds
from seg.common.clock import cautious_of, posix_of
from seg.common.threads import in_thread_of
from seg.config.destinations import Destinations, LimitPer
from seg.config.paths import aliases_path, drop_path, policy_cache_path, spool_path, tokens_path, users_path, var_path
from seg.config.schema import ListenerAuth, QueueSettings, Settings
from seg.deliver.attempt import Attempt, AttemptServices
from seg.deliver.connect import Connector
from seg.deliver.connection_limits import ConnectionLimits
from seg.deliver.connections import ConnectionOpener
from seg.deliver.debug_peers import DebugPeers
from seg.deliver.greetings import Greetings
from seg.deliver.pool import ConnectionPool
from seg.deliver.rate_limits import UNLIMITED, RateLimit, SendingRates
from seg.deliver.routes import Router
from seg.deliver.scheduler import DeliveryScheduler
from seg.deliver.smtp_client import ESMTPSenderFactory
from seg.dns.address_rules import AddressRules
from seg.dns.cache import CachingResolver
from seg.dns.outage import Outages
from seg.dns.probe import ValidationProbe
from seg.dns.resolver import StubResolver
from seg.dns.servers import UpstreamServer
from seg.dns.turns import SharedResolver, most_questions
from seg.dsn.alerts import TLSAlerts
from seg.dsn.composer import ReportComposer
from seg.dsn.languages import Languages
from seg.dsn.spool_alerts import SpoolAlerts
from seg.events.base import IEventSink
from seg.events.conditions import Condition
from seg.events.gateway import ConditionKind
from seg.events.memory import room_for_queue
from seg.filter.chain import ConfiguredFilter
from seg.filter.milter.client import milter
from seg.filter.plugins import load_filters
from seg.filter.submission import SubmissionRules
from seg.gateway.descriptors import Limits
from seg.local.mail import LocalMail
from seg.mail.hosts import IPAddress
from seg.mail.ids import IMessageIds
from seg.maildrop.folder_claims import MaildropFolder
from seg.maildrop.pickup import Pickup
from seg.policy.chain import ANSWER_TIMEOUT, PolicyChain
from seg.policy.dane.memory import SeenDANE
from seg.policy.dane.provider import DANEProvider
from seg.policy.interfaces import ITLSPolicyProvider, ProviderContext
from seg.policy.mtasts.cache import PolicyCache
from seg.policy.mtasts.fetch import PolicyFetcher
from seg.policy.mtasts.provider import MTASTSProvider
from seg.policy.mtasts.refresh import PolicyRefresh
from seg.policy.mtasts.store import PolicyStore
from seg.policy.mtasts.troubles import FetchTroubles
from seg.policy.plugins import in_order
from seg.policy.static import StaticProvider
from seg.queue.commit import GroupCommitter
from seg.queue.ids import MessageIds
from seg.queue.interfaces import Lease
from seg.queue.spool import Spool
from seg.tls.context import ClientTLS
from seg.tls.identities import ClientIdentities
from seg.tls.parameters import outbound
from seg.tls.peer import Trust
from seg.tls.roots import RootStore

# Seconds that a check waits at most, whatever deliveries do: somebody sits in front of it.
CHECK_WAITS = {"connect_timeout": 15.0, "greeting_timeout": 30.0, "command_timeout": 30.0, "tls_timeout": 30.0}


@attrs.frozen
class PolicyServices:
    """What finds out how a destination is to be reached."""

    resolver: CachingResolver
    probe: ValidationProbe
    tls: ClientTLS
    roots: RootStore
    policies: PolicyStore
    refresh: PolicyRefresh
    providers: tuple[ITLSPolicyProvider, ...]
    servers: tuple[UpstreamServer, ...]  # the resolvers asked
    outages: Outages
    seen: SeenDANE
    for_clients: SharedResolver  # the names of clients: they have half of the questions at a time


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


@attrs.define
class ActiveConfiguration:
    """What the gateway works by; a commit replaces it part by part, and whoever asks gets the new."""

    settings: Settings
    destinations: Destinations
    lookups: PolicyServices
    ongoing: SharedState
    limits: Limits
    filters: tuple[ConfiguredFilter, ...] = ()
    sasl: SASLServer | None = None


@attrs.frozen
class DeliveryServices:
    """What every attempt uses, and the connections that wait for the next message."""

    means: AttemptServices
    pool: ConnectionPool


@attrs.define
class MailServices:
    """What takes messages, keeps them, and sends them."""

    counters: MessageIds
    queue: Spool
    engine: DeliveryScheduler
    sending: DeliveryServices
    alerts: SpoolAlerts


def wire_lookups(
    settings: Settings, roots: RootStore, sink: IEventSink, reactor: Any, former: PolicyServices | None = None
) -> PolicyServices:
    """DNS, TLS and the policy providers in the operator's order.

    :param former: those that these follow; the policies known and what was counted go on.
    :raises ConfigurationError: a resolver or a provider that doesn't exist.
    """
    most = most_questions()
    stub = StubResolver(reactor, settings.dns, sink, most=most)
    resolver = CachingResolver(stub, reactor, settings.dns, sink, former.resolver.counters if former else None)
    stub.judged_anew, stub.outages.recovered = resolver.flush, resolver.forget_substitutes
    if former:
        stub.outages.follow(former.outages)
    probe = ValidationProbe(stub, reactor, sink, changed=resolver.flush)
    if former:
        probe.follow(former.probe)
    seen = former.seen if former else SeenDANE(cautious_of(reactor), settings.dns.max_ttl)
    tls = ClientTLS(parameters=outbound(settings.tls))

    def trust() -> Trust:
        return Trust(roots, datetime.now(UTC))

    delivery = settings.delivery
    rules = AddressRules(own_addresses(), delivery.allow_loopback, delivery.allow_private)
    fetcher = PolicyFetcher(reactor, resolver, settings.mta_sts, tls, trust, rules)
    troubles = former.policies.troubles if former else FetchTroubles(sink)
    cache = former.policies.cache if former else PolicyCache(policy_cache_path(settings), in_thread_of(reactor), sink)
    policies = PolicyStore(resolver, fetcher, cache, settings.mta_sts, sink, cautious_of(reactor), troubles)
    if former and former.policies.proxy != policies.proxy:
        troubles.proxy_changed()
    refresh = PolicyRefresh(policies, settings.mta_sts, reactor, random.random)
    dane = DANEProvider(resolver, sink, lambda: probe.validates, seen, settings.dns.untrusted_fallback)
    own = (dane, MTASTSProvider(policies, sink), StaticProvider())
    providers = in_order(settings.delivery.providers, own, ProviderContext(resolver, sink, reactor))
    for_clients = SharedResolver(resolver, most // 2, reactor, settings.dns.lifetime)
    return PolicyServices(
        resolver, probe, tls, roots, policies, refresh, providers, stub.servers, stub.outages, seen, for_clients
    )


def wire_desk(settings: Settings, file: Path, backoff: Backoff, sink: IEventSink, reactor: Any) -> SASLServer | None:
    """Where clients authenticate; None when no listener lets them.

    :param file: where the settings stand.
    :raises ConfigurationError: the checker isn't there, or can't be made.
    """
    if all(listener.auth is ListenerAuth.OFF for listener in settings.listener):
        return None

    in_thread = in_thread_of(reactor)
    if settings.auth.checker:
        checker = checker_named(settings.auth.checker, CheckerContext(sink, reactor, in_thread))
    else:
        path = users_path(settings, file)
        checker = UsersChecker(UserStore(path, in_thread, sink, reactor.seconds), in_thread, MOST_HASHING)
    return SASLServer(checker, backoff, reactor, settings.auth.mechanisms)


def wire_door(settings: Settings, file: Path, sink: IEventSink, reactor: Any) -> TokenAccess:
    """Where operators with tokens come in; `file` is the settings' own. It counts failures apart from those of mail users."""

    kind = FileFormat("tokens file", parse_tokens, "no token counts", "seg token add")
    tokens = ReloadingFile(tokens_path(settings, file), kind, in_thread_of(reactor), sink, reactor.seconds, 0.0)
    return TokenAccess(tokens, Backoff(reactor.seconds), reactor, sink)


def wire_filters(settings: Settings, hostname: str, sink: IEventSink, reactor: Any) -> tuple[ConfiguredFilter, ...]:
    """The filters of the ``[[filter]]`` tables, in order; none of them connects yet.

    :raises ConfigurationError: there is no filter of a kind, or it can't be made.
    """
    return load_filters(settings.filter, milter, hostname, sink, reactor)


def wire_mail(
    now: ActiveConfiguration,
    hostname: str,
    postmaster: str,
    languages: Languages,
    sink: IEventSink,
    reactor: Any,
    local: LocalMail,
) -> MailServices:
    """Queue and delivery. Makes the spool's folders and counters.

    :raises OSError: the spool can't be used.
    """
    settings = now.settings
    spool = spool_path(settings)
    known = (var_path(settings) / "totals.json").exists()  # then the gateway ran before
    counters = MessageIds(spool / "counters.json", sink, known=known)

    def settings_of(domain: str, profile: str) -> QueueSettings:
        return now.destinations.bounce(domain, now.settings.queue, profile)

    composer = ReportComposer(hostname, postmaster, posix_of(reactor), languages, settings_of)
    queue = Spool(
        spool,
        settings.queue,
        composer,
        counters,
        sink,
        reactor,
        GroupCommitter(reactor),
        random.random,
        settings_of,
        local.readdressed,
        room_for_queue(),
    )

    def attempt(lease: Lease) -> Attempt:
        return Attempt(lease, mail.sending.means)

    def limit(domain: str) -> int:
        profile = now.destinations.profile(domain)
        return profile.concurrent_connections if profile.limit_per is LimitPer.DOMAIN else now.limits.connections_out

    engine = DeliveryScheduler(queue, attempt, limit, now.limits.connections_out, sink, reactor)

    def rate(domain: str) -> RateLimit:
        profile = now.destinations.profile(domain)
        if profile.limit_per is not LimitPer.DOMAIN:
            return UNLIMITED
        return RateLimit(profile.recipient_limit, profile.recipient_minutes)

    engine.rate = rate
    engine.attempt_timeout = settings.delivery.attempt_timeout
    now.ongoing.alert = TLSAlerts(
        queue, counters, sink, hostname, postmaster, reactor.seconds, posix_of(reactor)
    ).failed
    now.ongoing.lines.on_room = engine.waiters.freed
    alerts = SpoolAlerts(queue, counters, sink, hostname, postmaster, reactor, posix_of(reactor))
    mail = MailServices(counters, queue, engine, wire_sending(now, hostname, counters, sink, reactor), alerts)
    return mail


def wire_local(now: ActiveConfiguration, hostname: str, file: Path, sink: IEventSink, reactor: Any) -> LocalMail:
    """Who gets the mail for users of this machine; `file` is the settings' own."""
    settings = now.settings.gateway
    in_thread = in_thread_of(reactor)
    return LocalMail(aliases_path(file), settings, hostname, lambda: now.destinations, in_thread, sink, reactor)


def wire_pickup(
    now: ActiveConfiguration, mail: MailServices, hostname: str, sink: IEventSink, reactor: Any, local: LocalMail
) -> Pickup:
    """What takes the mail that programs of this machine dropped."""

    def submission() -> SubmissionRules:
        return SubmissionRules(hostname, now.settings.submission, local.table.has_name)

    def limits() -> tuple[int, int]:
        return now.settings.receive.max_message_size, now.settings.receive.max_recipients

    folder = MaildropFolder(drop_path(now.settings))

    def max_hops() -> int:
        return now.settings.receive.max_received_hops

    in_thread = in_thread_of(reactor)
    return Pickup(folder, mail.queue, mail.counters, sink, hostname, limits, reactor, in_thread, max_hops, submission)


def wire_sending(
    now: ActiveConfiguration, hostname: str, counters: IMessageIds, sink: IEventSink, reactor: Any
) -> DeliveryServices:
    """What sends mail by what is in force now."""
    return DeliveryServices(
        *wire_delivery(
            now.settings, lambda: now.destinations, hostname, now.lookups, counters, sink, reactor, now.ongoing
        )
    )


def wire_ongoing(sink: IEventSink, reactor: Any) -> SharedState:
    """What goes on with nothing under way yet."""
    return SharedState(
        SendingRates(reactor.seconds), Greetings(reactor), Condition(sink, ConditionKind.LOCAL, "delivery")
    )


def wire_delivery(
    settings: Settings,
    destinations: Callable[[], Destinations],
    hostname: str,
    lookups: PolicyServices,
    counters: IMessageIds,
    sink: IEventSink,
    reactor: Any,
    ongoing: SharedState | None = None,
) -> tuple[AttemptServices, ConnectionPool]:
    """What every attempt uses, and the connections that wait for the next message."""
    delivery = settings.delivery
    ongoing = ongoing or wire_ongoing(sink, reactor)
    pool = ConnectionPool(reactor, delivery.idle_timeout)
    senders = ESMTPSenderFactory(hostname, delivery, reactor, counters, in_thread=in_thread_of(reactor))
    ties = random.Random()  # noqa: S311 - spreads load among equal hosts, keeps no secret
    sessions = ConnectionOpener(
        Connector(reactor),
        senders,
        pool,
        lookups.tls,
        lookups.roots,
        delivery,
        sink,
        posix_of(reactor),
        ongoing.dialogues,
        ongoing.lines,
        ongoing.identities,
        ongoing.greetings,
        ongoing.lacking,
    )
    means = AttemptServices(
        router=Router(lookups.resolver, destinations, delivery, hostname, own_addresses(), ties, sink),
        policies=PolicyChain(lookups.providers, sink, reactor, max(ANSWER_TIMEOUT, 2 * settings.mta_sts.fetch_timeout)),
        sessions=sessions,
        destinations=destinations,
        sink=sink,
        pace=ongoing.pace,
        alert=ongoing.alert,
        now=posix_of(reactor),
        max_hosts=delivery.max_hosts,
        max_addresses=delivery.max_addresses,
    )
    return means, pool


def wire_checks(
    settings: Settings,
    destinations: Callable[[], Destinations],
    hostname: str,
    lookups: PolicyServices,
    identities: ClientIdentities,
    sink: IEventSink,
    reactor: Any,
) -> Checks:
    """The operator's checks: the parts that deliver, with connections and TLS sessions of their own."""
    delivery = attrs.evolve(
        settings.delivery, **{name: min(getattr(settings.delivery, name), most) for name, most in CHECK_WAITS.items()}
    )
    own, ties = own_addresses(), random.Random(0)  # noqa: S311 - the same order of equal hosts each time
    senders = ESMTPSenderFactory(hostname, delivery, reactor, NoIds(), in_thread=in_thread_of(reactor))

    def router(chosen: Callable[[], Destinations], notebook: IEventSink) -> Router:
        return Router(lookups.resolver, chosen, delivery, hostname, own, ties, notebook)

    def sessions(notebook: IEventSink) -> ConnectionOpener:
        pool = ConnectionPool(reactor, 0.0)
        return ConnectionOpener(
            Connector(reactor),
            senders,
            pool,
            ClientTLS(parameters=outbound(settings.tls)),
            lookups.roots,
            delivery,
            notebook,
            posix_of(reactor),
            identities=identities,
        )

    surroundings = CheckServices(
        resolver=lookups.resolver,
        providers=lookups.providers,
        policies=lookups.policies,
        destinations=destinations,
        router=router,
        sessions=sessions,
        sink=sink,
        max_hosts=delivery.max_hosts,
        max_addresses=delivery.max_addresses,
        clock=reactor,
    )
    return Checks(surroundings)


def own_addresses() -> frozenset[IPAddress]:
    """Every IP address of this machine."""
    return frozenset(
        ip_address(entry.address.partition("%")[0])
        for entries in psutil.net_if_addrs().values()
        for entry in entries
        if entry.family in (socket.AF_INET, socket.AF_INET6)
    )
