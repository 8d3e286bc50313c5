"""Places that several groups share, where each group is sure of some: no stranger takes all of a pool."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Final

SHARE: Final = 0.1  # of the places: what each group is sure of
MOST_RESERVED: Final = 0.5  # of the places, for all groups together


class Shares:
    """Counts the places taken, by group.

    A group may have all that is free but what the others are sure of and haven't taken.

    :param groups: those that are sure of a share.
    """

    def __init__(self, limit: int, groups: Iterable[str]) -> None:
        self.total = 0
        self._taken: Counter[str] = Counter()
        self.change(limit, groups)

    def change(self, limit: int, groups: Iterable[str]) -> None:
        """Other limits from now on; nobody who has a place loses it."""
        self.limit, self._groups = limit, frozenset(groups)
        each = min(SHARE, MOST_RESERVED / max(1, len(self._groups)))
        self.reserved = int(limit * each)  # of one group

    def taken(self, group: str) -> int:
        """The places that a group has."""
        return self._taken[group]

    def room(self, group: str) -> bool:
        """Whether a group may have one more."""
        kept = sum(max(0, self.reserved - self._taken[other]) for other in self._groups if other != group)
        return self.total + kept < self.limit

    def take(self, group: str) -> None:
        """One place more, whether or not there is `room`."""
        self.total += 1
        self._taken[group] += 1

    def give_back(self, group: str) -> None:
        """One less."""
        self.total -= 1
        self._taken[group] -= 1
        if not self._taken[group]:
            del self._taken[group]
