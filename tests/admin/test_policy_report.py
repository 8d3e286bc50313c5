"""What would have failed under enforcement, as it is counted and shown."""

from __future__ import annotations

from typing import Any

from jsonschema import Draft202012Validator
from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from seg.admin.policy_report import DAY, LONGEST_TEXT, MOST_DOMAINS, MOST_POLICIES, PolicyReport
from seg.admin.wire.destinations import DAYS
from seg.events.delivery import PolicyObserved
from seg.events.receive import MessageQueued
from seg.mail.causes import CauseKind
from tests.admin.asking import ask
from tests.admin.test_openapi import document
from tests.doubles import tell


class PolicyReportTests(SynchronousTestCase):
    """`PolicyReport`."""

    def setUp(self) -> None:
        self.now = 100 * DAY + 10
        self.report = PolicyReport(lambda: self.now)

    def session(
        self, domain: str, cause: CauseKind | None = CauseKind.TLSA_NO_MATCH, ok: bool = False, provider: str = "dane"
    ) -> None:
        """One session held against a policy that is only watched."""
        tell(self.report, PolicyObserved(domain, f"mx.{domain}", provider, ok, "any text " * 100, cause))

    def shown(self, **query: str) -> dict[str, Any]:
        """The API's answer."""
        facts: Any = self.successResultOf(Deferred.fromCoroutine(ask(self.report, "GET", "/v1/policy-report", query)))
        schema = {"$ref": "#/components/schemas/PolicyReport", "components": document()["components"]}
        Draft202012Validator(schema).validate(facts)
        return facts

    def test_a_domain_a_row(self) -> None:
        """Sessions by cause, the last time and host of each; what passed or isn't about a policy counts for nothing."""
        for _ in range(3):
            self.session("a.example")
        self.now += 60
        self.session("a.example", CauseKind.MX_NOT_IN_POLICY, provider="mta-sts")
        self.session("b.example", None)
        self.session("fine.example", None, ok=True)
        tell(self.report, MessageQueued(1))
        facts = self.shown()
        self.assertEqual(
            [(row["domain"], row["sessions"]) for row in facts["domains"]], [("a.example", 4), ("b.example", 1)]
        )
        row = facts["domains"][0]
        self.assertEqual(
            [(each["provider"], each["cause"], each["sessions"]) for each in row["causes"]],
            [("dane", "tlsa-no-match", 3), ("mta-sts", "mx-not-in-policy", 1)],
        )
        self.assertEqual((row["last"], row["causes"][0]["last"], row["causes"][0]["host"]),
                         (self.now, self.now - 60, "mx.a.example"))  # fmt: skip
        self.assertEqual(len(row["causes"][0]["detail"]), LONGEST_TEXT)
        self.assertEqual(facts["domains"][1]["causes"][0]["cause"], "other")
        self.assertEqual(self.shown(domain="B.example")["total"], 1)
        self.assertEqual((self.shown(limit="1")["total"], len(self.shown(limit="1")["domains"])), (2, 1))

    def test_days(self) -> None:
        """Only the days asked for count, today included; older ones than are kept are forgotten."""
        self.session("a.example")
        self.now += 2 * DAY
        self.session("a.example")
        self.assertEqual([self.shown(days=days)["domains"][0]["sessions"] for days in ("1", "2", "3")], [1, 1, 2])
        self.now += DAY
        self.assertEqual(self.shown(days="1")["domains"], [])
        for _ in range(2 * DAYS):
            self.now += DAY
            self.session("a.example")
        self.assertEqual(self.shown(days=str(DAYS))["domains"][0]["sessions"], DAYS)

    def test_bounded(self) -> None:
        """Strangers choose how many domains there are, and third parties what their providers are called."""
        for number in range(MOST_DOMAINS + 10):
            self.session(f"d{number}.example")
        for number in range(MOST_POLICIES + 10):
            self.session("last.example", provider=f"p{number}")
        facts = self.shown(limit="1000")
        self.assertEqual(facts["total"], MOST_DOMAINS)
        self.assertEqual(len(self.shown(domain="last.example")["domains"][0]["causes"]), MOST_POLICIES)
        self.assertEqual(self.shown(domain="d0.example")["domains"], [])
