"""What monitoring asks for, counted from events: metrics of Prometheus. No label has a value that strangers can choose.

Names and units follow Prometheus' conventions: totals end in ``_total``, times are seconds, sizes octets (bytes, as it calls them).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from prometheus_client import CollectorRegistry, Histogram, ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from seg.admin.counters import EventCounters
from seg.admin.gauges import Gauges
from seg.common.bounded import BoundedMap
from seg.events.base import Event
from seg.events.delivery import DeliveryClosed, DeliveryStarted, RecipientsDelivered
from seg.events.queue import MessageFinished
from seg.events.receive import FilterAnswered, MessageReceived
from seg.mail.causes import POLICY_CAUSES
from seg.version import __version__

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
MOST_TIMED = 50_000  # messages, and connections, whose beginning is remembered
LATENCIES = (0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 1800.0, 7200.0, 86400.0)
TRANSACTIONS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0)


# Name, what it counts, labels; in the order of the page.
FAMILIES: tuple[tuple[str, ...], ...] = (
    ("connections_in", "Connections of clients, by the host access table's word", "action"),
    ("tls_sessions", "TLS sessions, by direction and version", "direction", "version"),
    ("tls_groups", "TLS sessions, by direction and key exchange group", "direction", "group"),
    ("tls_failures", "TLS handshakes with other hosts that failed"),
    ("connect_failures", "Connections to other hosts that didn't come about"),
    ("auth", "AUTH of clients", "result"),
    ("admin_refused", "Requests to the admin API over TLS refused for want of a token"),
    ("messages_received", "Messages accepted"),
    ("received_bytes", "Octets of messages accepted"),
    ("recipients_refused", "Recipients of clients refused"),
    ("recipients", "Recipients done with, by result", "result"),
    ("delays", "Recipients put off, by class and subject of the status (4.4: network)", "status"),
    ("bounces", "Recipients failed for good, by class and subject of the status", "status"),
    ("reports", "Reports to senders"),
    ("double_bounces", "Reports that couldn't be delivered"),
    ("attempts", "Attempts on a host, by what verified it or why it wasn't used", "outcome"),
    ("policy_opinions", "What a TLS policy provider said, by its first word", "provider", "word"),
    ("policy_observed", "Sessions held against a policy that isn't enforced", "provider", "result"),
    ("exemptions_used", "Deliveries that only an exemption allowed"),
    ("tls_alerts", "Alerts on required TLS that fails, one an hour for a destination at most"),
    ("sts_fetches", "MTA-STS policies fetched", "result"),
    ("dns_failures", "Lookups that put a delivery off", "kind"),
    ("filters_away", "Messages whose filter gave no answer"),
    ("faults", "Warnings that an operator should look at"),
    ("spool_files_corrupt", "Spool files that couldn't be read and were put aside"),
    ("syslog_lines_lost", "Lines that a log subscription's syslog will never get"),
)


class Metrics:
    """Shows the counters, and what goes on; `handlers` measure times.

    :param seconds: the present time, to measure by.
    :param now: POSIX seconds; None: `seconds` is that too.
    """

    def __init__(
        self, counters: EventCounters, seconds: Callable[[], float], now: Callable[[], float] | None = None
    ) -> None:
        self.registry = CollectorRegistry(auto_describe=True)
        self._seconds = seconds
        self._now = now or seconds
        self._received_at: BoundedMap[int, float] = BoundedMap(MOST_TIMED)
        self._begun_at: BoundedMap[int, float] = BoundedMap(MOST_TIMED)
        ProcessCollector(registry=self.registry)
        self.registry.register(_Counted(counters))
        self._latency = self._histogram("delivery", "From the 250 to the delivery of a recipient", LATENCIES)
        self._transaction = self._histogram("transaction", "One transaction with another host", TRANSACTIONS)
        self._filters = self._histogram("filter", "A filter's judgement, by its answer", TRANSACTIONS, "answer")
        self.handlers: Mapping[type[Event], Callable[[Any], object]] = {
            MessageReceived: self._message_received,
            FilterAnswered: lambda e: self._filters.labels(e.answer).observe(e.seconds),
            DeliveryStarted: self._started,
            DeliveryClosed: lambda e: self._begun_at.pop(e.dcid, None),
            RecipientsDelivered: self._delivered,
            MessageFinished: lambda e: self._received_at.pop(e.mid, None),
        }

    def _histogram(self, name: str, text: str, buckets: Sequence[float], *labels: str) -> Histogram:
        return Histogram(f"seg_{name}_seconds", text, labels, buckets=buckets, registry=self.registry)

    def watch(self, gauges: Gauges, conditions: Callable[[], Mapping[str, int]]) -> None:
        """Show what is going on besides.

        :param conditions: how many conditions of each kind last.
        """
        self.registry.register(_Now(gauges, conditions, self._now))

    def text(self) -> bytes:
        """All of it, in Prometheus' text format."""
        return generate_latest(self.registry)

    # --- times -------------------------------------------------------------------------------------

    def _message_received(self, event: MessageReceived) -> None:
        self._received_at[event.mid] = self._seconds()

    def _started(self, event: DeliveryStarted) -> None:
        self._begun_at[event.dcid] = self._seconds()

    def _delivered(self, event: RecipientsDelivered) -> None:
        now = self._seconds()
        begun, received = self._begun_at.pop(event.dcid, None), self._received_at.get(event.mid)
        if begun is not None:
            self._transaction.observe(now - begun)
        if received is not None:
            self._latency.observe(now - received)


class _Counted(Collector):
    """The counters, each time that somebody looks."""

    def __init__(self, counters: EventCounters) -> None:
        self._counters = counters

    def collect(self) -> Iterator[Metric]:
        """One family for each name."""
        for name, text, *labels in FAMILIES:
            family = CounterMetricFamily(f"seg_{name}", text, labels=labels)
            for values, number, began in self._counters.numbers(name):
                family.add_metric(values, number, created=began)
            yield family


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
