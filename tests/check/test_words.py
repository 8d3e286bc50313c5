"""What is said of a check, and of a session that won't do, in one line."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from seg.cli.check_text import sts_lines
from seg.deliver.policy_violation import PolicyViolation, mismatches_of
from seg.policy.judge import judge
from seg.policy.requirement import Raise, Requirement, TLSLevel
from seg.tls.webpki import WebPKI
from tests.certificates import Authority, self_signed
from tests.check.reports import HOST, ROOT, TRUST, decided, facts

STS = Requirement(TLSLevel.MUST, authenticators=(WebPKI((HOST.name,), "mta-sts"),), source="mta-sts")


class MismatchTests(SynchronousTestCase):
    """`mismatches_of`: what the queue list, replies, reports and log lines say."""

    def test_everything_named(self) -> None:
        """Each mismatch stands there in full and once: the issuer that is missing, the names, the dates."""
        decision = decided(mta_sts=Raise(STS, "enforce"))
        for leaf in (
            Authority.root("Unknown CA").leaf(HOST.name),
            Authority.root("Unknown CA").leaf("other.example"),
            ROOT.leaf("other.example"),
            self_signed(HOST.name),
        ):
            verdict = judge(decision, facts(leaf), TRUST)
            for text in (mismatches_of(verdict), PolicyViolation(decision, verdict).text):
                for line in verdict.mismatches:
                    self.assertEqual(text.count(line), 1, text)
        verdict = judge(decision, facts(Authority.root("Unknown CA").leaf(HOST.name)), TRUST)
        self.assertIn("unable to get local issuer certificate: issuer CN=Unknown CA", mismatches_of(verdict))


class STSWordTests(SynchronousTestCase):
    """`sts_lines`."""

    def test_ttl_and_none(self) -> None:
        """The record has its TTL, as dig shows it; a domain without MTA-STS has not failed."""
        look = {"records": [], "ttl": None, "dns_failed": False, "record_error": "", "id": ""}
        look |= {"fetch": None, "policy": None, "policy_error": "", "cached": None}
        document = {
            "domain": "a.example",
            "mta_sts": look,
            "error": None,
            "hosts": [],
            "not_applied": [],
            "result": "none",
        }
        self.assertEqual([*sts_lines(document)][-1], "NO MTA-STS for a.example")
        look |= {"records": ["v=STSv1; id=1;"], "ttl": 299, "id": "1"}
        self.assertIn('_mta-sts.a.example. 299 IN TXT "v=STSv1; id=1;"', [*sts_lines(document)])
