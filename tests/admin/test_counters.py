"""What is counted since the start."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from seg.admin.counters import EventCounters
from seg.admin.rates import EventRates
from seg.events.receive import FilterAnswered, FilterAway, FilterPassedOver, MessageReceived


class FilterTests(SynchronousTestCase):
    """Filters."""

    def test_answers(self) -> None:
        """Each filter's answers are counted by their word, and how often it was away."""
        counters = EventCounters()
        self.assertEqual(counters.as_dict()["filters"], {})
        for event in (
            FilterAnswered(1, "rspamd", "accept", (), 0.1),
            FilterAnswered(2, "rspamd", "accept", ("1 header change",), 0.1),
            FilterAnswered(3, "rspamd", "reject", ("550 5.7.1 Spam",), 0.1),
            FilterAway(4, "rspamd", "gone", "tempfail", 0.1),
            FilterAway(4, "clamav", "gone", "accept", 0.1),
            FilterPassedOver(5, "clamav", 1),
        ):
            counters.emit(event)
        wanted = {"rspamd": {"accept": 2, "reject": 1, "away": 1}, "clamav": {"away": 1}}
        self.assertEqual(counters.as_dict()["filters"], wanted)


class ReceivedTests(SynchronousTestCase):
    """What counts as a message that came in."""

    def test_own_messages(self) -> None:
        """Mail of clients and of programs of this machine does; reports and alerts of the gateway itself don't, in any count."""
        counters, rates = EventCounters(), EventRates(lambda: 1000.0)
        for event in (
            MessageReceived(1, 7, "a@b.test", 10),
            MessageReceived(2, 0, "a@b.test", 10),  # dropped by a program
            MessageReceived(3, 0, "", 10, own=True),
        ):
            counters.emit(event)
            rates.emit(event)
        self.assertEqual(counters.messages_received, 2)
        self.assertEqual(rates.per_hour()["messages_received"]["1"], 120)
