"""SMTP towards one server: what can be done on a connection, in order, and what becomes of each recipient."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import attrs
from OpenSSL import SSL
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IOpenSSLClientConnectionCreator

from seg.deliver.body import SMALL as SMALL
from seg.deliver.body import body_for
from seg.deliver.connection_errors import HandshakeFailed as HandshakeFailed
from seg.deliver.connection_errors import StartTLSRefused as StartTLSRefused
from seg.deliver.connection_errors import Tampered as Tampered
from seg.deliver.connection_errors import reason_of, unreadable
from seg.deliver.content_producer import ContentProducer
from seg.deliver.smtp_connection import CLOSE_TIMEOUT as CLOSE_TIMEOUT
from seg.deliver.smtp_connection import HandshakeDone, SMTPConnection
from seg.mail.envelope import Envelope, Recipient
from seg.mail.errors import Permanent, Temporary
from seg.mail.outcome import Bounced, Delayed, Delivered, Outcome
from seg.mail.status import status_text
from seg.queue.interfaces import IContent
from seg.smtp.client_auth import ClientMechanism
from seg.smtp.client_capabilities import Capabilities
from seg.smtp.client_events import AuthRefused, ContentWanted, Result, TLSRefused, TransactionDone
from seg.smtp.dot_stuffing import ContentEncoder
from seg.smtp.reply import Reply, ReplyError
from seg.tls.peer import SessionFacts


class SMTPClientProtocol(SMTPConnection):
    """One connection to a server, and what can be done on it.

    Order: `hello`, perhaps `start_tls` and `hello` again, any number of `send`, then `quit`.
    """

    capabilities = Capabilities()  # what the last EHLO offered; nothing before it, and again after STARTTLS

    @property
    def healthy(self) -> bool:
        """Whether another transaction may begin: open, idle, and in step with the server."""
        return self._core.ready and self._waiter is None and not self._closing and not self._closed

    def tls_failed(self) -> None:
        """TLS failed on a connection before, which is why this one is in clear text."""
        self._core.tls_failed = True

    async def hello(self) -> Capabilities:
        """Take the greeting if it wasn't yet, send EHLO (or HELO), and learn what the server offers.

        :raises Temporary: the server refuses, breaks the protocol, or doesn't answer; the connection is
        closed.
        """
        await self._operation(self._core.hello)
        self.capabilities = self._core.capabilities or Capabilities()
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
        assert isinstance(event, HandshakeDone)  # nothing else was begun
        return self._achieved(facts_of)

    async def authenticate(self, mechanism: ClientMechanism) -> None:
        """AUTH.

        :raises Temporary: the server refuses, or doesn't know the password itself.
        """
        event = await self._operation(lambda: self._core.auth(mechanism))
        if isinstance(event, AuthRefused):
            raise event.error

    def _achieved(self, facts_of: Callable[[SSL.Connection], SessionFacts]) -> SessionFacts:
        """What the handshake that is done achieved; what was offered before it counts no more (RFC 3207 §4.2)."""
        self.capabilities = Capabilities()
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

    # --- a transaction ---------------------------------------------------------------------------

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


def _encoded(content: bytes, encoder: ContentEncoder) -> bytes:
    """All of the content, ready to be sent.

    :raises OSError: it isn't as long as was said.
    """
    return encoder.feed(content) + encoder.finish()
