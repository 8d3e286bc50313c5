"""Tables that hold so much and no more: whoever fills one makes it forget what is oldest in it, and nothing else."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Any, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")
_NOTHING: Any = object()


class BoundedMap(OrderedDict[K, V]):
    """A dict of at most so many entries. One that is set is the newest from then on, also if it was there; the oldest give way.

    Reading costs what it costs with a dict, and touches nothing; see `use`.

    :param most: entries.
    :param evicted: is told of each that gave way.
    """

    def __init__(self, most: int, evicted: Callable[[K, V], object] | None = None) -> None:
        super().__init__()
        self.most = most
        self._evicted = evicted

    def __setitem__(self, key: K, value: V) -> None:
        super().__setitem__(key, value)
        self.move_to_end(key)
        while len(self) > self.most:
            self._evict()

    def _evict(self) -> None:
        """The oldest goes."""
        gone, old = self.popitem(last=False)
        if self._evicted is not None:
            self._evicted(gone, old)

    def use(self, key: K) -> V | None:
        """The value of a key, which is the newest from now on; None if it isn't there."""
        value = self.get(key)
        if value is not None:
            self.move_to_end(key)
        return value

    def renew(self, key: K, make: Callable[[], V]) -> V:
        """The value of a key, made if it isn't there; it is the newest from now on."""
        value = self.use(key)
        if value is None:
            value = self[key] = make()
        return value


class WeightedMap(BoundedMap[K, V]):
    """The same with a bound on the weight of all entries, too; the newest one is kept in any case.

    :param most_weight: of all.
    :param weigh: the weight of a value, which doesn't change while it is here.
    """

    def __init__(
        self,
        most: int,
        most_weight: int,
        weigh: Callable[[V], int],
        evicted: Callable[[K, V], object] | None = None,
    ) -> None:
        super().__init__(most, evicted)
        self.most_weight = most_weight
        self.weight = 0
        self._weigh = weigh

    def __setitem__(self, key: K, value: V) -> None:
        former = self.get(key)
        self.weight += self._weigh(value) - (0 if former is None else self._weigh(former))
        super().__setitem__(key, value)
        while self.weight > self.most_weight and len(self) > 1:
            self._evict()

    def __delitem__(self, key: K) -> None:
        weight = self._weigh(self[key])
        super().__delitem__(key)
        self.weight -= weight

    def pop(self, key: K, default: Any = _NOTHING) -> Any:
        """As of a dict."""
        if key not in self and default is not _NOTHING:
            return default
        value = self[key]
        del self[key]
        return value

    def popitem(self, last: bool = True) -> tuple[K, V]:
        """As of a dict."""
        key = next(reversed(self) if last else iter(self))
        return key, self.pop(key)

    def clear(self) -> None:
        """Forget all."""
        super().clear()
        self.weight = 0
