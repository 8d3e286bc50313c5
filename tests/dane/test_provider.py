"""Tests for `seg.policy.dane.provider`: each row of the DANE table in both modes."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import ip_address
from typing import Any

import attrs
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from seg.config.destinations import DANEFailure, DANEMode, Profile
from seg.config.schema import UntrustedFallback
from seg.dns.answer import FailureKind
from seg.events.policy import DANEMX, DANEAddress, DANERecord, DANETried, DANEWeakened
from seg.mail.errors import LocalFault
from seg.mail.hosts import MXHost, Route, RouteKind
from seg.policy.dane.authenticator import DANEAuthenticator
from seg.policy.dane.memory import SeenDANE
from seg.policy.dane.provider import DANEProvider, reference_names, tlsa_bases
from seg.policy.interfaces import IHostPolicy, ITLSPolicyProvider
from seg.policy.requirement import Answer, Decide, DomainQuestion, NoOpinion, Raise, Refuse, TempFail, TLSLevel
from tests.dane import rows
from tests.dns_double import FakeResolver
from tests.doubles import RecordingSink

GOOD = f"3 1 1 {'ab' * 32}"
PKIX = f"1 1 1 {'ab' * 32}"
PUBLISHED = {rows.USABLE: (GOOD,), rows.MIXED: (GOOD, PKIX), rows.UNUSABLE: (PKIX,), rows.UNSIGNED: (GOOD,)}
FAILURES = (
    FailureKind.SERVFAIL,
    FailureKind.TIMEOUT,
    FailureKind.REFUSED,
    FailureKind.NOTIMP,
    FailureKind.BOGUS,
)

HOST = MXHost(
    "mx.example.com",
    10,
    (ip_address("192.0.2.1"),),
    mx_secure=True,
    address_secure=True,
    expanded="mx.example.com",
)
ALIAS = attrs.evolve(HOST, expanded="host.hoster.example", alias_secure=True)


def question(mode: DANEMode, failure: DANEFailure = DANEFailure.DEFER, **route: Any) -> DomainQuestion:
    """Asked for example.com."""
    profile = Profile(dane=mode, dane_opportunistic_failure=failure)
    found = attrs.evolve(Route("example.com", RouteKind.MX, (), secure=True, canonical="example.com"), **route)
    return DomainQuestion("example.com", profile, found)


class ProviderCase(SynchronousTestCase):
    """A provider with a resolver and a sink in memory."""

    def setUp(self) -> None:
        self.resolver = FakeResolver(everything_secure=True)
        self.sink = RecordingSink()
        self.validates = True
        self.clock = Clock()
        self.seen_dane = SeenDANE(self.clock.seconds, 86400.0)
        self.fallback = UntrustedFallback.DEFER

    def answer(self, asked: DomainQuestion, host: MXHost = HOST) -> Answer:
        """The provider's answer for a host."""
        provider = DANEProvider(self.resolver, self.sink, lambda: self.validates, self.seen_dane, self.fallback)
        return self.successResultOf(Deferred.fromCoroutine(provider.open(asked).answer(host)))

    def publish(self, name: str, *records: str) -> None:
        """TLSA records at a name."""
        self.resolver.add("\n".join(f"{name} TLSA {record}" for record in records))


def described(answer: Answer) -> str:
    """An answer in the words of the table."""
    if isinstance(answer, Decide | Raise):
        requirement = answer.requirement
        assert requirement.tls is TLSLevel.MUST
        assert requirement.sni == "mx.example.com"
        if not requirement.authenticators:
            return rows.ENCRYPTED
        (authenticator,) = requirement.authenticators
        assert isinstance(authenticator, DANEAuthenticator)
        assert [record.label for record in authenticator.records] == ["3 1 1"]
        assert authenticator.verifies is isinstance(answer, Decide)
        return rows.DECIDED if isinstance(answer, Decide) else rows.TRUSTED
    return {NoOpinion: rows.NEXT, Refuse: rows.NOT_USED, TempFail: rows.NOT_NOW}[type(answer)]


class TableTests(ProviderCase):
    """Section 3 of the decision, row by row."""

    def test_table(self) -> None:
        """Every row comes out as the table says, in both modes, for every kind of failure."""
        for row in rows.ROWS:
            for kind in FAILURES if row.tlsa == rows.FAILING else (None,):
                for mode, wanted in (
                    (DANEMode.OPPORTUNISTIC, row.opportunistic),
                    (DANEMode.MANDATORY, row.mandatory),
                ):
                    self._check(row, mode, wanted, kind)

    def _check(self, row: rows.Row, mode: DANEMode, wanted: str, kind: FailureKind | None) -> None:
        self.resolver = FakeResolver(everything_secure=row.tlsa != rows.UNSIGNED)
        self.publish("_25._tcp.mx.example.com", *PUBLISHED.get(row.tlsa, ()))
        if row.tlsa == rows.NOT_ASKED or kind is not None:
            self.resolver.fail("_25._tcp.mx.example.com", "TLSA", kind or FailureKind.SERVFAIL)
        host = attrs.evolve(HOST, mx_secure=row.mx == rows.SECURE, address_secure=row.address == rows.SECURE)
        answer = self.answer(question(mode), host)
        self.assertEqual(described(answer), wanted, (row, mode, answer))
        if row.tlsa == rows.NOT_ASKED:
            self.assertEqual(self.resolver.questions, [])

    def test_switched_off(self) -> None:
        """Mode none asks nothing."""
        self.assertEqual(self.answer(question(DANEMode.NONE)), NoOpinion("switched off"))
        self.assertEqual(self.resolver.questions, [])

    def test_monitor(self) -> None:
        """In monitor mode the answers are those of opportunistic, and nothing falls through: the chain only observes them."""
        self.resolver.fail("_25._tcp.mx.example.com", "TLSA", FailureKind.SERVFAIL)
        monitored = question(DANEMode.MONITOR, DANEFailure.FALL_THROUGH)
        self.assertEqual(self.answer(monitored), self.answer(question(DANEMode.OPPORTUNISTIC)))
        self.assertIsInstance(self.answer(monitored), TempFail)
        self.assertEqual(self.sink.of(DANEWeakened), [])

    def test_smtp_route(self) -> None:
        """The operator's next hop is outside of DANE, also in mandatory mode."""
        for mode in (DANEMode.OPPORTUNISTIC, DANEMode.MANDATORY):
            self.assertEqual(self.answer(question(mode, kind=RouteKind.SMTP_ROUTE)), NoOpinion("SMTP route"))

    def test_address_literal(self) -> None:
        """An address literal has no DNS to go by."""
        literal = question(DANEMode.MANDATORY, kind=RouteKind.ADDRESS_LITERAL)
        self.assertEqual(self.answer(literal), Refuse("DANE is mandatory: address literal"))

    def test_resolver_does_not_validate(self) -> None:
        """Nothing is secure then: opportunistic goes on without DANE, mandatory waits; nothing is asked."""
        self.validates = False
        self.assertEqual(self.answer(question(DANEMode.OPPORTUNISTIC)), NoOpinion("resolver doesn't validate"))
        self.assertEqual(
            self.answer(question(DANEMode.MANDATORY)), Refuse("DANE is mandatory: resolver doesn't validate")
        )
        self.assertEqual(self.resolver.questions, [])

    def test_interfaces(self) -> None:
        """Provider and view keep their contracts."""
        provider = DANEProvider(self.resolver, self.sink, lambda: True, self.seen_dane)
        verifyObject(ITLSPolicyProvider, provider)
        verifyObject(IHostPolicy, provider.open(question(DANEMode.OPPORTUNISTIC)))

    def test_port(self) -> None:
        """The records are asked for at the host's port."""
        self.answer(question(DANEMode.OPPORTUNISTIC), attrs.evolve(HOST, port=2525))
        self.assertEqual(self.resolver.questions, [("_2525._tcp.mx.example.com", "TLSA")])


class KeptTests(ProviderCase):
    """What has DANE doesn't lose it because nobody validates any more: an outage of ours is no answer of theirs."""

    TLSA = "_25._tcp.mx.example.com"
    INSECURE = attrs.evolve(HOST, mx_secure=False, address_secure=False)
    ASKED = question(DANEMode.OPPORTUNISTIC)

    def seen(self) -> None:
        """A delivery saw the domain's records, with a TTL of 300 s."""
        self.resolver.remove(self.TLSA, "TLSA")
        self.publish(self.TLSA, GOOD)
        self.resolver.substitute, self.validates = False, True
        self.assertIsInstance(self.answer(self.ASKED), Decide)

    def setUp(self) -> None:
        super().setUp()
        self.memory = self.seen_dane

    def ways(self) -> Iterator[tuple[str, MXHost]]:
        """The ways in which validation is lost, each with the host as the route then shows it."""

        def lose(*, validates: bool = True, substitute: bool = False, published: bool = True) -> None:
            self.validates, self.resolver.substitute = validates, substitute
            if not published:
                self.resolver.remove(self.TLSA, "TLSA")

        lose(validates=False)
        yield "the probe finds that nobody validates", self.INSECURE
        lose()
        yield "AD is gone from all answers, and the probe doesn't know yet", self.INSECURE
        lose()
        yield "AD is gone from the MX answer", attrs.evolve(HOST, mx_secure=False)
        lose()
        self.publish("_25._tcp.evil.test", GOOD)
        yield (
            "AD is gone from the MX answer, which names another signed host",
            attrs.evolve(HOST, mx_secure=False, name="evil.test"),
        )
        lose(substitute=True)
        yield "a stand-in answers everything", attrs.evolve(self.INSECURE, substitute=True)
        lose(substitute=True, published=False)
        yield "a stand-in answers everything and hides the records", attrs.evolve(self.INSECURE, substitute=True)
        lose(substitute=True)
        yield "a stand-in answers for the address", attrs.evolve(HOST, address_secure=False, substitute=True)
        lose(substitute=True, published=False)
        yield "a stand-in answers for the TLSA records", HOST
        lose(substitute=True, published=False)
        yield (
            "a stand-in names another host",
            attrs.evolve(self.INSECURE, name="evil.test", expanded="evil.test", substitute=True),
        )

    def test_kept(self) -> None:
        """Within the TTL such a host is not used now, in each way; the same answers after it are what they are."""
        for way, lost in self.ways():
            validates, substitute = self.validates, self.resolver.substitute
            hidden = not self.successResultOf(Deferred.fromCoroutine(self.resolver.query(self.TLSA, "TLSA"))).found
            self.seen()
            self.validates, self.resolver.substitute = validates, substitute
            if hidden:
                self.resolver.remove(self.TLSA, "TLSA")
            self.clock.advance(299)
            self.assertIsInstance(self.answer(self.ASKED, lost), TempFail, way)
            falls = question(DANEMode.OPPORTUNISTIC, DANEFailure.FALL_THROUGH)
            self.assertIsInstance(self.answer(falls, lost), TempFail, way)
            self.assertIsInstance(self.answer(question(DANEMode.MANDATORY), lost), Refuse | TempFail, way)
            self.clock.advance(1)
            self.publish(self.TLSA, GOOD)

    def test_over(self) -> None:
        """When the TTL is over, an insecure domain is insecure."""
        self.seen()
        self.validates = False
        self.clock.advance(300)
        self.assertEqual(self.answer(self.ASKED, self.INSECURE), NoOpinion("resolver doesn't validate"))

    def test_shown_by_a_stand_in(self) -> None:
        """Of a domain never seen before, a stand-in's answers tell whether there are records; that they aren't secure tells nothing."""
        self.resolver.substitute = True
        lost = attrs.evolve(self.INSECURE, substitute=True)
        self.assertEqual(self.answer(self.ASKED, lost), NoOpinion("insecure MX"))
        self.publish(self.TLSA, GOOD)
        self.assertEqual(
            self.answer(self.ASKED, lost), TempFail("DANE can't be judged: the trusted resolvers are away")
        )
        self.resolver.fail(self.TLSA, "TLSA", FailureKind.TIMEOUT)
        self.assertIsInstance(self.answer(self.ASKED, lost), TempFail)

    def test_certain(self) -> None:
        """What secure answers say counts at once: no records any more, or another host that isn't signed."""
        for gone in (HOST, attrs.evolve(HOST, address_secure=False)):
            self.seen()
            self.resolver.remove(self.TLSA, "TLSA")
            self.assertIsInstance(self.answer(self.ASKED, gone), NoOpinion)
            self.validates = False
            self.assertFalse(self.seen_dane.knows("example.com"))

    def test_from_the_cache(self) -> None:
        """Records out of the cache prolong nothing; new ones do."""
        answer = self.successResultOf(Deferred.fromCoroutine(self.resolver.query("example.com", "A")))
        for ttl, waits, known in ((300.0, 299, True), (300.0, 1, False)):
            self.memory.note("a.test", attrs.evolve(answer, ttl=ttl)) if known else None
            self.clock.advance(waits)
            self.assertEqual(self.memory.knows("a.test"), known)
        once = attrs.evolve(answer, ttl=10.0)
        self.memory.note("b.test", once)
        self.clock.advance(9)
        self.memory.note("b.test", once)
        self.clock.advance(1)
        self.assertFalse(self.memory.knows("b.test"))

    def test_the_operators_choice(self) -> None:
        """With ``untrusted_fallback = "insecure"`` the mail goes as it would without DANE."""
        self.seen()
        self.fallback = UntrustedFallback.INSECURE
        self.validates = False
        self.assertIsInstance(self.answer(self.ASKED, self.INSECURE), NoOpinion)
        self.validates, self.resolver.substitute = True, True
        self.assertIsInstance(self.answer(self.ASKED, attrs.evolve(self.INSECURE, substitute=True)), NoOpinion)

    def test_local_fault(self) -> None:
        """A look-up that we can't make is a TempFail, whatever falls through."""

        async def lacking(name: str, rdtype: str) -> object:
            raise LocalFault("a question to a resolver can't be sent: Too many open files")

        self.resolver.query = lacking  # type: ignore[assignment,method-assign]
        for host in (HOST, attrs.evolve(self.INSECURE, substitute=True)):
            answer = self.answer(question(DANEMode.OPPORTUNISTIC, DANEFailure.FALL_THROUGH), host)
            assert isinstance(answer, TempFail)
            self.assertIn("Too many open files", answer.reason)


class BaseTests(ProviderCase):
    """RFC 7672 §2.2.2: which names are asked when the host is a CNAME."""

    def test_bases(self) -> None:
        """The expanded name first if all is secure; the host's own name as long as its CNAME is."""
        for host, mx, address, alias, wanted in (
            (HOST, True, True, False, ("mx.example.com",)),
            (HOST, True, False, False, ()),
            (ALIAS, True, True, True, ("host.hoster.example", "mx.example.com")),
            (ALIAS, True, False, True, ("mx.example.com",)),
            (ALIAS, True, True, False, ()),
            (ALIAS, True, False, False, ()),
            (ALIAS, False, True, True, ("host.hoster.example", "mx.example.com")),
            (ALIAS, False, False, True, ()),
            (attrs.evolve(HOST, expanded=""), True, True, False, ("mx.example.com",)),
        ):
            given = attrs.evolve(host, mx_secure=mx, address_secure=address, alias_secure=alias)
            self.assertEqual(tlsa_bases(given), wanted, given)

    def test_first_base_with_records(self) -> None:
        """Records at the expanded name are used, and the host's own name isn't asked."""
        self.publish("_25._tcp.host.hoster.example", GOOD)
        answer = self.answer(question(DANEMode.OPPORTUNISTIC), ALIAS)
        assert isinstance(answer, Decide)
        self.assertEqual(answer.requirement.sni, "host.hoster.example")
        self.assertEqual(self.resolver.questions, [("_25._tcp.host.hoster.example", "TLSA")])

    def test_second_base(self) -> None:
        """Without secure records at the expanded name the host's own name is asked."""
        self.publish("_25._tcp.host.hoster.example", GOOD)
        self.resolver.set_secure("hoster.example", secure=False)
        self.publish("_25._tcp.mx.example.com", GOOD)
        answer = self.answer(question(DANEMode.MANDATORY), ALIAS)
        assert isinstance(answer, Decide)
        self.assertEqual(answer.requirement.sni, "mx.example.com")

    def test_failure_at_the_first_base(self) -> None:
        """A failing lookup is never taken for a denial, at any base."""
        self.resolver.fail("_25._tcp.host.hoster.example", "TLSA")
        self.publish("_25._tcp.mx.example.com", GOOD)
        self.assertIsInstance(self.answer(question(DANEMode.OPPORTUNISTIC), ALIAS), TempFail)

    def test_unusable_records_end_the_search(self) -> None:
        """Secure records that can't be used still are the host's word: no other base is asked."""
        self.publish("_25._tcp.host.hoster.example", PKIX)
        self.assertIsInstance(self.answer(question(DANEMode.OPPORTUNISTIC), ALIAS), Raise)
        self.assertEqual(len(self.resolver.questions), 1)

    def test_reference_names(self) -> None:
        """Base, host, domain, and the domain's other name when it is a secure CNAME."""
        asked = question(DANEMode.OPPORTUNISTIC, canonical="example.net")
        self.assertEqual(
            reference_names(asked, ALIAS, "host.hoster.example"),
            ("host.hoster.example", "mx.example.com", "example.com", "example.net"),
        )
        insecure = question(DANEMode.OPPORTUNISTIC, canonical="example.net", secure=False)
        self.assertEqual(reference_names(insecure, HOST, "mx.example.com"), ("mx.example.com", "example.com"))


class FallThroughTests(ProviderCase):
    """The setting `dane_opportunistic_failure = fall-through`."""

    def test_lookup(self) -> None:
        """A failing lookup goes on to the next policy, with a Warning."""
        self.resolver.fail("_25._tcp.mx.example.com", "TLSA")
        answer = self.answer(question(DANEMode.OPPORTUNISTIC, DANEFailure.FALL_THROUGH))
        reason = "TLSA lookup failed: ServFail for _25._tcp.mx.example.com"
        self.assertEqual(answer, NoOpinion(f"{reason}, fall-through"))
        self.assertEqual(self.sink.of(DANEWeakened), [DANEWeakened("example.com", "mx.example.com", reason)])

    def test_mandatory_knows_no_such_setting(self) -> None:
        """Mandatory mode waits all the same."""
        self.resolver.fail("_25._tcp.mx.example.com", "TLSA")
        answer = self.answer(question(DANEMode.MANDATORY, DANEFailure.FALL_THROUGH))
        self.assertIsInstance(answer, TempFail)
        self.assertEqual(self.sink.of(DANEWeakened), [])

    def test_records(self) -> None:
        """A requirement says whether its failure may fall through."""
        for records in ((GOOD,), (PKIX,)):
            self.resolver = FakeResolver(everything_secure=True)
            self.publish("_25._tcp.mx.example.com", *records)
            for mode, failure, wanted in (
                (DANEMode.OPPORTUNISTIC, DANEFailure.FALL_THROUGH, True),
                (DANEMode.OPPORTUNISTIC, DANEFailure.DEFER, False),
                (DANEMode.MANDATORY, DANEFailure.FALL_THROUGH, False),
            ):
                answer = self.answer(question(mode, failure))
                self.assertIs(getattr(answer, "may_fall_through", False), wanted)


class EventTests(ProviderCase):
    """What the debug log gets to know."""

    def test_events(self) -> None:
        """Mode, MX, address and records, each with its status."""
        self.publish("_25._tcp.mx.example.com", GOOD, PKIX)
        self.answer(question(DANEMode.OPPORTUNISTIC))
        self.assertEqual(
            self.sink.events,
            [
                DANETried("example.com", "OPPORTUNISTIC"),
                DANEMX("example.com", "mx.example.com", "SECURE"),
                DANEAddress("example.com", "mx.example.com", "192.0.2.1", "SECURE"),
                DANERecord(
                    "example.com",
                    "mx.example.com",
                    "SECURE",
                    f"_25._tcp.mx.example.com: 3 1 1 {'ab' * 16}...; "
                    f"TLSA 1 1 1 {'ab' * 16}...: certificate usage 1 can't be used in SMTP",
                ),
            ],
        )

    def test_nobody_listens(self) -> None:
        """Without a debug log no event is made."""
        self.sink.debug = False
        self.answer(question(DANEMode.OPPORTUNISTIC))
        self.resolver.fail("_25._tcp.mx.example.com", "TLSA")
        self.assertIsInstance(self.answer(question(DANEMode.OPPORTUNISTIC)), TempFail)
        self.assertEqual(self.sink.events, [])

    def test_tried_once(self) -> None:
        """That DANE is tried for a domain is told once in an attempt, however many hosts there are."""
        policy = DANEProvider(self.resolver, self.sink, lambda: True, self.seen_dane).open(
            question(DANEMode.OPPORTUNISTIC)
        )
        for name in ("mx.example.com", "mx2.example.com"):
            self.successResultOf(Deferred.fromCoroutine(policy.answer(attrs.evolve(HOST, name=name, expanded=name))))
        self.assertEqual(len(self.sink.of(DANETried)), 1)
        self.assertEqual(len(self.sink.of(DANEMX)), 2)
