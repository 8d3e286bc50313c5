"""How many connections are open: in all, at each listener, and from each client."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable

from seg.common.shares import Shares
from seg.mail.client import client_key
from seg.mail.hosts import IPAddress

TRUSTED = "[relay]"  # the group of clients that are known by their address; no listener has such a name


class ConnectionCounter:
    """Counts connections against their limits; listeners share one.

    Of all places each listener is sure of a share, and so are the clients that are known by their address (`ListenerConnections`), so that
    those who fill one listener lock nobody out of another one. A client has at most half of all.

    :param listeners: their names.
    """

    def __init__(self, limit: int, limit_per_address: int, listeners: Iterable[str] = ()) -> None:
        self._shares = Shares(limit, ())
        self._by_client: Counter[str] = Counter()
        self.limit(limit, limit_per_address, listeners)

    def limit(self, limit: int, limit_per_address: int, listeners: Iterable[str] = ()) -> None:
        """Other limits from now on; nobody who is there has to go."""
        self._limit_per_client = min(limit_per_address, max(1, limit // 2))
        self._shares.change(limit, (TRUSTED, *listeners))

    @property
    def total(self) -> int:
        """Connections open now."""
        return self._shares.total

    def acquire(self, address: IPAddress, group: str = "") -> str:
        """Count one more; or say in one line which limit forbids it, and don't count it.

        :param group: whose share it may take: a listener's, or `TRUSTED`.
        """
        if not self._shares.room(group):
            return f"Connection limit exceeded: {self._shares.limit} in all, refused {address}"
        if self._by_client[client_key(address)] >= self._limit_per_client:
            return f"Connection limit exceeded: {self._limit_per_client} from {address}"
        self._count(address, group)
        return ""

    def move(self, old: IPAddress, new: IPAddress, old_group: str = "", group: str = "") -> bool:
        """A connection turns out to be another client's; whether that client may have one more. It is counted as that client's either
        way."""
        self.release(old, old_group)
        room = self._shares.room(group) and self._by_client[client_key(new)] < self._limit_per_client
        self._count(new, group)
        return room

    def exceeds(self, address: IPAddress, limit: int) -> bool:
        """Whether a client has more connections, those counted, than a limit of its own allows (0 = none)."""
        return 0 < limit < self._by_client[client_key(address)]

    def release(self, address: IPAddress, group: str = "") -> None:
        """One less."""
        self._shares.give_back(group)
        key = client_key(address)
        self._by_client[key] -= 1
        if not self._by_client[key]:
            del self._by_client[key]

    def _count(self, address: IPAddress, group: str) -> None:
        self._shares.take(group)
        self._by_client[client_key(address)] += 1


class ListenerConnections:
    """The connections as the sessions of one listener see it.

    :param trusted: whether a client is known by its address: it may relay, or passes on the connections of others.
    """

    def __init__(self, connections: ConnectionCounter, listener: str, trusted: Callable[[IPAddress], bool]) -> None:
        self._connections = connections
        self._listener = listener
        self._trusted = trusted

    def acquire(self, address: IPAddress) -> str:
        """See `ConnectionCounter.acquire`."""
        return self._connections.acquire(address, self._group(address))

    def move(self, old: IPAddress, new: IPAddress) -> bool:
        """See `ConnectionCounter.move`."""
        return self._connections.move(old, new, self._group(old), self._group(new))

    def exceeds(self, address: IPAddress, limit: int) -> bool:
        """See `ConnectionCounter.exceeds`."""
        return self._connections.exceeds(address, limit)

    def release(self, address: IPAddress) -> None:
        """See `ConnectionCounter.release`."""
        self._connections.release(address, self._group(address))

    def _group(self, address: IPAddress) -> str:
        return TRUSTED if address.is_loopback or self._trusted(address) else self._listener
