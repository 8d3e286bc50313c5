"""What is counted since the start."""

from __future__ import annotations

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from seg.admin.counters import EventCounters
from seg.admin.metrics import Metrics
from seg.admin.traffic import Traffic
from seg.events.receive import FilterAnswered, FilterAway, FilterPassedOver, MessageReceived
from seg.maillog.lines import LINES
from tests.doubles import RecordingSink, tell


class FilterTests(SynchronousTestCase):
    """Filters."""

    def test_answers(self) -> None:
        """Each filter's answers are counted by their word, and how often it was away."""
        counters = EventCounters(lambda: 0.0)
        traffic = Traffic(counters, RecordingSink(), Clock())
        self.assertEqual(traffic.counted().filters, {})
        tell(
            counters,
            FilterAnswered(1, "rspamd", "accept", (), 0.1),
            FilterAnswered(2, "rspamd", "accept", ("1 header change",), 0.1),
            FilterAnswered(3, "rspamd", "reject", ("550 5.7.1 Spam",), 0.1),
            FilterAway(4, "rspamd", "gone", "tempfail", 0.1),
            FilterAway(4, "clamav", "gone", "accept", 0.1),
            FilterPassedOver(5, "clamav", 1),
        )
        wanted = {"rspamd": {"accept": 2, "reject": 1, "away": 1}, "clamav": {"away": 1}}
        self.assertEqual(traffic.counted().filters, wanted)


class ReceivedTests(SynchronousTestCase):
    """What counts as a message that came in."""

    def test_own_messages(self) -> None:
        """Mail of clients and of programs of this machine does; reports and alerts of the gateway itself don't, in any count."""
        counters = EventCounters(lambda: 0.0)
        traffic = Traffic(counters, RecordingSink(), Clock())
        tell(
            counters,
            MessageReceived(1, 7, "a@b.test", 10),
            MessageReceived(2, 0, "a@b.test", 10),  # dropped by a program
            MessageReceived(3, 0, "", 10, own=True),
        )
        self.assertEqual((traffic.counted().messages_received, counters.total("received_bytes")), (2, 20))
        self.assertEqual(traffic.rates.per_hour()["messages_received"]["1"], 120)


class ViewTests(SynchronousTestCase):
    """One source, several views."""

    def test_same_numbers(self) -> None:
        """What status, totals, rates and metrics say of the same things is the same number, after one event of each class."""
        counters = EventCounters(lambda: 0.0)
        traffic, metrics = Traffic(counters, RecordingSink(), Clock()), Metrics(counters, lambda: 0.0)
        tell(counters, *(entry.example for entry in LINES.values()))
        page = {
            (sample.name, *sample.labels.values()): sample.value
            for family in metrics.registry.collect()
            for sample in family.samples
        }
        status, rates = traffic.counted(), traffic.rates.per_hour()
        for name, metric in (
            ("messages_received", ("seg_messages_received_total",)),
            ("recipients_delivered", ("seg_recipients_total", "delivered")),
            ("recipients_bounced", ("seg_recipients_total", "bounced")),
        ):
            number = getattr(status, name)
            self.assertGreater(number, 0)
            self.assertEqual((page[metric], rates[name]["1"], traffic.running()[name]), (number, number * 60, number))
