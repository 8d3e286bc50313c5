"""Properties of the decision that must hold for all providers, sessions and chains."""

from __future__ import annotations

import attrs
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from seg.config.destinations import DANEMode, Profile, STSMode, TLSOption
from seg.mail.hosts import MXHost, Route, RouteKind
from seg.policy.chain import PolicyChain, fold, render
from seg.policy.dane.authenticator import DANEAuthenticator
from seg.policy.dane.tlsa import TLSARecord
from seg.policy.judge import judge
from seg.policy.requirement import (
    Answer,
    Decide,
    Decision,
    DomainQuestion,
    NoOpinion,
    Observe,
    ProviderAnswer,
    Raise,
    Refuse,
    Requirement,
    TempFail,
    TLSLevel,
)
from seg.policy.static import StaticProvider, static_answer
from seg.tls.names import UNREADABLE
from seg.tls.peer import PeerCertificates, SessionFacts, TLSVersion, Trust
from seg.tls.roots import RootStore
from seg.tls.webpki import WebPKI
from tests.certificates import DAY, NOW, Authority, self_signed, tlsa_data
from tests.doubles import RecordingSink
from tests.policy.doubles import FixedProvider, PublishedProvider

D, M = "domain.com", "mx1.hoster.example"
ROOT = Authority.root()
INTERMEDIATE = ROOT.intermediate()
TRUST = Trust(RootStore((ROOT.certificate,)), NOW)
GOOD, DOMAIN = INTERMEDIATE.leaf(M), INTERMEDIATE.leaf(D)
OTHERS = (
    DOMAIN,
    INTERMEDIATE.leaf("other.example"),
    INTERMEDIATE.leaf(M, days=(-20, -10)),
    INTERMEDIATE.leaf("*.example"),
    self_signed(M),
    Authority.root("Stranger").leaf(M),
)
POOL = (*GOOD.full_chain, *(certificate for issued in OTHERS for certificate in issued.full_chain))

STS = WebPKI((M,), "mta-sts")
ENFORCE = Raise(Requirement(TLSLevel.MUST, authenticators=(STS,), source="mta-sts", ties_host=True), "enforce")
TLSA = DANEAuthenticator((TLSARecord(3, 1, 1, tlsa_data(GOOD.certificate, 1, 1)),), M, (M, D))
DANE = Decide(Requirement(TLSLevel.MUST, authenticators=(TLSA,), source="dane"), "secure(3 1 1)")

BY_ANCHOR = DANEAuthenticator((TLSARecord(2, 0, 1, tlsa_data(INTERMEDIATE.certificate, 0, 1)),), M, (M, D))
ENCODED = tuple(certificate.public_bytes(Encoding.DER) for certificate in GOOD.chain)

authenticators = st.sampled_from([STS, TLSA, WebPKI((D,), "x"), WebPKI((D, M), "static")])
requirements = st.builds(
    Requirement,
    tls=st.sampled_from(TLSLevel),
    min_version=st.sampled_from(TLSVersion),
    authenticators=st.lists(authenticators, max_size=2, unique=True).map(tuple),
    ties_host=st.booleans(),
    clear_retry=st.booleans(),
)
static = st.sampled_from(TLSOption).map(lambda option: static_answer(option, D, M))
answers: st.SearchStrategy[Answer] = st.one_of(
    st.builds(Raise, requirements),
    st.builds(Decide, requirements),
    st.builds(Observe, requirements, floor=st.none() | requirements),
    st.builds(NoOpinion, st.just("x")),
    st.builds(Refuse, st.just("no")),
    st.builds(TempFail, st.just("later")),
    static,
)
chains = st.one_of(st.just(GOOD.chain), st.lists(st.sampled_from(POOL), max_size=5).map(tuple))
sessions = st.builds(
    SessionFacts,
    tls=st.booleans(),
    version=st.sampled_from(["TLSv1.3", "TLSv1.2", "TLSv1.1", "SSLv3", ""]),
    peer=st.builds(PeerCertificates, chains, st.sampled_from(["", "", "unreadable"])),
    starttls_offered=st.booleans(),
    failure=st.sampled_from(["", "EOF"]),
    resumed=st.booleans(),
)


def told(*given: Answer) -> list[ProviderAnswer]:
    """Opinions of nameless providers."""
    return [ProviderAnswer(str(position), answer, render(answer)) for position, answer in enumerate(given)]


def floor_of(answer: Answer) -> Requirement | None:
    """What an answer asks for at least."""
    return answer.requirement if isinstance(answer, Raise | Decide) else getattr(answer, "floor", None)


class FloorTests(SynchronousTestCase):
    """No later provider lowers what an earlier one asked for."""

    @given(st.lists(answers, min_size=1, max_size=4), answers)
    @settings(max_examples=100)
    def test_one_more_provider(self, first: list[Answer], more: Answer) -> None:
        """With one more provider at the end a decision gets stricter, or stays."""
        before, after = fold(D, M, told(*first)), fold(D, M, told(*first, more))
        if not before.usable:
            self.assertFalse(after.usable)
        if not after.usable or all(floor_of(answer) is None for answer in first):
            return
        low, high = before.requirement, after.requirement
        self.assertGreaterEqual(high.tls, low.tls)
        self.assertGreaterEqual(high.min_version, low.min_version)
        self.assertLessEqual(set(low.authenticators), set(high.authenticators))
        self.assertLessEqual(high.clear_retry, low.clear_retry)

    @given(requirements, requirements)
    @settings(max_examples=100)
    def test_combine(self, one: Requirement, other: Requirement) -> None:
        """A combination asks for all that either asks for, whichever comes first."""
        both = one.combine(other)
        self.assertEqual(both.tls, max(one.tls, other.tls))
        self.assertEqual(set(both.authenticators), {*one.authenticators, *other.authenticators})
        self.assertEqual(both.authenticators, one.combine(other).combine(one).authenticators)


class SendersWishTests(SynchronousTestCase):
    """``TLS-Required: No`` against what the operator set."""

    def decide(self, profile: Profile, providers: list[FixedProvider | StaticProvider], wish: bool) -> Decision:
        """The decision for one host."""
        asked = DomainQuestion(D, profile, Route(D, RouteKind.MX, ()), tls_optional=wish)
        chain = PolicyChain(providers, RecordingSink(), Clock()).open(asked)
        decided: list[Decision] = []
        Deferred.fromCoroutine(chain.decide(MXHost(M, 10, ()))).addCallback(decided.append)
        return decided[0]

    @given(
        sessions,
        st.builds(
            Profile, tls=st.sampled_from(TLSOption), dane=st.sampled_from(DANEMode), mta_sts=st.sampled_from(STSMode)
        ),
        answers,
        answers,
        answers,
        st.permutations(["dane", "acme", "mta-sts"]),
    )
    @settings(max_examples=300)
    def test_operators_word(
        self, facts: SessionFacts, profile: Profile, dane: Answer, sts: Answer, acme: Answer, order: list[str]
    ) -> None:
        """With the header no session passes that the operator's settings alone would refuse, whatever the domain published."""
        found = {
            "dane": PublishedProvider("dane", dane),
            "mta-sts": PublishedProvider("mta-sts", sts),
            "acme": FixedProvider("acme", acme),
        }
        with_header = self.decide(profile, [*(found[name] for name in order), StaticProvider()], wish=True)
        operators = {"acme"} | ({"dane"} if profile.dane is DANEMode.MANDATORY else set())
        alone = self.decide(
            profile, [*(found[name] for name in order if name in operators), StaticProvider()], wish=False
        )
        if judge(with_header, facts, TRUST).ok:
            self.assertTrue(judge(alone, facts, TRUST).ok)


class NoWayAroundTests(SynchronousTestCase):
    """No session passes without the verification that its policy demands."""

    @given(sessions, st.lists(answers, max_size=3))
    @settings(max_examples=100)
    def test_enforce(self, facts: SessionFacts, later: list[Answer]) -> None:
        """Under an enforce policy only a valid chain for the MX host passes, whatever other providers say."""
        self._holds(facts, [ENFORCE, *later])

    @given(sessions, st.lists(answers, max_size=3))
    @settings(max_examples=100)
    def test_usable_tlsa(self, facts: SessionFacts, later: list[Answer]) -> None:
        """With usable TLSA records only the matching certificate passes."""
        self._holds(facts, [DANE, *later])

    def _holds(self, facts: SessionFacts, given: list[Answer]) -> None:
        verdict = judge(fold(D, M, told(*given)), facts, TRUST)
        if verdict.ok:
            self.assertTrue(facts.tls)
            self.assertIn(facts.version, ("TLSv1.2", "TLSv1.3"))
            self.assertEqual(facts.peer.fault, "")
            self.assertEqual(facts.peer.chain[0], GOOD.certificate)
            self.assertNotEqual(verdict.by, "none")
        else:
            self.assertTrue(verdict.mismatches)

    @given(chains, st.integers(-4000, 4000))
    @settings(max_examples=100)
    def test_examinations_never_raise(self, chain: tuple[x509.Certificate, ...], days: int) -> None:
        """Any chain at any time is accepted, or refused with reasons; asking again gives the same."""
        trust = attrs.evolve(TRUST, now=NOW + days * DAY)
        for authenticator in (STS, TLSA, WebPKI((D, M), "static")):
            found = authenticator.examine(PeerCertificates(chain), trust)
            self.assertEqual(found, authenticator.examine(PeerCertificates(chain), trust))
            self.assertEqual(found.ok, not found.summary)

    @given(
        st.sampled_from(ENCODED),
        st.lists(st.tuples(st.integers(0, 10**6), st.integers(1, 255)), min_size=1, max_size=3),
    )
    @settings(max_examples=100)
    def test_damaged_certificates(self, encoded: bytes, damage: list[tuple[int, int]]) -> None:
        """A certificate with any octets changed is refused without an error, as leaf and as issuer."""
        octets = bytearray(encoded)
        for position, change in damage:
            octets[position % len(octets)] ^= change
        assume(bytes(octets) not in ENCODED)
        try:
            damaged = x509.load_der_x509_certificate(bytes(octets))
        except UNREADABLE:
            return
        for chain in ((damaged, *GOOD.issuers[:-1]), (GOOD.certificate, damaged)):
            for authenticator in (STS, BY_ANCHOR):
                self.assertFalse(authenticator.examine(PeerCertificates(chain), TRUST).ok)
