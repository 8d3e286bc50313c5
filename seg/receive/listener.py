"""A listener: makes a session for each connection, within the limits, and shuts down in order."""

from __future__ import annotations

import socket
from collections.abc import Callable, Sequence

from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import (
    IAddress,
    IListeningPort,
    IOpenSSLServerConnectionCreator,
    IReactorSocket,
    IReactorTime,
)
from twisted.internet.protocol import Protocol, ServerFactory

from seg.auth.sasl_server import SASLServer
from seg.config.schema import (
    Auth,
    BareNewlines,
    ListenerAuth,
    ListenerSettings,
    ListenerTLS,
    Receive,
    Recipients,
    SenderGroup,
)
from seg.config.submission import Submission
from seg.dns.interfaces import IResolver
from seg.events.base import IEventSink
from seg.events.gateway import ListenerStarted
from seg.filter.chain import FilterChain
from seg.filter.submission import SubmissionRules
from seg.local.table import LocalTable
from seg.mail.client import client_address
from seg.mail.hosts import IPAddress
from seg.mail.ids import IMessageIds
from seg.queue.interfaces import IQueue
from seg.receive.access import HostAccess, sender_groups
from seg.receive.connection_counter import ConnectionCounter, ListenerCensus
from seg.receive.context import ListenerContext
from seg.receive.protocol import ServerProtocol
from seg.receive.rates import RecipientRateLimit
from seg.receive.recipients import RecipientAccess
from seg.receive.refused_connections import RefusedConnections
from seg.receive.senders import SenderRules
from seg.receive.turns import ClientTurns
from seg.receive.workqueue import WorkQueue
from seg.smtp.server_options import AddressLeniency, ServerOptions, VrfyPolicy
from seg.smtp.server_replies import ServerReply

DEFAULT_AUTH = Auth()
DEFAULT_SUBMISSION = Submission()
TOO_MANY_CONNECTIONS = ServerReply(421, "4.7.0", "Too many connections; try again later")
SUSPENDED = ServerReply(421, "4.3.2", "Service not available now; try again later")
SHUTTING_DOWN = ServerReply(421, "4.3.2", "Service shutting down; try again later")


class RejectingProtocol(Protocol):
    """A connection that gets one reply and no session."""

    def __init__(self, reply: ServerReply) -> None:
        self._reply = reply

    def connectionMade(self) -> None:
        """Say it and close."""
        assert self.transport is not None
        self.transport.write(self._reply.line)
        self.transport.loseConnection()


class Listener(ServerFactory):
    """One listener.

    :param hostname: our name in greeting, EHLO and Received.
    :param clock: a reactor, or a `Clock`.
    :param tls: makes server-side TLS connections; without it, or when the listener says ``off``, STARTTLS
    isn't offered.
    :param postmaster: whom mail to ``<Postmaster>`` goes to; "" is postmaster at `hostname`.
    :param census: counts connections; give the same one to all listeners, and so `rates`, `work` and `turns`.
    :param groups: the host access table; without any group it is `Receive.relay_networks`.
    :param sasl: where clients authenticate, if the listener says so.
    :param resolver: looks the names of clients up, if a group is for names or there are filters, who want to know them.
    :param submission: whose messages are completed.
    :param local: tells who gets mail for this machine.
    :param filters: judge messages before their 250.
    :raises seg.common.errors.ConfigurationError: an entry of a table can't be read.
    """

    noisy = False

    def logPrefix(self) -> str:
        """What Twisted's own log calls it."""
        return f"Listener {self.listener.name}"

    def __init__(
        self,
        settings: Receive,
        listener: ListenerSettings,
        hostname: str,
        queue: IQueue,
        counters: IMessageIds,
        sink: IEventSink,
        clock: IReactorTime,
        tls: IOpenSSLServerConnectionCreator | None = None,
        *,
        postmaster: str = "",
        census: ConnectionCounter | None = None,
        groups: Sequence[SenderGroup] = (),
        recipients: Recipients | None = None,
        resolver: IResolver | None = None,
        rates: RecipientRateLimit | None = None,
        work: WorkQueue | None = None,
        turns: ClientTurns | None = None,
        filters: FilterChain | None = None,
        sasl: SASLServer | None = None,
        auth: Auth = DEFAULT_AUTH,
        submission: Submission = DEFAULT_SUBMISSION,
        local: Callable[[], LocalTable] | None = None,
    ) -> None:
        self.listener = listener
        self.suspended = False  # by an operator: new connections are told to come again
        if listener.auth is ListenerAuth.OFF:
            sasl = None
        if listener.tls is ListenerTLS.OFF:
            tls = None
        access = HostAccess(sender_groups(groups, settings.relay_networks))
        proxies = HostAccess(sender_groups((), settings.xclient_networks))
        balancers = HostAccess(sender_groups((), settings.proxy_networks))
        census = census or ConnectionCounter(
            settings.max_connections, settings.max_connections_per_address, (listener.name,)
        )
        self._census = ListenerCensus(
            census,
            listener.name,
            lambda client: any(each.admit(client).may_relay for each in (access, proxies, balancers)),
        )
        self._context = ListenerContext(
            settings=settings,
            options=_options(settings, listener, hostname, within_tls=tls is not None, login=sasl is not None),
            listener=listener.name,
            postmaster=postmaster or f"postmaster@{hostname}",
            queue=queue,
            counters=counters,
            sink=sink,
            clock=clock,
            access=access,
            proxies=proxies,
            balancers=balancers,
            recipients=RecipientAccess(recipients or Recipients()),
            local=local,
            rates=rates or RecipientRateLimit(clock.seconds),
            census=self._census,
            work=work or WorkQueue(),
            turns=turns or ClientTurns(clock),
            resolver=resolver if access.needs_names or filters else None,
            tls=tls,
            implicit_tls=listener.tls is ListenerTLS.IMPLICIT,
            filters=filters or None,
            sasl=sasl,
            bounce_profile=listener.bounce_profile,
            auth_profile=auth.checker or "users",
            senders=SenderRules(auth),
            submission=SubmissionRules(hostname, submission, lambda name: local is not None and local().has_name(name)),
        )
        self._refusals = RefusedConnections(sink, clock)
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
        return [session.address for session in self._sessions]

    def buildProtocol(self, addr: IAddress | None) -> Protocol:
        """A session, or a refusal when a limit is reached."""
        if self._shutting_down or self.suspended:
            return RejectingProtocol(SHUTTING_DOWN if self._shutting_down else SUSPENDED)
        assert isinstance(addr, IPv4Address | IPv6Address)  # a listener is a TCP port
        address = client_address(addr.host)
        objection = self._census.enter(address)
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
            session.finish_now(SHUTTING_DOWN)

    def _gone(self, session: ServerProtocol) -> None:
        self._sessions.discard(session)
        self._census.leave(session.address)
        if not self._sessions:
            waiting, self._all_gone = self._all_gone, []
            for gone in waiting:
                gone.callback(None)


def _options(
    settings: Receive, listener: ListenerSettings, hostname: str, *, within_tls: bool, login: bool
) -> ServerOptions:
    """How the sessions of a listener speak SMTP.

    :param within_tls: there is a certificate.
    :param login: there is a SASL server, so that clients may authenticate.
    """
    return ServerOptions(
        hostname=hostname,
        max_message_size=settings.max_message_size,
        max_faults=settings.max_unknown_commands,
        normalise=settings.bare_newlines is BareNewlines.NORMALISE,
        starttls=within_tls and listener.tls is not ListenerTLS.IMPLICIT,
        tls_required=listener.tls is ListenerTLS.REQUIRED,
        banner=listener.banner,
        vrfy=VrfyPolicy(settings.vrfy),
        lenient=AddressLeniency(settings.lenient_addresses),
        auth=login,
        auth_required=listener.auth is ListenerAuth.REQUIRED,
        max_recipients=settings.max_recipients,
        max_refusals=settings.max_refusals,
        max_idle_commands=settings.max_idle_commands,
    )
