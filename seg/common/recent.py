"""What was learnt of other hosts a while ago: bounded, and forgotten in time."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

from seg.common.bounded import BoundedMap

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")

MOST = 1000  # hosts of which one thing is remembered; those learnt longest ago are forgotten


class Recent(Generic[K, V]):
    """One thing by host.

    :param lifetime: seconds for which it holds.
    :param now: seconds.
    """

    def __init__(self, lifetime: float, now: Callable[[], float], most: int = MOST) -> None:
        self._lifetime = lifetime
        self._now = now
        self._learnt: BoundedMap[K, tuple[V, float]] = BoundedMap(most)

    def __len__(self) -> int:
        return len(self._learnt)

    def learn(self, key: K, value: V) -> None:
        """It is so from now on."""
        self._learnt[key] = value, self._now()

    def forget(self, key: K) -> None:
        """Nothing is known of it."""
        self._learnt.pop(key, None)

    def get(self, key: K) -> V | None:
        """What holds now, None for nothing."""
        learnt = self._learnt.get(key)
        if learnt is None:
            return None
        value, since = learnt
        if not 0 <= self._now() - since < self._lifetime:
            del self._learnt[key]
            return None
        return value
