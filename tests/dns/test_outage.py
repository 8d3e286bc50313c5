"""The trusted resolvers are away, and another one answers in their place."""

from __future__ import annotations

import contextlib
from random import Random

import dns.rcode
import dns.rdatatype
from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from seg.config.destinations import DANEMode, IPPreference, Profile
from seg.config.schema import DNS, UntrustedFallback
from seg.dns.addresses import SelfAddresses
from seg.dns.answer import AnswerStatus, DNSAnswer, DNSFailure, FailureKind
from seg.dns.cache import SUBSTITUTE_TTL, CachingResolver
from seg.dns.outage import QUIET, Outages
from seg.dns.resolver import StubResolver
from seg.dns.routing import mx_route
from seg.dns.servers import make_servers
from seg.events.gateway import ConditionBegan, ConditionEnded, ConditionKind
from seg.mail.errors import LocalFault
from seg.policy.dane.memory import SeenDANE
from seg.policy.dane.provider import DANEProvider
from seg.policy.requirement import Decide, DomainQuestion, TempFail
from tests.dns.test_resolver import SOA, Query, ResolverCase, errs, sends, silent
from tests.dns.wire_server import Respond, Send, WireServer, reply
from tests.doubles import RecordingSink

TRUSTED = ("127.0.0.1/32",)
CLOSED = "127.0.0.1:1"


class SubstituteTests(ResolverCase):
    """`StubResolver` with resolvers of both kinds."""

    def other(self) -> WireServer:
        """A resolver that isn't trusted, and sets AD all the same."""
        server = WireServer(reactor, sends("a.test. A 192.0.2.66", ad=True), interface="127.0.0.2")
        self.addCleanup(server.stop)
        return server

    def told(self, resolver: StubResolver) -> list[str]:
        """What was told of the resolvers."""
        kinds = (ConditionBegan, ConditionEnded)
        return [event.text for event in self.sink.events if isinstance(event, kinds)]

    async def test_substitute(self) -> None:
        """What another one answers while the trusted ones are away says so of itself, and is told once; the end, too."""
        other = self.other()
        resolver = self.resolver(CLOSED, other, trusted=TRUSTED)
        flushed: list[int] = []
        resolver.outages.recovered = lambda: flushed.append(1)
        for _ in range(3):
            answer = await resolver.query("a.test", "A")
            self.assertEqual((answer.secure, answer.substitute), (False, True))
        began = (
            f"the trusted resolvers are away; {other.address} answers without validation: DANE can't be applied, "
            "and mail to domains known to have it waits"
        )
        self.assertEqual(self.sink.of(ConditionBegan), [ConditionBegan(ConditionKind.RESOLVER, "", began)])
        back = self.serve(sends("a.test. A 192.0.2.1", ad=True))
        resolver.servers[0].port = back.port
        for _ in range(2):
            answer = await resolver.query("a.test", "A")
            self.assertEqual((answer.secure, answer.substitute), (True, False))
        self.assertEqual(self.told(resolver), [began, "a trusted resolver answers again"])
        self.assertEqual(flushed, [1])

    async def test_back_with_an_error(self) -> None:
        """A trusted resolver that answers SERVFAIL is back; the probe notices it, too."""
        for returning in (
            errs(dns.rcode.SERVFAIL),
            sends(". DNSKEY 257 3 13 mdsswUyr3DPW132mOi8V9xESWE8jTo0d", ad=True),
        ):
            resolver = self.resolver(CLOSED, self.other(), trusted=TRUSTED)
            await resolver.query("a.test", "A")
            resolver.servers[0].port = self.serve(returning).port
            with contextlib.suppress(DNSFailure):
                await resolver.probe()
            self.assertEqual(len(self.told(resolver)), 2)

    async def test_refused(self) -> None:
        """One that doesn't serve this question is no outage, but the answer is a substitute's."""
        resolver = self.resolver(self.serve(errs(dns.rcode.REFUSED)), self.other(), trusted=TRUSTED)
        self.assertTrue((await resolver.query("a.test", "A")).substitute)
        self.assertEqual(self.told(resolver), [])

    async def test_no_substitute(self) -> None:
        """Without any trusted resolver, or with none that validates, there is nobody to stand in for."""
        answer = await self.resolver(self.other(), trusted=()).query("a.test", "A")
        self.assertFalse(answer.substitute)
        resolver = self.resolver(self.serve(sends("a.test. A 192.0.2.1")), self.other(), trusted=TRUSTED)
        resolver.servers[0].validating = False
        self.assertFalse((await resolver.query("a.test", "A")).substitute)

    async def test_believed_first(self) -> None:
        """The trusted resolver is asked first though the list begins with another one."""
        other, trusted = self.other(), self.serve(sends("a.test. A 192.0.2.1", ad=True))
        answer = await self.resolver(other, trusted, trusted=TRUSTED).query("a.test", "A")
        self.assertEqual((answer.secure, answer.substitute, other.queries), (True, False, []))

    async def test_nobody(self) -> None:
        """That nobody is there at all is told as well; a time-out, which a domain can bring about, isn't."""
        with self.assertRaises(LocalFault):
            await self.resolver(CLOSED).query("a.test", "A")
        self.assertEqual(self.sink.of(ConditionBegan)[0].text, "no resolver answers: mail waits")
        await self.failure(self.resolver(self.serve(silent)))
        self.assertEqual(self.sink.of(ConditionBegan), [])

    async def test_judged_anew(self) -> None:
        """A probe that finds one of several resolvers changed says so, though another one still validates."""
        one, two = (self.serve(sends(". DNSKEY 257 3 13 mdsswUyr3DPW132mOi8V9xESWE8jTo0d", ad=True)) for _ in range(2))
        resolver = self.resolver(one, two)
        changes: list[int] = []
        resolver.judged_anew = lambda: changes.append(1)
        self.assertTrue(await resolver.probe())
        self.assertEqual(changes, [])
        one.udp = sends(". DNSKEY 257 3 13 mdsswUyr3DPW132mOi8V9xESWE8jTo0d")
        self.assertTrue(await resolver.probe())
        self.assertEqual(changes, [1])


class SeamTests(ResolverCase):
    """Resolver, cache, routing and DANE over an outage of the trusted resolver."""

    ZONE = {
        "MX": "a.test. MX 10 mx.a.test.",
        "A": "mx.a.test. A 192.0.2.1",
        "TLSA": f"_25._tcp.mx.a.test. TLSA 3 1 1 {'ab' * 32}",
    }

    def answering(self, ad: bool, tlsa: bool = True) -> Respond:
        """Serves the zone."""

        def respond(query: Query, send: Send) -> None:
            record = self.ZONE.get(dns.rdatatype.to_text(query.question[0].rdtype), "")
            if record.startswith("_25") and not tlsa:
                record = ""
            send(reply(query, *([record] if record else ()), ad=ad, authority="" if record else SOA).to_wire())

        return respond

    async def test_outage(self) -> None:
        """A DANE domain isn't sent to with less while a stand-in answers, whether it was seen before or not, whatever that one shows; with the
        trusted resolver back DANE is applied at once."""
        for seen, hides in ((True, False), (True, True), (False, False)):
            trusted = self.serve(self.answering(ad=True))
            other = WireServer(reactor, self.answering(ad=True, tlsa=not hides), interface="127.0.0.2")
            self.addCleanup(other.stop)
            stub = self.resolver(trusted, other, trusted=TRUSTED)
            cache = CachingResolver(stub, reactor, DNS(), self.sink)  # type: ignore[arg-type]
            stub.outages.recovered, stub.judged_anew = cache.forget_substitutes, cache.flush
            provider = DANEProvider(cache, self.sink, lambda: True, SeenDANE(reactor.seconds, 3600.0))  # type: ignore[attr-defined]

            async def answer(cache: CachingResolver = cache, provider: DANEProvider = provider) -> object:
                own = SelfAddresses("gw.test")
                route = await mx_route(cache, "a.test", IPPreference.IPV4_REQUIRED, own, 25, 5, Random(1))
                asked = DomainQuestion("a.test", Profile(dane=DANEMode.OPPORTUNISTIC), route)
                return await provider.open(asked).answer(route.hosts[0])

            if seen:
                self.assertIsInstance(await answer(), Decide)
                cache.flush()  # the TTL of the MX record is over
            port, stub.servers[0].port = stub.servers[0].port, 1
            for _ in range(2):
                self.assertIsInstance(await answer(), TempFail)
            stub.servers[0].port = port
            await stub.probe()
            self.assertIsInstance(await answer(), Decide)


class OutagesTests(SynchronousTestCase):
    """`Outages` by itself."""

    def setUp(self) -> None:
        self.sink, self.clock = RecordingSink(), Clock()
        self.servers = make_servers(["127.0.0.1", "192.0.2.1"], TRUSTED)
        self.outages = Outages(self.servers, UntrustedFallback.INSECURE, self.sink, self.clock)

    def test_local_faults(self) -> None:
        """A fault of ours is told once, and is over when there was none for a while."""
        for _ in range(5):
            self.outages.lacked(LocalFault("a question to a resolver can't be sent: Too many open files"))
            self.outages.replied(self.servers[0])
        self.clock.advance(QUIET)
        self.outages.replied(self.servers[1])
        self.assertEqual(
            self.sink.events,
            [
                ConditionBegan(
                    ConditionKind.LOCAL,
                    "dns",
                    "a question to a resolver can't be sent: Too many open files: mail that needs an answer waits",
                ),
                ConditionEnded(ConditionKind.LOCAL, "dns", "questions to the resolvers are put again"),
            ],
        )

    def test_insecure(self) -> None:
        """The operator who chose it hears that DANE isn't applied."""
        self.outages.substituted(self.servers[1], away=True)
        self.assertTrue(
            self.sink.of(ConditionBegan)[0].text.endswith("192.0.2.1 answers without validation: DANE isn't applied")
        )

    def test_reload(self) -> None:
        """What lasts goes on with other resolvers, and ends there."""
        self.outages.substituted(self.servers[1], away=True)
        others = Outages(self.servers, UntrustedFallback.DEFER, self.sink, self.clock)
        others.follow(self.outages)
        others.replied(self.servers[0])
        self.assertEqual(len(self.sink.of(ConditionEnded)), 1)


class _Answering:
    """Gives what it is told to give."""

    def __init__(self) -> None:
        self.answer = DNSAnswer("a.test", "A", AnswerStatus.FOUND, (), ttl=86400.0, substitute=True)
        self.asked = 0
        self.waiting: Deferred[DNSAnswer] | None = None

    async def query(self, name: str, rdtype: str) -> DNSAnswer:
        self.asked += 1
        return self.answer if self.waiting is None else await self.waiting


class CacheTests(SynchronousTestCase):
    """How long a stand-in's answers are kept."""

    def setUp(self) -> None:
        self.clock, self.inner = Clock(), _Answering()
        self.cache = CachingResolver(self.inner, self.clock, DNS(), RecordingSink())  # type: ignore[arg-type]

    def ask(self, name: str = "a.test") -> Deferred[DNSAnswer]:
        """Ask the cache."""
        return Deferred.fromCoroutine(self.cache.query(name, "A"))

    def test_a_minute(self) -> None:
        """Not longer than a minute, whatever their TTL."""
        self.ask()
        self.clock.advance(SUBSTITUTE_TTL - 1)
        self.ask()
        self.assertEqual(self.inner.asked, 1)
        self.clock.advance(1)
        self.ask()
        self.assertEqual(self.inner.asked, 2)

    def test_forgotten(self) -> None:
        """When a trusted one is back they are forgotten, those in flight as well; its own answers stay."""
        self.ask()
        self.inner.answer = DNSAnswer("b.test", "A", AnswerStatus.FOUND, (), secure=True, ttl=86400.0)
        self.ask("b.test")
        self.inner.waiting = Deferred()
        waiting = self.ask("c.test")
        self.cache.forget_substitutes()
        self.inner.waiting.callback(DNSAnswer("c.test", "A", AnswerStatus.FOUND, (), ttl=86400.0, substitute=True))
        self.assertTrue(self.successResultOf(waiting).substitute)
        self.assertEqual(len(self.cache), 1)
        self.assertTrue(self.successResultOf(self.ask("b.test")).secure)

    def test_failures(self) -> None:
        """Failures are kept as ever."""
        self.inner.waiting = Deferred()
        failing = self.ask()
        self.inner.waiting.errback(DNSFailure("a.test", "A", FailureKind.SERVFAIL))
        self.failureResultOf(failing, DNSFailure)
        self.cache.forget_substitutes()
        self.assertEqual(len(self.cache), 1)
