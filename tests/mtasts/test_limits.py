"""Policy hosts and proxies that lie about sizes, never end, or speak slowly."""

from __future__ import annotations

from collections.abc import Iterator

from twisted.internet import reactor
from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import IProtocol
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.task import LoopingCall
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.client import ResponseDone

from seg.policy.mtasts.errors import FetchError, FetchFault
from seg.policy.mtasts.policy import MAX_SIZE
from seg.policy.mtasts.request import PolicyBody
from seg.policy.mtasts.verified import MAX_RECEIVED, VerifiedStream
from seg.tls.peer import CertificateVerdict
from tests.mtasts.fetching import DOMAIN, FetchCase
from tests.mtasts.policyserver import TEXT, Answer, Served, response, say

CHUNKED = "Transfer-Encoding: chunked\r\n"


def chunks(body: bytes, size: int) -> bytes:
    """A body in chunks."""
    pieces = [body[start : start + size] for start in range(0, len(body), size)]
    return b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in (*pieces, b""))


def drip(data: Iterator[bytes]) -> Answer:
    """Answer piece by piece, and never close."""

    def answer(served: Served) -> None:
        def piece() -> None:
            served.transport.write(next(data))

        call = LoopingCall(piece)
        call.clock = reactor
        call.start(0.02).addErrback(lambda _: None)
        served._server.waiting.append(call.stop)

    return answer


class SizeTests(FetchCase):
    """64 KiB, however it is wrapped."""

    async def test_chunks_of_too_much(self) -> None:
        """One octet more than 64 KiB is refused in chunks too, big or small; 64 KiB are taken."""
        exact = TEXT + b"x" * (MAX_SIZE - len(TEXT))
        server = self.serve()
        fetcher = self.fetcher(server.port)
        for size in (1000, 70_000):
            server.answer = say(response(chunks(exact, size), length=False, fields=CHUNKED))
            self.assertEqual(await fetcher.fetch(DOMAIN), exact)
            server.answer = say(response(chunks(exact + b"x", size), length=False, fields=CHUNKED))
            await self.failure(fetcher, FetchFault.TOO_LARGE, "policy of more than 65536 octets")

    async def test_chunks_of_one_octet(self) -> None:
        """A small body in so many frames that the whole is too much is cut off."""
        frames = b"1;" + b"x" * 6 + b"\r\nx\r\n"
        server = self.serve(say(response(frames * (MAX_RECEIVED // len(frames) + 1), length=False, fields=CHUNKED)))
        await self.failure(self.fetcher(server.port), FetchFault.TOO_LARGE, "answer of more than 262144 octets")

    async def test_lying_length(self) -> None:
        """A length that is too short ends the body there; what follows isn't read as part of it."""
        server = self.serve(say(response(TEXT, length=False, fields="Content-Length: 15\r\n")))
        self.assertEqual(await self.fetcher(server.port).fetch(DOMAIN), TEXT[:15])

    async def test_lengths_that_are_none(self) -> None:
        """A length that isn't a number, is negative, or comes twice with two values is no HTTP."""
        server = self.serve()
        fetcher = self.fetcher(server.port)
        for fields in ("Content-Length: x\r\n", "Content-Length: -1\r\n", "Content-Length: 1\r\nContent-Length: 2\r\n"):
            server.answer = say(response(TEXT, length=False, fields=fields))
            await self.failure(fetcher, FetchFault.HTTP_STATUS, "not valid HTTP")

    async def test_one_endless_field(self) -> None:
        """A header field without end is cut off like any other answer."""
        server = self.serve(say(b"HTTP/1.1 200 OK\r\nX: " + b"a" * MAX_RECEIVED))
        await self.failure(self.fetcher(server.port), FetchFault.TOO_LARGE, "answer of more than 262144 octets")


class SlowTests(FetchCase):
    """Whoever speaks slowly has no longer than anybody else."""

    async def test_slow_header(self) -> None:
        """A header that goes on for ever, a field at a time, costs the time-out."""
        server = self.serve(drip(iter([b"HTTP/1.1 200 OK\r\n", *[b"X-Field: a\r\n"] * 1000])))
        await self.failure(self.fetcher(server.port, fetch_timeout=0.4), FetchFault.TIMEOUT, "waiting for an answer")
        await self.when_closed(server)

    async def test_slow_body(self) -> None:
        """A body that comes octet by octet costs the time-out."""
        answer = response(b"x" * 1000)
        server = self.serve(drip(iter([answer[:-1000], *[b"x"] * 1000])))
        await self.failure(self.fetcher(server.port, fetch_timeout=0.4), FetchFault.TIMEOUT, "reading the policy")
        await self.when_closed(server)

    async def test_slow_proxy(self) -> None:
        """A proxy whose header goes on for ever costs the time-out."""
        proxy = self.plain(drip(iter([b"HTTP/1.1 200 OK\r\n", *[b"X-Field: a\r\n"] * 1000])))
        fetcher = self.fetcher(443, "", proxy=f"http://127.0.0.1:{proxy.port}", fetch_timeout=0.4)
        await self.failure(fetcher, FetchFault.PROXY, "connecting through proxy")
        await self.when_closed(proxy)


class Handshaken(StringTransport):
    """A TLS transport in memory that can be cut."""

    def abortConnection(self) -> None:
        """Close."""
        self.disconnecting = True


class MemoryTests(SynchronousTestCase):
    """The protocols by themselves: what comes too late or twice."""

    def connection(self) -> VerifiedStream:
        """A connection whose handshake isn't over."""
        inner = Factory.forProtocol(Protocol)
        connection = VerifiedStream("mta-sts.one.test", lambda peer: CertificateVerdict(), inner, None)
        connection.makeConnection(Handshaken())
        return connection

    def test_data_before_the_handshake(self) -> None:
        """Nothing passes before the peer is accepted."""
        connection = self.connection()
        accepted: list[IProtocol] = []
        connection.accepted.addCallback(accepted.append)
        connection.dataReceived(b"HTTP/1.1 200 OK\r\n\r\n")
        self.assertEqual(accepted, [])

    def test_first_fault_counts(self) -> None:
        """Too much, and then more of it, is one fault; a connection that is closed isn't closed again."""
        connection = self.connection()
        for _ in range(2):
            connection.dataReceived(b"x" * (MAX_RECEIVED + 1))
        connection.connectionLost(Failure(ConnectionDone()))
        transport = connection.transport
        assert isinstance(transport, Handshaken)
        transport.disconnecting = False
        connection.abort()
        self.assertFalse(transport.disconnecting)
        error = self.failureResultOf(connection.accepted, FetchError).value
        self.assertEqual(error.fault, FetchFault.TOO_LARGE)

    def test_body_goes_on(self) -> None:
        """A body that goes on behind the limit is refused once, and its end changes nothing."""
        body = PolicyBody(lambda: False)
        body.dataReceived(b"x" * MAX_SIZE)
        self.assertNoResult(body.complete)
        body.dataReceived(b"x")
        self.failureResultOf(body.complete, FetchError)
        body.dataReceived(b"x")
        body.connectionLost(Failure(ResponseDone()))
