"""SMTP towards one server: `seg.smtp.client` on a Twisted transport, with time-outs, TLS and
back-pressure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import attrs
from OpenSSL import SSL
from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import (
    IAddress,
    IHandshakeListener,
    IOpenSSLClientConnectionCreator,
    IReactorTime,
    ITCPTransport,
)
from twisted.internet.protocol import ClientFactory, Protocol, connectionDone
from twisted.python.failure import Failure
from zope.interface import implementer

from seg.common.deadline import Deadline
from seg.common.threads import InThread
from seg.config.schema import Delivery
from seg.deliver.body import SMALL as SMALL
from seg.deliver.body import body_for
from seg.deliver.connection_errors import HandshakeFailed as HandshakeFailed
from seg.deliver.connection_errors import StartTLSRefused as StartTLSRefused
from seg.deliver.connection_errors import Tampered as Tampered
from seg.deliver.connection_errors import fault_of, lost, reason_of, timed_out, unreadable
from seg.deliver.content_producer import ContentProducer
from seg.deliver.debug_peers import DialogueLog
from seg.mail.envelope import Envelope, Recipient
from seg.mail.errors import LocalFault, Permanent, Temporary
from seg.mail.ids import IMessageIds
from seg.mail.outcome import Bounced, Delayed, Delivered, Outcome
from seg.mail.status import status_text
from seg.queue.interfaces import IContent
from seg.smtp.bdat_trial import BdatTrial
from seg.smtp.client import ClientConnection
from seg.smtp.client_auth import ChallengeError, ClientMechanism
from seg.smtp.client_capabilities import Capabilities
from seg.smtp.client_events import (
    AuthRefused,
    ClientEvent,
    ContentWanted,
    Ended,
    ResponseWanted,
    Result,
    TLSAgreed,
    TLSRefused,
    TransactionDone,
)
from seg.smtp.dot_stuffing import ContentEncoder
from seg.smtp.reply import Phase, Reply, ReplyError
from seg.tls.peer import SessionFacts

CLOSE_TIMEOUT = 5.0  # seconds for the reply to QUIT, and again for the peer to close


@attrs.frozen
class _HandshakeDone:
    """TLS is up; nothing was sent in it."""


@implementer(IHandshakeListener)
class SMTPClientProtocol(Protocol):
    """One connection to a server. One operation at a time; each ends within its time-out.

    Order: `hello`, perhaps `start_tls` and `hello` again, any number of `send`, then `quit`.
    """

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
        self._settings = settings
        self._in_thread = in_thread
        self._waiter: Deferred[ClientEvent | _HandshakeDone] | None = None  # of the operation under way
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
        self._on_closed: list[Callable[[SMTPClientProtocol], None]] = []

    # --- what others see -------------------------------------------------------------------------

    @property
    def capabilities(self) -> Capabilities:
        """What the last EHLO offered; nothing before it."""
        return self._core.capabilities or Capabilities()

    @property
    def healthy(self) -> bool:
        """Whether another transaction may begin: open, idle, and in step with the server."""
        return self._core.ready and self._waiter is None and not self._closing and not self._closed

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

    def tls_failed(self) -> None:
        """TLS failed on a connection before, which is why this one is in clear text."""
        self._core.tls_failed = True

    @property
    def bdat(self) -> BdatTrial:
        """Whether the server knows BDAT."""
        return self._core.bdat

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

    def on_closed(self, callback: Callable[[SMTPClientProtocol], None]) -> None:
        """Have `callback` called once when the connection is gone (at once when it is already)."""
        if self._gone:
            callback(self)
        else:
            self._on_closed.append(callback)

    async def hello(self) -> Capabilities:
        """Take the greeting if it wasn't yet, send EHLO (or HELO), and learn what the server offers.

        :raises Temporary: the server refuses, breaks the protocol, or doesn't answer; the connection is
        closed.
        """
        await self._operation(self._core.hello)
        if not self.facts.tls:
            self.facts = attrs.evolve(self.facts, starttls_offered=self.capabilities.starttls)
        return self.capabilities

    async def start_tls(
        self,
        creator: IOpenSSLClientConnectionCreator,
        facts_of: Callable[[SSL.Connection], SessionFacts],
    ) -> SessionFacts:
        """Send STARTTLS and make the handshake. Nothing is sent inside TLS before the next `hello`.

        :param facts_of: reads what was achieved from the connection, right after the handshake.
        :raises StartTLSRefused: any reply but 220; the session goes on in clear text.
        :raises Tampered: text behind the 220, or before the command; the connection is closed, and the message is to wait.
        :raises HandshakeFailed: everything else behind the 220; the connection is closed.
        :raises Temporary: 421, no reply, or lost before the 220; the connection is closed.
        """
        self._creator = creator
        event = await self._operation(self._core.starttls)
        if isinstance(event, TLSRefused):
            refused = event.error
            self.facts = attrs.evolve(self.facts, failure=f"STARTTLS refused: {' '.join(refused.remote)}")
            raise StartTLSRefused(refused.enhanced, refused.text, refused.code, refused.remote)
        return self._achieved(facts_of)

    async def secure(
        self,
        creator: IOpenSSLClientConnectionCreator,
        facts_of: Callable[[SSL.Connection], SessionFacts],
    ) -> SessionFacts:
        """Make the handshake before anything else: TLS from the first octet (RFC 8314 §3.3). Then `hello`.

        :param facts_of: as for `start_tls`.
        :raises HandshakeFailed: it failed; the connection is closed.
        """
        self._creator = creator
        event = await self._operation(self._begin_handshake)
        assert isinstance(event, _HandshakeDone)  # nothing else was begun
        return self._achieved(facts_of)

    async def authenticate(self, mechanism: ClientMechanism) -> None:
        """AUTH.

        :raises Temporary: the server refuses, or doesn't know the password itself.
        """
        event = await self._operation(lambda: self._core.auth(mechanism))
        if isinstance(event, AuthRefused):
            raise event.error

    def _achieved(self, facts_of: Callable[[SSL.Connection], SessionFacts]) -> SessionFacts:
        """What the handshake that is done achieved."""
        try:
            self.facts = facts_of(self.transport.getHandle())
        except (SSL.Error, ValueError) as error:
            fault = HandshakeFailed("4.7.5", f"TLS session can't be read: {reason_of(error)}")
            self._fail(fault)
            raise fault from error
        except BaseException:
            self.abort()
            raise
        return self.facts

    async def send(self, envelope: Envelope, recipients: Sequence[Recipient], content: IContent) -> dict[int, Outcome]:
        """One transaction; the outcome of each recipient by RID. Raises nothing but `CancelledError`."""
        try:
            body = await body_for(
                content, envelope.body, self.capabilities, self._settings.convert_8bit, self._in_thread
            )
            self.bdat.first = body.whole[:1] if body.whole else b""
            whole = None if body.whole is None else _encoded(body.whole, self._core.encoder(body.content.size))
        except OSError as error:
            return self._outcomes({r.rid: unreadable(error) for r in recipients})
        if not self.healthy:
            gone = self._core.ended or Temporary("4.4.2", status_text("4.4.2"))
            return {r.rid: Delayed(gone, self.dcid, anew=self.transactions > 0) for r in recipients}
        self._dot_written = False
        if envelope.body is not body.type:
            envelope = attrs.evolve(envelope, body=body.type)
        done = self._core.begin(envelope, recipients, body.content.size, body.unconvertible)
        if done is None:
            self.transactions += 1
            done = await self._transaction(body.content, whole)
        return self._outcomes(done.results)

    async def reset(self) -> None:
        """Send RSET. Look at `healthy` afterwards: a server that refuses it is left.

        :raises Temporary: the connection is closed.
        """
        await self._operation(self._core.reset)

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
        self._fire(_HandshakeDone())

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

    async def _operation(self, begin: Callable[[], None]) -> ClientEvent | _HandshakeDone:
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

    async def _transaction(self, content: IContent, whole: bytes | None) -> TransactionDone:
        """Go on with the transaction that has begun, to its end."""
        self._payload = whole
        try:
            event = await self._started()
            if isinstance(event, ContentWanted):
                waiter = self._waiter = Deferred()
                await self._stream(content)
                event = await waiter
        except BaseException:  # cancelled: see `_operation`
            self._waiter = None
            self.abort()
            raise
        finally:
            self._payload = None
        if not isinstance(event, TransactionDone):
            raise TypeError(f"a transaction can't end with {event!r}")
        return event

    def _started(self) -> Deferred[ClientEvent | _HandshakeDone]:
        """Send what the operation has to say; fires with its next event."""
        waiter: Deferred[ClientEvent | _HandshakeDone] = Deferred()
        self._waiter = waiter
        self._flush()
        self._await_reply()
        return waiter

    async def _stream(self, content: IContent) -> None:
        flow = self._flow = ContentProducer(self.transport, self._core.encoder(content.size))
        try:
            # RFC 5321 §4.5.3.2.5: each block of data has its own time.
            complete = await flow.run(content.chunks(), self._await_reply)
        except OSError as error:
            self._fail(unreadable(error))
            return
        finally:
            self._flow = None
        if complete:
            self._content_written()

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

    def _fire(self, event: ClientEvent | _HandshakeDone) -> None:
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

    def _outcomes(self, results: Mapping[int, Result]) -> dict[int, Outcome]:
        return {rid: self._outcome(result) for rid, result in results.items()}

    def _outcome(self, result: Result) -> Outcome:
        if isinstance(result, Reply):
            return Delivered(self.dcid, result.text, self.capabilities.dsn)
        if isinstance(result, Permanent):
            return Bounced(result, self.dcid)
        ended = result is self._core.ended
        if ended and self._core.anew is not None:
            return Delayed(result, self.dcid, anew=True)
        # Lost without a reply behind the final dot: the server may have taken the message (RFC 1047).
        in_doubt = self._dot_written and ended and not result.code
        return Delayed(result, self.dcid, in_doubt, seldom=in_doubt and isinstance(result, ReplyError))


class ESMTPSenderFactory(ClientFactory):
    """Builds an `SMTPClientProtocol`, with a DCID of its own, for each connection that is made."""

    noisy = False

    def __init__(
        self,
        hostname: str,
        settings: Delivery,
        clock: IReactorTime,
        counters: IMessageIds,
        lmtp: bool = False,
        in_thread: InThread = maybeDeferred,
    ) -> None:
        self._hostname = hostname
        self._lmtp = lmtp
        self._settings = settings
        self._clock = clock
        self._counters = counters
        self._in_thread = in_thread

    def called(self, hostname: str, lmtp: bool) -> ESMTPSenderFactory:
        """One like this for another name of ours ("" = the same), or for LMTP."""
        if not lmtp and hostname in ("", self._hostname):
            return self
        name = hostname or self._hostname
        return ESMTPSenderFactory(name, self._settings, self._clock, self._counters, lmtp, self._in_thread)

    def buildProtocol(self, addr: IAddress | None) -> SMTPClientProtocol:
        """A sender for a connection to `addr`."""
        dcid = self._counters.next_dcid()
        return SMTPClientProtocol(dcid, self._hostname, self._settings, self._clock, self._lmtp, self._in_thread)


def _encoded(content: bytes, encoder: ContentEncoder) -> bytes:
    """All of the content, ready to be sent.

    :raises OSError: it isn't as long as was said.
    """
    return encoder.feed(content) + encoder.finish()
