"""Pass, fail, couldn't tell: every way that a check can go."""

from __future__ import annotations

import attrs
from twisted.trial.unittest import SynchronousTestCase

from seg.check.outcome import CERTIFICATE, Result, of_dane, of_delivery, of_sts, of_tls, worst
from seg.mail.causes import CauseKind
from seg.mail.errors import Permanent, Temporary
from seg.mail.outcome import Bounced, Delayed
from seg.policy.dane.authenticator import DANEAuthenticator
from seg.policy.dane.tlsa import TLSARecord, association
from seg.policy.mtasts.answer import FetchTrace
from seg.policy.mtasts.entry import CachedPolicy
from seg.policy.mtasts.errors import FetchError, FetchFault
from seg.policy.mtasts.inspection import STSInspection
from seg.policy.mtasts.policy import parse_policy
from seg.policy.requirement import Decide, NoOpinion, Observe, Raise, Refuse, Requirement, TempFail, TLSLevel
from seg.tls.webpki import WebPKI
from tests.check.reports import CLEAR, HOST, ROOT, decided, facts, host, no_route, report, tried

LEAF = ROOT.leaf(HOST.name)
OTHER = ROOT.leaf("other.example")
PASSED, FAILED, UNKNOWN = Result.PASSED, Result.FAILED, Result.UNKNOWN
MUST = Requirement(TLSLevel.MUST)
POLICY = b"version: STSv1\nmode: enforce\nmx: mx.example.com\nmax_age: 100\n"


def dane_record(leaf: object = LEAF) -> Requirement:
    """Wants this certificate by 3 1 1."""
    record = TLSARecord(3, 1, 1, association(leaf.certificate, 1, 1))  # type: ignore[attr-defined]
    return attrs.evolve(MUST, authenticators=(DANEAuthenticator((record,), HOST.name, (HOST.name,)),), source="dane")


STS = attrs.evolve(MUST, authenticators=(WebPKI((HOST.name,), "mta-sts"),), source="mta-sts")
CHECKED = Observe(attrs.evolve(MUST, authenticators=(WebPKI((HOST.name,), CERTIFICATE),)), "observed")


class WorstTests(SynchronousTestCase):
    """`worst`."""

    def test_order(self) -> None:
        """A failure before a doubt before a pass; nothing at all is a doubt."""
        for results, wanted in (
            ((PASSED, PASSED), PASSED),
            ((PASSED, UNKNOWN), UNKNOWN),
            ((UNKNOWN, PASSED, FAILED), FAILED),
            ((), UNKNOWN),
        ):
            self.assertIs(worst(results), wanted)


class DeliveryTests(SynchronousTestCase):
    """`of_delivery`: would a message go now?"""

    def test_table(self) -> None:
        """Delivered passes; what a policy or the domain forbids fails; DNS and network leave a doubt."""
        good = decided(static=Raise(Requirement(TLSLevel.MAY), "preferred"))
        later = decided(dane=TempFail("TLSA lookup failed"))
        refused = decided(mta_sts=Refuse("MX not in policy", cause=CauseKind.MX_NOT_IN_POLICY))
        policy, network = Delayed(Temporary("4.7.5", "x")), Delayed(Temporary("4.4.1", "x"))
        for found, wanted in (
            (report(host(good, tried(good, facts(LEAF)))), PASSED),
            (report(host(refused), outcome=policy), FAILED),
            (report(host(later), outcome=policy), UNKNOWN),
            (report(host(later), host(refused), outcome=policy), FAILED),
            (report(host(good, tried(good, None)), outcome=network), UNKNOWN),
            (report(outcome=Bounced(Permanent("5.7.1", "x"))), FAILED),
            (no_route(Permanent("5.1.10", "null MX")), FAILED),
            (no_route(Temporary("4.4.3", "ServFail")), UNKNOWN),
        ):
            self.assertIs(of_delivery(found), wanted, found)


class DANETests(SynchronousTestCase):
    """`of_dane`."""

    def test_table(self) -> None:
        """Only a session that DANE verified passes; trusted isn't verified; lookups that fail leave a doubt."""
        good, stranger = (
            decided(dane=Decide(dane_record(), "secure(3 1 1)")),
            decided(dane=Decide(dane_record(OTHER), "x")),
        )
        weak = attrs.evolve(dane_record().authenticators[0], verifies=False)  # type: ignore[misc]
        trusted = decided(dane=Raise(attrs.evolve(MUST, authenticators=(weak,)), "trusted"))
        for found, wanted in (
            (report(host(good, tried(good, facts(LEAF)))), PASSED),
            (report(host(stranger, tried(stranger, facts(LEAF)))), FAILED),
            (report(host(trusted, tried(trusted, facts(LEAF)))), FAILED),
            (report(host(good, tried(good, CLEAR))), FAILED),
            (report(host(good, tried(good, None))), UNKNOWN),
            (report(host(good)), UNKNOWN),
            (report(host(decided(dane=Refuse("DANE is mandatory: no TLSA", cause=CauseKind.DANE_UNUSABLE)))), FAILED),
            (
                report(
                    host(
                        decided(
                            dane=Refuse(
                                "DANE is mandatory: resolver doesn't validate", cause=CauseKind.RESOLVER_NOT_VALIDATING
                            )
                        )
                    )
                ),
                UNKNOWN,
            ),
            (report(host(decided(dane=TempFail("TLSA lookup failed")))), UNKNOWN),
            (no_route(Permanent("5.1.2", "NXDomain")), FAILED),
            (no_route(Temporary("4.4.3", "ServFail")), UNKNOWN),
        ):
            self.assertIs(of_dane(found), wanted, found)


class TLSTests(SynchronousTestCase):
    """`of_tls`."""

    def test_table(self) -> None:
        """TLS and a certificate for the domain or the host, or DANE's word for it; and the policies hold."""
        plain = decided(certificate=CHECKED, static=Raise(Requirement(TLSLevel.MAY, clear_retry=True), "preferred"))
        dane = decided(certificate=CHECKED, dane=Decide(dane_record(OTHER), "secure(3 1 1)"))
        strict = decided(
            certificate=CHECKED,
            static=Raise(attrs.evolve(MUST, authenticators=(WebPKI(("example.com",), "static"),)), "required-verify"),
        )
        for decision, shown, wanted in (
            (plain, facts(LEAF), PASSED),
            (plain, facts(OTHER), FAILED),
            (plain, CLEAR, FAILED),
            (plain, None, UNKNOWN),
            (dane, facts(OTHER), PASSED),
            (strict, facts(LEAF), FAILED),
        ):
            self.assertIs(of_tls(report(host(decision, tried(decision, shown)))), wanted)


class STSTests(SynchronousTestCase):
    """`of_sts`."""

    def test_hosts(self) -> None:
        """Each host is listed and verified; mode testing is held to the same."""
        enforce, testing = decided(mta_sts=Raise(STS, "enforce")), decided(mta_sts=Observe(STS, "testing"))
        absent = decided(mta_sts=Observe(STS, "testing", "MX not in policy"))
        look = STSInspection(
            ("v=STSv1; id=1;",), policy_id="1", policy=parse_policy(POLICY), fetch=FetchTrace("https://x")
        )
        for decision, leaf, wanted in (
            (enforce, LEAF, PASSED),
            (enforce, OTHER, FAILED),
            (testing, LEAF, PASSED),
            (testing, OTHER, FAILED),
            (absent, LEAF, FAILED),
            (decided(mta_sts=Refuse("MX not in policy", cause=CauseKind.MX_NOT_IN_POLICY)), LEAF, FAILED),
            (decided(mta_sts=NoOpinion("policy fetch failed lately")), LEAF, FAILED),
            (decided(mta_sts=NoOpinion("TXT lookup failed: ServFail", CauseKind.STS_LOOKUP_FAILED)), LEAF, UNKNOWN),
        ):
            seen = (tried(decision, facts(leaf)),) if decision.usable else ()
            self.assertIs(of_sts(report(host(decision, *seen), sts=look)), wanted, decision)

    def test_look(self) -> None:
        """A record or policy that can't be used fails; neither, or mode none, is no failure. What the DNS or the network hides: a doubt."""
        enforce = decided(mta_sts=Raise(STS, "enforce"))
        good = host(enforce, tried(enforce, facts(LEAF)))
        none = parse_policy(b"version: STSv1\nmode: none\nmax_age: 100\n")
        answer = FetchTrace("https://x")
        cached = CachedPolicy("example.com", "1", parse_policy(POLICY), 0.0, 0.0, 0.0)

        def failed(fault: FetchFault) -> STSInspection:
            return STSInspection(policy_id="1", fetch=answer, fetch_error=FetchError(fault, "why"))

        for look, wanted in (
            (STSInspection(record_error="ServFail", record_failed=True), UNKNOWN),
            (STSInspection(), Result.NONE),
            (STSInspection(cached=cached), FAILED),
            (STSInspection(record_error="no id"), FAILED),
            (STSInspection(policy_id="1", fetch=answer, policy=none), Result.NONE),
            (STSInspection(policy_id="1", fetch=answer, policy_error="invalid policy"), FAILED),
            (failed(FetchFault.HTTP_STATUS), FAILED),
            (failed(FetchFault.CERTIFICATE), FAILED),
            (failed(FetchFault.TIMEOUT), UNKNOWN),
            (failed(FetchFault.PROXY), UNKNOWN),
        ):
            self.assertIs(of_sts(report(good, sts=look)), wanted, look)
