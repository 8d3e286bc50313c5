"""The two clocks: time that passes, and the system's."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from seg.common.clock import (
    STANDSTILL,
    SteadyClock,
    ahead,
    as_posix,
    as_steady,
    cautious_of,
    posix,
    posix_of,
    stood_still,
)
from seg.events.gateway import ConditionBegan, ConditionEnded, ConditionKind
from seg.gateway.clockwatch import EVERY, LASTS, ClockWatch, last_written, span
from tests.doubles import RecordingSink, SettableClock

NOW = 1_800_000_000.0


class SteadyClockTests(SynchronousTestCase):
    """`SteadyClock`, and what asks it."""

    def test_begins_at_posix_time(self) -> None:
        """It begins at the system's time and goes on with what passes, however the system's clock is set."""
        clock = SettableClock(NOW)
        self.assertEqual(clock.seconds(), NOW)
        clock.set_by(-7200)
        clock.advance(5)
        self.assertEqual(clock.seconds(), NOW + 5)
        self.assertEqual(posix(clock), NOW + 5 - 7200)
        self.assertEqual(posix_of(clock)(), posix(clock))

    def test_timers_go_on(self) -> None:
        """What is to be called in five seconds is called in five seconds, the clock set back or not."""
        clock, called = SettableClock(NOW), []
        clock.callLater(5, called.append, 1)
        clock.set_by(-3600)
        clock.advance(5)
        self.assertEqual(called, [1])

    def test_translated(self) -> None:
        """A moment goes into a file and comes back as it was; a small difference of the clocks doesn't count."""
        clock = SettableClock(NOW)
        clock.set_by(0.4)
        self.assertEqual(ahead(clock), 0.0)
        clock.set_by(3600)
        self.assertEqual(as_posix(clock, NOW), NOW + 3600.4)
        self.assertEqual(as_steady(clock, as_posix(clock, NOW)), NOW)

    def test_cautious(self) -> None:
        """What must not end early isn't moved by a clock that is set ahead, and follows one that is set back."""
        clock = SettableClock(NOW)
        cautious = cautious_of(clock)
        clock.set_by(86400 * 365)
        self.assertEqual(cautious(), NOW)
        clock.set_by(-86400 * 366)
        self.assertEqual(cautious(), NOW - 86400)

    def test_plain_clock(self) -> None:
        """A clock of tests is both."""
        clock = Clock()
        clock.advance(7)
        self.assertEqual((posix(clock), ahead(clock), as_posix(clock, 3.0), as_steady(clock, 3.0)), (7, 0, 3, 3))

    @given(st.lists(st.floats(-1e8, 1e8), max_size=8))
    def test_never_backward(self, steps: list[float]) -> None:
        """Whatever is done to the system's clock, what has passed is what has passed."""
        clock = SettableClock(NOW)
        for number, step in enumerate(steps, 1):
            clock.set_by(step)
            clock.advance(1)
            self.assertAlmostEqual(clock.seconds(), NOW + number, 5)

    def test_standstill(self) -> None:
        """While somebody asks each second, time in which nobody did counts as a second: a time-out of five seconds isn't over by it."""
        clock, called = SettableClock(NOW), []
        steady = clock.seconds
        assert isinstance(steady, SteadyClock)
        steady.watched()
        clock.callLater(5, called.append, 1)
        clock.pump([1, 1, 60])
        self.assertEqual((called, clock.seconds(), stood_still(clock)), ([], NOW + 3, 59))
        self.assertEqual(posix(clock), NOW + 62)
        clock.pump([1, 1])
        self.assertEqual((called, clock.seconds()), ([1], NOW + 5))

    @given(st.lists(st.floats(0.1, 1e6), max_size=20))
    def test_any_standstill(self, steps: list[float]) -> None:
        """However the process is stopped, no more than three seconds pass between two looks, none is lost without it, and nothing goes back."""
        clock = SettableClock(NOW)
        steady = clock.seconds
        assert isinstance(steady, SteadyClock)
        steady.watched()
        for step in steps:
            before = clock.seconds()
            clock.advance(step)
            self.assertAlmostEqual(clock.seconds() - before, step if step <= STANDSTILL else 1.0, 2)

    def test_real(self) -> None:
        """The real one begins now."""
        clock = SteadyClock()
        self.assertLess(abs(clock() - clock.posix()), 1.0)
        self.assertEqual(clock.ahead(), 0.0)


class ClockWatchTests(SynchronousTestCase):
    """`ClockWatch`."""

    def setUp(self) -> None:
        self.clock, self.sink = SettableClock(NOW), RecordingSink()
        self.steps: list[float] = []
        self.watch = ClockWatch(self.clock, self.sink, self.steps.append)

    def began(self) -> list[str]:
        """What was told."""
        self.assertTrue(all(each.kind is ConditionKind.CLOCK for each in self.sink.of(ConditionBegan)))
        return [each.text for each in self.sink.of(ConditionBegan)]

    def test_step_is_told(self) -> None:
        """A clock that is set is a condition, until it has gone evenly for a while; those concerned hear of each step."""
        self.watch.start()
        self.clock.pump([EVERY] * 3)
        self.assertEqual((self.began(), self.steps), ([], []))
        self.clock.set_by(-7200)
        self.clock.pump([EVERY] * 3)
        self.assertIn("set back by 2 hours", self.began()[0])
        self.clock.set_by(4 * 86400)
        self.clock.pump([EVERY] * 3)
        self.assertIn("set forward by 4 days", self.began()[1])
        self.assertEqual([round(step) for step in self.steps], [-7200, 4 * 86400])
        self.assertEqual(self.sink.of(ConditionEnded), [])
        self.clock.pump([EVERY] * int(LASTS / EVERY))
        self.assertEqual(len(self.sink.of(ConditionEnded)), 1)

    def test_small_step(self) -> None:
        """A step of two seconds is followed without a word."""
        self.watch.start()
        self.clock.set_by(2)
        self.clock.advance(EVERY)
        self.assertEqual((self.began(), self.steps), ([], [2.0]))

    def test_standstill(self) -> None:
        """A gateway that was stopped says so, and everything goes by the new difference."""
        self.watch.start()
        self.clock.pump([EVERY, EVERY, 60, EVERY, EVERY])
        self.assertIn("forward by 59 seconds (or the machine slept, or the gateway was stopped)", self.began()[0])
        self.assertEqual([round(step) for step in self.steps], [59])

    def test_start_behind(self) -> None:
        """A clock behind what the run before wrote is wrong, and that is told at the start."""
        self.watch.start(NOW + 86400 * 3)
        self.assertIn("3 days behind", self.began()[0])
        self.watch.stop()
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_last_written(self) -> None:
        """A file that isn't there doesn't count."""
        self.assertEqual(last_written(()), 0.0)

    def test_span(self) -> None:
        """Times for people."""
        self.assertEqual([span(5), span(7200), span(86400 * 9)], ["5 seconds", "2 hours", "9 days"])
