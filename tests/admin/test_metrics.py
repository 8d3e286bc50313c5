"""Metrics, from events and gauges; and that the dashboard and the alerts ask for what there is."""

from __future__ import annotations

import json
import math
import re
from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families
from twisted.trial.unittest import SynchronousTestCase

from seg.admin.conditions import Conditions
from seg.admin.counters import MOST_WORDS, EventCounters, attempt_label
from seg.admin.gauges import Gauges
from seg.admin.metrics import Metrics
from seg.dns.cache import DNSCounters
from seg.events.base import Event
from seg.events.delivery import DeliveryStarted, DeliveryTLSStarted, PolicyExplained, RecipientsDelivered, TLSAlert
from seg.events.gateway import SyslogAway, SyslogLinesLost
from seg.events.queue import MessageFinished, RecipientBounced, RecipientDelayed
from seg.events.receive import MessageReceived
from seg.mail.causes import CauseKind, PolicyResult
from seg.mail.errors import Permanent, Temporary
from seg.maillog.lines import LINES
from seg.queue.interfaces import QueueCounts
from seg.tls.expiry import Lasting
from tests.doubles import tell

PACKAGING = Path(__file__).parents[2] / "packaging"


def gauges(validates: bool | None = True) -> Gauges:
    """A gateway at rest."""
    certificate = Lasting("listener relay", "mx.pem", "CN=mx.example", "2026-01-01T00:00:00+00:00", 86400.0)
    return Gauges(
        uptime=lambda: 60.0,
        connections_in=lambda: 5,
        listeners=lambda: (),
        attempts=lambda: 1,
        connections_idle=lambda: 0,
        limited_destinations=lambda: 2,
        counts=lambda: QueueCounts(3, 4, 1, 0, 90.0),
        causes=lambda: {CauseKind.TLSA_NO_MATCH: 3},
        destinations=lambda: 2,
        exemptions=lambda: 0,
        policies_cached=lambda: 7,
        resolver_validates=lambda: validates,
        dns=lambda: DNSCounters(requests=9, hits=4),
        certificates=lambda: (certificate,),
    )


class MetricsTests(SynchronousTestCase):
    """`Metrics`."""

    def setUp(self) -> None:
        self.time = 100.0
        self.counters = EventCounters(lambda: self.time)
        self.metrics = Metrics(self.counters, lambda: self.time)
        self.metrics.watch(gauges(), Conditions(lambda: self.time).counts)

    def emit(self, event: Event) -> None:
        """Let both hear of an event."""
        tell(self.counters, event)
        tell(self.metrics, event)

    def values(self) -> dict[str, float]:
        """Every sample by its name and labels."""
        return {
            sample.name + "".join(f" {k}={v}" for k, v in sorted(sample.labels.items())): sample.value
            for family in text_string_to_metric_families(self.metrics.text().decode())
            for sample in family.samples
        }

    def test_message(self) -> None:
        """A message from its 250 to its delivery, with the times that it took."""
        emit = self.emit
        emit(MessageReceived(1, 7, "a@b.test", 1000))
        emit(
            PolicyExplained(
                1,
                "d.test",
                "mx.d.test",
                (("dane", "none(no TLSA)"), ("mta-sts", "enforce(id 1)")),
                "TLSv1.3 verified by mta-sts",
                PolicyResult.VERIFIED,
                "mta-sts",
            )
        )
        self.time = 102.0
        emit(DeliveryTLSStarted(4, "TLSv1.3", "x", ()))
        emit(DeliveryStarted(4, 1, (0, 1), "d.test"))
        self.time = 102.2
        emit(RecipientsDelivered(4, 1, (0, 1), "ok", "d.test"))
        emit(MessageFinished(1))
        emit(TLSAlert("d.test", "mx.d.test", "expired", 0))
        values = self.values()
        for name, value in (
            ("seg_tls_alerts_total", 1),
            ("seg_destinations_limited", 2),
            ("seg_messages_received_total", 1),
            ("seg_received_bytes_total", 1000),
            ("seg_recipients_total result=delivered", 2),
            ("seg_attempts_total outcome=verified_by_mta-sts", 1),
            ("seg_policy_opinions_total provider=dane word=none", 1),
            ("seg_policy_opinions_total provider=mta-sts word=enforce", 1),
            ("seg_tls_sessions_total direction=out version=TLSv1.3", 1),
            ("seg_delivery_seconds_bucket le=2.5", 1),
            ("seg_delivery_seconds_bucket le=1.0", 0),
            ("seg_transaction_seconds_bucket le=0.25", 1),
            ("seg_queue_messages", 3),
            ("seg_queue_oldest_seconds", 12.2),
            ("seg_dns_hits_total", 4),
            ("seg_resolver_validates", 1),
            ("seg_certificate_expiry_seconds file=mx.pem used_by=listener relay", 86400),
        ):
            self.assertAlmostEqual(values[name], value, msg=name)

    def test_failures(self) -> None:
        """Bounces and delays by class and subject; a label never has what a stranger chose."""
        error = Permanent("5.1.1", "no", 550, ("x",))
        self.emit(RecipientBounced(1, 0, 1, "s@s.test", "x@a.test", error))
        self.emit(RecipientDelayed(1, 0, 1, "s@s.test", "x@a.test", Temporary("4.7.5", "x")))
        for number in range(MOST_WORDS + 20):
            opinion = (("plugin", f"word{number}"),)
            self.emit(PolicyExplained(1, "d.test", "mx.d.test", opinion, "clear text", PolicyResult.CLEAR))
        values = self.values()
        self.assertEqual((values["seg_bounces_total status=5.1"], values["seg_delays_total status=4.7"]), (1, 1))
        self.assertEqual(values["seg_policy_opinions_total provider=plugin word=other"], 20)
        self.assertNotIn("a.test", self.metrics.text().decode())

    def test_outcomes(self) -> None:
        """What came of a decision, as one of a few words."""
        for result, by, word in (
            (PolicyResult.VERIFIED, "dane", "verified_by_dane"),
            (PolicyResult.VERIFIED, "mta-sts", "verified_by_mta-sts"),
            (PolicyResult.VERIFIED, "acme", "verified_by_other"),
            (PolicyResult.TRUSTED, "", "unverified"),
            (PolicyResult.UNVERIFIED, "", "unverified"),
            (PolicyResult.CLEAR, "", "clear"),
            (PolicyResult.REFUSED, "", "refused"),
            (PolicyResult.NOT_REACHED, "", "not_reached"),
        ):
            self.assertEqual(attempt_label(result, by), word)

    def test_unknown_resolver(self) -> None:
        """A resolver that never answered neither validates nor fails to: the gauge is no number."""
        self.metrics = Metrics(self.counters, lambda: self.time)
        self.metrics.watch(gauges(None), Conditions(lambda: self.time).counts)
        self.assertTrue(math.isnan(self.values()["seg_resolver_validates"]))

    def test_syslog(self) -> None:
        """A syslog that is away is a fault, and the lines that it loses are counted."""
        self.emit(SyslogAway("siem", "udp:192.0.2.1", "Connection refused"))
        self.emit(SyslogLinesLost("siem", 7))
        values = self.values()
        self.assertEqual((values["seg_faults_total"], values["seg_syslog_lines_lost_total"]), (1, 7))

    def test_every_event(self) -> None:
        """Each event that the log knows can be counted."""
        for entry in LINES.values():
            self.emit(entry.example)
        self.assertIn("seg_info", self.metrics.text().decode())

    def test_dashboard_and_alerts(self) -> None:
        """The dashboard and the alerts of the package ask only for metrics that there are."""
        if not PACKAGING.is_dir():
            self.skipTest("packaging isn't here")
        for entry in LINES.values():
            self.emit(entry.example)
        there = {name.split(" ")[0] for name in self.values()}
        dashboard = json.loads((PACKAGING / "grafana" / "seg.json").read_text())
        queries = [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]
        alerts = (PACKAGING / "prometheus" / "alerts.yml").read_text()
        queries += re.findall(r"^\s+expr: (.+)$", alerts, re.MULTILINE)
        self.assertGreater(len(queries), 20)
        for query in queries:
            for name in re.findall(r"\bseg_\w+", query):
                self.assertIn(name, there, query)
