"""What a domain's policy says of one MX host (RFC 8461 §4.1, §5)."""

from __future__ import annotations

from twisted.internet.defer import Deferred
from zope.interface.verify import verifyObject

from seg.config.destinations import Profile, STSMode, TLSOption
from seg.events.policy import STSApplied
from seg.mail.hosts import MXHost, Route, RouteKind
from seg.policy.interfaces import IHostPolicy, ITLSPolicyProvider
from seg.policy.mtasts.errors import FetchError, FetchFault
from seg.policy.mtasts.provider import MTASTSProvider
from seg.policy.requirement import Answer, DomainQuestion, NoOpinion, Observe, Raise, Refuse, TLSLevel
from seg.tls.webpki import WebPKI
from tests.mtasts.keeping import TXT, D, StoreCase, body


class ProviderTests(StoreCase):
    """`MTASTSProvider`."""

    def answers(
        self,
        *hosts: str,
        kind: RouteKind = RouteKind.MX,
        profile: Profile | None = None,
        reread: bool = False,
    ) -> list[Answer]:
        """What the provider says of each host, in one attempt."""
        question = DomainQuestion(D, profile or Profile(), Route(D, kind, ()), reread=reread)
        provider = MTASTSProvider(self.store, self.sink)
        verifyObject(ITLSPolicyProvider, provider)
        view = provider.open(question)
        verifyObject(IHostPolicy, view)
        return [self.successResultOf(Deferred.fromCoroutine(view.answer(MXHost(host, 10, ())))) for host in hosts]

    def answer(
        self, host: str = "mx.one.test", kind: RouteKind = RouteKind.MX, profile: Profile | None = None
    ) -> Answer:
        """What the provider says of one host."""
        return self.answers(host, kind=kind, profile=profile)[0]

    def test_enforce(self) -> None:
        """Listed: TLS with that name, tied to the domain. Not listed: not to be contacted."""
        raised = self.answer()
        assert isinstance(raised, Raise)
        self.assertEqual((raised.reason, raised.requirement.sni), ("enforce(id 1, fetched)", "mx.one.test"))
        self.assertEqual((raised.requirement.tls, raised.requirement.ties_host), (TLSLevel.MUST, True))
        self.assertEqual(self.answer("evil.test"), Refuse("MX not in policy"))
        self.assertEqual(self.sink.of(STSApplied)[0], STSApplied(D, "enforce"))

    def test_a04_the_name_of_the_host(self) -> None:
        """A4: a host that a pattern covers must show its own name: neither the pattern nor another name that fits it."""
        self.fetcher.answer = body(mx="*.ex.test")
        raised, refused, too_deep, bare = self.answers("a.ex.test", "evil.test", "a.b.ex.test", "ex.test")
        assert isinstance(raised, Raise)
        self.assertEqual(raised.requirement.authenticators, (WebPKI(("a.ex.test",), "mta-sts"),))
        self.assertEqual({refused, too_deep, bare}, {Refuse("MX not in policy")})

    def test_a22_one_label(self) -> None:
        """A22: a wildcard covers one label, so a host two labels below isn't contacted."""
        self.fetcher.answer = body(mx="*.mx.microsoft")
        covered, not_covered = self.answers("icewolf-li.mx.microsoft", "icewolf-li.h-v1.mx.microsoft")
        self.assertIsInstance(covered, Raise)
        self.assertEqual(not_covered, Refuse("MX not in policy"))

    def test_testing(self) -> None:
        """Observed only, and never a floor."""
        self.fetcher.answer = body("testing")
        for host, failure in (("mx.one.test", ""), ("evil.test", "MX not in policy")):
            observed = self.answer(host)
            assert isinstance(observed, Observe)
            self.assertEqual((observed.failure, observed.floor), (failure, None))
            self.assertFalse(observed.requirement.ties_host)

    def test_none(self) -> None:
        """Mode none is no opinion, and isn't told as applied."""
        self.fetcher.answer = b"version: STSv1\nmode: none\nmax_age: 86400\n"
        self.assertEqual(self.answer(), NoOpinion("mode none"))
        self.assertEqual(self.sink.of(STSApplied), [])

    def test_no_policy(self) -> None:
        """Without a policy the reason is said: no record, or the fetch that failed with its HTTP status."""
        self.fetcher.answer = FetchError(FetchFault.HTTP_STATUS, "HTTP status 404 Not Found", status=404)
        self.assertEqual(self.answer(), NoOpinion("policy fetch failed: http-status 404"))
        self.txt()
        self.assertEqual(self.answer(), NoOpinion("no policy"))

    def test_one_look_for_an_attempt(self) -> None:
        """All hosts of an attempt are judged by one look at record and policy."""
        self.fetcher.answer = body(max_age=0)
        self.answers("mx.one.test", "evil.test", "mx.one.test")
        self.assertEqual((self.fetcher.fetches, self.resolver.count(TXT, "TXT")), (1, 1))
        self.assertEqual(len(self.sink.of(STSApplied)), 1)

    def test_a08_second_look(self) -> None:
        """A8: the attempt's second look, when every host was refused, fetches the policy though its id is the same."""
        self.answers("new.one.test")
        self.clock.advance(301)
        self.fetcher.answer = body(mx="new.one.test")
        self.assertEqual(self.answers("new.one.test"), [Refuse("MX not in policy")])
        (raised,) = self.answers("new.one.test", reread=True)
        self.assertIsInstance(raised, Raise)

    def test_a24_switched_off(self) -> None:
        """A24: a destination with MTA-STS off, or TLS option No, is left alone: no lookup, and the reason is said."""
        self.assertEqual(self.answer(profile=Profile(mta_sts=STSMode.OFF)), NoOpinion("switched off"))
        self.assertEqual(self.answer(profile=Profile(tls=TLSOption.NO)), NoOpinion("switched off"))
        self.assertEqual(self.resolver.questions, [])

    def test_a09_routes(self) -> None:
        """A9: the policy of a domain says nothing of where an SMTP route or an address literal leads."""
        self.assertEqual(self.answer(kind=RouteKind.SMTP_ROUTE), NoOpinion("SMTP route"))
        self.assertEqual(self.answer(kind=RouteKind.ADDRESS_LITERAL), NoOpinion("address literal"))
        self.assertEqual(self.resolver.questions, [])
