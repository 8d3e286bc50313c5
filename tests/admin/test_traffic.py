"""Rates over windows, and counters that outlast a restart."""

from __future__ import annotations

import errno
import json
from pathlib import Path
from unittest import mock

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from seg.admin.counters import EventCounters
from seg.admin.rates import STEP, EventRates
from seg.admin.totals import Totals
from seg.admin.traffic import SAVED_EVERY, Traffic
from seg.events.delivery import DeliveryTLSDeferred
from seg.events.gateway import ConditionBegan, ConditionEnded, Fault
from tests.damage import DAMAGES
from tests.doubles import RecordingSink, tell


class RateTests(SynchronousTestCase):
    """Events in an hour."""

    def setUp(self) -> None:
        """A clock that isn't at a round time."""
        self.clock = Clock()
        self.clock.advance(1_000_003)
        self.number = 0
        self.rates = EventRates(lambda: {"delivered": self.number}, self.clock.seconds)

    def pass_by(self, seconds: int) -> None:
        """Time goes by, with marks."""
        for _ in range(seconds // STEP):
            self.clock.advance(STEP)
            self.rates.mark()

    def of(self, name: str) -> dict[str, int]:
        """One name's rates."""
        return self.rates.per_hour()[name]

    def test_windows(self) -> None:
        """100 in the last minute are 6000, 1200 and 400 an hour, and leave one window after the other."""
        self.number = 100
        self.assertEqual(self.of("delivered"), {"1": 6000, "5": 1200, "15": 400})
        for seconds, wanted in ((70, (0, 1200, 400)), (240, (0, 0, 400)), (600, (0, 0, 0))):
            self.pass_by(seconds)
            self.assertEqual(tuple(self.of("delivered").values()), wanted)

    def test_bounded(self) -> None:
        """However long it runs, no more is kept than the longest window needs."""
        for _ in range(2000):
            self.number += 1
            self.pass_by(STEP)
        self.assertLessEqual(len(self.rates._marks), 181)
        self.assertEqual(self.of("delivered")["15"], 179 * 4)


class TotalsTests(SynchronousTestCase):
    """Reset, uptime, lifetime."""

    def setUp(self) -> None:
        """A file that isn't there yet."""
        self.path = Path(self.mktemp())
        self.numbers = {"received": 0}
        self.now = 1000.0
        self.sink = RecordingSink()

    def totals(self) -> Totals:
        """As at a start."""
        return Totals(self.path, lambda: dict(self.numbers), lambda: self.now, self.sink)

    def column(self, totals: Totals) -> tuple[int, int, int]:
        """The three columns of the one counter."""
        columns = totals.columns()
        return columns["reset"]["received"], columns["uptime"]["received"], columns["lifetime"]["received"]

    def test_columns(self) -> None:
        """A restart begins uptime anew, a reset the first column, nothing lifetime."""
        totals = self.totals()
        self.numbers["received"] = 5
        self.assertEqual(self.column(totals), (5, 5, 5))
        self.now = 2000.0
        totals.reset()
        self.assertEqual((self.column(totals), totals.last_reset), ((0, 5, 5), 2000.0))
        self.numbers["received"] = 7
        totals.save()
        self.numbers["received"] = 1
        totals = self.totals()
        self.assertEqual((self.column(totals), totals.last_reset, totals.since), ((3, 1, 8), 2000.0, 1000.0))

    def test_damaged(self) -> None:
        """A file that can't be read begins the counting anew, which is told; the file is kept aside and replaced."""
        good = {"since": 1, "reset": 2, "lifetime": {"received": True}, "at_reset": {}}
        for name, damage in {**DAMAGES, "a truth": lambda path: path.write_text(json.dumps(good))}.items():
            damage(self.path)
            self.sink.events.clear()
            totals = self.totals()
            self.assertEqual((self.column(totals), totals.since), ((0, 0, 0), 1000.0), name)
            self.assertEqual(len(self.sink.of(Fault)), 1, name)
            totals.save()
            self.assertEqual((self.totals().since, len(self.sink.events)), (1000.0, 1), name)
            self.path.unlink()

    def test_unreadable(self) -> None:
        """A failure of the system leaves the file alone; what it says is added when it can be read."""
        self.numbers["received"] = 3
        self.totals().save()
        self.numbers["received"] = 1
        with mock.patch("seg.common.files.read_regular", side_effect=OSError(errno.EIO, "it fails")):
            totals = self.totals()
            totals.save()
            self.assertEqual(self.column(totals), (1, 1, 1))
            totals.reset()
        totals.save()
        self.assertEqual(self.column(totals), (0, 1, 4))
        self.assertEqual((len(self.sink.of(ConditionBegan)), len(self.sink.of(ConditionEnded))), (1, 1))

    def test_new_counter(self) -> None:
        """A counter that an older version didn't know begins with nothing."""
        self.totals().save()
        self.numbers["bounced"] = 2
        self.assertEqual(self.totals().columns()["reset"], {"received": 0, "bounced": 2})


class TrafficTests(SynchronousTestCase):
    """Both together."""

    def setUp(self) -> None:
        """A file, a clock and a sink."""
        self.clock = Clock()
        self.sink = RecordingSink()
        self.counters = EventCounters(self.clock.seconds)
        self.traffic = Traffic(self.counters, self.sink, self.clock)

    def test_saved(self) -> None:
        """The numbers are written now and then, and at the end."""
        path = Path(self.mktemp())
        self.traffic.start(path)
        tell(self.counters, DeliveryTLSDeferred(1, "x"))
        self.clock.advance(SAVED_EVERY)
        self.assertEqual(json.loads(path.read_text())["lifetime"]["policy_refusals"], 1)
        tell(self.counters, DeliveryTLSDeferred(1, "x"))
        self.traffic.stop()
        self.assertEqual(json.loads(path.read_text())["lifetime"]["policy_refusals"], 2)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_disk_fails(self) -> None:
        """A disk that can't be written is told, and doesn't end the saving."""
        self.traffic.start(Path(self.mktemp(), "nowhere", "totals.json"))
        self.clock.advance(SAVED_EVERY)
        self.clock.advance(SAVED_EVERY)
        self.assertEqual([type(event) for event in self.sink.events], [ConditionBegan])
        self.traffic.stop()

    def test_not_started(self) -> None:
        """A gateway that ends before it began has nothing to write."""
        self.traffic.stop()
        self.assertEqual(self.sink.events, [])
