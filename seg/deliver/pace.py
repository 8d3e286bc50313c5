"""Recipients per minutes: how many a destination may still have now, over a window that slides."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

import attrs

BUCKETS = 60  # of a window: what was sent is let go in steps of so fine a part of it


@attrs.frozen
class Rate:
    """At most so many recipients in so many minutes; 0 recipients is no limit."""

    recipients: int = 0
    minutes: int = 60


UNLIMITED = Rate()


class Pace:
    """Counts what was begun for each destination that has a limit.

    :param seconds: the present time.
    """

    def __init__(self, seconds: Callable[[], float]) -> None:
        self._seconds = seconds
        self._begun: dict[str, deque[tuple[float, int]]] = {}  # (when its bucket is over, recipients), oldest first

    def allowance(self, domain: str, rate: Rate) -> int:
        """How many recipients may be begun now."""
        return max(0, rate.recipients - sum(count for _, count in self._within(domain, rate)))

    def count(self, domain: str, rate: Rate, recipients: int) -> None:
        """So many were begun."""
        width = rate.minutes * 60.0 / BUCKETS
        ends = (self._seconds() // width + 1) * width
        begun = self._begun.setdefault(domain, deque())
        if begun and begun[-1][0] >= ends:
            ends, recipients = begun[-1][0], begun.pop()[1] + recipients
        begun.append((ends, recipients))

    def free_in(self, domain: str, rate: Rate) -> float:
        """Seconds until more may be begun; 0.0 when some may now."""
        within = self._within(domain, rate)
        if not within or self.allowance(domain, rate):
            return 0.0
        return max(0.0, within[0][0] + rate.minutes * 60.0 - self._seconds())

    def _within(self, domain: str, rate: Rate) -> deque[tuple[float, int]]:
        """What counts still; what doesn't is forgotten."""
        begun = self._begun.get(domain)
        if begun is None:
            return deque()
        oldest = self._seconds() - rate.minutes * 60.0
        while begun and begun[0][0] <= oldest:
            begun.popleft()
        if not begun:
            del self._begun[domain]
        return begun
