"""Which addresses have greeted: an address of which nothing was heard gets few connections, however many domains it stands for."""

from __future__ import annotations

from collections import OrderedDict
from ipaddress import IPv6Address, IPv6Network

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime

from seg.common.spread import SpreadCalls
from seg.deliver.slots import PATIENCE
from seg.mail.hosts import PeerAddress

AT_ONCE = 2  # connections that wait for the first greeting of an address
MOST_KNOWN = 10_000  # addresses known to greet; those that were heard longest ago are forgotten
KNOWN_FOR = 3600.0  # seconds for which one is known


class Greetings:
    """Counts the connections that wait for a greeting, by address (IPv6: by /64)."""

    def __init__(self, clock: IReactorTime) -> None:
        self._clock = clock
        self._heard: OrderedDict[str, float] = OrderedDict()  # when they were heard last; the longest ago first
        self._waiting: dict[str, dict[Waiting, float]] = {}  # connections, and since when; the oldest first
        self._telling = SpreadCalls(clock)
        self._others: dict[str, list[Deferred[None]]] = {}  # those that want to know whether an address greets

    def __len__(self) -> int:
        """Addresses that something is remembered of."""
        return len(self._heard.keys() | self._waiting.keys() | self._others.keys())

    def room(self, address: PeerAddress) -> int:
        """How many more connections an address may have as far as this goes."""
        group = _group_of(address)
        return AT_ONCE if group in self._heard else max(0, AT_ONCE - len(self._waiting.get(group, ())))

    def silence(self, address: PeerAddress) -> float:
        """Seconds for which an address has let a connection wait."""
        waiting = self._waiting.get(_group_of(address))
        return self._clock.seconds() - next(iter(waiting.values())) if waiting else 0.0

    async def news(self, address: PeerAddress) -> None:
        """Wait until something is known of an address that has no room: it greets, it doesn't, or it lets others wait for long."""
        group = _group_of(address)
        told: Deferred[None] = Deferred()
        self._others.setdefault(group, []).append(told)
        patience = self._clock.callLater(max(0.0, PATIENCE - self.silence(address)), self._tell, group)
        try:
            await told
        finally:
            if patience.active():
                patience.cancel()
            others = self._others.get(group, [])
            if told in others:
                others.remove(told)
                if not others:
                    del self._others[group]

    def begin(self, address: PeerAddress) -> Waiting:
        """A connection is about to be made."""
        group = _group_of(address)
        if self.silence(address) >= PATIENCE:
            self._heard.pop(group, None)  # it used to greet
        waiting = Waiting(self, group)
        self._waiting.setdefault(group, {})[waiting] = self._clock.seconds()
        return waiting

    def over(self, waiting: Waiting, heard: bool) -> None:
        """A connection was greeted, or won't be."""
        group = waiting.group
        same = self._waiting.get(group, {})
        same.pop(waiting, None)
        if not same:
            self._waiting.pop(group, None)
        if heard:
            self._heard[group] = self._clock.seconds()
            self._heard.move_to_end(group)
            self._forget()
        self._tell(group)

    def _forget(self) -> None:
        oldest = self._clock.seconds() - KNOWN_FOR
        while self._heard:
            group, heard = next(iter(self._heard.items()))
            if len(self._heard) <= MOST_KNOWN and heard > oldest:
                return
            del self._heard[group]

    def _tell(self, group: str) -> None:
        self._telling.fire(self._others.pop(group, []))


class Waiting:
    """One connection that waits for its greeting."""

    __slots__ = ("_greetings", "group")

    def __init__(self, greetings: Greetings, group: str) -> None:
        self._greetings: Greetings | None = greetings
        self.group = group

    def end(self, heard: bool = False) -> None:
        """It has come, or it won't; only the first word counts."""
        greetings, self._greetings = self._greetings, None
        if greetings is not None:
            greetings.over(self, heard)


def _group_of(address: PeerAddress) -> str:
    """What counts as one address: an IPv4 address, an IPv6 /64, the path of a socket."""
    if isinstance(address, IPv6Address):
        return str(address.ipv4_mapped or IPv6Network((int(address) >> 64 << 64, 64)))
    return str(address)
