"""The four questions that an operator can ask about a domain; each is a dry run with its own providers."""

from __future__ import annotations

import enum
import ipaddress
from collections.abc import Callable, Sequence
from typing import Any

import attrs
from twisted.internet.defer import Deferred, TimeoutError
from twisted.internet.interfaces import IReactorTime
from zope.interface import implementer

from seg.check.answer import CheckAnswer
from seg.check.applied import not_applied
from seg.check.document import document
from seg.check.dry_run import NoTransmit, dry_lease, without_limits
from seg.check.outcome import CERTIFICATE, Result, of_dane, of_delivery, of_sts, of_tls
from seg.check.recorder import DryRunRecorder
from seg.check.report import CheckReport
from seg.common.clock import posix_of
from seg.config.destinations import DANEMode, Destinations, IPPreference, STSMode, TLSOption
from seg.config.schema import Delivery
from seg.config.syntax import nearest_domain
from seg.deliver.attempt import Attempt, AttemptServices
from seg.deliver.connections import ConnectionOpener
from seg.deliver.interfaces import IRouter
from seg.deliver.plan import AttemptPlan, plan_for
from seg.dns.addresses import NoAddress, find_host
from seg.dns.interfaces import IResolver
from seg.dns.routing import parse_literal
from seg.events.base import IEventSink
from seg.mail.address import to_ascii
from seg.mail.causes import CauseKind
from seg.mail.errors import Temporary
from seg.mail.hosts import MXHost, Route
from seg.mail.outcome import Delayed
from seg.policy.chain import PolicyChain
from seg.policy.interfaces import IHostPolicy, ITLSPolicyProvider
from seg.policy.mtasts.store import PolicyStore
from seg.policy.requirement import Answer, DomainQuestion, Observe, Requirement, TLSLevel
from seg.tls.names import is_host_name
from seg.tls.webpki import WebPKI

LONGEST = 150.0  # seconds for one check
MOST = 4  # checks at a time


class CheckKind(enum.StrEnum):
    """What is asked."""

    EXPLAIN = "explain"  # what would happen to a message now
    TLS = "tls"  # TLS and certificate of each host, and the destination's policies
    STS = "mta-sts"  # the domain's MTA-STS, whatever the profile says
    DANE = "dane"  # the domain's DANE, whatever the profile says


class CheckError(ValueError):
    """The question can't be asked so; the text says why."""


class TooManyChecks(Exception):
    """Ask again when one of those that are running has ended."""


@attrs.frozen
class CheckRequest:
    """One check."""

    kind: CheckKind
    domain: str  # A-labels
    host: str = ""  # only this host, be it an MX of the domain or not; "" = the domain's next hops
    port: int = 0  # of the host; 0 = as in delivery
    destinations: Destinations | None = None  # instead of those in force


def parse_domain(text: str) -> str:
    """A domain, or an address literal, as it is looked up.

    :raises CheckError: it is neither.
    """
    domain = to_ascii(text.strip().rpartition("@")[2])
    if not is_host_name(domain) and parse_literal(domain) is None:
        raise CheckError(f"{text[:100]!r} is no domain name{nearest_domain(text[:300])}")
    return domain


@attrs.frozen
class CheckServices:
    """What checks share with deliveries. Sessions and routers are made anew for each check: no pooled connection, no TLS session."""

    resolver: IResolver
    providers: Sequence[ITLSPolicyProvider]
    policies: PolicyStore
    destinations: Callable[[], Destinations]
    router: Callable[[Callable[[str], AttemptPlan], IEventSink], IRouter]
    sessions: Callable[[IEventSink], ConnectionOpener]
    sink: IEventSink
    settings: Delivery
    clock: IReactorTime


class Checks:
    """Answers questions, a few at a time."""

    def __init__(self, services: CheckServices) -> None:
        self._use = services
        self._running = 0

    async def ask(self, question: CheckRequest) -> CheckAnswer:
        """The answer as a document (`seg.check.document`).

        :raises TooManyChecks: as many are running as may be.
        """
        if self._running >= MOST:
            raise TooManyChecks
        self._running += 1
        try:
            return await self._answer(question)
        finally:
            self._running -= 1

    async def _answer(self, question: CheckRequest) -> CheckAnswer:
        use, recorder = self._use, DryRunRecorder()
        destinations = question.destinations or use.destinations()
        attempt = self._attempt(question, _for_kind(question.kind, destinations, question.domain), recorder)
        try:
            await Deferred.fromCoroutine(attempt.run()).addTimeout(LONGEST, use.clock)
        except TimeoutError:
            attempt.fill(Delayed(Temporary("4.4.2", f"not finished after {LONGEST:.0f} seconds")))
        report = recorder.report(attempt)
        if question.kind is CheckKind.STS:
            report = attrs.evolve(report, sts=await use.policies.look(question.domain))
        if question.kind in (CheckKind.STS, CheckKind.DANE):
            names = [provider.name for provider in use.providers]
            report = attrs.evolve(report, not_applied=not_applied(question.kind, destinations, question.domain, names))
        return document(question.kind.value, _RESULTS[question.kind](report), report)

    def _attempt(self, question: CheckRequest, destinations: Destinations, recorder: DryRunRecorder) -> Attempt:
        use = self._use
        plan = without_limits(plan_for(destinations, question.domain, use.settings, posix_of(use.clock)()))
        router = use.router(lambda domain: plan, recorder)
        if question.host:
            router = SingleHostRouter(router, use.resolver, question.host, question.port)
        services = AttemptServices(
            router=router,
            policies=PolicyChain(self._providers(question.kind), use.sink, use.clock),
            opener=use.sessions(recorder),
            transmit=NoTransmit(),
        )
        return Attempt(dry_lease(question.domain), plan, services, recorder)

    def _providers(self, kind: CheckKind) -> list[ITLSPolicyProvider]:
        if kind is CheckKind.TLS:
            return [CertificateProvider(), *self._use.providers]
        if kind is CheckKind.EXPLAIN:
            return [*self._use.providers]
        return [provider for provider in self._use.providers if provider.name == kind.value]


_RESULTS: dict[CheckKind, Callable[[CheckReport], Result]] = {
    CheckKind.EXPLAIN: of_delivery,
    CheckKind.TLS: of_tls,
    CheckKind.STS: of_sts,
    CheckKind.DANE: of_dane,
}


def _for_kind(kind: CheckKind, destinations: Destinations, domain: str) -> Destinations:
    """The destinations for one check. DANE and MTA-STS of a domain are looked at whatever its profile and routes say: before they are
    switched on, somebody wants to know whether they would work."""
    if kind in (CheckKind.EXPLAIN, CheckKind.TLS):
        return destinations
    own = destinations.profile(domain)
    profile = attrs.evolve(
        own,
        tls=own.tls if own.tls is not TLSOption.NO else TLSOption.PREFERRED,
        dane=DANEMode.MANDATORY,
        mta_sts=STSMode.ON,
        exemption=None,
    )
    return Destinations(default=profile)


@implementer(IRouter)
@attrs.frozen
class SingleHostRouter:
    """A route to one host alone: with what its MX record says of it where there is one, else as if it had been named by an insecure MX."""

    inner: IRouter
    resolver: IResolver
    name: str
    port: int

    async def route(self, domain: str, via: str = "") -> Route:
        """See `IRouter.route`."""
        route = await self.inner.route(domain, via)
        name = to_ascii(self.name)
        known = next((host for host in route.hosts if host.name == name), None)
        host = known or await self._find(name, route.hosts[0].port if route.hosts else 25)
        return attrs.evolve(route, hosts=(attrs.evolve(host, port=self.port or host.port),))

    async def _find(self, name: str, port: int) -> MXHost:
        literal = _address(name)
        if literal is not None:
            return MXHost(str(literal), 0, (literal,), port, expanded=str(literal))
        found = await find_host(
            self.resolver, name, preference=IPPreference.IPV6_PREFERRED, rank=0, port=port, mx_secure=False
        )
        if isinstance(found, NoAddress):
            raise Temporary("4.4.3", f"{found.host} {found.reason}", cause=CauseKind.DNS_FAILED)
        return found


def _address(name: str) -> Any:
    try:
        return ipaddress.ip_address(name.strip("[]"))
    except ValueError:
        return None


@implementer(ITLSPolicyProvider)
class CertificateProvider:
    """Looks at the certificate by the web PKI for the domain or the host, and enforces nothing: what `seg tlsverify` asks besides."""

    name = CERTIFICATE

    def open(self, question: DomainQuestion) -> CertificatePolicy:
        """Begin an attempt."""
        return CertificatePolicy(question.domain)


@implementer(IHostPolicy)
@attrs.frozen
class CertificatePolicy:
    """One domain."""

    domain: str

    async def answer(self, host: MXHost) -> Answer:
        """Observe, whatever the host."""
        names = tuple(dict.fromkeys((self.domain, host.name)))
        wanted = Requirement(TLSLevel.MUST, authenticators=(WebPKI(names, CERTIFICATE),), source=CERTIFICATE)
        return Observe(wanted, f"observed({' or '.join(names)})")
