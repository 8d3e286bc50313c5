"""What finds out how a destination is to be reached, put together: DNS, TLS, and the policy providers in the operator's order."""

from __future__ import annotations

import random
from datetime import UTC, datetime

import attrs

from seg.common.clock import cautious_of
from seg.common.machine import own_addresses
from seg.config.paths import policy_cache_path
from seg.config.schema import Settings
from seg.dns.address_rules import AddressRules
from seg.dns.cache import CachingResolver
from seg.dns.outage import Outages
from seg.dns.probe import ValidationProbe
from seg.dns.resolver import StubResolver
from seg.dns.servers import UpstreamServer
from seg.dns.turns import SharedResolver, most_questions
from seg.events.runtime import Runtime
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
from seg.tls.context import ClientTLS
from seg.tls.parameters import outbound
from seg.tls.peer import Trust
from seg.tls.roots import RootStore


@attrs.frozen
class PolicyServices:
    """What finds out how a destination is to be reached. It needs no files to begin with."""

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


def build_lookups(
    runtime: Runtime, settings: Settings, roots: RootStore, former: PolicyServices | None = None
) -> PolicyServices:
    """All of it; nothing asks yet.

    :param former: those that these follow; the policies known and what was counted go on.
    :raises ConfigurationError: a resolver or a provider that doesn't exist.
    """
    reactor, sink = runtime.reactor, runtime.sink
    most = most_questions()
    stub = StubResolver(reactor, settings.dns, sink, most=most)
    resolver = CachingResolver(stub, reactor, settings.dns, sink, former.resolver.counters if former else None)
    stub.judged_anew, stub.outages.recovered = resolver.flush, resolver.forget_substitutes
    probe = ValidationProbe(stub, reactor, sink, changed=resolver.flush)
    if former:
        stub.outages.follow(former.outages)
        probe.follow(former.probe)
    seen = former.seen if former else SeenDANE(cautious_of(reactor), settings.dns.max_ttl)
    tls = ClientTLS(parameters=outbound(settings.tls))
    policies = _build_policies(runtime, settings, resolver, tls, roots, former)
    dane = DANEProvider(resolver, sink, lambda: probe.validates, seen, settings.dns.untrusted_fallback)
    own = (dane, MTASTSProvider(policies, sink), StaticProvider())
    return PolicyServices(
        resolver=resolver,
        probe=probe,
        tls=tls,
        roots=roots,
        policies=policies,
        refresh=PolicyRefresh(policies, settings.mta_sts, reactor, random.random),
        providers=in_order(settings.delivery.providers, own, ProviderContext(resolver, sink, reactor)),
        servers=stub.servers,
        outages=stub.outages,
        seen=seen,
        for_clients=SharedResolver(resolver, most // 2, reactor, settings.dns.lifetime),
    )


def _build_policies(
    runtime: Runtime,
    settings: Settings,
    resolver: CachingResolver,
    tls: ClientTLS,
    roots: RootStore,
    former: PolicyServices | None,
) -> PolicyStore:
    """The MTA-STS policies."""

    def trust() -> Trust:
        return Trust(roots, datetime.now(UTC))

    delivery, sink = settings.delivery, runtime.sink
    rules = AddressRules(own_addresses(), delivery.allow_loopback, delivery.allow_private)
    fetcher = PolicyFetcher(runtime.reactor, resolver, settings.mta_sts, tls, trust, rules)
    troubles = former.policies.troubles if former else FetchTroubles(sink)
    cache = former.policies.cache if former else PolicyCache(policy_cache_path(settings), runtime.in_thread, sink)
    policies = PolicyStore(resolver, fetcher, cache, settings.mta_sts, sink, runtime.reactor, troubles)
    if former and former.policies.proxy != policies.proxy:
        troubles.proxy_changed()
    return policies
