"""`SMTPClientProtocol` over real sockets and real TLS."""

from __future__ import annotations

import datetime
from ipaddress import ip_address

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from OpenSSL import SSL
from twisted.internet import reactor as global_reactor
from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import (
    IOpenSSLClientConnectionCreator,
    IOpenSSLServerConnectionCreator,
)
from twisted.internet.protocol import Factory, Protocol
from twisted.protocols.tls import TLSMemoryBIOProtocol
from twisted.python.failure import Failure
from twisted.trial.unittest import TestCase
from zope.interface import implementer
from zope.interface.verify import verifyObject

from seg.config.schema import Delivery
from seg.deliver.connect import Connector
from seg.deliver.interfaces import IConnector
from seg.deliver.sender_factory import ESMTPSenderFactory
from seg.deliver.smtp_client import HandshakeFailed, SMTPClientProtocol, StartTLSRefused, Tampered
from seg.mail.envelope import Envelope, Recipient
from seg.mail.outcome import Delivered
from seg.tls.peer import SessionFacts
from tests.doubles import CountingCounters, MemoryContent

TWO = (Recipient(0, "a@to.test"), Recipient(1, "b@to.test"))
ENVELOPE = Envelope(1, "s@from.test", TWO, arrived=0.0)
SETTINGS = Delivery(greeting_timeout=10.0, command_timeout=20.0, data_timeout=40.0, tls_timeout=5.0, source_address="")
PIPELINING = b"250-mx.test\r\n250-PIPELINING\r\n250 STARTTLS\r\n"


def server_context(minimum: int, maximum: int) -> SSL.Context:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "mx.test")])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    context = SSL.Context(SSL.TLS_SERVER_METHOD)
    context.set_min_proto_version(minimum)
    context.set_max_proto_version(maximum)
    context.use_privatekey(key)
    context.use_certificate(certificate)
    return context


@implementer(IOpenSSLServerConnectionCreator)
class ServerTLS:
    def __init__(self, minimum: int = SSL.TLS1_2_VERSION, maximum: int = SSL.TLS1_3_VERSION) -> None:
        self._context = server_context(minimum, maximum)

    def serverConnectionForTLS(self, protocol: TLSMemoryBIOProtocol) -> SSL.Connection:
        return SSL.Connection(self._context, None)


@implementer(IOpenSSLClientConnectionCreator)
class ClientTLS:
    def __init__(self, maximum: int = SSL.TLS1_3_VERSION) -> None:
        self._maximum = maximum

    def clientConnectionForTLS(self, protocol: TLSMemoryBIOProtocol) -> SSL.Connection:
        context = SSL.Context(SSL.TLS_CLIENT_METHOD)
        context.set_min_proto_version(SSL.TLS1_2_VERSION)
        context.set_max_proto_version(self._maximum)
        return SSL.Connection(context, None)


class Server(Protocol):
    """A small receiving server that keeps what it got; it shares no code with the client."""

    factory: ServerFactory

    def connectionMade(self) -> None:
        self.buffer = b""
        self.in_data = False
        self.tls = False
        self.transport.write(b"220 mx.test\r\n")  # type: ignore[union-attr]

    def dataReceived(self, data: bytes) -> None:
        self.buffer += data
        while True:
            if self.in_data:
                end = self.buffer.find(b"\r\n.\r\n")
                if end < 0:
                    return
                self.factory.contents.append((self.tls, self.buffer[: end + 2]))
                self.buffer = self.buffer[end + 5 :]
                self.in_data = False
                self.transport.write(b"250 2.0.0 taken\r\n")  # type: ignore[union-attr]
            line, found, rest = self.buffer.partition(b"\r\n")
            if not found:
                return
            self.buffer = rest
            self.command(line)

    def command(self, line: bytes) -> None:
        self.factory.commands.append(line)
        verb = line[:4].upper()
        if verb == b"EHLO":
            reply = b"250-mx.test\r\n250-PIPELINING\r\n" + (b"" if self.tls else b"250-starttls\r\n") + b"250 SIZE\r\n"
        elif verb == b"STAR":
            reply = self.factory.starttls_reply
        elif verb == b"DATA":
            self.in_data = True
            reply = b"354 go\r\n"
        elif verb == b"QUIT":
            reply = b"221 bye\r\n"
        else:
            reply = b"250 ok\r\n"
        self.transport.write(reply)  # type: ignore[union-attr]
        if verb == b"STAR" and self.factory.tls is not None:
            self.tls = True
            self.transport.startTLS(self.factory.tls)  # type: ignore[union-attr]
        if verb == b"QUIT":
            self.transport.loseConnection()  # type: ignore[union-attr]

    def connectionLost(self, reason: Failure = Failure(ConnectionDone())) -> None:  # noqa: B008
        self.factory.lost.callback(None)


class ServerFactory(Factory):
    protocol = Server
    noisy = False

    def __init__(self, tls: ServerTLS | None, starttls_reply: bytes = b"220 go\r\n") -> None:
        self.tls = tls
        self.starttls_reply = starttls_reply
        self.commands: list[bytes] = []
        self.contents: list[tuple[bool, bytes]] = []
        self.lost: Deferred[None] = Deferred()


def facts_of(connection: SSL.Connection) -> SessionFacts:
    return SessionFacts(tls=True, version=connection.get_protocol_version_name(), starttls_offered=True)


class SocketTests(TestCase):
    """On loopback."""

    timeout = 20

    async def sender_to(self, server: ServerFactory) -> SMTPClientProtocol:
        port = global_reactor.listenTCP(0, server, interface="127.0.0.1")  # type: ignore[attr-defined]
        self.addCleanup(port.stopListening)
        connector = Connector(global_reactor)
        self.assertTrue(verifyObject(IConnector, connector))
        # type: ignore[arg-type]
        factory = ESMTPSenderFactory("seg.test", SETTINGS, global_reactor, CountingCounters())
        address = ip_address("127.0.0.1")
        sender = await connector.connect(factory, address, port.getHost().port, "127.0.0.1", 5.0)
        assert isinstance(sender, SMTPClientProtocol)

        async def leave() -> None:
            await sender.quit()
            await server.lost

        self.addCleanup(lambda: Deferred.fromCoroutine(leave()))
        return sender

    def test_tls(self) -> Deferred[None]:
        """STARTTLS, then small content and 3 MB, arrive inside TLS 1.3 unaltered."""

        async def go() -> None:
            server = ServerFactory(ServerTLS())
            sender = await self.sender_to(server)
            self.assertTrue((await sender.hello()).starttls)
            facts = await sender.start_tls(ClientTLS(), facts_of)
            self.assertEqual(facts.version, "TLSv1.3")
            self.assertEqual(server.commands, [b"EHLO seg.test", b"STARTTLS"])
            self.assertFalse((await sender.hello()).starttls)
            large = (b"y" * 70 + b"\r\n") * 42000
            for content in (b"small\r\n", large, b"after\r\n"):
                outcomes = await sender.send(ENVELOPE, TWO, MemoryContent(content))
                self.assertEqual(set(outcomes.values()), {Delivered(1, "2.0.0 taken")})
                self.assertEqual(server.contents.pop(), (True, content))
            self.assertTrue(sender.healthy)
            await sender.quit()
            self.assertEqual(server.commands[-1], b"QUIT")

        return Deferred.fromCoroutine(go())

    def test_clear(self) -> Deferred[None]:
        """In clear text too, with back-pressure from a real socket."""

        async def go() -> None:
            server = ServerFactory(None, b"454 no\r\n")
            sender = await self.sender_to(server)
            await sender.hello()
            with self.assertRaises(StartTLSRefused):
                await sender.start_tls(ClientTLS(), facts_of)
            large = (b"y" * 70 + b"\r\n") * 42000
            outcomes = await sender.send(ENVELOPE, TWO, MemoryContent(large))
            self.assertEqual(set(outcomes.values()), {Delivered(1, "2.0.0 taken")})
            self.assertEqual(server.contents, [(False, large)])

        return Deferred.fromCoroutine(go())

    def fails_handshake(self, server: ServerFactory, words: str, client: ClientTLS | None = None) -> Deferred[None]:
        async def go() -> None:
            sender = await self.sender_to(server)
            await sender.hello()
            with self.assertRaises(HandshakeFailed) as caught:
                await sender.start_tls(client or ClientTLS(), facts_of)
            self.assertIn(words, caught.exception.text)
            self.assertFalse(sender.healthy)

        return Deferred.fromCoroutine(go())

    def test_no_common_version(self) -> Deferred[None]:
        """A server that speaks none of our versions fails the handshake, with its alert."""
        server = ServerFactory(ServerTLS(minimum=SSL.TLS1_3_VERSION))
        return self.fails_handshake(server, "alert protocol version", ClientTLS(maximum=SSL.TLS1_2_VERSION))

    def test_alert_at_once(self) -> Deferred[None]:
        """A14: a server whose TLS fails by itself, with an alert right behind the 220, is a failed
        handshake."""
        return self.fails_handshake(ServerFactory(ServerTLS(SSL.TLS1_VERSION, SSL.TLS1_1_VERSION)), "")

    def test_garbage_for_a_handshake(self) -> Deferred[None]:
        """A server that answers the ClientHello in clear text fails the handshake."""
        return self.fails_handshake(GarbageFactory(), "wrong version number")

    def test_injection(self) -> Deferred[None]:
        """Plaintext sent with the 220 in one segment never becomes the first reply inside TLS."""

        async def go() -> None:
            server = ServerFactory(ServerTLS(), b"220 go\r\n250-evil.test\r\n250 PIPELINING\r\n")
            sender = await self.sender_to(server)
            await sender.hello()
            with self.assertRaises(Tampered) as caught:
                await sender.start_tls(ClientTLS(), facts_of)
            self.assertEqual(caught.exception.enhanced, "4.7.0")
            self.assertFalse(sender.healthy)

        return Deferred.fromCoroutine(go())


class GarbageServer(Server):
    def dataReceived(self, data: bytes) -> None:
        if data.startswith(b"\x16"):
            self.transport.write(b"500 what was that?\r\n")  # type: ignore[union-attr]
        else:
            super().dataReceived(data)


class GarbageFactory(ServerFactory):
    protocol = GarbageServer

    def __init__(self) -> None:
        super().__init__(None)
