"""One connection of a client that hands in mail: the Twisted adapter of `seg.smtp.server`."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from twisted.internet.defer import Deferred, TimeoutError
from twisted.internet.error import ConnectionAborted, ConnectionDone
from twisted.internet.interfaces import IHalfCloseableProtocol, IHandshakeListener, IPushProducer, ITCPTransport
from twisted.internet.protocol import Protocol, connectionDone
from twisted.python.failure import Failure
from zope.interface import implementer

from seg.auth.binding import channel_bindings
from seg.common.clock import posix
from seg.config.schema import Access
from seg.events.receive import (
    ClientCertificateShown,
    ConnectionAccepted,
    ConnectionAdmitted,
    ConnectionClosed,
    ConnectionLost,
    ReceiveFailed,
    ReceiveTimedOut,
    ReceiveTLSFailed,
    ReceiveTLSStarted,
)
from seg.filter.message import SessionTLS
from seg.mail.client import client_address
from seg.mail.errors import LocalFault
from seg.mail.hosts import IPAddress
from seg.receive.context import ListenerContext
from seg.receive.proxy_protocol import ProxyHeader, ProxyHeaderError
from seg.receive.reverse_dns import client_name
from seg.receive.session import NOBODY, ReceiveSession
from seg.receive.timers import SessionTimers
from seg.smtp import server_events as told
from seg.smtp.server import ServerConnection
from seg.smtp.server_replies import ServerReply
from seg.smtp.server_table import State
from seg.smtp.xclient import XClient
from seg.tls.clients import holder_of
from seg.tls.groups import group_of

if TYPE_CHECKING:
    from collections.abc import Callable

# While a message is being made durable the client may send ahead this much before we stop reading.
READ_AHEAD = 65536
# Octets read from a socket at a time. Within TLS fewer, as each record, be it of one octet, is a call of ours: what all sockets that are
# ready may cost bounds a turn of the reactor.
READ_SIZE, READ_SIZE_TLS = 16384, 4096
CONTENT = (State.DATA, State.BDAT)
# Seconds for the last reply to get through before the connection is cut.
CLOSING_GRACE = 10.0

PROXY_TIMEOUT = 10.0  # seconds for the header of a load balancer
# Seconds for the name of a client. The resolver ends each question long before: who is over this is ours.
NAME_TIMEOUT = 60.0

TOO_MANY_CONNECTIONS = ServerReply(421, "4.7.0", "Too many connections from your address; try again later")
NAME_NOT_KNOWN = ServerReply(421, "4.3.0", "Your host name can't be looked up at the moment; try again later")
TIMED_OUT = ServerReply(421, "4.4.2", "Timeout; closing connection")
OUT_OF_MEMORY = ServerReply(421, "4.3.1", "Insufficient system resources; try again later")
LIVED_TOO_LONG = ServerReply(421, "4.4.2", "Allowable connection time exceeded; closing connection")


@implementer(IHalfCloseableProtocol, IHandshakeListener, IPushProducer)
class ServerProtocol(Protocol):
    """The Twisted protocol of one inbound connection; what to answer is decided by `ReceiveSession`.

    As a producer it is told when the client doesn't read our replies: then we don't read its commands.
    """

    transport: ITCPTransport

    def __init__(self, context: ListenerContext, address: IPAddress, on_gone: Callable[[ServerProtocol], None]) -> None:
        self.icid = context.counters.next_icid()
        self.address = address
        self._peer = address  # who is really at the other end
        self._context = context
        self._on_gone = on_gone
        self._core = ServerConnection(context.options)
        self._intake = ReceiveSession(context, self._core, self.icid, address, self._go_on)
        self._looking_up: Deferred[Any] | None = None  # the client's name; nothing is read meanwhile
        self._proxy_header: ProxyHeader | None = None  # has to come first
        self._early = b""  # came behind it, before the greeting
        self._represented: XClient | None = None  # what a proxy said, until it is decided on
        self._deadlines = SessionTimers(context.clock)
        self._content_began = 0.0  # seconds by the clock
        self._last_word: ServerReply | None = None  # to be given once the running transaction is over
        self._advancing = False
        self._shaking_hands = False
        self._before_handshake = False  # it waits for its turn
        self._closing = False
        self._input_ended = False  # the client sends nothing more, and may still read
        self._gone = False
        self._write_blocked = False
        self._more = False  # there is something to do that has to wait for its turn
        self._reading = True

    # --- the connection

    def connectionMade(self) -> None:
        """Greet, and start the clocks."""
        context = self._context
        self.transport.setTcpNoDelay(True)
        self.transport.bufferSize = READ_SIZE  # type: ignore[attr-defined]
        self.transport.registerProducer(self, True)  # type: ignore[attr-defined]
        if context.balancers.admit(self.address).may_relay:
            self._proxy_header = ProxyHeader()
            self._deadlines.start(
                PROXY_TIMEOUT, self._no_proxy_header, context.settings.connection_timeout, self._lived_too_long
            )
            return
        self._find_name()

    def _proxied(self, header: ProxyHeader, data: bytes) -> None:
        """The load balancer says who the client is; one that doesn't has no business here."""
        try:
            found = header.feed(data)
        except ProxyHeaderError as error:
            self._no_proxy_header(str(error))
            return
        if found is None:
            return
        self._proxy_header, self._early = None, found.rest
        self._deadlines.stop()
        balancer = self.address
        if found.client is not None:
            self.address = client_address(str(found.client))
            self._peer = self._intake.address = self.address
            if not self._context.census.move(balancer, self.address):
                self._context.sink.emit(ReceiveFailed(0, f"Connection limit exceeded: {self.address}"))
                self._closing = True
                self.transport.write(TOO_MANY_CONNECTIONS.line)
                self.transport.loseConnection()
                return
        self._find_name()

    def _represent(self, client: XClient) -> None:
        """A mail proxy says whose connection it passes on: everything is decided anew for that client, and until then nothing is
        allowed, nor read."""
        before = self.address
        if client.address is not None:
            self.address = client_address(str(client.address))
        self._represented = client
        self._intake.address = self.address
        self._intake.admission = NOBODY
        self._core.may_relay = False
        self._intake.certified = ""  # the proxy's own
        self._context.census.move(before, self.address)
        self._deadlines.stop()
        if client.name:
            self._meet(client.name, True)
        else:
            self._find_name()

    def _no_proxy_header(self, why: str = "no PROXY header in time") -> None:
        self._context.sink.emit(ReceiveFailed(0, f"{why} from {self.address}"))
        self._closing = True
        self._deadlines.stop()
        self.transport.abortConnection()

    def _find_name(self) -> None:
        """Look the client's name up, if the host access table asks for names."""
        context = self._context
        if context.resolver is None:
            self._meet("", False)
            return
        looking = Deferred.fromCoroutine(client_name(context.resolver, self.address, context.clock.seconds))
        looking.addTimeout(NAME_TIMEOUT, context.clock)
        self._looking_up = looking
        looking.addCallbacks(self._named, self._not_named)
        self._read_or_wait()

    def _named(self, found: tuple[str, bool]) -> None:
        """The client's name is known, or that there is none."""
        self._looking_up = None
        if not (self._gone or self._closing):
            self._read_or_wait()
            self._meet(*found)

    def _not_named(self, failure: Failure) -> None:
        """It is our fault that the name isn't known: where the table's word depends on it nothing can be said."""
        self._looking_up = None
        if self._gone or self._closing:
            return
        self._read_or_wait()
        admission = self._context.access.admit_unnamed(self.address)
        if admission is not None:
            self._meet("", False)
            return
        fault = failure.value.text if isinstance(failure.value, LocalFault) else _describe_fault(failure)
        self._accepted("", False)
        self._intake.report(f"Name of {self.address} not looked up: {fault}")
        self._end(NAME_NOT_KNOWN)

    def _accepted(self, name: str, verified: bool) -> None:
        listener, local = self._context.listener, self.transport.getHost().host
        self._context.sink.emit(ConnectionAccepted(self.icid, listener, local, str(self.address), name, verified))

    def _meet(self, name: str, verified: bool) -> None:
        """Look the client up in the host access table, and greet it or not."""
        context = self._context
        self._accepted(name, verified)
        admission = context.access.admit(self.address, name if verified else "")
        context.sink.emit(ConnectionAdmitted(self.icid, admission.action, admission.group.name, admission.match))
        if admission.group.access is Access.REFUSE:
            self._closing = True
            self.transport.abortConnection()
            return
        represented, self._represented = self._represented, None
        if represented is not None:
            self._core.reset_for_xclient(represented.helo or "", represented.login or "")
        self._intake.admission = admission
        self._intake.client_name = name if verified else ""
        self._core.options = context.options.limited(admission.group.max_message_size, admission.group.max_recipients)
        self._core.may_relay = admission.may_relay
        self._core.xclient_allowed = context.proxies.admit(self._peer).may_relay
        self._deadlines.start(
            context.settings.command_timeout,
            self._silent_too_long,
            context.settings.connection_timeout,
            self._lived_too_long,
        )
        if admission.refused:
            self._end(ServerReply(554, "5.7.1", admission.group.reject_text))
            return
        if context.census.crowded(self.address, admission.group.max_connections):
            self._intake.report(f"Connection limit exceeded: {admission.group.max_connections} from {self.address}")
            self._end(TOO_MANY_CONNECTIONS)
            return
        early, self._early = self._early, b""
        if context.implicit_tls and not self._core.tls:
            self._start_tls()
            if early:  # the client's side of the handshake
                self.transport.dataReceived(early)  # type: ignore[attr-defined]
            return
        self._core.greet()
        self._go_on(early)

    def dataReceived(self, data: bytes) -> None:
        """Octets from the client."""
        if self._closing:
            return
        if self._proxy_header is not None:
            self._proxied(self._proxy_header, data)
        else:
            self._advance(data)

    def readConnectionLost(self) -> None:
        """The client has said all that it has to say: it gets its replies, then the connection is closed. Nobody can tell it from one
        that has gone, but by what it has sent: one that closes while it waits for the filters' word, without a QUIT ahead, comes again."""
        self._input_ended = True
        if self._closing or self._gone:
            return
        if (
            self._proxy_header is not None
            or self._shaking_hands
            or (self._intake.filtering and not self._core.buffered)
        ):
            self.transport.abortConnection()
            return
        self._context.turns.ask(self)

    def writeConnectionLost(self) -> None:
        """Only we ourselves could close our side."""

    def _hang_up_behind_the_last(self) -> None:
        """Close once all that the client said is answered."""
        waiting = self._more or self._core.awaiting or self._looking_up is not None
        if not self._input_ended or self._closing or waiting:
            return
        if self._shaking_hands:
            self.transport.abortConnection()
            return
        self.transport.unregisterProducer()  # type: ignore[attr-defined]
        self._deadlines.closing(CLOSING_GRACE, self.transport.abortConnection)
        self.transport.loseConnection()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """A message that isn't whole is forgotten; one that is being made durable is kept."""
        self._gone = True
        self._deadlines.stop()
        if self._looking_up is not None:
            self._looking_up.cancel()
        if self._intake.login is not None:
            self._intake.login.cancel()
        if self._shaking_hands:
            self._context.sink.emit(ReceiveTLSFailed(self.icid, _describe(reason)))
        elif not self._closing:
            self._context.sink.emit(ConnectionLost(self.icid))
        if self._intake.filtering:
            self._intake.drop("Receiving aborted by sender: connection lost while filters judged the message")
        elif not self._core.awaiting:
            phase, octets = self._core.state.value, self._intake.octets
            self._intake.drop(f"Receiving aborted by sender: connection lost in state {phase}, {octets} octets")
        self._intake.finish()
        self._context.sink.emit(ConnectionClosed(self.icid))
        self._on_gone(self)

    def handshakeCompleted(self) -> None:
        """TLS is on."""
        self._shaking_hands = False
        implicit = self._core.state is not State.TLS
        if implicit:
            self._core.tls_from_the_start()
        else:
            self._core.tls_started()
        connection = self.transport.getHandle()  # type: ignore[attr-defined]
        protocol, cipher = connection.get_protocol_version_name(), connection.get_cipher_name() or ""
        self._intake.tls = SessionTLS(protocol, cipher, connection.get_cipher_bits() or 0)
        self._context.sink.emit(ReceiveTLSStarted(self.icid, protocol, cipher, group_of(connection)))
        self._look_at_certificate(connection)
        if self._intake.login is not None:
            self._intake.login.secured(channel_bindings(connection))
        if implicit:
            self._core.greet()
            self._send()

    def _look_at_certificate(self, connection: Any) -> None:
        """A client that holds a certificate which is listed may relay."""
        listed = getattr(self._context.tls, "clients", None)
        if listed is None:
            return
        leaf = connection.get_peer_certificate(as_cryptography=True)
        if leaf is None:
            return
        known = listed.knows(leaf, datetime.fromtimestamp(posix(self._context.clock), UTC))
        holder = holder_of(leaf)
        self._context.sink.emit(ClientCertificateShown(self.icid, holder, known))
        self._intake.certified = holder if known else ""
        self._core.may_relay = self._core.may_relay or known

    # --- the flow of octets

    def pauseProducing(self) -> None:
        """The client doesn't read our replies."""
        self._write_blocked = True
        self._read_or_wait()

    def resumeProducing(self) -> None:
        """It reads again."""
        self._write_blocked = False
        if self._more and not self._gone:
            self._context.turns.ask(self)
        self._read_or_wait()

    def stopProducing(self) -> None:
        """The transport has no more use for replies; `connectionLost` follows."""

    def _read_or_wait(self) -> None:
        """Read on, or not: no more comes in than can be answered."""
        ahead = self._core.awaiting and self._core.buffered > READ_AHEAD
        waiting = self._more or self._before_handshake or self._looking_up is not None
        reading = not (self._write_blocked or ahead or waiting)
        if reading != self._reading and not (self._closing or self._gone or self._input_ended):
            self._reading = reading
            if reading:
                self.transport.resumeProducing()  # type: ignore[attr-defined]
            else:
                self.transport.pauseProducing()  # type: ignore[attr-defined]

    def _advance(self, data: bytes) -> None:
        """Take octets, and work them off when it is our turn."""
        self._core.feed(data)
        if not self._advancing:  # else the answer came while the question was being asked: the loop below goes on
            self._context.turns.ask(self)

    def take_turn(self, most: int, until: float) -> bool:
        """Go on until an answer is due, nothing is left to read, or the slice is over; then send all replies in one write.

        :return: whether there is more to do now.
        """
        core, seconds = self._core, self._context.turns.seconds
        if self._closing or self._gone:
            return False
        if self._write_blocked:
            self._more = True  # goes on when the client reads again
            return False
        commands, in_content, late = core.commands, core.state in CONTENT, False
        self._advancing = True
        try:
            for event in core.receive_data(b"", most):
                self._react(event)
                if late := seconds() >= until:
                    break
        finally:
            self._advancing = False
        self._more = (late or core.interrupted) and not core.awaiting
        if self._last_word is not None and not core.in_transaction:
            self._end(self._last_word)
            return False
        self._send()
        self._heard(core.commands > commands or in_content)
        self._read_or_wait()
        self._hang_up_behind_the_last()
        return self._more and not self._write_blocked

    def break_off(self, error: BaseException) -> None:
        """Something went wrong that nobody thought of; or memory ran out, which the client hears."""
        try:
            if isinstance(error, MemoryError):
                self._end(OUT_OF_MEMORY)
        finally:
            if not self._closing:
                self._closing = True
                self.transport.abortConnection()

    def _react(self, event: told.ServerEvent) -> None:
        if isinstance(event, told.XclientCommand):
            self._represent(event.client)
            return
        if isinstance(event, told.DataStarted):
            self._content_began = self._context.clock.seconds()
        self._intake.react(event)

    def _heard(self, command: bool) -> None:
        """How long the client may take from now on: for a whole command, however it is cut into pieces; or for more content, that
        hasn't to come slower than the least rate.

        :param command: a command, or content, was worked off.
        """
        settings, core = self._context.settings, self._core
        if core.state in CONTENT:
            left = settings.data_timeout
            if settings.min_data_rate:
                taken = self._context.clock.seconds() - self._content_began
                left = min(left, settings.data_timeout + core.content_octets / settings.min_data_rate - taken)
            self._deadlines.heard(max(0.0, left))
        elif command:
            self._deadlines.heard(settings.command_timeout)

    def _send(self) -> None:
        out = self._core.data_to_send()
        if self._gone:
            return
        if out:
            self.transport.write(out)
        if self._core.state is State.TLS and not self._shaking_hands:
            self._start_tls()
        elif self._core.state is State.ENDED:
            self._close()

    def _start_tls(self) -> None:
        self._shaking_hands = self._before_handshake = True
        self.transport.bufferSize = READ_SIZE_TLS  # type: ignore[attr-defined]
        self.transport.startTLS(self._context.tls)  # type: ignore[attr-defined]
        self._context.turns.begin_handshake(self._read_handshake)
        self._read_or_wait()

    def _read_handshake(self) -> None:
        self._before_handshake = False
        self._read_or_wait()

    def _close(self) -> None:
        if self._closing:
            return
        self._closing = True
        self.transport.unregisterProducer()  # type: ignore[attr-defined]
        self._deadlines.closing(CLOSING_GRACE, self.transport.abortConnection)
        self.transport.loseConnection()

    def _go_on(self, data: bytes = b"") -> None:
        """Behind an answer that took its time: the commands that came meanwhile, or the end that was put off."""
        if self._gone:
            return
        if self._last_word is not None:
            self._end(self._last_word)
            return
        self._deadlines.heard(self._context.settings.command_timeout)
        self._advance(data)

    # --- ends that come from our side

    def finish(self, reply: ServerReply) -> None:
        """Give a last reply as soon as the running transaction is over."""
        if self._core.in_transaction:
            self._last_word = reply
        else:
            self._end(reply)

    def finish_now(self, reply: ServerReply) -> None:
        """Give a last reply now; only a message that is already being made durable is waited for. One that filters judge
        isn't: the client will come again."""
        if self._core.awaiting and not self._intake.filtering:
            self._last_word = reply
        else:
            self._end(reply)

    def _silent_too_long(self) -> None:
        if self._core.awaiting:  # it is we who are slow
            self._deadlines.wait_again(self._context.settings.command_timeout, self._silent_too_long)
            return
        self._context.sink.emit(ReceiveTimedOut(self.icid, str(self.address), self._intake.injected))
        self._end(TIMED_OUT)

    def _lived_too_long(self) -> None:
        self._intake.report("Allowable connection time exceeded")
        self.finish_now(LIVED_TOO_LONG)

    def _end(self, reply: ServerReply) -> None:
        if self._closing or self._gone:
            return
        if self._shaking_hands:  # nothing can be said in the middle of a handshake
            self.transport.abortConnection()
            return
        self._core.end(reply)
        self._intake.drop("Receiving aborted")
        self._send()


def _describe_fault(failure: Failure) -> str:
    if failure.check(TimeoutError):
        return f"no answer within {NAME_TIMEOUT:.0f} s"
    return f"{type(failure.value).__name__}: {failure.getErrorMessage()}"


def _describe(reason: Failure) -> str:
    if reason.check(ConnectionDone, ConnectionAborted):
        return "connection closed during the handshake"
    return reason.getErrorMessage()
