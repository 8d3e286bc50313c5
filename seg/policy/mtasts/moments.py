"""When something was last done for a domain."""

from __future__ import annotations

from seg.common.bounded import BoundedMap

MAX_REMEMBERED = 50_000  # domains; of more the oldest are forgotten


def lately(moment: float, now: float, seconds: float) -> bool:
    """Whether a moment is less than so many seconds ago. One in the future isn't: the clock has gone back since."""
    return 0 <= now - moment < seconds


class RecentTimes:
    """When something was last done for a domain; bounded."""

    def __init__(self) -> None:
        self._moments: BoundedMap[str, float] = BoundedMap(MAX_REMEMBERED)

    def note(self, domain: str, now: float) -> None:
        """It is done now."""
        self._moments[domain] = now

    def forget(self, domain: str) -> None:
        """As if it had never been done."""
        self._moments.pop(domain, None)

    def clear(self) -> None:
        """As if nothing had ever been done."""
        self._moments.clear()

    def within(self, domain: str, now: float, seconds: float) -> bool:
        """Whether it was done less than so many seconds ago."""
        moment = self._moments.get(domain)
        return moment is not None and lately(moment, now, seconds)
