"""The TLS option alone, and the policies together: each row of the tables in `tests.policy.rows`."""

from __future__ import annotations

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from seg.config.destinations import TLSOption
from seg.policy.chain import PolicyChain
from seg.policy.dane.authenticator import DANEAuthenticator
from seg.policy.interfaces import IHostPolicy, ITLSPolicyProvider
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
)
from seg.policy.static import StaticProvider
from seg.tls.interfaces import IAuthenticator
from seg.tls.peer import PeerCertificates, SessionFacts, Trust
from seg.tls.roots import RootStore
from seg.tls.webpki import WebPKI
from tests.certificates import NOW, Authority, Issued, self_signed
from tests.doubles import RecordingSink
from tests.policy import rows
from tests.policy.doubles import FixedProvider, host, question

D, M = "domain.com", "mx1.hoster.example"
ROOT = Authority.root()
TRUST = Trust(RootStore((ROOT.certificate,)), NOW)
STRANGER, FOR_HOST, FOR_DOMAIN = self_signed(D, M), ROOT.leaf(M), ROOT.leaf(D)

MUST = Requirement(TLSLevel.MUST, source="dane")
BY_TLSA = DANEAuthenticator((), M, (M, D))
BY_HOST = WebPKI((M,), "mta-sts")
STS = Requirement(TLSLevel.MUST, authenticators=(BY_HOST,), sni=M, source="mta-sts", ties_host=True)

DANE_ANSWERS: dict[str, Answer] = {
    rows.NO_DANE: NoOpinion("no TLSA"),
    rows.DANE: Decide(Requirement(TLSLevel.MUST, authenticators=(BY_TLSA,), source="dane"), "secure(3 1 1)"),
    rows.TRUSTED: Raise(Requirement(TLSLevel.MUST, authenticators=(BY_TLSA,), source="dane"), "trusted(3 1 1)"),
    rows.UNUSABLE: Raise(MUST, "unusable(1 TLSA)"),
    rows.BOGUS: TempFail("TLSA lookup failed"),
    rows.MANDATORY: Refuse("DANE is mandatory: no TLSA"),
}
STS_ANSWERS: dict[str, Answer] = {
    rows.NO_STS: NoOpinion("no policy"),
    rows.ENFORCE: Raise(STS, "enforce(id 1, cached)"),
    rows.UNLISTED: Refuse("MX not in policy"),
    rows.TESTING: Observe(STS, "testing(id 1)"),
}
WORDS: dict[IAuthenticator, str] = {BY_TLSA: rows.TLSA, BY_HOST: rows.HOST}


def session(server: Issued) -> SessionFacts:
    """A TLS session with a server."""
    return SessionFacts(True, "TLSv1.3", "TLS_AES_256_GCM_SHA384", M, PeerCertificates(server.chain), True)


class TableCase(SynchronousTestCase):
    """Decides with the chain as it is wired."""

    def decide(self, dane: Answer, sts: Answer, option: TLSOption) -> Decision:
        """The decision for the host."""
        providers = [FixedProvider("dane", dane), FixedProvider("mta-sts", sts), StaticProvider()]
        opened = PolicyChain(providers, RecordingSink(), Clock()).open(question(option))
        return self.successResultOf(Deferred.fromCoroutine(opened.decide(host(M))))


class OptionTests(TableCase):
    """TLS options 1 to 6 without any other policy."""

    def _result(self, decision: Decision, facts: SessionFacts) -> str:
        verdict = judge(decision, facts, TRUST)
        if not verdict.ok:
            return rows.WAITS
        if facts.tls:
            return rows.SENT if all(observed.ok for observed in verdict.observed) else rows.LOGGED
        return rows.RETRY if facts.failure and decision.requirement.clear_retry else rows.CLEAR

    def test_table(self) -> None:
        """Each option does with each kind of server what the table says."""
        for row in rows.OPTIONS:
            decision = self.decide(NoOpinion("no TLSA"), NoOpinion("no policy"), row.option)
            found = rows.OptionRow(
                row.option,
                self._result(decision, SessionFacts()),
                self._result(decision, SessionFacts(starttls_offered=True, failure="handshake failed")),
                self._result(decision, session(STRANGER)),
                self._result(decision, session(FOR_HOST)),
                self._result(decision, session(FOR_DOMAIN)),
            )
            self.assertEqual(found, row)

    def test_vendor_line(self) -> None:
        """Option 5 with a hoster's certificate fails with the vendor's words, names, and a hint."""
        decision = self.decide(NoOpinion("no TLSA"), NoOpinion("no policy"), TLSOption.REQUIRED_VERIFY)
        verdict = judge(decision, session(FOR_HOST), TRUST)
        self.assertEqual(verdict.summary, "peer cert does not match domain domain.com")
        self.assertEqual(
            verdict.mismatches,
            (
                "names wanted: domain.com; names presented: mx1.hoster.example",
                "TLS option 6 (required-verify-hosted) fits a domain "
                "whose hoster's certificates name the MX host instead",
            ),
        )

    def test_interfaces(self) -> None:
        """Provider and view keep their contracts."""
        verifyObject(ITLSPolicyProvider, StaticProvider())
        verifyObject(IHostPolicy, StaticProvider().open(question()))


class TogetherTests(TableCase):
    """DANE, MTA-STS and the TLS option together."""

    def _wanted(self, decision: Decision) -> tuple[str, ...]:
        if not decision.usable:
            return ()
        requirement = decision.requirement
        if not requirement.authenticators:
            return (rows.ANY if requirement.tls is TLSLevel.MUST else rows.NOTHING,)
        self.assertIs(requirement.tls, TLSLevel.MUST)
        return tuple(WORDS.get(a) or self._by_names(a) for a in requirement.authenticators)

    def _by_names(self, authenticator: IAuthenticator) -> str:
        assert isinstance(authenticator, WebPKI)
        return {(D,): rows.DOMAIN, (D, M): rows.EITHER}[authenticator.names]

    def test_table(self) -> None:
        """Each combination asks for what the table says."""
        for row in rows.TOGETHER:
            decision = self.decide(DANE_ANSWERS[row.dane], STS_ANSWERS[row.sts], row.option)
            self.assertEqual(self._wanted(decision), row.wanted, row)

    def test_testing_is_judged_beside(self) -> None:
        """A policy in testing mode reports a failure and stops nothing; option 4 does so as well."""
        decision = self.decide(NoOpinion("-"), STS_ANSWERS[rows.TESTING], TLSOption.PREFERRED_VERIFY)
        verdict = judge(decision, session(FOR_DOMAIN), TRUST)
        self.assertTrue(verdict.ok)
        self.assertEqual([(o.provider, o.ok) for o in verdict.observed], [("mta-sts", False), ("static", True)])
        verdict = judge(decision, SessionFacts(), TRUST)
        self.assertTrue(verdict.ok)
        self.assertEqual([o.text for o in verdict.observed], ["STARTTLS wasn't offered"] * 2)

    def test_option_4_on_a_tied_host(self) -> None:
        """Where MTA-STS ties the host to the domain, option 4 is content with the host's name too."""
        decision = self.decide(NoOpinion("-"), STS_ANSWERS[rows.ENFORCE], TLSOption.PREFERRED_VERIFY)
        verdict = judge(decision, session(FOR_HOST), TRUST)
        self.assertEqual((verdict.ok, verdict.by), (True, "mta-sts"))
        self.assertEqual([(o.provider, o.ok) for o in verdict.observed], [("static", True)])
