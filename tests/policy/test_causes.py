"""Why TLS policy keeps mail from a host, as a cause: each failure has its own, whatever its text says."""

from __future__ import annotations

import attrs
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from seg.mail.causes import POLICY_CAUSES, CauseKind, PolicyResult, cause_named
from seg.mail.errors import LocalFault
from seg.policy.chain import PolicyChain
from seg.policy.dane.authenticator import DANEAuthenticator
from seg.policy.dane.tlsa import TLSARecord
from seg.policy.judge import judge
from seg.policy.requirement import Answer, Decision, Observe, Refuse, Requirement, TempFail, TLSLevel, relaxed
from seg.tls.peer import PeerCertificates, SessionFacts, TLSVersion, Trust
from seg.tls.roots import RootStore
from seg.tls.webpki import WebPKI
from tests.certificates import NOW, Authority, Issued, self_signed, tlsa_data
from tests.doubles import RecordingSink
from tests.policy.doubles import host, question
from tests.policy.test_tables import DANE_ANSWERS, STS_ANSWERS

ROOT, OTHER = Authority.root(), Authority.root()
TRUST = Trust(RootStore((ROOT.certificate,)), NOW)
HOST = "mx.example.com"
GOOD = ROOT.leaf(HOST)
STS = WebPKI((HOST,), "mta-sts")
WRONG = DANEAuthenticator((TLSARecord(3, 1, 1, bytes(32)),), HOST, ())
RIGHT = DANEAuthenticator((TLSARecord(3, 1, 1, tlsa_data(GOOD.certificate, 1, 1)),), HOST, ())
ANCHOR = DANEAuthenticator((TLSARecord(2, 1, 1, bytes(32)),), HOST, ())


def session(server: Issued, version: str = "TLSv1.3") -> SessionFacts:
    """What was achieved with a server of this certificate."""
    return SessionFacts(True, version, "TLS_X", HOST, PeerCertificates(server.chain), True)


def requirement(*authenticators: WebPKI | DANEAuthenticator) -> Requirement:
    """TLS, and all of these."""
    return Requirement(TLSLevel.MUST, TLSVersion.TLS1_2, authenticators, source="x")


NO_TLS, BROKEN = SessionFacts(), SessionFacts(starttls_offered=True, failure="handshake failed: EOF")
EMPTY = SessionFacts(True, "TLSv1.3")
UNREADABLE = SessionFacts(True, "TLSv1.3", peer=PeerCertificates(fault="no chain"))
ROWS = (
    (requirement(), NO_TLS, CauseKind.TLS_NOT_OFFERED),
    (requirement(STS), NO_TLS, CauseKind.TLS_NOT_OFFERED),
    (requirement(), BROKEN, CauseKind.TLS_FAILED),
    (requirement(), session(GOOD, "TLSv1.1"), CauseKind.TLS_VERSION_TOO_LOW),
    (requirement(STS), session(GOOD), None),
    (requirement(RIGHT), session(GOOD), None),
    (requirement(STS), EMPTY, CauseKind.CERTIFICATE_MISSING),
    (requirement(RIGHT), EMPTY, CauseKind.CERTIFICATE_MISSING),
    (requirement(STS), UNREADABLE, CauseKind.CERTIFICATE_OTHER),
    (requirement(STS), session(ROOT.leaf("other.example")), CauseKind.CERTIFICATE_NAME),
    (requirement(STS), session(ROOT.leaf(HOST, days=(-20, -10))), CauseKind.CERTIFICATE_EXPIRED),
    (requirement(STS), session(ROOT.leaf(HOST, days=(10, 20))), CauseKind.CERTIFICATE_NOT_YET_VALID),
    (requirement(STS), session(OTHER.leaf(HOST)), CauseKind.CERTIFICATE_ISSUER),
    (requirement(STS), session(self_signed(HOST)), CauseKind.CERTIFICATE_ISSUER),
    (requirement(WRONG), session(GOOD), CauseKind.TLSA_NO_MATCH),
    (requirement(ANCHOR), session(GOOD), CauseKind.TLSA_NO_MATCH),
    (requirement(WRONG, STS), session(OTHER.leaf(HOST)), CauseKind.TLSA_NO_MATCH),
)


class Failing:
    """A provider that can't answer."""

    name = "mta-sts"

    def __init__(self, error: Exception) -> None:
        self._error = error

    def open(self, question: object) -> Failing:
        """It views itself."""
        return self

    async def answer(self, host: object) -> Answer:
        """Never."""
        raise self._error


class CauseTests(SynchronousTestCase):
    """`seg.mail.causes`, and who makes them."""

    def test_sessions(self) -> None:
        """Each way in which a session fails has its cause, enforced or only observed."""
        for wanted, facts, cause in ROWS:
            verdict = judge(Decision("example.com", HOST, wanted), facts, TRUST)
            self.assertEqual((verdict.ok, verdict.cause), (cause is None, cause))
            watched = Decision("example.com", HOST, Requirement(TLSLevel.MAY), observed=(("x", Observe(wanted)),))
            observed = judge(watched, facts, TRUST).observed[0]
            self.assertEqual((observed.ok, observed.cause), (cause is None, cause))

    def test_results(self) -> None:
        """What a session came to in a word, and who verified the server: nobody where it is only encrypted, or refused."""
        for wanted, facts, cause in ROWS:
            verdict = judge(Decision("example.com", HOST, wanted), facts, TRUST)
            self.assertEqual(verdict.result is PolicyResult.REFUSED, cause is not None)
            self.assertEqual(bool(verdict.verified_by), verdict.result is PolicyResult.VERIFIED)
        may = Decision("example.com", HOST, Requirement(TLSLevel.MAY))
        self.assertIs(judge(may, NO_TLS, TRUST).result, PolicyResult.CLEAR)
        self.assertIs(judge(may, session(GOOD), TRUST).result, PolicyResult.UNVERIFIED)

    def test_refusals(self) -> None:
        """A refusal keeps its cause in the decision and the verdict, and when it is only watched."""
        for kind in CauseKind:
            for answer in (Refuse("any text", cause=kind), TempFail("any text", cause=kind)):
                watched = relaxed(answer, "monitor")
                assert isinstance(watched, Observe)
                found = judge(
                    Decision("d", HOST, requirement(), observed=(("x", watched),)), session(GOOD), TRUST
                ).observed[0]
                self.assertEqual(found.cause, kind)
                refused = Decision("d", HOST, requirement(), refusal="any text", cause=kind)
                self.assertEqual(judge(refused, NO_TLS, TRUST).cause, kind)

    def test_providers_that_fail(self) -> None:
        """A fault of ours and a provider's own are told apart."""
        for error, cause in (
            (LocalFault("no descriptors"), CauseKind.GATEWAY_FAULT),
            (RuntimeError("broken"), CauseKind.PROVIDER_FAILED),
        ):
            chain = PolicyChain([Failing(error)], RecordingSink(), Clock())  # type: ignore[list-item]
            decided = self.successResultOf(Deferred.fromCoroutine(chain.open(question()).decide(host())))
            self.assertEqual(decided.cause, cause)

    def test_no_failure_without_cause(self) -> None:
        """Whatever the providers say: what may not be used has a cause."""
        for answer in (*DANE_ANSWERS.values(), *STS_ANSWERS.values()):
            if isinstance(answer, Refuse | TempFail):
                self.assertIsInstance(answer.cause, CauseKind)
            for facts in (NO_TLS, BROKEN, EMPTY, UNREADABLE, session(OTHER.leaf("x.example"))):
                wish = getattr(answer, "requirement", None)
                if wish is not None:
                    verdict = judge(Decision("d", HOST, wish), facts, TRUST)
                    self.assertEqual(verdict.ok, verdict.cause is None)

    def test_kinds(self) -> None:
        """What TLS policy keeps waiting is told from what the DNS, a route or AUTH keeps waiting, and has the status of its kind."""
        others = set(CauseKind) - set(POLICY_CAUSES)
        self.assertEqual({kind.value.split("-")[0] for kind in others}, {"sts", "dns", "route", "auth"})
        self.assertEqual(
            [kind for kind in CauseKind if kind.enhanced == "4.7.4"], [CauseKind.TLS_NOT_OFFERED, CauseKind.TLS_FAILED]
        )

    def test_words(self) -> None:
        """Each cause says what it means and what can be done; one from another version is kept as such."""
        for kind in CauseKind:
            self.assertTrue(kind.text and kind.remedy)
            self.assertEqual(cause_named(kind.value), kind)
        self.assertEqual(cause_named("something new"), CauseKind.OTHER)
        self.assertTrue(attrs.fields(Refuse).cause.default is CauseKind.PROVIDER_REFUSED)
