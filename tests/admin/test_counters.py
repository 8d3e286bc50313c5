"""What is counted since the start."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from seg import events
from seg.admin.counters import EventCounters


class FilterTests(SynchronousTestCase):
    """Filters."""

    def test_answers(self) -> None:
        """Each filter's answers are counted by their word, and how often it was away."""
        counters = EventCounters()
        self.assertEqual(counters.as_dict()["filters"], {})
        for event in (
            events.FilterAnswered(1, "rspamd", "accept", (), 0.1),
            events.FilterAnswered(2, "rspamd", "accept", ("1 header change",), 0.1),
            events.FilterAnswered(3, "rspamd", "reject", ("550 5.7.1 Spam",), 0.1),
            events.FilterAway(4, "rspamd", "gone", "tempfail", 0.1),
            events.FilterAway(4, "clamav", "gone", "accept", 0.1),
            events.FilterPassedOver(5, "clamav", 1),
        ):
            counters.emit(event)
        wanted = {"rspamd": {"accept": 2, "reject": 1, "away": 1}, "clamav": {"away": 1}}
        self.assertEqual(counters.as_dict()["filters"], wanted)
