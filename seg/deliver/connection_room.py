"""Whether one more connection may be opened now: limits of the operator, of each address, and what a server has let us have."""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.defer import Deferred

from seg.common.endpoint import host_endpoint
from seg.common.recent import Recent
from seg.config.schema import Delivery
from seg.deliver.connection_limits import ConnectionLimits, ConnectionSlot, LimitKey, LimitReached
from seg.deliver.greetings import Greetings
from seg.deliver.outbound import OutboundSettings
from seg.deliver.pool import ConnectionPool
from seg.deliver.slots import PATIENCE
from seg.deliver.smtp_client import SMTPClientProtocol
from seg.deliver.verified_connection import ConnectRequest
from seg.mail.errors import Temporary
from seg.mail.hosts import MXHost, PeerAddress

# Of all connections so many may go to one address that MX records name: whoever owns a domain chooses that address, and it need
# not be his. A destination's own limit by address takes the place of this.
SHARE_OF_ADDRESS = 5  # one in so many
LEAST_OF_ADDRESS = 20

ENOUGH = 300.0  # seconds for which an address that has refused a further connection gets no more than it had


class ConnectionRoom:
    """Gives out the slots of connections.

    :param now: POSIX seconds.
    """

    def __init__(
        self,
        limits: ConnectionLimits,
        pool: ConnectionPool,
        greetings: Greetings | None,
        settings: Delivery,
        now: Callable[[], float],
    ) -> None:
        self._limits = limits
        self._pool = pool
        self._greetings = greetings
        self._settings = settings
        self._enough: Recent[PeerAddress, int] = Recent(ENOUGH, now)  # connections that an address takes at a time

    def keep_within(self, domain: str, outgoing: OutboundSettings) -> None:
        """A domain that has taken over another one's connection gives up one of its own that waits, if it has too many now."""
        if outgoing.connections and not outgoing.per_address and self._limits.over(domain, outgoing.connections):
            Deferred.fromCoroutine(self._pool.end_one(lambda idle: self._limits.within(idle, domain)))

    def refused(self, address: PeerAddress, sender: SMTPClientProtocol, error: Temporary) -> LimitReached | None:
        """What it means that a server turned this connection away: where others to it are at work, these are enough for a while."""
        others = self._limits.at_work(address, sender)
        if not 400 <= error.code < 500 or not others:
            return None
        self._enough.learn(address, others)
        return LimitReached(address, lambda: self._limits.room(address, others))

    async def slot(self, request: ConnectRequest) -> ConnectionSlot:
        """Room for one more connection.

        :raises LimitReached: there is none.
        :raises Temporary: the address has let others wait for its greeting for a while; it isn't worth waiting for.
        """
        domain, address, outgoing = request.decision.domain, request.key.address, request.outgoing
        if outgoing.by_mx and self._greetings is not None:
            await self._greets(self._greetings, request.host, address)
        group: LimitKey = address if outgoing.per_address else domain
        if outgoing.connections:
            await self._room(group, outgoing.connections)
        if not (outgoing.connections and outgoing.per_address):
            if outgoing.by_mx:
                await self._room(address, max(LEAST_OF_ADDRESS, self._settings.max_connections // SHARE_OF_ADDRESS))
            if self._settings.host_connections and not self._limits.alone(address, domain):
                await self._room(address, self._settings.host_connections)
        if (enough := self._enough.get(address)) is not None:
            await self._room(address, enough)
        return self._limits.begin(domain, address)

    async def _greets(self, greetings: Greetings, host: MXHost, address: PeerAddress) -> None:
        """Only a few connections wait for the first greeting of an address, for however many domains; others wait for what comes of them.

        :raises Temporary: it has let them wait for a while.
        """
        while not greetings.room(address):
            silence = greetings.silence(address)
            if silence >= PATIENCE:
                text = f"No answer from host {host_endpoint(host.name, address, host.port)}: others wait for its greeting, too"
                raise Temporary("4.4.1", text)
            await greetings.news(address)

    async def _room(self, group: LimitKey, limit: int) -> None:
        """Room for one more connection in a group; one that waits for other messages is ended for it, and one that is ending is waited for.

        :raises LimitReached: there is none.
        """
        if self._limits.room(group, limit):
            return
        await self._pool.end_one(lambda idle: self._limits.within(idle, group))
        leaving = self._limits.leaving(group) if not self._limits.room(group, limit) else None
        if leaving is not None:
            await leaving.gone()
        if not self._limits.room(group, limit):
            raise LimitReached(group, lambda: self._limits.room(group, limit))
