"""What happens again and again is told once, and then counted."""

from __future__ import annotations

from collections.abc import Sequence

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from seg.events.base import Event
from seg.events.gateway import ConditionBegan, ConditionEnded, ConditionKind, Fault, Repeated
from seg.events.receive import ConnectionClosed, FilterAway, MessageAborted, ReceiveFailed
from seg.maillog.buffered_log import BufferedLog
from seg.maillog.formatter import EventFormatter, FormattedEvent
from seg.maillog.log_table import Level
from seg.maillog.repeats import MINUTE, MOST_TEXTS, REPEATABLE

FULL = "Cannot write to the queue: [Errno 28] No space left on device"


class Lines(BufferedLog):
    """Keeps lines."""

    def __init__(self, clock: Clock, least: Level = Level.INFO) -> None:
        super().__init__(clock, EventFormatter(least, False, (), True, False))
        self._running = True
        self.lines: list[str] = []

    def _write(self, batch: Sequence[FormattedEvent]) -> None:
        self.lines += [f"{level.value}: {text}" for told in batch for level, text in told.lines]


class RepeatsTests(SynchronousTestCase):
    """Any log."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.log = Lines(self.clock)

    def told(self) -> list[str]:
        """The lines since the last call."""
        self.clock.advance(0.2)
        lines, self.log.lines = self.log.lines, []
        return lines

    def test_faults(self) -> None:
        """The first fault as it is, then how many more there were each minute, until a minute comes without one."""
        for number in range(1, 6385):
            self.log.emit(Fault(f"MID {number}: {FULL}"))
        self.assertEqual(self.told(), [f"Warning: MID 1: {FULL}"])
        self.clock.advance(MINUTE)
        self.assertEqual(self.told(), [f"Warning: MID 6384: {FULL} (and 6383 more like it in the last minute)"])
        self.log.emit(Fault(f"MID 7000: {FULL}"))
        self.clock.advance(MINUTE)
        self.assertEqual(self.told(), [f"Warning: MID 7000: {FULL} (and 1 more like it in the last minute)"])
        self.clock.advance(MINUTE)
        self.assertEqual(self.told(), [])
        self.log.emit(Fault(f"MID 7001: {FULL}"))
        self.assertEqual(self.told(), [f"Warning: MID 7001: {FULL}"])
        self.clock.advance(2 * MINUTE)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_each_kind(self) -> None:
        """Every class of such lines is bounded; lines that differ in more than numbers are told apart."""
        makers = {
            Fault: lambda n, what: Fault(f"MID {n}: {what}"),
            ConditionBegan: lambda n, what: ConditionBegan(ConditionKind.RESOLVER, str(n), what),
            ConditionEnded: lambda n, what: ConditionEnded(ConditionKind.RESOLVER, str(n), what),
            FilterAway: lambda n, what: FilterAway(n, "rspamd", what, "tempfail", 0.01),
            ReceiveFailed: ReceiveFailed,
            MessageAborted: lambda n, what: MessageAborted(n, n, what),
        }
        self.assertEqual(makers.keys(), REPEATABLE.keys())
        for kind, make in makers.items():
            for number in range(1000):
                self.log.emit(make(number, "this"))
                self.log.emit(make(number, "that"))
            self.assertEqual(len(self.told()), 2 * REPEATABLE[kind].most, kind)
            self.clock.advance(MINUTE)
            counts = self.told()
            self.assertEqual(len(counts), 2)
            word = "Warning" if REPEATABLE[kind].fault else "Info"
            self.assertTrue(all(line.startswith(word) and "more like it" in line for line in counts), counts)

    def test_others(self) -> None:
        """All other lines are told, however often."""
        for _ in range(50):
            self.log.emit(ConnectionClosed(1))
        self.assertEqual(len(self.told()), 50)

    def test_levels(self) -> None:
        """A log of warnings hears the counts of faults, and none of what it isn't told."""
        self.log = Lines(self.clock, Level.WARNING)
        for event in (Fault("x"), ReceiveFailed(1, "y")):
            for _ in range(30):
                self.log.emit(event)
        self.clock.advance(MINUTE)
        self.assertEqual(self.told(), ["Warning: x", "Warning: x (and 29 more like it in the last minute)"])

    def test_bounded(self) -> None:
        """Only so many texts are told apart at a time; what comes above is told as it is."""
        names = [f"{'a' * (number // 26)}{chr(97 + number % 26)}" for number in range(MOST_TEXTS + 10)]
        for name in [*names, *names]:
            self.log.emit(Fault(name))
        self.assertEqual(len(self.told()), MOST_TEXTS + 20)

    def test_end(self) -> None:
        """A log that ends tells what it left out."""
        events: list[Event] = []
        self.log._repeats._tell = events.append  # type: ignore[assignment]
        for _ in range(3):
            self.log.emit(Fault("x"))
        self.log._repeats.end()
        self.assertEqual(events, [Repeated("Fault", "x", 2, True)])
        self.told()
        self.assertEqual(self.clock.getDelayedCalls(), [])
