"""What the operator can do: each cause has its remedy."""

from __future__ import annotations

import attrs
from twisted.trial.unittest import SynchronousTestCase

from seg.check.advice import advice
from seg.check.report import CheckReport, NoSession
from seg.config.destinations import Exemption, Profile, TLSOption
from seg.mail.causes import CauseKind
from seg.mail.errors import Permanent, Temporary
from seg.mail.hosts import RouteKind
from seg.mail.outcome import Delivered
from seg.policy.requirement import Answer, NoOpinion, Raise, Refuse, Requirement, TempFail, TLSLevel
from seg.policy.static import static_answer
from seg.tls.peer import SessionFacts
from seg.tls.webpki import WebPKI
from tests.certificates import self_signed
from tests.check.reports import CLEAR, DOMAIN, HOST, ROOT, ROUTE, decided, facts, host, no_route, report, tried

STS = Raise(Requirement(TLSLevel.MUST, authenticators=(WebPKI((HOST.name,), "mta-sts"),), source="mta-sts"), "enforce")
MAY = Raise(Requirement(TLSLevel.MAY, clear_retry=True), "preferred")


class AdviceTests(SynchronousTestCase):
    """`advice`."""

    def of(self, answer: Answer, shown: SessionFacts | None = CLEAR, **parts: object) -> str:
        """The advice about one host, as one text."""
        decision = decided(mta_sts=answer)
        seen = (tried(decision, shown),) if decision.usable else ()
        return " ".join(advice(report(host(decision, *seen), **parts)))

    def test_nothing_to_do(self) -> None:
        """A message that goes as it should needs no advice."""
        self.assertEqual(self.of(STS, facts(ROOT.leaf(HOST.name))), "")

    def test_refusals(self) -> None:
        """A host that isn't to be contacted."""
        for answer, words in (
            (Refuse("MX not in policy", cause=CauseKind.MX_NOT_IN_POLICY), "not in its MTA-STS policy"),
            (
                Refuse("DANE is mandatory: resolver doesn't validate", cause=CauseKind.RESOLVER_NOT_VALIDATING),
                "run a validating resolver",
            ),
            (Refuse("DANE is mandatory: no TLSA", cause=CauseKind.DANE_UNUSABLE), 'set dane = "opportunistic"'),
            (TempFail("TLSA lookup failed: ServFail for x", cause=CauseKind.TLSA_LOOKUP_FAILED), "their DNS is broken"),
            (Refuse("closed on Sundays"), "may not be used: closed on Sundays"),
        ):
            self.assertIn(words, self.of(answer))

    def test_no_session(self) -> None:
        """Why no session came about decides what is advised, and each has the host's own words; only a host that isn't reached is said not to
        be."""
        decision = decided(mta_sts=MAY)
        for cause in NoSession:
            seen = attrs.evolve(tried(decision, None, error="535 5.7.8 no such login"), cause=cause)
            text = " ".join(advice(report(host(decision, seen))))
            self.assertEqual("can't be reached" in text, cause is NoSession.UNREACHABLE)
            self.assertEqual("535 5.7.8 no such login" in text, cause is not NoSession.UNREACHABLE)
            self.assertEqual("can't authenticate" in text, cause is NoSession.AUTH)

    def test_socket(self) -> None:
        """A unix socket has no port that a provider may block."""
        seen = attrs.evolve(tried(decided(mta_sts=MAY), None, error="no"), address="/run/lmtp", port=0)
        text = " ".join(advice(report(host(decided(mta_sts=MAY), seen))))
        self.assertIn("Nobody takes mail at unix:/run/lmtp. See whether the program that listens there runs", text)
        self.assertNotIn("port", text)

    def test_sessions(self) -> None:
        """A session that won't do."""
        intermediate = ROOT.intermediate()
        hidden = facts(intermediate.leaf(HOST.name))
        hidden = attrs.evolve(hidden, peer=attrs.evolve(hidden.peer, chain=hidden.peer.chain[:1]))
        for shown, words in (
            (None, "can't be reached at 192.0.2.1 port 25"),
            (CLEAR, "doesn't start TLS, which mta-sts demands"),
            (facts(ROOT.leaf(HOST.name, days=(-20, -1))), "is out of its dates"),
            (hidden, "doesn't send the intermediate certificate"),
            (facts(ROOT.leaf("other.example")), "doesn't satisfy the policy"),
            (facts(self_signed(HOST.name)), "add the root to [tls] extra_ca_file"),
        ):
            self.assertIn(words, self.of(STS, shown))

    def test_hosted(self) -> None:
        """Option 5 with a hoster's certificate: option 6."""
        profile = Profile(tls=TLSOption.REQUIRED_VERIFY)
        decision = decided(static=static_answer(profile.tls, DOMAIN, HOST.name))
        found = report(host(decision, tried(decision, facts(ROOT.leaf(HOST.name)))), profile=profile)
        self.assertIn('tls = "required-verify-hosted"', " ".join(advice(found)))

    def test_weak_spots(self) -> None:
        """What goes now, but isn't what the operator may think."""
        self.assertIn("remove the route", self.of(MAY, route=attrs.evolve(ROUTE, kind=RouteKind.SMTP_ROUTE)))
        exempt = Profile(exemption=Exemption(1798675200.0, "ticket 4711"))
        self.assertIn("exempt until 2026-12-31 00:00 UTC: ticket 4711", self.of(MAY, profile=exempt))
        self.assertIn("in clear text", self.of(MAY, outcome=Delivered(0, "clear text")))
        self.assertIn(
            "seg stsverify example.com",
            self.of(
                NoOpinion("policy fetch failed: http-status 404", CauseKind.STS_FETCH_FAILED), facts(ROOT.leaf("a.b"))
            ),
        )
        self.assertIn(
            "run a validating resolver",
            self.of(NoOpinion("resolver doesn't validate", CauseKind.RESOLVER_NOT_VALIDATING), facts(ROOT.leaf("a.b"))),
        )

    def test_no_route(self) -> None:
        """The domain, its DNS, or the operator's own table."""

        def only(found: CheckReport) -> str:
            (line,) = advice(found)
            return line

        self.assertIn("spelled right", only(no_route(Permanent("5.1.2", "NXDomain"))))
        self.assertIn(
            "delv example.com MX",
            only(no_route(Temporary("4.4.3", "DNS ServFail looking up example.com (MX)", cause=CauseKind.DNS_FAILED))),
        )
        self.assertIn(
            "Look at the SMTP route", only(no_route(Temporary("4.4.4", "SMTP route for example.com can't be used")))
        )

    def test_once(self) -> None:
        """Two hosts with one fault are one piece of advice."""
        decision = decided(
            dane=Refuse("DANE is mandatory: resolver doesn't validate", cause=CauseKind.RESOLVER_NOT_VALIDATING)
        )
        self.assertEqual(len(advice(report(host(decision), host(decision)))), 1)
