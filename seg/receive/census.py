"""How many connections are open, in all and from each address."""

from __future__ import annotations

from collections import Counter

from seg.model import IPAddress


class Census:
    """Counts connections against their limits; listeners may share one."""

    def __init__(self, limit: int, limit_per_address: int) -> None:
        self.total = 0
        self._limit = limit
        self._limit_per_address = limit_per_address
        self._by_address: Counter[IPAddress] = Counter()

    def limit(self, limit: int, limit_per_address: int) -> None:
        """Other limits from now on; nobody who is there has to go."""
        self._limit, self._limit_per_address = limit, limit_per_address

    def enter(self, address: IPAddress) -> str:
        """Count one more; or say in one line which limit forbids it, and don't count it."""
        if self.total >= self._limit:
            return f"Connection limit exceeded: {self._limit} in all, refused {address}"
        if self._by_address[address] >= self._limit_per_address:
            return f"Connection limit exceeded: {self._limit_per_address} from {address}"
        self.total += 1
        self._by_address[address] += 1
        return ""

    def move(self, old: IPAddress, new: IPAddress) -> bool:
        """A connection turns out to be another client's; whether that client may have one more."""
        self.leave(old)
        self.total += 1
        self._by_address[new] += 1
        return self._by_address[new] <= self._limit_per_address

    def crowded(self, address: IPAddress, limit: int) -> bool:
        """Whether an address has more connections, those counted, than a limit of its own allows (0 = none)."""
        return 0 < limit < self._by_address[address]

    def leave(self, address: IPAddress) -> None:
        """One less."""
        self.total -= 1
        self._by_address[address] -= 1
        if not self._by_address[address]:
            del self._by_address[address]
