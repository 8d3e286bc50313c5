"""Recipients per minutes: how many a domain or an address may still have now, over a window that slides."""

from __future__ import annotations

from collections.abc import Callable, Hashable

import attrs

from seg.common.windows import TimeWindow

SWEEP = 1000  # groups after which those that nobody asks for any more are looked for
BUCKETS = 60  # of a window: what was sent is let go in steps of so fine a part of it


@attrs.frozen
class RateLimit:
    """At most so many recipients in so many minutes; 0 recipients is no limit."""

    recipients: int = 0
    minutes: int = 60


UNLIMITED = RateLimit()


class SendingRates:
    """Counts what was begun for each domain or address that has a limit.

    :param seconds: the present time.
    """

    def __init__(self, seconds: Callable[[], float]) -> None:
        self._seconds = seconds
        self._begun: dict[Hashable, TimeWindow[int]] = {}  # (when its bucket is over, recipients)
        self._over: dict[Hashable, float] = {}  # when all of a group will count no more
        self._sweep_at = SWEEP

    def __len__(self) -> int:
        """Groups remembered."""
        return len(self._begun)

    def allowance(self, group: Hashable, rate: RateLimit) -> int:
        """How many recipients may be begun now."""
        return max(0, rate.recipients - sum(count for _, count in self._within(group, rate)))

    def count(self, group: Hashable, rate: RateLimit, recipients: int) -> None:
        """So many were begun."""
        width = rate.minutes * 60.0 / BUCKETS
        ends = (self._seconds() // width + 1) * width
        begun = self._begun.setdefault(group, TimeWindow())
        if begun and begun[-1][0] >= ends:
            ends, recipients = begun[-1][0], begun.pop()[1] + recipients
        begun.append((ends, recipients))
        self._over[group] = ends + rate.minutes * 60.0
        if len(self._begun) >= self._sweep_at:
            self._sweep()

    def _sweep(self) -> None:
        """Forget the groups that nobody has asked for since they count no more."""
        now = self._seconds()
        for group in [group for group, over in self._over.items() if over <= now]:
            self._begun.pop(group, None)
            del self._over[group]
        self._sweep_at = max(SWEEP, 2 * len(self._begun))

    def free_in(self, group: Hashable, rate: RateLimit) -> float:
        """Seconds until more may be begun; 0.0 when some may now."""
        within = self._within(group, rate)
        if not within or self.allowance(group, rate):
            return 0.0
        return max(0.0, within[0][0] + rate.minutes * 60.0 - self._seconds())

    def _within(self, group: Hashable, rate: RateLimit) -> TimeWindow[int]:
        """What counts still; what doesn't is forgotten."""
        begun = self._begun.get(group)
        if begun is None:
            return TimeWindow()
        if not begun.since(self._seconds() - rate.minutes * 60.0):
            del self._begun[group]
            self._over.pop(group, None)
        return begun
