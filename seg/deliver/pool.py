"""Connections that wait, for a few seconds, for another message to the same address."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import islice

import attrs
from twisted.internet.defer import Deferred, DeferredList
from twisted.internet.interfaces import IDelayedCall, IReactorTime

from seg.common.endpoint import endpoint
from seg.deliver.smtp_client import SMTPClientProtocol
from seg.mail.hosts import PLAIN_SMTP, PeerAddress, TransportOptions

MAX_IDLE = 200  # connections; each holds a socket and, with TLS, some 50 KiB

LOOKED_AT = (
    8  # connections to one address that are judged for one message: each costs time, and one is much like another
)


@attrs.frozen
class PoolKey:
    """Where a connection goes, and from where."""

    address: PeerAddress
    port: int
    source: str = ""  # local address; "" = the system chose
    ehlo_name: str = ""  # "" = the gateway's
    manner: TransportOptions = PLAIN_SMTP
    certificate: tuple[str, str] = ("", "")  # what we show: files of certificate and key

    @property
    def peer(self) -> str:
        """The address and port, as `ClientTLS` knows them."""
        return endpoint(self.address, self.port)


@attrs.frozen
class _Idle:
    """A waiting connection."""

    key: PoolKey
    until: float  # on the pool's clock


class ConnectionPool:
    """Idle senders by address. What each achieved is judged anew for every message that wants to ride on it.

    :param idle_timeout: seconds that a connection may wait.
    :param max_idle: the most connections that wait, in all.
    """

    def __init__(self, clock: IReactorTime, idle_timeout: float, max_idle: int = MAX_IDLE) -> None:
        self._clock = clock
        self._idle_timeout = idle_timeout
        self._max_idle = max_idle
        self._idle: dict[SMTPClientProtocol, _Idle] = {}  # in the order given: the oldest first
        self._by_key: dict[PoolKey, dict[SMTPClientProtocol, None]] = {}  # same order
        self._known: set[SMTPClientProtocol] = set()  # alive, and bound to tell us when they close
        self._leaving: set[Deferred[None]] = set()
        self._timer: IDelayedCall | None = None
        self._closed = False

    def __len__(self) -> int:
        """How many connections wait."""
        return len(self._idle)

    def take(self, key: PoolKey, satisfied: Callable[[SMTPClientProtocol], bool]) -> SMTPClientProtocol | None:
        """The connection to `key` used last that is healthy and does what the message's policy wants; it is
        the caller's now."""
        for sender in islice(reversed(self._by_key.get(key, {})), LOOKED_AT):
            if sender.healthy and satisfied(sender):
                self._remove(sender)
                return sender
        return None

    def give(self, key: PoolKey, sender: SMTPClientProtocol, max_transactions: int) -> None:
        """Take a sender that its user is done with: keep it, or end it when it is worn out, unhealthy, or not
        wanted."""
        if sender.closed:
            return
        worn_out = sender.transactions >= max_transactions or self._idle_timeout <= 0
        if worn_out or self._closed or not sender.healthy:
            self._end(sender)
            return
        if sender not in self._known:
            self._known.add(sender)
            sender.on_closed(self._forget)
        self._idle[sender] = _Idle(key, self._clock.seconds() + self._idle_timeout)
        self._by_key.setdefault(key, {})[sender] = None
        while len(self._idle) > self._max_idle:
            self._end(self._surplus())
        self._arm()

    async def end_one(self, choose: Callable[[Iterable[SMTPClientProtocol]], SMTPClientProtocol | None]) -> None:
        """End the waiting connection that `choose` picks from them, the oldest first; returns when it is gone."""
        sender = choose(self._idle)
        if sender is not None:
            self._end(sender)
            await sender.gone()

    def close(self) -> Deferred[None]:
        """Keep nothing any more; fires when every connection that the pool had to end is gone."""
        self._closed = True
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        for sender in tuple(self._idle):
            self._end(sender)
        gone: Deferred[None] = DeferredList(tuple(self._leaving)).addCallback(lambda _: None)
        return gone

    def _surplus(self) -> SMTPClientProtocol:
        """Which connection goes when there are too many: the oldest to the address that has the most, so that nobody takes all places."""
        most = max(self._by_key.values(), key=len)
        return next(iter(self._idle if len(most) == 1 else most))

    def _remove(self, sender: SMTPClientProtocol) -> None:
        idle = self._idle.pop(sender, None)
        if idle is None:
            return
        siblings = self._by_key[idle.key]
        del siblings[sender]
        if not siblings:
            del self._by_key[idle.key]

    def _forget(self, sender: SMTPClientProtocol) -> None:
        self._known.discard(sender)
        self._remove(sender)

    def _end(self, sender: SMTPClientProtocol) -> None:
        self._remove(sender)
        leaving = Deferred.fromCoroutine(sender.quit())
        if not leaving.called:
            self._leaving.add(leaving)
            leaving.addBoth(self._left, leaving)

    def _left(self, result: object, leaving: Deferred[None]) -> object:
        self._leaving.discard(leaving)
        return result

    def _arm(self) -> None:
        """One timer, for the connection that waits longest; those taken meanwhile only make it fire in
        vain."""
        if self._timer is None and self._idle:
            oldest = next(iter(self._idle.values()))
            delay = max(0.0, oldest.until - self._clock.seconds())
            self._timer = self._clock.callLater(delay, self._expire)

    def _expire(self) -> None:
        self._timer = None
        now = self._clock.seconds()
        for sender, idle in tuple(self._idle.items()):
            if idle.until > now:
                break
            self._end(sender)
        self._arm()
