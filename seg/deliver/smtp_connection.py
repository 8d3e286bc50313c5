"""One connection to a server: `seg.smtp.client` on a Twisted transport, with time-outs and TLS; its verbs are in `seg.deliver.smtp_client`."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import attrs
from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import IHandshakeListener, IOpenSSLClientConnectionCreator, IReactorTime, ITCPTransport
from twisted.internet.protocol import Protocol, connectionDone
from twisted.python.failure import Failure
from zope.interface import implementer

from seg.common.deadline import Deadline
from seg.common.threads import InThread
from seg.config.schema import Delivery
from seg.deliver.connection_errors import HandshakeFailed, fault_of, lost, reason_of, timed_out
from seg.deliver.content_producer import ContentProducer
from seg.deliver.debug_peers import DialogueLog
from seg.mail.errors import LocalFault, Temporary
from seg.mail.status import status_text
from seg.smtp.client import ClientConnection
from seg.smtp.client_auth import ChallengeError
from seg.smtp.client_events import ClientEvent, ContentWanted, Ended, ResponseWanted, TLSAgreed
from seg.smtp.reply import Phase
from seg.tls.peer import SessionFacts

CLOSE_TIMEOUT = 5.0  # seconds for the reply to QUIT, and again for the peer to close


@attrs.frozen
class HandshakeDone:
    """TLS is up; nothing was sent in it."""


Happening = ClientEvent | HandshakeDone  # what ends an operation


@implementer(IHandshakeListener)
class SMTPConnection(Protocol):
    """One connection. One operation at a time; each ends within its time-out."""

    transport: Any  # of TCP, with startTLS; its getHandle() gives the OpenSSL connection once TLS is up

    def __init__(
        self,
        dcid: int,
        hostname: str,
        settings: Delivery,
        clock: IReactorTime,
        lmtp: bool = False,
        in_thread: InThread = maybeDeferred,
    ) -> None:
        """:param in_thread: where what a server makes us compute is computed."""
        self.dcid = dcid
        self.facts = SessionFacts()  # what was achieved on this connection
        self.transactions = 0  # begun on this connection
        self._core = ClientConnection(hostname, lmtp, settings.chunking)
        self.bdat = self._core.bdat  # whether the server knows BDAT
        self._settings = settings
        self._in_thread = in_thread
        self._waiter: Deferred[Happening] | None = None  # of the operation under way
        self._creator: IOpenSSLClientConnectionCreator | None = None
        self._handshaking = False
        self._dot_written = False  # by the transaction under way
        self._payload: bytes | None = None  # content that is ready to go out whole
        self._flow: ContentProducer | None = None  # content that goes out in pieces
        self._replies = 0  # taken when the deadline was last set
        self._deadline = Deadline(clock, self._expired)
        self.tap: DialogueLog | None = None  # hears the dialogue
        self._closing = False
        self._closed = False
        self._gone = False  # closed, and everybody was told
        self._on_greeted: Callable[[], object] | None = None
        self._on_closed: list[Callable[[Any], object]] = []

    # --- what others see -------------------------------------------------------------------------

    @property
    def closed(self) -> bool:
        """Whether the connection is gone."""
        return self._closed

    @property
    def leaving(self) -> bool:
        """Whether the connection is on its way out, and gone within seconds."""
        return (self._closing or self._closed) and not self._gone

    @property
    def waiting_since(self) -> float:
        """When the reply that the server owes was asked for, on the sender's clock."""
        return self._deadline.since

    @property
    def content_under_way(self) -> bool:
        """Whether content goes out, or has gone out and its reply is due."""
        return self._flow is not None or self.behind_dot

    @property
    def behind_dot(self) -> bool:
        """Whether all of the content has gone out, and its reply is due."""
        return self._dot_written and self._waiter is not None

    @property
    def greeted(self) -> bool:
        """Whether the server's greeting has come, and welcomed us."""
        return self._core.greeted

    def on_greeted(self, callback: Callable[[], object]) -> None:
        """Have `callback` called once when the server has greeted (at once when it has already)."""
        if self._core.greeted:
            callback()
        else:
            self._on_greeted = callback

    def give_up(self, error: Temporary) -> None:
        """Drop the connection at once for a reason of our own: it is what an operation under way fails with."""
        self._fail(error)

    async def gone(self) -> None:
        """Wait until the connection is gone."""
        gone: Deferred[None] = Deferred()
        self.on_closed(lambda _: gone.callback(None))
        await gone

    def on_closed(self, callback: Callable[[Any], object]) -> None:
        """Have `callback` called once when the connection is gone (at once when it is already)."""
        if self._gone:
            callback(self)
        else:
            self._on_closed.append(callback)

    async def quit(self) -> None:
        """Leave politely, within seconds; in the middle of an operation, at once."""
        if self._closed:
            return
        if self._core.awaiting is None and self._waiter is None and not self._core.closed:
            self._core.quit()
            self._closing = True
            self._flush()
            self._deadline.set(CLOSE_TIMEOUT)
        elif not self._core.closed:  # else it is on its way out already
            self.abort()
        await self.gone()

    def quit_soon(self) -> None:
        """`quit` for whoever doesn't wait for the end."""
        Deferred.fromCoroutine(self.quit())

    def abort(self) -> None:
        """Drop the connection at once; an operation under way fails with 4.4.2."""
        self._fail(Temporary("4.4.2", f"{status_text('4.4.2')}: given up"))

    # --- Twisted calls us ------------------------------------------------------------------------

    def connectionMade(self) -> None:
        """Small writes must not wait for the peer's acknowledgement."""
        if ITCPTransport.providedBy(self.transport):
            self.transport.setTcpNoDelay(True)

    def dataReceived(self, data: bytes) -> None:
        """Octets from the server."""
        if not self._closed:
            if self.tap is not None:
                self.tap.received(data, self._core.awaiting)
            self._handle(self._core.receive(data))

    def handshakeCompleted(self) -> None:
        """TLS is up."""
        if self.tap is not None:
            self.tap.note("(TLS from here on)")
        self._handshaking = False
        self._deadline.clear()
        self._fire(HandshakeDone())

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """The end: whoever waits hears of it."""
        if self._closed:
            return
        self._closed = True
        self._handle(self._core.fail(lost(reason.value or ConnectionDone(), self._core.awaiting, self._handshaking)))
        self._deadline.stop()
        # Whoever has just heard of it may wait for its place already (`gone`).
        self._gone = True
        callbacks, self._on_closed = self._on_closed, []
        for callback in callbacks:
            callback(self)

    # --- inside ----------------------------------------------------------------------------------

    async def _operation(self, begin: Callable[[], None]) -> Happening:
        """Begin an operation and wait for the event that ends it."""
        if self._core.ended is not None:
            raise fault_of(self._core.ended)
        begin()
        try:
            event = await self._started()
        except BaseException:  # cancelled: the server's answer would be taken for the next command's
            self._waiter = None
            self.abort()
            raise
        if isinstance(event, Ended):
            error = fault_of(event.error)
            if error is event.error:
                raise error
            raise error from event.error
        return event

    def _started(self) -> Deferred[Happening]:
        """Send what the operation has to say; fires with its next event."""
        waiter: Deferred[Happening] = Deferred()
        self._waiter = waiter
        self._flush()
        self._await_reply()
        return waiter

    def _content_written(self) -> None:
        self._dot_written = True
        if self.tap is not None:
            self.tap.note("(the message)")
        self._core.content_sent()
        self._await_reply()

    def _handle(self, events: Iterable[ClientEvent], abort: bool = False) -> None:
        """Act on what the core made of some octets."""
        self._flush()
        if self._on_greeted is not None and self._core.greeted:
            callback, self._on_greeted = self._on_greeted, None
            callback()
        for event in events:
            kind = type(event)
            if kind is ContentWanted and self._payload is not None:
                self._write(self._payload[self.bdat.begun :])
                self._content_written()
            elif kind is TLSAgreed:
                self._begin_handshake()
            elif isinstance(event, ResponseWanted):
                self._in_thread(event.compute).addCallbacks(self._respond, self._not_computed)
            elif kind is Ended:
                self._hang_up(abort)
                self._fire(event)
            else:
                self._fire(event)
        if self._replies != self._core.replies and not self._closing:
            self._await_reply()

    def _respond(self, response: bytes | ChallengeError) -> None:
        """What answers a challenge of AUTH is computed."""
        self._core.respond(response)
        self._flush()
        if not self._closing:
            self._await_reply()

    def _not_computed(self, failure: Failure) -> None:
        self._fail(
            Temporary("4.3.0", f"The answer to the server's challenge can't be computed: {failure.getErrorMessage()}")
        )

    def _fire(self, event: Happening) -> None:
        waiter, self._waiter = self._waiter, None
        if waiter is not None:
            waiter.callback(event)

    def _begin_handshake(self) -> None:
        """Switch to TLS within the call that brought the 220, so that no octet can come between."""
        self._handshaking = True
        creator, self._creator = self._creator, None
        assert creator is not None
        try:
            self.transport.startTLS(creator)
        except Exception as error:  # noqa: BLE001
            # Whatever the creator raises ends this connection and no other. It is ours, so that it is a fault of ours.
            fault = HandshakeFailed("4.7.5", f"TLS can't be started: {reason_of(error)}")
            fault.__cause__ = LocalFault(fault.text)
            self._fail(fault)

    def _flush(self) -> None:
        data = self._core.data_to_send()
        if data:
            if self.tap is not None:
                self.tap.echoes = self._core.echoes
                self.tap.sent(data, self._core.awaiting)
            self._write(data)

    def _write(self, data: bytes) -> None:
        self.transport.write(data)

    def _await_reply(self) -> None:
        """Give the server its time for what is due from it (RFC 5321 §4.5.3.2)."""
        self._replies = self._core.replies
        phase, settings = self._core.awaiting, self._settings
        if self._handshaking:
            self._deadline.set(settings.tls_timeout)
        elif phase is None:
            self._deadline.clear()
        elif phase is Phase.GREETING:
            self._deadline.set(settings.greeting_timeout)
        elif phase is Phase.CONTENT and self._flow is None:
            self._deadline.set(settings.data_timeout)
        else:
            self._deadline.set(settings.command_timeout)

    def _expired(self) -> None:
        if self._closing:
            self.transport.abortConnection()
        else:
            self._fail(timed_out(self._core.awaiting, self._handshaking))

    def _fail(self, error: Temporary) -> None:
        """Drop the connection for a reason of our own."""
        self._handle(self._core.fail(error), abort=True)
        self._hang_up(abort=True)

    def _hang_up(self, abort: bool = False) -> None:
        """Close, within seconds even if the server doesn't cooperate; half-sent content leaves no time for
        that."""
        self._closing = True
        if not self._closed and (abort or self._flow is not None):
            self.transport.abortConnection()
        elif not self._closed:
            self.transport.loseConnection()
            self._deadline.set(CLOSE_TIMEOUT)
        if self._flow is not None:
            self._flow.stopProducing()
