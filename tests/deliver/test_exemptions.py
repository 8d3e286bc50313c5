"""Exemptions are told: those in force, those that end, those that were forgotten."""

from __future__ import annotations

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from seg.config.destinations import Destinations, Exemption, Profile
from seg.deliver.exemptions import LONGEST_WAIT, ExemptionTimer
from seg.events.delivery import ExemptionEnded, ExemptionInForce, ExemptionOver
from tests.doubles import RecordingSink


def destinations(**ends: float) -> Destinations:
    """Destinations with exemptions that end then."""
    profiles = {name: Profile(name, exemption=Exemption(until, f"why {name}")) for name, until in ends.items()}
    return Destinations(profiles={**profiles, "none": Profile("none")})


class ExemptionWatchTests(SynchronousTestCase):
    """`ExemptionTimer`."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.clock.advance(1000)
        self.sink = RecordingSink()
        self.watch = ExemptionTimer(self.clock, self.sink)

    def test_start(self) -> None:
        """At the start those in force are listed, and those that are over are warned of."""
        self.watch.watch(destinations(a=2000.0, b=1000.0))
        (running,) = self.sink.of(ExemptionInForce)
        (over,) = self.sink.of(ExemptionOver)
        self.assertEqual((running.destination, running.end, running.reason), ("a", "1970-01-01 00:33 UTC", "why a"))
        self.assertEqual(over.destination, "b")

    def test_end(self) -> None:
        """Each end is told once, at its time, be it days away."""
        self.watch.watch(destinations(a=2000.0, b=2000 + 3 * LONGEST_WAIT))
        self.clock.advance(999)
        self.assertEqual(self.sink.of(ExemptionEnded), [])
        self.clock.advance(1)
        self.assertEqual([event.destination for event in self.sink.of(ExemptionEnded)], ["a"])
        self.clock.pump([LONGEST_WAIT] * 4)
        self.assertEqual([event.destination for event in self.sink.of(ExemptionEnded)], ["a", "b"])
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_stop(self) -> None:
        """Stopped, it leaves no timer; other destinations take the place of the former."""
        self.watch.watch(destinations(a=2000.0))
        self.watch.watch(destinations(b=3000.0))
        self.assertEqual(len(self.clock.getDelayedCalls()), 1)
        self.watch.stop()
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.watch.watch(destinations())
        self.assertEqual(self.clock.getDelayedCalls(), [])
