"""What monitoring asks for, counted from events: metrics of Prometheus. No label has a value that strangers can choose.

Names and units follow Prometheus' conventions: totals end in ``_total``, times are seconds, sizes octets (bytes, as it calls them).
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Histogram, ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from zope.interface import implementer

from seg.admin.gauges import Gauges
from seg.common.bounded import BoundedMap
from seg.events.base import Event, IEventSink
from seg.events.delivery import (
    DeliveryClosed,
    DeliveryConnectFailed,
    DeliveryStarted,
    DeliveryTLSFailed,
    DeliveryTLSStarted,
    ExemptionUsed,
    PolicyExplained,
    PolicyObserved,
    RecipientsDelivered,
    RecipientsDiscarded,
    TLSAlert,
)
from seg.events.dns import DNSFailed
from seg.events.gateway import AdminRefused, Fault, SyslogAway, SyslogLinesLost
from seg.events.policy import STSFetchFailed, STSPolicyFetched
from seg.events.queue import (
    BounceGenerated,
    DoubleBounce,
    MessageFinished,
    RecipientBounced,
    RecipientDelayed,
    SpoolFileCorrupt,
)
from seg.events.receive import (
    AuthFailed,
    AuthSucceeded,
    ConnectionAdmitted,
    FilterAnswered,
    FilterAway,
    MessageReceived,
    ReceiveTLSStarted,
    RecipientRefused,
    RefusalsUntold,
)
from seg.mail.causes import POLICY_CAUSES, PolicyResult
from seg.version import __version__

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
MOST_TIMED = 50_000  # messages, and connections, whose beginning is remembered
MOST_WORDS = 40  # values of a label that a provider of a third party may make; more are "other"
LATENCIES = (0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 1800.0, 7200.0, 86400.0)
TRANSACTIONS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0)

_WORD = re.compile(r"[a-z0-9-]{1,30}")
_OUR_PROVIDERS = ("dane", "mta-sts", "profile", "static")
_STATUS = re.compile(r"([245]\.\d{1,2})\.\d{1,3}")


@implementer(IEventSink)
class Metrics:
    """Listens on the event bus.

    :param seconds: the present time, to measure by.
    :param now: POSIX seconds; None: `seconds` is that too.
    """

    debug = False

    def __init__(self, seconds: Callable[[], float], now: Callable[[], float] | None = None) -> None:
        self.registry = CollectorRegistry(auto_describe=True)
        self._seconds = seconds
        self._now = now or seconds
        self._received_at: BoundedMap[int, float] = BoundedMap(MOST_TIMED)
        self._begun_at: BoundedMap[int, float] = BoundedMap(MOST_TIMED)
        self._words: dict[str, set[str]] = {}
        ProcessCollector(registry=self.registry)
        self._define()
        self._take: dict[type, Callable[[Any], None]] = {
            ConnectionAdmitted: lambda e: self._connections.labels(e.action.lower()).inc(),
            ReceiveTLSStarted: lambda e: self._tls_started("in", e),
            DeliveryTLSStarted: lambda e: self._tls_started("out", e),
            DeliveryTLSFailed: lambda e: self._tls_failed.inc(),
            DeliveryConnectFailed: lambda e: self._unreachable.inc(),
            AuthSucceeded: lambda e: self._auth.labels("succeeded").inc(),
            AuthFailed: lambda e: self._auth.labels("failed").inc(),
            AdminRefused: lambda e: self._admin_refused.inc(),
            MessageReceived: self._message_received,
            RecipientRefused: lambda e: self._refused.inc(),
            RefusalsUntold: self._untold,
            FilterAnswered: lambda e: self._filters.labels(e.answer).observe(e.seconds),
            FilterAway: lambda e: self._filters_away.inc(),
            PolicyExplained: self._explained,
            PolicyObserved: self._was_observed,
            ExemptionUsed: lambda e: self._exempt.inc(),
            TLSAlert: lambda e: self._tls_alerts.inc(),
            DeliveryStarted: self._begun,
            DeliveryClosed: self._closed,
            RecipientsDelivered: self._delivered,
            RecipientsDiscarded: lambda e: self._recipients.labels("discarded").inc(len(e.rids)),
            RecipientDelayed: lambda e: self._delays.labels(_status(e.error.enhanced)).inc(),
            RecipientBounced: self._bounced,
            MessageFinished: self._finished,
            BounceGenerated: lambda e: self._reports.inc(),
            DoubleBounce: lambda e: self._double.inc(),
            STSPolicyFetched: lambda e: self._fetches.labels("fetched").inc(),
            STSFetchFailed: lambda e: self._fetches.labels("failed").inc(),
            DNSFailed: lambda e: self._dns_failed.labels(self._word("dns", e.kind.lower())).inc(),
            Fault: lambda e: self._faults.inc(),
            SpoolFileCorrupt: lambda e: self._corrupt.inc(),
            SyslogAway: lambda e: self._faults.inc(),
            SyslogLinesLost: lambda e: self._syslog_lost.inc(e.count),
        }

    def _define(self) -> None:
        registry = self.registry

        def counter(name: str, text: str, *labels: str) -> Counter:
            return Counter(f"seg_{name}", text, labels, registry=registry)

        self._connections = counter(
            "connections_in", "Connections of clients, by the host access table's word", "action"
        )
        self._tls = counter("tls_sessions", "TLS sessions, by direction and version", "direction", "version")
        self._tls_groups = counter(
            "tls_groups", "TLS sessions, by direction and key exchange group", "direction", "group"
        )
        self._tls_failed = counter("tls_failures", "TLS handshakes with other hosts that failed")
        self._unreachable = counter("connect_failures", "Connections to other hosts that didn't come about")
        self._auth = counter("auth", "AUTH of clients", "result")
        self._admin_refused = counter("admin_refused", "Requests to the admin API over TLS refused for want of a token")
        self._messages = counter("messages_received", "Messages accepted")
        self._octets = counter("received_bytes", "Octets of messages accepted")
        self._refused = counter("recipients_refused", "Recipients of clients refused")
        self._recipients = counter("recipients", "Recipients done with, by result", "result")
        self._delays = counter(
            "delays", "Recipients put off, by class and subject of the status (4.4: network)", "status"
        )
        self._bounces = counter("bounces", "Recipients failed for good, by class and subject of the status", "status")
        self._reports = counter("reports", "Reports to senders")
        self._double = counter("double_bounces", "Reports that couldn't be delivered")
        self._attempts = counter("attempts", "Attempts on a host, by what verified it or why it wasn't used", "outcome")
        self._opinions = counter(
            "policy_opinions", "What a TLS policy provider said, by its first word", "provider", "word"
        )
        self._observed = counter(
            "policy_observed", "Sessions held against a policy that isn't enforced", "provider", "result"
        )
        self._exempt = counter("exemptions_used", "Deliveries that only an exemption allowed")
        self._tls_alerts = counter(
            "tls_alerts", "Alerts on required TLS that fails, one an hour for a destination at most"
        )
        self._fetches = counter("sts_fetches", "MTA-STS policies fetched", "result")
        self._dns_failed = counter("dns_failures", "Lookups that put a delivery off", "kind")
        self._filters_away = counter("filters_away", "Messages whose filter gave no answer")
        self._faults = counter("faults", "Warnings that an operator should look at")
        self._corrupt = counter("spool_files_corrupt", "Spool files that couldn't be read and were put aside")
        self._syslog_lost = counter("syslog_lines_lost", "Lines that a log subscription's syslog will never get")
        self._latency = Histogram(
            "seg_delivery_seconds", "From the 250 to the delivery of a recipient", buckets=LATENCIES, registry=registry
        )
        self._transaction = Histogram(
            "seg_transaction_seconds", "One transaction with another host", buckets=TRANSACTIONS, registry=registry
        )
        self._filters = Histogram(
            "seg_filter_seconds",
            "A filter's judgement, by its answer",
            ["answer"],
            buckets=TRANSACTIONS,
            registry=registry,
        )

    @property
    def kinds(self) -> tuple[type[Event], ...]:
        """The classes of events that are told to it."""
        return tuple(self._take)

    def emit(self, event: Event) -> None:
        """Count one event."""
        take = self._take.get(type(event))
        if take is not None:
            take(event)

    def watch(self, gauges: Gauges, conditions: Callable[[], Mapping[str, int]]) -> None:
        """Show what is going on besides.

        :param conditions: how many conditions of each kind last.
        """
        self.registry.register(_Now(gauges, conditions, self._now))

    def text(self) -> bytes:
        """All of it, in Prometheus' text format."""
        return generate_latest(self.registry)

    # --- events with more to them ------------------------------------------------------------------

    def _untold(self, event: RefusalsUntold) -> None:
        self._refused.inc(event.recipients)
        self._auth.labels("failed").inc(event.logins)

    def _message_received(self, event: MessageReceived) -> None:
        if not event.own:
            self._messages.inc()
            self._octets.inc(event.size)
        self._received_at[event.mid] = self._seconds()

    def _tls_started(self, direction: str, event: DeliveryTLSStarted | ReceiveTLSStarted) -> None:
        self._tls.labels(direction, event.protocol).inc()
        self._tls_groups.labels(direction, event.group or "none").inc()  # of those that we offer, or take

    def _begun(self, event: DeliveryStarted) -> None:
        self._begun_at[event.dcid] = self._seconds()

    def _closed(self, event: DeliveryClosed) -> None:
        self._begun_at.pop(event.dcid, None)

    def _delivered(self, event: RecipientsDelivered) -> None:
        self._recipients.labels("delivered").inc(len(event.rids))
        now = self._seconds()
        begun, received = self._begun_at.pop(event.dcid, None), self._received_at.get(event.mid)
        if begun is not None:
            self._transaction.observe(now - begun)
        if received is not None:
            self._latency.observe(now - received)

    def _finished(self, event: MessageFinished) -> None:
        self._received_at.pop(event.mid, None)

    def _bounced(self, event: RecipientBounced) -> None:
        self._recipients.labels("bounced").inc()
        self._bounces.labels(_status(event.error.enhanced)).inc()

    def _explained(self, event: PolicyExplained) -> None:
        self._attempts.labels(attempt_label(event.result, event.verified_by)).inc()
        for provider, said in event.opinions:
            match = _WORD.match(said)
            self._opinions.labels(
                self._word("provider", provider), self._word(provider, match[0] if match else "")
            ).inc()

    def _was_observed(self, event: PolicyObserved) -> None:
        self._observed.labels(self._word("provider", event.provider), "passed" if event.ok else "failed").inc()

    def _word(self, kind: str, word: str) -> str:
        """A label's value; of too many different ones the rest are "other"."""
        known = self._words.setdefault(kind, set())
        if word not in known:
            if len(known) >= MOST_WORDS:
                return "other"
            known.add(word)
        return word


class _Now(Collector):
    """Gauges, asked for when somebody looks."""

    def __init__(self, gauges: Gauges, conditions: Callable[[], Mapping[str, int]], now: Callable[[], float]) -> None:
        self._gauges = gauges
        self._conditions = conditions
        self._now = now

    def describe(self) -> Iterator[Metric]:
        """Nothing: names are known when it is collected."""
        return iter(())

    def collect(self) -> Iterator[Metric]:
        """What is going on."""
        gauges = self._gauges
        counts, dns = gauges.counts(), gauges.dns()
        yield _gauge("queue_messages", "Messages in the queue", counts.messages)
        yield _gauge("queue_recipients", "Recipients that wait", counts.recipients)
        yield _gauge("queue_active_recipients", "Recipients being tried", counts.active)
        yield _gauge("queue_held_messages", "Messages held", counts.held)
        yield _gauge("queue_damaged_messages", "Messages held, as a part of their files is lost", counts.damaged)
        yield _gauge("queue_unread_files", "Files and folders that the system can't read for now", counts.unread)
        yield _gauge("queue_corrupt_files", "Files put aside in corrupt/", counts.corrupt)
        age = self._now() - counts.oldest if counts.oldest else 0.0
        yield _gauge("queue_oldest_seconds", "Age of the oldest message", age)
        yield _gauge("queue_destinations", "Destinations with waiting mail", gauges.destinations())
        yield _gauge("connections_open", "Clients connected", gauges.connections_in())
        yield _gauge("attempts_active", "Attempts under way", gauges.attempts())
        yield _gauge(
            "connections_idle", "Connections to other hosts that wait for a message", gauges.connections_idle()
        )
        yield _gauge("sts_policies_cached", "MTA-STS policies known", gauges.policies_cached())
        validates = gauges.resolver_validates()
        text = "1: the resolver validates DNSSEC, DANE is applied; NaN: it hasn't answered yet"
        yield _gauge("resolver_validates", text, math.nan if validates is None else validates)
        yield _gauge("exemptions", "Destinations that are exempt from their policies now", gauges.exemptions())
        yield _gauge(
            "destinations_limited", "Destinations whose limits hold mail back now", gauges.limited_destinations()
        )
        held = GaugeMetricFamily(
            "seg_queue_held_by_policy", "Messages that TLS policy keeps waiting, by cause", labels=["cause"]
        )
        causes = gauges.causes()
        for cause in POLICY_CAUSES:
            held.add_metric([cause], causes.get(cause, 0))
        yield held

        certificates = GaugeMetricFamily(
            "seg_certificate_expiry_seconds",
            "Until one of our own certificates ends; negative: it has ended",
            labels=["used_by", "file"],
        )
        for each in gauges.certificates():
            certificates.add_metric([each.used_by, each.file], each.seconds_left)
        yield certificates
        condition = GaugeMetricFamily(
            "seg_condition", "Things that are wrong with the gateway itself, by kind", labels=["kind"]
        )
        for kind, count in self._conditions().items():
            condition.add_metric([kind], count)
        yield condition
        for name, text in (
            ("requests", "Questions put to the DNS cache"),
            ("hits", "Questions answered from it"),
            ("network", "Questions passed on to a resolver"),
            ("failures", "Of these, ended in a failure"),
        ):
            yield CounterMetricFamily(f"seg_dns_{name}", text, value=getattr(dns, name))
        info = GaugeMetricFamily("seg_info", "Which gateway this is", labels=["version"])
        info.add_metric([__version__], 1)
        yield info


def _gauge(name: str, text: str, value: float) -> GaugeMetricFamily:
    return GaugeMetricFamily(f"seg_{name}", text, value=float(value))


def _status(enhanced: str) -> str:
    """Class and subject of a status (RFC 3463): of "4.7.5" it is "4.7"."""
    match = _STATUS.match(enhanced)
    return match[1] if match else "other"


def attempt_label(result: PolicyResult, verified_by: str) -> str:
    """What came of a decision in a word: ``verified_by_dane``, ``unverified``, ``clear``, ``refused``, ``not_reached``."""
    if result is PolicyResult.VERIFIED:
        return f"verified_by_{verified_by if verified_by in _OUR_PROVIDERS else 'other'}"
    counted = (
        PolicyResult.UNVERIFIED if result is PolicyResult.TRUSTED else result
    )  # nobody knows whose records they are
    return counted.replace("-", "_")
