"""Monitor mode and exemptions: policies that are heard and not obeyed."""

from __future__ import annotations

import attrs
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from seg.config.destinations import DANEMode, Exemption, Profile, STSMode, TLSOption
from seg.policy.chain import PolicyChain
from seg.policy.judge import judge
from seg.policy.requirement import (
    Answer,
    Decide,
    Decision,
    NoOpinion,
    Observe,
    Raise,
    Refuse,
    Requirement,
    TempFail,
    TLSLevel,
    relaxed,
)
from seg.policy.static import StaticProvider
from seg.tls.peer import SessionFacts, Trust
from seg.tls.roots import load_roots
from tests.certificates import NOW
from tests.doubles import RecordingSink
from tests.policy.doubles import FixedProvider, PublishedProvider, host, question

MUST = Requirement(TLSLevel.MUST, source="dane")
EXEMPT = Exemption(1798675200.0, "ticket 4711")
CLEAR = SessionFacts(starttls_offered=False)


class RelaxedTests(SynchronousTestCase):
    """`relaxed`."""

    def test_table(self) -> None:
        """What an answer demands is only observed, what it forbids is a failure observed; the rest stays as it is."""
        silent, testing = NoOpinion("no TLSA"), Observe(MUST, "testing(id 1, cached)")
        for answer, failure, text in (
            (Decide(MUST, "secure(3 1 1)"), "", "monitor(secure(3 1 1))"),
            (Raise(MUST, "enforce(id 1, cached)"), "", "monitor(enforce(id 1, cached))"),
            (Refuse("MX not in policy"), "MX not in policy", "monitor(refuse(MX not in policy))"),
            (TempFail("TLSA lookup failed"), "TLSA lookup failed", "monitor(tempfail(TLSA lookup failed))"),
        ):
            observed = relaxed(answer, "monitor")
            assert isinstance(observed, Observe)
            self.assertEqual((observed.failure, observed.reason, observed.relaxed), (failure, text, True))
            self.assertIsNone(observed.floor)
        floored = relaxed(attrs.evolve(testing, floor=MUST), "exempt")
        self.assertEqual(floored, Observe(MUST, "exempt(testing(id 1, cached))", relaxed=True))
        self.assertIs(relaxed(silent, "monitor"), silent)
        self.assertIs(relaxed(testing, "exempt"), testing)


class ProfileTests(SynchronousTestCase):
    """`Profile.relaxation` and `Profile.at`."""

    def test_who_is_relaxed(self) -> None:
        """Monitor mode concerns its own provider; an exemption every provider but the operator's own option."""
        for profile, wanted in (
            (Profile(), ("", "", "", "")),
            (Profile(dane=DANEMode.MONITOR), ("monitor", "", "", "")),
            (Profile(mta_sts=STSMode.MONITOR), ("", "monitor", "", "")),
            (Profile(exemption=EXEMPT), ("exempt", "exempt", "", "exempt")),
            (Profile(dane=DANEMode.MONITOR, exemption=EXEMPT), ("exempt", "exempt", "", "exempt")),
        ):
            found = tuple(profile.relaxation(name) for name in ("dane", "mta-sts", "static", "somebody's"))
            self.assertEqual(profile.relaxes, any(found))  # what is asked first, once for all providers
            self.assertEqual(found, wanted)

    def test_exemption_removes_itself(self) -> None:
        """From its end on the profile is as if the exemption had never been there."""
        profile = Profile(exemption=EXEMPT)
        self.assertIs(profile.at(EXEMPT.until - 1), profile)
        self.assertEqual(profile.at(EXEMPT.until), Profile())
        plain = Profile()
        self.assertIs(plain.at(EXEMPT.until), plain)
        self.assertEqual(str(EXEMPT), "exempt until 2026-12-31 00:00 UTC: ticket 4711")


class ChainTests(SynchronousTestCase):
    """The chain under a profile that only listens."""

    def decide(self, profile: Profile, *providers: FixedProvider | StaticProvider) -> Decision:
        """The decision for one host."""
        self.sink = RecordingSink()
        chain = PolicyChain(providers, self.sink, Clock()).open(attrs.evolve(question(), profile=profile))
        return self.successResultOf(Deferred.fromCoroutine(chain.decide(host())))

    def test_nothing_is_enforced(self) -> None:
        """Whatever DANE and MTA-STS answer under an exemption, or even fail with, the host is used as the TLS option says, and
        the failure is there to be told."""

        def broken(_: object) -> Answer:
            raise ValueError("bug")

        for answer in (Decide(MUST, "secure(3 1 1)"), Raise(MUST, "x"), Refuse("no"), TempFail("later"), broken):
            profile = Profile(tls=TLSOption.PREFERRED, exemption=EXEMPT)
            decision = self.decide(profile, FixedProvider("dane", answer), StaticProvider())
            self.assertTrue(decision.usable)
            self.assertIs(decision.requirement.tls, TLSLevel.MAY)
            verdict = judge(decision, CLEAR, Trust(load_roots("", ""), NOW))
            self.assertTrue(verdict.ok)
            (observed,) = verdict.observed
            self.assertEqual((observed.provider, observed.ok, observed.relaxed), ("dane", False, True))

    def test_the_next_policy_is_asked(self) -> None:
        """A monitored DANE doesn't take precedence: MTA-STS is asked, and enforced."""
        sts = FixedProvider("mta-sts", Raise(attrs.evolve(MUST, source="mta-sts"), "enforce(id 1, cached)"))
        profile = Profile(dane=DANEMode.MONITOR)
        decision = self.decide(profile, FixedProvider("dane", Decide(MUST, "secure(3 1 1)")), sts, StaticProvider())
        self.assertEqual(len(sts.asked), 1)
        self.assertEqual(
            [opinion.text for opinion in decision.opinions],
            ["monitor(secure(3 1 1))", "enforce(id 1, cached)", "preferred"],
        )
        self.assertEqual((decision.requirement.tls, decision.requirement.source), (TLSLevel.MUST, "mta-sts"))

    def test_senders_wish(self) -> None:
        """``TLS-Required: No`` relaxes what the recipient's domain published, for this message (RFC 8689 §5)."""
        asked = attrs.evolve(question(TLSOption.REQUIRED), tls_optional=True)
        sts = PublishedProvider("mta-sts", Refuse("MX not in policy"))
        chain = PolicyChain((sts, StaticProvider()), RecordingSink(), Clock()).open(asked)
        decision = self.successResultOf(Deferred.fromCoroutine(chain.decide(host())))
        self.assertEqual((decision.usable, decision.requirement.tls), (True, TLSLevel.MUST))
        self.assertEqual(decision.opinions[0].text, "optional(refuse(MX not in policy))")

    def test_senders_wish_and_the_operators_word(self) -> None:
        """Whatever the operator set holds with the header as without: mandatory DANE, the TLS option, a provider of his own."""
        wished = attrs.evolve(question(TLSOption.PREFERRED), tls_optional=True)
        mandatory = attrs.evolve(wished, profile=Profile(dane=DANEMode.MANDATORY))
        for answer in (
            Decide(MUST, "secure(3 1 1)"),
            Refuse("DANE is mandatory: no TLSA"),
            TempFail("TLSA lookup failed"),
        ):
            for asked, provider in (
                (mandatory, PublishedProvider("dane", answer)),
                (wished, FixedProvider("acme", answer)),
                (mandatory, FixedProvider("acme", answer)),
            ):
                without, with_header = (
                    self.successResultOf(
                        Deferred.fromCoroutine(
                            PolicyChain((provider, StaticProvider()), RecordingSink(), Clock())
                            .open(attrs.evolve(asked, tls_optional=wish))
                            .decide(host())
                        )
                    )
                    for wish in (False, True)
                )
                self.assertEqual(with_header, without)
        self.assertEqual(mandatory.relaxation("dane", published=True), "")
        self.assertEqual(mandatory.relaxation("mta-sts", published=True), "optional")
        self.assertEqual(wished.relaxation("dane", published=True), "optional")
        self.assertEqual(wished.relaxation("acme", published=True), "optional")
        self.assertEqual(wished.relaxation("acme", published=False), "")
        self.assertEqual(wished.relaxation("static", published=False), "")

    def test_tls_option_stays(self) -> None:
        """The operator's own option holds under an exemption as without."""
        profile = Profile(tls=TLSOption.REQUIRED, exemption=EXEMPT)
        decision = self.decide(profile, FixedProvider("mta-sts", Refuse("MX not in policy")), StaticProvider())
        self.assertIs(decision.requirement.tls, TLSLevel.MUST)
