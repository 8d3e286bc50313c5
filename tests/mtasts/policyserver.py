"""A policy host on loopback that answers as told, and a proxy of the same kind: real TCP and TLS, port 0."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from OpenSSL import SSL
from twisted.internet import reactor
from twisted.internet.defer import maybeDeferred
from twisted.internet.interfaces import IOpenSSLServerConnectionCreator
from twisted.internet.protocol import ClientFactory, Factory, Protocol, connectionDone
from twisted.protocols.tls import TLSMemoryBIOFactory, TLSMemoryBIOProtocol
from twisted.python.failure import Failure
from zope.interface import implementer

from tests.certificates import Issued

TEXT = b"version: STSv1\r\nmode: enforce\r\nmx: mx.one.test\r\nmax_age: 604800\r\n"

Answer = Callable[["Served"], None]


def response(
    body: bytes = TEXT, status: str = "200 OK", media_type: str = "text/plain", fields: str = "", length: bool = True
) -> bytes:
    """An HTTP answer in one piece."""
    head = f"HTTP/1.1 {status}\r\n"
    head += f"Content-Type: {media_type}\r\n" if media_type else ""
    head += f"Content-Length: {len(body)}\r\n" if length else ""
    return (head + fields + "\r\n").encode("latin-1") + body


def say(data: bytes, close: bool = True) -> Answer:
    """Answer each request with these octets."""

    def answer(served: Served) -> None:
        served.transport.write(data)
        if close:
            served.transport.loseConnection()

    return answer


def context(issued: Issued) -> SSL.Context:
    """A server's context with this certificate."""
    made = SSL.Context(SSL.TLS_SERVER_METHOD)
    made.use_certificate(issued.certificate)
    for issuer in issued.issuers[:-1]:
        made.add_extra_chain_cert(issuer)
    made.use_privatekey(issued.key)
    return made


@implementer(IOpenSSLServerConnectionCreator)
class _Creator:
    def __init__(self, context: SSL.Context) -> None:
        self._context = context

    def serverConnectionForTLS(self, tlsProtocol: TLSMemoryBIOProtocol) -> SSL.Connection:
        return SSL.Connection(self._context, None)


class Served(Protocol):
    """One connection of a client: the request arrives, the answer is given."""

    transport: Any

    def __init__(self, server: LoopbackServer) -> None:
        self._server = server
        self.received = b""
        self.sent = 0

    def connectionMade(self) -> None:
        """Count."""
        self._server.open.add(self)
        self._server.connections += 1

    def dataReceived(self, data: bytes) -> None:
        """A request is complete with its empty line."""
        self.received += data
        if self._server.at_once or self.received.endswith(b"\r\n\r\n"):
            self._server.requests.append(self.received)
            self.received = b""
            self._server.answer(self)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """The client is gone."""
        self._server.open.discard(self)
        if not self._server.open:
            waiting, self._server.waiting = self._server.waiting, []
            for tell in waiting:
                tell()


class LoopbackServer:
    """Listens on loopback, with TLS or without; keeps the requests it got."""

    def __init__(
        self,
        answer: Answer,
        tls: SSL.Context | None = None,
        address: str = "127.0.0.1",
        port: int = 0,
        at_once: bool = False,
    ) -> None:
        self.answer = answer
        self.at_once = at_once  # don't wait for the end of a request
        self.requests: list[bytes] = []
        self.connections = 0
        self.open: set[Served] = set()
        self.waiting: list[Callable[[], None]] = []
        factory: Any = Factory.forProtocol(lambda: Served(self))
        factory.noisy = False
        if tls is not None:
            factory = TLSMemoryBIOFactory(_Creator(tls), False, factory)
            factory.noisy = False
        self._listening: Any = reactor.listenTCP(port, factory, interface=address)  # type: ignore[attr-defined]
        self.port: int = self._listening.getHost().port

    async def stop(self) -> None:
        """Close everything."""
        for served in tuple(self.open):
            served.transport.abortConnection()
        await maybeDeferred(self._listening.stopListening)


def tunnel_to(
    port: int, greeting: bytes = b"HTTP/1.1 200 Connection established\r\n\r\n", first: bytes = b""
) -> Answer:
    """What a proxy does: connect to a port of loopback, whatever name was asked for, and pass octets on.

    :param first: what is passed on before anything else.
    """

    def answer(served: Served) -> None:
        class Upstream(Protocol):
            transport: Any

            def connectionMade(self) -> None:
                served.dataReceived = self.transport.write  # type: ignore[method-assign]
                served.transport.write(greeting)
                self.transport.write(first)

            def dataReceived(self, data: bytes) -> None:
                served.transport.write(data)

            def connectionLost(self, reason: Failure = connectionDone) -> None:
                served.transport.loseConnection()

        factory = ClientFactory.forProtocol(Upstream)
        factory.noisy = False
        reactor.connectTCP("127.0.0.1", port, factory)  # type: ignore[attr-defined]

    return answer
