"""How much happens at present: events in an hour, as the last 1, 5 and 15 minutes would make it. A view of the counters."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping

STEP = 5  # seconds between two marks
WINDOWS = (1, 5, 15)  # minutes

Numbers = Mapping[str, int]


class EventRates:
    """Remembers what the counters were every few seconds, for as long as the longest window.

    :param counted: the numbers by name; they only grow.
    :param now: the present time, in seconds.
    """

    def __init__(self, counted: Callable[[], Numbers], now: Callable[[], float]) -> None:
        self._counted = counted
        self._now = now
        self._marks: deque[tuple[int, Numbers]] = deque(maxlen=WINDOWS[-1] * 60 // STEP + 1)
        self.mark()

    def mark(self) -> None:
        """Remember the numbers: to be called every `STEP` seconds."""
        step = self._step()
        if not self._marks or self._marks[-1][0] != step:
            self._marks.append((step, self._counted()))

    def per_hour(self) -> dict[str, dict[str, int]]:
        """Of each name, by window in minutes: 100 in one minute are 6000 (1), 1200 (5) and 400 (15) an hour."""
        step, numbers = self._step(), self._counted()
        found: dict[str, dict[str, int]] = {name: {} for name in numbers}
        for minutes in WINDOWS:
            first = step - minutes * 60 // STEP
            before = next((marked for number, marked in self._marks if number > first), numbers)
            for name, number in numbers.items():
                found[name][str(minutes)] = round((number - before[name]) * 60 / minutes)
        return found

    def _step(self) -> int:
        return int(self._now() // STEP)
