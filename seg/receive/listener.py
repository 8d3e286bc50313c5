"""A listener: makes a session for each connection, within the limits, and shuts down in order."""

from __future__ import annotations

import socket

from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IAddress, IListeningPort, IReactorSocket
from twisted.internet.protocol import Protocol, ServerFactory

from seg.config.receive import ListenerSettings
from seg.events.gateway import ListenerStarted
from seg.mail.client import client_address
from seg.mail.hosts import IPAddress
from seg.receive.context import ListenerContext
from seg.receive.protocol import ServerProtocol
from seg.receive.refused_connections import RefusedConnections
from seg.smtp.reply import Reply

TOO_MANY_CONNECTIONS = Reply.of(421, "4.7.0", "Too many connections; try again later")
SUSPENDED = Reply.of(421, "4.3.2", "Service not available now; try again later")
SHUTTING_DOWN = Reply.of(421, "4.3.2", "Service shutting down; try again later")


class RejectingProtocol(Protocol):
    """A connection that gets one reply and no session."""

    def __init__(self, reply: Reply) -> None:
        self._reply = reply

    def connectionMade(self) -> None:
        """Say it and close."""
        assert self.transport is not None
        self.transport.write(self._reply.line)
        self.transport.loseConnection()


class Listener(ServerFactory):
    """One listener.

    :param context: what its sessions share (`seg.receive.assembly`).
    """

    noisy = False

    def logPrefix(self) -> str:
        """What Twisted's own log calls it."""
        return f"Listener {self.listener.name}"

    def __init__(self, listener: ListenerSettings, context: ListenerContext) -> None:
        self.listener = listener
        self.suspended = False  # by an operator: new connections are told to come again
        self._context = context
        self._connections = context.connections
        self._refusals = RefusedConnections(context.sink, context.clock)
        self._sessions: set[ServerProtocol] = set()
        self._all_gone: list[Deferred[None]] = []
        self._shutting_down = False

    def serve(self, reactor: IReactorSocket, bound: socket.socket) -> IListeningPort:
        """Accept connections at a socket of `seg.receive.binding.bind`, which is used up."""
        try:
            port = reactor.adoptStreamPort(bound.fileno(), bound.family, self)
        finally:
            bound.close()  # the reactor has a duplicate
        address = port.getHost()
        assert isinstance(address, IPv4Address | IPv6Address)
        self._context.sink.emit(ListenerStarted(self.listener.name, address.host, address.port))
        return port

    @property
    def connections(self) -> int:
        """Clients connected now."""
        return len(self._sessions)

    def clients(self) -> list[IPAddress]:
        """The address of each client connected now."""
        return [each.session.client.address for each in self._sessions]

    def buildProtocol(self, addr: IAddress | None) -> Protocol:
        """A session, or a refusal when a limit is reached."""
        if self._shutting_down or self.suspended:
            return RejectingProtocol(SHUTTING_DOWN if self._shutting_down else SUSPENDED)
        assert isinstance(addr, IPv4Address | IPv6Address)  # a listener is a TCP port
        address = client_address(addr.host)
        objection = self._connections.acquire(address)
        if objection:
            self._refusals.refused(objection)
            return RejectingProtocol(TOO_MANY_CONNECTIONS)
        session = ServerProtocol(self._context, address, self._gone)
        self._sessions.add(session)
        return session

    def shutdown(self, timeout: float) -> Deferred[None]:
        """End all sessions with 421: idle ones now, others when their transaction is over or after `timeout`
        seconds.

        Stop listening first. Fires when the last connection is gone; a message that is being made durable
        still gets its 250.
        """
        self._shutting_down = True
        self._refusals.stop()
        for session in tuple(self._sessions):
            session.finish(SHUTTING_DOWN)
        if not self._sessions:
            return succeed(None)
        deadline = self._context.clock.callLater(timeout, self._out_of_patience)
        gone: Deferred[None] = Deferred()
        gone.addCallback(lambda _: deadline.cancel() if deadline.active() else None)
        self._all_gone.append(gone)
        return gone

    def _out_of_patience(self) -> None:
        for session in tuple(self._sessions):
            session.finish(SHUTTING_DOWN, now=True)

    def _gone(self, session: ServerProtocol) -> None:
        self._sessions.discard(session)
        self._connections.release(session.session.client.address)
        if not self._sessions:
            waiting, self._all_gone = self._all_gone, []
            for gone in waiting:
                gone.callback(None)
