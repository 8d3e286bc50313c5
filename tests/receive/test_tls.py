"""STARTTLS with real sockets on loopback and real TLS."""

from __future__ import annotations

import datetime
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from OpenSSL import SSL
from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import TCP4ClientEndpoint, connectProtocol
from twisted.internet.interfaces import IOpenSSLClientConnectionCreator, IOpenSSLServerConnectionCreator
from twisted.internet.protocol import Protocol, connectionDone
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from twisted.trial.unittest import TestCase
from zope.interface import implementer

from seg.config.receive import ListenerSettings, ListenerTLS, Receive
from seg.events.receive import MessageStarted, ReceiveFailed, ReceiveTLSStarted
from seg.receive.binding import bind
from seg.receive.turns import ClientTurns
from tests.doubles import MemoryQueue, RecordingSink
from tests.receive.made_listener import made_listener

EHLO = b"EHLO client.test\r\n"
MESSAGE = b"MAIL FROM:<a@one.test>\r\nRCPT TO:<b@two.test>\r\nDATA\r\nSubject: x\r\n\r\n"


def server_context() -> SSL.Context:
    """A context with a certificate of its own making."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "mx.test")])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    context = SSL.Context(SSL.TLS_SERVER_METHOD)
    context.use_certificate(certificate)
    context.use_privatekey(key)
    return context


@implementer(IOpenSSLServerConnectionCreator)
class ServerTLS:
    """Makes the server's side of TLS connections."""

    def __init__(self) -> None:
        self.context = server_context()

    def serverConnectionForTLS(self, protocol: object) -> SSL.Connection:
        return SSL.Connection(self.context, None)


@implementer(IOpenSSLClientConnectionCreator)
class ClientTLS:
    """Makes the client's side; verifies nothing."""

    def clientConnectionForTLS(self, protocol: object) -> SSL.Connection:
        return SSL.Connection(SSL.Context(SSL.TLS_CLIENT_METHOD), None)


class Speaker(Protocol):
    """Collects what it hears; `until` waits for a text, `gone` for the end."""

    def __init__(self) -> None:
        self.heard = b""
        self.gone: Deferred[None] = Deferred()
        self._wanted = b""
        self._waiting: Deferred[bytes] | None = None

    def dataReceived(self, data: bytes) -> None:
        self.heard += data
        self._look()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self.gone.callback(None)

    async def ask(self, data: bytes, until: bytes) -> bytes:
        """Send, and wait for an answer that contains this text."""
        self._wanted, self._waiting = until, Deferred()
        waiting = self._waiting
        assert self.transport is not None
        self.transport.write(data)
        self._look()
        return await waiting

    def _look(self) -> None:
        if self._waiting is not None and self._wanted in self.heard:
            waiting, self._waiting = self._waiting, None
            heard, self.heard = self.heard, b""
            waiting.callback(heard)


class TLSTests(TestCase):
    """A listener with a certificate."""

    timeout = 20

    def setUp(self) -> None:
        self.clock = Clock()
        self.sink = RecordingSink()
        self.queue = MemoryQueue()
        listener = ListenerSettings(port=0, tls=ListenerTLS.STARTTLS)
        self.factory = made_listener(
            self.queue,
            self.clock,
            listener=listener,
            tls=ServerTLS(),
            sink=self.sink,
            turns=ClientTurns(reactor),  # type: ignore[arg-type]
        )
        self.port = self.factory.serve(reactor, bind(listener))  # type: ignore[arg-type]
        self.addCleanup(self.port.stopListening)

    async def connect(self) -> Any:
        """A client that has heard the greeting."""
        endpoint = TCP4ClientEndpoint(reactor, "127.0.0.1", self.port.getHost().port)
        client = await connectProtocol(endpoint, Speaker())
        await client.ask(b"", b"220 mx.test ESMTP\r\n")
        return client

    async def settle(self) -> None:
        """Wait until the server has no session left."""
        await self.factory.shutdown(0)

    async def test_message_inside_tls(self) -> None:
        """A large message inside TLS arrives whole, as ESMTPS, and protocol and cipher are told."""
        client = await self.connect()
        self.assertIn(b"250 STARTTLS\r\n", await client.ask(EHLO, b"250 STARTTLS\r\n"))
        await client.ask(b"STARTTLS\r\n", b"220 2.0.0 Ready to start TLS\r\n")
        client.transport.startTLS(ClientTLS())
        self.assertNotIn(b"STARTTLS", await client.ask(EHLO, b"250 REQUIRETLS\r\n"))
        body = b"".join(b"..%06d %s\r\n" % (i, b"x" * 60) for i in range(15000))
        await client.ask(MESSAGE + body + b".\r\n", b"250 2.0.0 Ok: queued as 1\r\n")
        await client.ask(b"QUIT\r\n", b"221 2.0.0 Goodbye\r\n")
        await client.gone
        await self.settle()
        content = self.queue.messages[1].content
        self.assertIn(b"with ESMTPS id 1\r\n", content)
        self.assertTrue(content.endswith(body.replace(b"\r\n..", b"\r\n.")[1:]))
        (started,) = self.sink.of(ReceiveTLSStarted)
        self.assertEqual(started.protocol, "TLSv1.3")
        self.assertIn("AES", started.cipher.replace("CHACHA20", "AES"))

    async def test_injected_commands(self) -> None:
        """A18: commands in STARTTLS's own segment end the connection, and none of them runs."""
        client = await self.connect()
        await client.ask(EHLO, b"250 STARTTLS\r\n")
        said = await client.ask(b"STARTTLS\r\n" + EHLO + MESSAGE + b".\r\n", b"\r\n")
        self.assertTrue(said.startswith(b"554 5.5.1 Commands behind STARTTLS"))
        await client.gone
        await self.settle()
        self.assertEqual(self.queue.messages, {})
        self.assertEqual(self.sink.of(MessageStarted), [])
        self.assertEqual(len(self.sink.of(ReceiveFailed)), 1)

    async def test_clear_text_instead_of_a_handshake(self) -> None:
        """Commands in clear text behind the 220 break the handshake; none of them runs."""
        client = await self.connect()
        await client.ask(EHLO, b"250 STARTTLS\r\n")
        await client.ask(b"STARTTLS\r\n", b"220 2.0.0 Ready to start TLS\r\n")
        client.transport.write(EHLO + MESSAGE + b".\r\n")
        await client.gone
        await self.settle()
        self.assertEqual(self.queue.messages, {})
        names = [type(event).__name__ for event in self.sink.events]
        self.assertEqual(names[-2:], ["ReceiveTLSFailed", "ConnectionClosed"])

    async def test_silent_handshake(self) -> None:
        """A client that never begins its handshake is cut off when its time is over."""
        client = await self.connect()
        await client.ask(EHLO, b"250 STARTTLS\r\n")
        await client.ask(b"STARTTLS\r\n", b"220 2.0.0 Ready to start TLS\r\n")
        self.clock.advance(Receive().command_timeout)
        await client.gone
        await self.settle()
        names = [type(event).__name__ for event in self.sink.events]
        self.assertEqual(names[-3:], ["ReceiveTimedOut", "ReceiveTLSFailed", "ConnectionClosed"])

    async def test_time_out_inside_tls(self) -> None:
        """The last word of a time-out comes through inside TLS."""
        client = await self.connect()
        await client.ask(EHLO, b"250 STARTTLS\r\n")
        await client.ask(b"STARTTLS\r\n", b"220 2.0.0 Ready to start TLS\r\n")
        client.transport.startTLS(ClientTLS())
        await client.ask(EHLO, b"250 REQUIRETLS\r\n")
        self.clock.advance(Receive().command_timeout)
        await client.gone
        self.assertEqual(client.heard, b"421 4.4.2 Timeout; closing connection\r\n")
        await self.settle()
