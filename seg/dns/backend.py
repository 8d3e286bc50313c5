"""dnspython's asynchronous backend on a Twisted reactor: sockets are transports, waits are Deferreds.

Time-outs run on the reactor's clock. Cancelling the Deferred of a coroutine that waits here raises
`CancelledError` in it and closes its socket, so that whoever asks can bound a question from outside.
"""

from __future__ import annotations

import contextlib
import os
import socket
from collections import deque
from collections.abc import Awaitable
from typing import Any, Generic, TypeVar

import dns.asyncbackend
import dns.exception
import dns.inet
from twisted.internet import error
from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.endpoints import TCP4ClientEndpoint, TCP6ClientEndpoint, connectProtocol
from twisted.internet.interfaces import IReactorFDSet, IReactorTime, IReadDescriptor
from twisted.internet.protocol import Protocol, connectionDone
from twisted.python.failure import Failure
from zope.interface import implementer

from seg.common.spread import SpreadCalls

T = TypeVar("T")
M = TypeVar("M")

MAX_DATAGRAM = 65535  # octets
MAX_DATAGRAMS = 32  # that wait unread in one socket; what comes above that is dropped, as the kernel would
CONNECT_TIMEOUT = 30.0  # seconds, where the caller names no time-out of its own


def _timed(waiting: Deferred[T], timeout: float | None, clock: IReactorTime) -> Deferred[T]:
    """`waiting`, but failed with dnspython's own time-out after `timeout` seconds (None: never)."""

    def expire(result: object, seconds: float) -> Any:
        return Failure(dns.exception.Timeout(timeout=seconds))

    return waiting if timeout is None else waiting.addTimeout(max(timeout, 0), clock, onTimeoutCancel=expire)


class _ReceiveQueue(Generic[M]):
    """Values on their way to one reader, in order."""

    def __init__(self) -> None:
        self._values: deque[M | Failure] = deque()
        self._reader: Deferred[M] | None = None

    def __len__(self) -> int:
        return len(self._values)

    def put(self, value: M | Failure) -> None:
        """Hand over a value, or a failure that the reader gets as exception."""
        reader, self._reader = self._reader, None
        if reader is not None:
            reader.callback(value)  # a Failure takes the errback path
        else:
            self._values.append(value)

    def get(self) -> Deferred[M]:
        """The next value."""
        if self._values:
            value = self._values.popleft()
            return fail(value) if isinstance(value, Failure) else succeed(value)
        self._reader = Deferred(self._forget)
        return self._reader

    def _forget(self, cancelled: Deferred[M]) -> None:
        self._reader = None


@implementer(IReadDescriptor)
class _Datagrams:
    """A connected socket, read when the reactor says so.

    Not `listenUDP`, whose port writes a line to the process log whenever it is closed: once for each question
    here.
    """

    def __init__(self, reactor: IReactorFDSet, connected: socket.socket, spread: SpreadCalls) -> None:
        self.mailbox: _ReceiveQueue[bytes] = _ReceiveQueue()
        self._spread = spread
        self._waits = False  # to be read
        self._reactor = reactor
        self._socket = connected
        reactor.addReader(self)

    def fileno(self) -> int:
        """The socket, for the reactor."""
        return self._socket.fileno()

    def logPrefix(self) -> str:
        """Name in the reactor's complaints."""
        return "DNS"

    def doRead(self) -> None:
        """Have it read when its turn comes: the resolver's answers to many questions may come all at once."""
        if not self._waits:
            self._waits = True
            self._spread.call(self._receive)

    def _receive(self) -> None:
        """Keep one datagram, or the network's word that nobody listens there (ICMP port unreachable)."""
        self._waits = False
        if self._socket.fileno() == -1:
            return  # closed meanwhile
        try:
            value: bytes | Failure = self._socket.recv(MAX_DATAGRAM)
        except BlockingIOError:
            return
        except OSError as e:
            value = Failure(e)
        if len(self.mailbox) < MAX_DATAGRAMS:
            self.mailbox.put(value)

    def connectionLost(self, reason: Failure) -> None:
        """The reactor saw an error on the socket; the system knows which."""
        number = self._socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        self.mailbox.put(Failure(OSError(number, os.strerror(number))) if number else reason)

    def close(self) -> None:
        """Stop reading and give the port back. Harmless when repeated."""
        if self._socket.fileno() != -1:
            self._reactor.removeReader(self)
            self._socket.close()


class DNSSocket(dns.asyncbackend.DatagramSocket):  # type: ignore[name-defined]
    """A connected UDP socket: the kernel chose a random port, and keeps out datagrams from anybody but the
    peer."""

    def __init__(
        self, reactor: object, family: int, source: tuple[str, int] | None, peer: tuple[str, int], spread: SpreadCalls
    ) -> None:
        super().__init__(family, socket.SOCK_DGRAM)
        self._clock = IReactorTime(reactor)
        # dnspython compares senders in the form of the system's own address tuples (four members for IPv6).
        self._peer = dns.inet.low_level_address_tuple(peer, family)
        self._socket = socket.socket(family, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
        try:
            if source is not None:
                self._socket.bind(dns.inet.low_level_address_tuple(source, family))
            self._socket.connect(self._peer)  # of UDP: sends nothing, never blocks
            self._datagrams = _Datagrams(IReactorFDSet(reactor), self._socket, spread)
        except BaseException:
            self._socket.close()
            raise

    async def sendto(self, what: bytes, destination: Any, timeout: float | None) -> int:
        """Send to the peer. With the system's buffers full the datagram is lost, as it may be under way."""
        with contextlib.suppress(BlockingIOError):
            self._socket.send(what)
        return len(what)

    async def recvfrom(self, size: int, timeout: float | None) -> tuple[bytes, Any]:
        """The next datagram, with the peer's address."""
        datagram = await _timed(self._datagrams.mailbox.get(), timeout, self._clock)
        return datagram[:size], self._peer

    async def close(self) -> None:
        """Give the port back."""
        self._datagrams.close()

    async def getpeername(self) -> Any:
        """The peer's address."""
        return self._peer

    async def getsockname(self) -> Any:
        """Our own address."""
        return self._socket.getsockname()


class _Stream(Protocol):
    """Hands over octets as they come; an empty piece is the end."""

    transport: Any

    def __init__(self) -> None:
        self.mailbox: _ReceiveQueue[bytes] = _ReceiveQueue()

    def dataReceived(self, data: bytes) -> None:
        """Keep a piece, and read no more until it is taken: the peer can't fill our memory."""
        self.transport.pauseProducing()
        self.mailbox.put(data)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """The end, clean or not."""
        self.mailbox.put(b"" if reason.check(error.ConnectionDone) else reason)


class StreamSocket(dns.asyncbackend.StreamSocket):  # type: ignore[name-defined]
    """A TCP connection."""

    def __init__(self, clock: IReactorTime, family: int, protocol: _Stream) -> None:
        super().__init__(family, socket.SOCK_STREAM)
        self._clock = clock
        self._protocol = protocol
        self._unread = b""

    async def sendall(self, what: bytes, timeout: float | None) -> None:
        """Send; what the system doesn't take at once waits in the transport."""
        self._protocol.transport.write(what)

    async def recv(self, size: int, timeout: float | None) -> bytes:
        """At most `size` octets; none at the end of the stream."""
        if not self._unread:
            self._protocol.transport.resumeProducing()
            self._unread = await _timed(self._protocol.mailbox.get(), timeout, self._clock)
        data, self._unread = self._unread[:size], self._unread[size:]
        return data

    async def close(self) -> None:
        """Close at once, whatever still waits to be sent or read."""
        self._protocol.transport.abortConnection()

    async def getpeername(self) -> Any:
        """The peer's address."""
        peer = self._protocol.transport.getPeer()
        return dns.inet.low_level_address_tuple((peer.host, peer.port), self.family)

    async def getsockname(self) -> Any:
        """Our own address."""
        host = self._protocol.transport.getHost()
        return dns.inet.low_level_address_tuple((host.host, host.port), self.family)


class TwistedBackend(dns.asyncbackend.Backend):  # type: ignore[name-defined]
    """What `dns.asyncquery` needs of an event loop, from a reactor with descriptors, TCP and time."""

    def __init__(self, reactor: Any) -> None:
        self._reactor = reactor
        self._clock = IReactorTime(reactor)
        self.spread = SpreadCalls(self._clock)  # answers, and time-outs of questions

    def name(self) -> str:
        """Name in dnspython's messages."""
        return "twisted"

    def datagram_connection_required(self) -> bool:
        """True: a datagram socket is for one destination; the kernel filters what comes from elsewhere."""
        return True

    async def make_socket(
        self,
        af: int,
        socktype: int,
        proto: int = 0,
        source: tuple[str, int] | None = None,
        destination: tuple[str, int] | None = None,
        timeout: float | None = None,
        *tls: object,
        **named: object,
    ) -> DNSSocket | StreamSocket:
        """A socket for `destination` (address, port). DNS over TLS isn't provided.

        :raises OSError: no such network, no free port.
        :raises twisted.internet.error.ConnectError: the TCP connection failed.
        """
        if destination is None or any(tls) or any(named.values()):
            raise NotImplementedError("only connected UDP sockets and plain TCP")
        if socktype == socket.SOCK_DGRAM:
            return DNSSocket(self._reactor, af, source, destination, self.spread)
        endpoint = (TCP6ClientEndpoint if af == socket.AF_INET6 else TCP4ClientEndpoint)(
            self._reactor,
            destination[0],
            destination[1],
            timeout=timeout or CONNECT_TIMEOUT,
            bindAddress=source,
        )
        return StreamSocket(self._clock, af, await connectProtocol(endpoint, _Stream()))

    async def sleep(self, interval: float) -> None:
        """Wait some seconds."""
        waiting: Deferred[None] = Deferred()
        timer = self._clock.callLater(interval, waiting.callback, None)
        try:
            await waiting
        finally:
            if timer.active():
                timer.cancel()

    async def wait_for(self, awaitable: Awaitable[T], timeout: float | None) -> T:
        """The result, or `dns.exception.Timeout` after `timeout` seconds."""

        async def waiting() -> T:
            return await awaitable

        return await _timed(Deferred.fromCoroutine(waiting()), timeout, self._clock)
