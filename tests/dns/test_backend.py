"""dnspython's backend on the reactor: waits, sockets, both families."""

from __future__ import annotations

import socket

import dns.asyncquery
import dns.exception
import dns.message
from twisted.internet import reactor
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.error import CannotListenError
from twisted.internet.protocol import DatagramProtocol
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase, TestCase

from seg.dns.backend import TwistedBackend
from tests.dns.wire_server import WireServer, reply


class ClockTests(SynchronousTestCase):
    """Waits run on the reactor's clock."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.backend = TwistedBackend(self.clock)

    def test_sleep(self) -> None:
        """A sleep ends in its time; a cancelled one leaves no timer."""
        sleeping = Deferred.fromCoroutine(self.backend.sleep(5))
        self.clock.advance(4)
        self.assertNoResult(sleeping)
        self.clock.advance(1)
        self.successResultOf(sleeping)
        cancelled = Deferred.fromCoroutine(self.backend.sleep(5))
        cancelled.cancel()
        self.failureResultOf(cancelled, CancelledError)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_wait_for(self) -> None:
        """A wait gives the result, or dnspython's own time-out."""
        result: Deferred[int] = Deferred()
        waiting = Deferred.fromCoroutine(self.backend.wait_for(result, 5))
        result.callback(1)
        self.assertEqual(self.successResultOf(waiting), 1)
        late = Deferred.fromCoroutine(self.backend.wait_for(Deferred(), 5))
        self.clock.advance(5)
        self.failureResultOf(late, dns.exception.Timeout)


class SocketTests(TestCase):
    """`dns.asyncquery` on it."""

    timeout = 10

    def setUp(self) -> None:
        self.backend = TwistedBackend(reactor)
        self.query = dns.message.make_query("a.test", "A")
        self.server = WireServer(
            reactor,
            lambda query, send: send(reply(query, "a.test A 192.0.2.1").to_wire()),
            lambda query, send: send(b"\x00\x01\x00"),
        )
        self.addCleanup(self.server.stop)

    async def test_udp(self) -> None:
        """A question over UDP is answered; each has a port of its own."""
        ports = set()
        for _ in range(5):
            peer = ("127.0.0.1", self.server.port)
            async with await self.backend.make_socket(socket.AF_INET, socket.SOCK_DGRAM, 0, None, peer) as s:
                ports.add((await s.getsockname())[1])
                self.assertEqual(await s.getpeername(), peer)
                answer = await dns.asyncquery.udp(self.query, *peer[:1], port=peer[1], sock=s, timeout=5)
                self.assertEqual(len(answer.answer), 1)
        self.assertGreater(len(ports), 1)

    async def test_udp_timeout(self) -> None:
        """dnspython's own time-outs work, too."""
        self.server.udp = lambda query, send: None
        with self.assertRaises(dns.exception.Timeout):
            await dns.asyncquery.udp(self.query, "127.0.0.1", port=self.server.port, timeout=0.05, backend=self.backend)

    async def test_ipv6(self) -> None:
        """Replies of an IPv6 server are recognised as its own."""

        class Echo(DatagramProtocol):
            noisy = False

            def datagramReceived(self, datagram: bytes, addr: tuple[str, int]) -> None:
                query = dns.message.from_wire(datagram)
                self.transport.write(reply(query, "a.test A 192.0.2.1").to_wire(), addr)

        try:
            port = reactor.listenUDP(0, Echo(), interface="::1")
        except CannotListenError as e:
            self.skipTest(f"no IPv6 here: {e}")
        self.addCleanup(port.stopListening)
        number = port.getHost().port
        answer = await dns.asyncquery.udp(self.query, "::1", port=number, timeout=5, backend=self.backend)
        self.assertEqual(len(answer.answer), 1)

    async def test_tcp(self) -> None:
        """A TCP connection knows its ends, and gives what comes in pieces of the size asked for."""
        peer = ("127.0.0.1", self.server.port)
        async with await self.backend.make_socket(socket.AF_INET, socket.SOCK_STREAM, 0, None, peer, 5) as s:
            self.assertEqual(await s.getpeername(), peer)
            self.assertNotEqual((await s.getsockname())[1], peer[1])
            wire = self.query.to_wire(prepend_length=True)
            await s.sendall(wire, None)
            self.assertEqual([await s.recv(1, 5) for _ in range(3)], [b"\x00", b"\x01", b"\x00"])

    async def test_unsupported(self) -> None:
        """Without destination, or over TLS, there is no socket."""
        for options in ({}, {"destination": ("127.0.0.1", 53), "ssl_context": object()}):
            with self.assertRaises(NotImplementedError):
                await self.backend.make_socket(socket.AF_INET, socket.SOCK_DGRAM, **options)
