"""One connection of a client that hands in mail: the Twisted adapter of `seg.smtp.server`."""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.interfaces import IHalfCloseableProtocol, IHandshakeListener, IPushProducer, ITCPTransport
from twisted.internet.protocol import Protocol, connectionDone
from twisted.python.failure import Failure
from zope.interface import implementer

from seg.events.receive import ReceiveTimedOut, ReceiveTLSFailed
from seg.mail.hosts import IPAddress
from seg.receive.admission import ClientAdmission
from seg.receive.context import ListenerContext
from seg.receive.handshake import handshake_facts, handshake_failure
from seg.receive.session import ReceiveSession
from seg.receive.timers import SessionTimers
from seg.smtp.reply import Reply
from seg.smtp.server import ServerConnection
from seg.smtp.server_events import XclientCommand
from seg.smtp.server_table import State

# While a message is being made durable the client may send ahead this much before we stop reading.
READ_AHEAD = 65536
# Octets read from a socket at a time: what all that are ready may cost bounds a turn of the reactor. Each record of TLS is a call.
READ_SIZE, READ_SIZE_TLS = 16384, 4096
CONTENT = (State.DATA, State.BDAT)

TIMED_OUT = Reply.of(421, "4.4.2", "Timeout; closing connection")
OUT_OF_MEMORY = Reply.of(421, "4.3.1", "Insufficient system resources; try again later")
LIVED_TOO_LONG = Reply.of(421, "4.4.2", "Allowable connection time exceeded; closing connection")


@implementer(IHalfCloseableProtocol, IHandshakeListener, IPushProducer)
class ServerProtocol(Protocol):
    """What to answer is decided by `ReceiveSession`. As a producer this is told when the client doesn't read our replies: then we don't read
    its commands."""

    transport: ITCPTransport

    def __init__(self, context: ListenerContext, address: IPAddress, on_gone: Callable[[ServerProtocol], None]) -> None:
        self._context = context
        self._on_gone = on_gone
        self._icid = context.counters.next_icid()
        self._core = ServerConnection(context.options)
        self._timers = SessionTimers(context.clock, context.settings)
        self.session = ReceiveSession(context, self._core, self._icid, address, self._go_on)
        self._admission = ClientAdmission(context, self.session, self._timers, self)
        self._final_reply: Reply | None = None  # to be given once the running transaction is over
        self._advancing = False
        self._shaking_hands = False
        self._before_handshake = False  # it waits for its turn
        self._closing = False
        self._input_ended = False  # the client sends nothing more, and may still read
        self._gone = False
        self._write_blocked = False
        self._more = False  # there is something to do that has to wait for its turn
        self._reading = True

    @property
    def over(self) -> bool:
        """Closed, or being closed."""
        return self._closing or self._gone

    # --- the connection

    def connectionMade(self) -> None:
        """Find out who the client is, then greet it."""
        self.transport.setTcpNoDelay(True)
        self.transport.bufferSize = READ_SIZE  # type: ignore[attr-defined]
        self.transport.registerProducer(self, True)  # type: ignore[attr-defined]
        self.session.local = self.transport.getHost().host
        self._admission.start()

    def admitted(self, early: bytes) -> None:
        """The client is known: start the clocks, and greet it or not."""
        self._timers.start(self._silent_too_long, self.lived_too_long)
        refusal = self.session.refusal()
        if refusal is not None:
            self.end(refusal)
        elif self._context.implicit_tls and not self._core.tls:
            self._start_tls()
            if early:  # the client's side of the handshake
                self.transport.dataReceived(early)  # type: ignore[attr-defined]
        else:
            self._core.greet()
            self._go_on(early)

    def dataReceived(self, data: bytes) -> None:
        """Octets from the client."""
        if self._closing:
            return
        if self._admission.header is not None:
            self._admission.take(self._admission.header, data)
            return
        self._core.feed(data)
        if not self._advancing:
            self._context.turns.ask(self)

    def readConnectionLost(self) -> None:
        """The client has said all that it has to say: it gets its replies, then the connection is closed. Nobody can tell it from one
        that has gone, but by what it has sent: one that closes while it waits for the filters' word, without a QUIT ahead, comes again."""
        self._input_ended = True
        if self.over:
            return
        left_judged = self.session.filtering and not self._core.buffered
        if self._admission.header is not None or self._shaking_hands or left_judged:
            self.transport.abortConnection()
        else:
            self._context.turns.ask(self)

    def writeConnectionLost(self) -> None:
        """Only we ourselves could close our side."""

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """A message that isn't whole is forgotten; one that is being made durable is kept."""
        self._gone = True
        self._timers.stop()
        self._admission.cancel()
        if self._shaking_hands:
            self._context.sink.emit(ReceiveTLSFailed(self._icid, handshake_failure(reason)))
        self.session.finish(lost=not (self._shaking_hands or self._closing))
        self._on_gone(self)

    # --- TLS

    def _start_tls(self) -> None:
        self._shaking_hands = self._before_handshake = True
        self.transport.bufferSize = READ_SIZE_TLS  # type: ignore[attr-defined]
        self.transport.startTLS(self._context.tls)  # type: ignore[attr-defined]
        self._context.turns.begin_handshake(self._read_handshake)
        self.read_or_wait()

    def _read_handshake(self) -> None:
        self._before_handshake = False
        self.read_or_wait()

    def handshakeCompleted(self) -> None:
        """TLS is on; a client for whom it comes first is greeted."""
        self._shaking_hands = False
        implicit = self._core.state is not State.TLS
        self.session.secured(handshake_facts(self.transport.getHandle(), self._context))  # type: ignore[attr-defined]
        if implicit:
            self._core.greet()
            self._send()

    # --- the flow of octets

    def pauseProducing(self) -> None:
        """The client doesn't read our replies."""
        self._write_blocked = True
        self.read_or_wait()

    def resumeProducing(self) -> None:
        """It reads again."""
        self._write_blocked = False
        if self._more and not self._gone:
            self._context.turns.ask(self)
        self.read_or_wait()

    def stopProducing(self) -> None:
        """The transport has no more use for replies; `connectionLost` follows."""

    def read_or_wait(self) -> None:
        """Read on, or not: no more comes in than can be answered."""
        ahead = self._core.awaiting and self._core.buffered > READ_AHEAD
        waiting = self._more or self._before_handshake or self._admission.looking_up is not None
        reading = not (self._write_blocked or ahead or waiting)
        if reading != self._reading and not (self.over or self._input_ended):
            self._reading = reading
            if reading:
                self.transport.resumeProducing()  # type: ignore[attr-defined]
            else:
                self.transport.pauseProducing()  # type: ignore[attr-defined]

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
            for event in core.receive(b"", most):
                if type(event) is XclientCommand:
                    self._admission.apply_xclient(event.client)
                else:
                    self.session.react(event)
                if late := seconds() >= until:
                    break
        finally:
            self._advancing = False
        self._more = (late or core.interrupted) and not core.awaiting
        if self._final_reply is not None and not core.in_transaction:
            self.end(self._final_reply)
            return False
        self._send()
        if core.state in CONTENT:
            self._timers.heard_content(core.content_octets, self.session.content_began)
        elif in_content or core.commands > commands:  # a whole command, however it is cut into pieces
            self._timers.heard()
        if self._more or core.awaiting or not self._reading:
            self.read_or_wait()
        if self._input_ended:
            self._hang_up_behind_the_last()
        return self._more and not self._write_blocked

    def break_off(self, error: BaseException) -> None:
        """Something went wrong that nobody thought of; or memory ran out, which the client hears."""
        try:
            if isinstance(error, MemoryError):
                self.end(OUT_OF_MEMORY)
        finally:
            if not self._closing:
                self.cut()

    def _send(self) -> None:
        out = self._core.data_to_send()
        if self._gone:
            return
        if out:
            self.transport.write(out)
        if self._core.state is State.TLS and not self._shaking_hands:
            self._start_tls()
        elif self._core.state is State.ENDED and not self._closing:
            self._closing = True
            self._lose()

    def _go_on(self, data: bytes = b"") -> None:
        """Behind an answer that took its time: the commands that came meanwhile, or the end that was put off."""
        if self._gone:
            return
        if self._final_reply is not None:
            self.end(self._final_reply)
            return
        self._timers.heard()
        self._core.feed(data)
        if not self._advancing:  # else the answer came while the question was being asked: the loop goes on
            self._context.turns.ask(self)

    # --- its end

    def finish(self, reply: Reply, now: bool = False) -> None:
        """Give a last reply as soon as the running transaction is over.

        :param now: only a message being made durable is waited for. One that filters judge isn't: the client will come again.
        """
        core = self._core
        if (core.awaiting and not self.session.filtering) if now else core.in_transaction:
            self._final_reply = reply
        else:
            self.end(reply)

    def end(self, reply: Reply) -> None:
        """Give a last reply and close."""
        if self.over:
            return
        if self._shaking_hands:  # nothing can be said in the middle of a handshake
            self.transport.abortConnection()
            return
        self._core.end(reply)
        self.session.drop("Receiving aborted")
        self._send()

    def cut(self) -> None:
        """Close without a reply."""
        self._closing = True
        self._timers.stop()
        self.transport.abortConnection()

    def lived_too_long(self) -> None:
        """The time that a connection may last is over."""
        self.session.report("Allowable connection time exceeded")
        self.finish(LIVED_TOO_LONG, now=True)

    def _silent_too_long(self) -> None:
        if self._core.awaiting:  # it is we who are slow
            self._timers.wait_again(self._silent_too_long)
            return
        session = self.session
        self._context.sink.emit(ReceiveTimedOut(self._icid, str(session.client.address), session.injected))
        self.end(TIMED_OUT)

    def _hang_up_behind_the_last(self) -> None:
        """Close once all that the client said is answered."""
        if not (self._closing or self._more or self._core.awaiting or self._admission.looking_up):
            self.transport.abortConnection() if self._shaking_hands else self._lose()

    def _lose(self) -> None:
        """Close once what was written is sent, or soon."""
        self.transport.unregisterProducer()  # type: ignore[attr-defined]
        self._timers.closing(self.transport.abortConnection)
        self.transport.loseConnection()
