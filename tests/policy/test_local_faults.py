"""No fault of the gateway's own makes a decision weaker: whichever questions it can't put, and whatever they were about."""

from __future__ import annotations

from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from seg.config.destinations import DANEFailure, DANEMode, IPPreference, Profile, TLSOption
from seg.dns.addresses import SelfAddresses
from seg.dns.answer import DNSAnswer
from seg.dns.interfaces import IResolver
from seg.dns.routing import mx_route
from seg.mail.errors import DeliveryError, LocalFault, Permanent
from seg.mail.hosts import MXHost, Route
from seg.policy.chain import PolicyChain
from seg.policy.dane.memory import SeenDANE
from seg.policy.dane.provider import DANEProvider
from seg.policy.interfaces import IHostPolicy, ITLSPolicyProvider
from seg.policy.requirement import Answer, Decision, DomainQuestion, NoOpinion, Raise, Requirement, TLSLevel
from seg.policy.static import StaticProvider
from tests.dns_double import FakeResolver
from tests.doubles import RecordingSink

DOMAIN = "d.test"
HOSTS = ("mx1.test", "mx2.test", "alias.test")
TARGETS = (*HOSTS, "real.test")
QUESTIONS = (
    (DOMAIN, "MX"),
    ("_acme.d.test", "TXT"),
    *((name, rdtype) for name in TARGETS for rdtype in ("A", "AAAA", "CNAME")),
    *((f"_25._tcp.{name}", "TLSA") for name in TARGETS),
)
RECORDS = (
    *(f"{DOMAIN} MX {10 * number} {name}" for number, name in enumerate(HOSTS)),
    *(f"{name} A 192.0.2.{number}" for number, name in enumerate(TARGETS) if name != "alias.test"),
    *(f"{name} AAAA 2001:db8::{number}" for number, name in enumerate(TARGETS) if name != "alias.test"),
    "alias.test CNAME real.test",
    *(f"_25._tcp.{name} TLSA 3 1 1 {'ab' * 32}" for name in TARGETS),
    *(f"_25._tcp.{name} TLSA 1 1 1 {'ab' * 32}" for name in TARGETS),
    '_acme.d.test TXT "must"',
)


@implementer(IResolver)
class LackingResolver(FakeResolver):
    """Can't put some questions."""

    lacking: frozenset[tuple[str, str]] = frozenset()

    async def query(self, name: str, rdtype: str) -> DNSAnswer:
        """Answer (`IResolver.query`), or not."""
        if (name, rdtype) in self.lacking:
            raise LocalFault("a question to a resolver can't be sent: Too many open files")
        return await super().query(name, rdtype)


@implementer(ITLSPolicyProvider, IHostPolicy)
class TextProvider:
    """A third party's: it lets the resolver's exceptions through."""

    name = "acme"

    def __init__(self, resolver: IResolver) -> None:
        self._resolver = resolver

    def open(self, question: DomainQuestion) -> TextProvider:
        """Itself."""
        return self

    async def answer(self, host: MXHost) -> Answer:
        """TLS if there is a record."""
        found = await self._resolver.query("_acme.d.test", "TXT")
        return Raise(Requirement(TLSLevel.MUST, source="acme"), "record") if found.found else NoOpinion("no record")


def strength(decision: Decision) -> tuple[int, int, int]:
    """How much a decision protects: what isn't contacted is protected most."""
    if not decision.usable:
        return (3, 0, 0)
    wish = decision.requirement
    return (int(wish.tls), int(bool(wish.authenticators)), sum(one.verifies for one in wish.authenticators))


class LocalFaultTests(SynchronousTestCase):
    """Routing and the chain, with and without faults of our own."""

    def decide(self, resolver: LackingResolver, profile: Profile) -> tuple[dict[str, Decision], DeliveryError | None]:
        """The decision for each host of the route, or why there is no route."""
        routed: list[Route | Failure] = []
        own = SelfAddresses("gw.test")
        routing = Deferred.fromCoroutine(mx_route(resolver, DOMAIN, IPPreference.IPV6_PREFERRED, own, 25, 5, Random(1)))
        routing.addBoth(routed.append)
        (route,) = routed
        if isinstance(route, Failure):
            error = route.value
            assert isinstance(error, DeliveryError)
            return {}, error
        sink, clock = RecordingSink(), Clock()
        dane = DANEProvider(resolver, sink, lambda: True, SeenDANE(clock.seconds, 3600.0))
        chain = PolicyChain((dane, TextProvider(resolver), StaticProvider()), sink, clock)
        opened = chain.open(DomainQuestion(DOMAIN, profile, route))
        decisions: dict[str, Decision] = {}
        for host in route.hosts:
            Deferred.fromCoroutine(opened.decide(host)).addCallback(
                lambda decision: decisions.update({decision.host: decision})
            )
        return decisions, None

    @given(
        st.sets(st.sampled_from(RECORDS)).map(
            lambda left_out: [record for record in RECORDS if record not in left_out]
        ),
        st.sets(st.sampled_from([DOMAIN, *TARGETS])),
        st.sets(st.sampled_from(QUESTIONS), min_size=1, max_size=6),
        st.sampled_from([DANEMode.OPPORTUNISTIC, DANEMode.MANDATORY]),
        st.sampled_from(DANEFailure),
        st.sampled_from([TLSOption.PREFERRED, TLSOption.REQUIRED]),
    )
    @settings(max_examples=400, deadline=None)
    def test_never_weaker(
        self,
        zone: list[str],
        insecure: set[str],
        lacking: set[tuple[str, str]],
        mode: DANEMode,
        failure: DANEFailure,
        tls: TLSOption,
    ) -> None:
        """Whatever the zone and the questions that can't be put: each host is as well protected as without the fault, or waits; and
        nothing is returned for good that wasn't without it."""
        resolver = LackingResolver("\n".join(zone), everything_secure=True, insecure=insecure)
        profile = Profile(dane=mode, dane_opportunistic_failure=failure, tls=tls)
        sound, sound_error = self.decide(resolver, profile)
        resolver.lacking = frozenset(lacking)
        faulty, error = self.decide(resolver, profile)
        for name, decision in faulty.items():
            if name in sound:
                self.assertGreaterEqual(strength(decision), strength(sound[name]), name)
        if isinstance(error, Permanent):
            self.assertIsInstance(sound_error, Permanent)
