"""What happened within the last so many seconds."""

from __future__ import annotations

from collections import deque
from typing import TypeVar

T = TypeVar("T")


class TimeWindow(deque[tuple[float, T]]):
    """What happened, with when it did, the oldest first; a bound (`maxlen`) lets the oldest go.

    Moments are those of one clock, and don't go back.
    """

    def since(self, moment: float) -> TimeWindow[T]:
        """What happened after a moment; all that was before is forgotten."""
        while self and self[0][0] <= moment:
            self.popleft()
        return self
