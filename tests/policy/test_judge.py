"""Tests for `seg.policy.judge`: sessions against decisions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import attrs
from twisted.trial.unittest import SynchronousTestCase

from seg.policy.dane.authenticator import DANEAuthenticator
from seg.policy.dane.tlsa import TLSARecord
from seg.policy.judge import NOBODY, Verdict, judge
from seg.policy.requirement import Decision, Observe, Requirement, TLSLevel
from seg.tls.peer import CertificateVerdict, PeerCertificates, SessionFacts, TLSVersion, Trust
from seg.tls.roots import RootStore
from seg.tls.webpki import WebPKI
from tests.certificates import DAY, NOW, Authority, tlsa_data

ROOT = Authority.root()
LEAF = ROOT.leaf("mx.example.com", days=(-10, 10))
TRUST = Trust(RootStore((ROOT.certificate,)), NOW)
SESSION = SessionFacts(True, "TLSv1.3", "TLS_X", "mx.example.com", PeerCertificates(LEAF.chain), True)
OLDER = attrs.evolve(SESSION, version="TLSv1.2")

STS = WebPKI(("mx.example.com",), "mta-sts")
PROFILE = WebPKI(("example.com", "mx.example.com"), "static")
DANE = DANEAuthenticator((TLSARecord(3, 1, 1, tlsa_data(LEAF.certificate, 1, 1)),), "mx.example.com", ())
WRONG = DANEAuthenticator((TLSARecord(3, 1, 1, bytes(32)),), "mx.example.com", ())
BELOW_INSECURE = attrs.evolve(DANE, verifies=False)

MUST, MAY, NEVER = TLSLevel.MUST, TLSLevel.MAY, TLSLevel.NEVER
NONE = SessionFacts()
BROKEN = SessionFacts(starttls_offered=True, failure="handshake failed: EOF")


def decision(level: TLSLevel, *authenticators: WebPKI | DANEAuthenticator, **more: Any) -> Decision:
    """A decision for the host."""
    return Decision(
        "example.com", "mx.example.com", Requirement(level, authenticators=authenticators, source="x", **more)
    )


# decision, session, (ok, by, trusted, reason)
ROWS = (
    (decision(NEVER), NONE, (True, "none", False, "clear text")),
    (decision(MAY), NONE, (True, "none", False, "clear text")),
    (decision(MAY), BROKEN, (True, "none", False, "clear text")),
    (decision(MAY), SESSION, (True, "none", False, "TLSv1.3 unverified")),
    (decision(MUST), SESSION, (True, "none", False, "TLSv1.3 unverified")),
    (decision(MUST), NONE, (False, "none", False, "TLS required: STARTTLS wasn't offered")),
    (decision(MUST), BROKEN, (False, "none", False, "TLS required: handshake failed: EOF")),
    (decision(MAY, STS), NONE, (False, "none", False, "TLS required: STARTTLS wasn't offered")),
    (decision(NEVER, STS), NONE, (False, "none", False, "TLS required: STARTTLS wasn't offered")),
    (decision(MUST, STS), SESSION, (True, "mta-sts", False, "TLSv1.3 verified by mta-sts")),
    (decision(MUST, STS, PROFILE), OLDER, (True, "mta-sts", False, "TLSv1.2 verified by mta-sts")),
    (decision(MUST, PROFILE), SESSION, (True, "profile", False, "TLSv1.3 verified by profile")),
    (decision(MUST, DANE), SESSION, (True, "dane", False, "TLSv1.3 verified by dane")),
    (decision(MUST, BELOW_INSECURE), SESSION, (True, "none", True, "TLSv1.3 trusted by dane")),
    (decision(MUST, BELOW_INSECURE, STS), SESSION, (True, "mta-sts", True, "TLSv1.3 verified by mta-sts")),
    (
        decision(MUST, WRONG),
        SESSION,
        (False, "none", False, "TLSv1.3 refused: no TLSA record matches the certificate"),
    ),
    (
        decision(MUST, WRONG, STS),
        SESSION,
        (False, "none", False, "TLSv1.3 refused: no TLSA record matches the certificate"),
    ),
    (
        decision(MUST, min_version=TLSVersion.TLS1_3),
        OLDER,
        (False, "none", False, "TLSv1.2 refused: protocol version too low"),
    ),
    (
        decision(MUST),
        attrs.evolve(SESSION, version="TLSv1.1"),
        (False, "none", False, "TLSv1.1 refused: protocol version too low"),
    ),
)


class JudgeTests(SynchronousTestCase):
    """Verdicts, row by row."""

    def test_verified_by(self) -> None:
        """Whoever is asked by name who verified the peer says nothing when nobody did."""
        self.assertEqual([Verdict(True, by).verified_by for by in ("dane", NOBODY)], ["dane", ""])

    def test_table(self) -> None:
        """Each session gets the verdict of its row, and a failing one says why."""
        for given, facts, wanted in ROWS:
            verdict = judge(given, facts, TRUST)
            self.assertEqual((verdict.ok, verdict.by, verdict.trusted, verdict.reason), wanted)
            self.assertEqual(verdict.verified_by, "" if verdict.by == "none" else verdict.by)
            self.assertEqual(bool(verdict.mismatches), not verdict.ok)
            self.assertEqual(bool(verdict.summary), not verdict.ok)

    def test_refused_host(self) -> None:
        """A host that isn't to be contacted has no good session."""
        refused = Decision("example.com", "mx", Requirement(MAY), refusal="MX not in policy")
        verdict = judge(refused, SESSION, TRUST)
        self.assertEqual((verdict.ok, verdict.reason), (False, "refused: MX not in policy"))

    def test_broken_authenticator(self) -> None:
        """An authenticator of a third party that raises, or finds nothing that counts, accepts nobody."""

        class Broken:
            source, verifies = "acme", True

            def __init__(self, act: Callable[[], Any]) -> None:
                self.examine = lambda peer, trust: act()

        for act in (lambda: 1 / 0, lambda: None, lambda: True, lambda: CertificateVerdict(None)):  # type: ignore[arg-type]
            verdict = judge(decision(MUST, Broken(act)), SESSION, TRUST)  # type: ignore[arg-type]
            self.assertEqual((verdict.ok, verdict.failed), (False, ("acme",)))
            self.assertIn("the acme authenticator failed: ", verdict.summary)

    def test_who_failed(self) -> None:
        """All authenticators are heard, and those that refuse are named."""
        verdict = judge(decision(MUST, WRONG, STS, PROFILE), SESSION, Trust(RootStore(), NOW))
        self.assertEqual(verdict.failed, ("dane", "mta-sts", "profile"))
        verdict = judge(decision(MUST, WRONG, STS), SESSION, TRUST)
        self.assertEqual((verdict.failed, verdict.matched), (("dane",), (("mta-sts", "name mx.example.com"),)))

    def test_same_session_later(self) -> None:
        """A session that was good is judged by the time of each message."""
        given = decision(MUST, STS)
        results = [judge(given, SESSION, attrs.evolve(TRUST, now=NOW + days * DAY)).ok for days in (0, 11, 0)]
        self.assertEqual(results, [True, False, True])

    def test_session_without_a_chain(self) -> None:
        """Whoever shows no readable chain isn't verified, whatever the records."""
        for peer in (PeerCertificates(), PeerCertificates(LEAF.chain, fault="resumed without certificates")):
            facts = attrs.evolve(SESSION, peer=peer, resumed=True)
            for authenticator in (STS, PROFILE, DANE):
                self.assertFalse(judge(decision(MUST, authenticator), facts, TRUST).ok)

    def test_known_failure_of_the_observed(self) -> None:
        """What is known to fail before any session is reported as such, and stops nothing."""
        wish = Observe(Requirement(MUST, authenticators=(STS,)), "testing", failure="MX not in policy")
        verdict = judge(attrs.evolve(decision(MAY), observed=(("mta-sts", wish),)), SESSION, TRUST)
        self.assertTrue(verdict.ok)
        (observed,) = verdict.observed
        self.assertEqual((observed.provider, observed.ok, observed.text), ("mta-sts", False, "MX not in policy"))
