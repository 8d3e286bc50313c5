"""Fetching through an HTTP proxy that knows CONNECT."""

from __future__ import annotations

import base64

from twisted.internet.defer import Deferred
from twisted.internet.endpoints import TCP4ClientEndpoint
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.testing import MemoryReactor, StringTransport
from twisted.trial.unittest import SynchronousTestCase

from seg.common.echoes import WITHHELD
from seg.policy.mtasts.errors import FetchError, FetchFault, OwnFetchFault
from seg.policy.mtasts.proxy import MAX_HEAD, ConnectEndpoint, Proxy, parse_proxy
from tests.mtasts.fetching import DOMAIN, HOST, FetchCase
from tests.mtasts.policyserver import TEXT, response, say, tunnel_to

SECRET = "geheim:@/%"
URL = "http://us%C3%A9r:geheim%3A%40%2F%25@127.0.0.1:{port}"


class ProxyURLTests(SynchronousTestCase):
    """`parse_proxy`."""

    def test_forms(self) -> None:
        """Host and port with or without name and password; IPv6 in brackets; nothing at all."""
        self.assertIsNone(parse_proxy(""))
        self.assertEqual(parse_proxy("http://Proxy.test:3128"), Proxy("proxy.test", 3128))
        self.assertEqual(str(parse_proxy("http://[::1]:3128/")), "http://[::1]:3128")
        proxy = parse_proxy(URL.format(port=3128))
        assert proxy is not None
        self.assertEqual(base64.b64decode(proxy.authorization.removeprefix(b"Basic ")).decode(), f"usér:{SECRET}")

    def test_no_secret_is_shown(self) -> None:
        """Neither repr nor text shows name or password."""
        proxy = parse_proxy(URL.format(port=3128))
        for text in (str(proxy), repr(proxy)):
            self.assertNotIn("us", text)
            self.assertNotIn("geheim", text)
            self.assertNotIn("Basic", text)

    def test_faults_are_told_without_the_value(self) -> None:
        """What isn't a proxy URL is refused, without telling a part of it."""
        for text in ("ftp://u:geheim@h:1", "http://u:geheim@h", "http://u:geheim@h:x", "http://u:geheim@h:1/path"):
            error = self.assertRaises(ValueError, parse_proxy, text)
            self.assertNotIn("geheim", str(error))


class TunnelTests(SynchronousTestCase):
    """The CONNECT exchange in memory."""

    def setUp(self) -> None:
        """Begin one."""
        reactor = MemoryReactor()
        self.inner = Protocol()
        self.received: list[bytes] = []
        self.inner.dataReceived = self.received.append  # type: ignore[method-assign]
        to_proxy = TCP4ClientEndpoint(reactor, "192.0.2.9", 3128)
        endpoint = ConnectEndpoint(to_proxy, Proxy("192.0.2.9", 3128, b"Basic eA=="), HOST, 443)
        self.connected = endpoint.connect(Factory.forProtocol(lambda: self.inner))
        self.tunnel = reactor.tcpClients[0][2].buildProtocol(None)
        self.transport = StringTransport()
        self.transport.abortConnection = self.transport.loseConnection  # type: ignore[method-assign]
        self.tunnel.makeConnection(self.transport)

    def refused(self, text: str) -> None:
        """The exchange has failed, with this said of the proxy, and its connection is closed."""
        error = self.failureResultOf(self.connected, FetchError).value
        self.assertEqual((error.fault, error.cause), (FetchFault.PROXY, f"proxy http://192.0.2.9:3128 {text}"))
        self.assertTrue(self.transport.disconnecting)
        self.assertEqual(self.received, [])

    def test_request(self) -> None:
        """The request names the target twice, and carries the credentials."""
        expected = (
            b"CONNECT mta-sts.one.test:443 HTTP/1.1\r\nHost: mta-sts.one.test:443\r\n"
            b"Proxy-Authorization: Basic eA==\r\n\r\n"
        )
        self.assertEqual(self.transport.value(), expected)

    def test_opened_octet_by_octet(self) -> None:
        """An answer may come in pieces; what follows later is the inner protocol's."""
        for octet in b"HTTP/1.0 200 OK\r\nVia: x\r\n\r\n":
            self.assertNoResult(self.connected)
            self.tunnel.dataReceived(bytes([octet]))
        self.assertIs(self.successResultOf(self.connected), self.inner)
        self.tunnel.dataReceived(b"hello")
        self.assertEqual(self.received, [b"hello"])

    def test_refusals(self) -> None:
        """A status other than 2xx, and an answer that isn't HTTP, are errors that show what was said."""
        for answer, text in (
            (b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n", "refused: 407 Proxy Authentication Required"),
            (b"HTTP/1.1 403 \x1b[2J\r\n\r\n", "refused: 403 ?[2J"),
            (b"HTTP/1.1 302 Found\r\nLocation: /\r\n\r\n", "refused: 302 Found"),
            (b"HTTP/1.1 100\r\n\r\n", "refused: 100"),
            (b"SSH-2.0-OpenSSH\r\n\r\n", "answered with something that is not HTTP"),
            (b"HTTP/1.1 2000 OK\r\n\r\n", "answered with something that is not HTTP"),
            (b"\r\n\r\nHTTP/1.1 200 OK\r\n\r\n", "answered with something that is not HTTP"),
        ):
            self.setUp()
            self.tunnel.dataReceived(answer)
            self.refused(text)
            self.tunnel.dataReceived(b"HTTP/1.1 200 OK\r\n\r\n")
            self.assertEqual(self.received, [])

    def test_password_said_back(self) -> None:
        """A proxy that repeats our password, in any of its spellings, brings it into no text; the code is told."""
        for echo in (
            b"c2VnOmh1bnRlcjI=",
            b"Basic c2VnOmh1bnRlcjI=",
            b"hunter2",
            b"no seg:HUNTER2 here",
            b"aHVudGVyMg",
            b"68756e74657232",
        ):
            for status in (b"407", b"403", b"502"):
                reactor = MemoryReactor()
                to_proxy = TCP4ClientEndpoint(reactor, "192.0.2.9", 3128)
                proxy = parse_proxy("http://seg:hunter2@192.0.2.9:3128")
                assert proxy is not None
                connected = ConnectEndpoint(to_proxy, proxy, HOST, 443).connect(Factory.forProtocol(Protocol))
                tunnel = reactor.tcpClients[0][2].buildProtocol(None)
                transport = StringTransport()
                transport.abortConnection = transport.loseConnection  # type: ignore[method-assign]
                tunnel.makeConnection(transport)
                tunnel.dataReceived(b"HTTP/1.1 %s %s\r\n\r\n" % (status, echo))
                error = self.failureResultOf(connected, FetchError).value
                self.assertIn(f"refused: {status.decode()} {WITHHELD}", error.cause)

    def test_early_data(self) -> None:
        """Data behind the answer's header can't be the policy host's: the tunnel isn't used."""
        self.tunnel.dataReceived(b"HTTP/1.1 200 OK\r\n\r\n\x16\x03\x03")
        self.refused("sent data of its own into the tunnel")

    def test_endless_header(self) -> None:
        """A header without end is cut off."""
        for _ in range(MAX_HEAD // 16 + 1):
            self.tunnel.dataReceived(b"X-Field: abcde\r\n")
        self.refused("answered with more than 16384 octets of header")

    def test_closed(self) -> None:
        """A proxy that closes without an answer is told of."""
        from twisted.internet.error import ConnectionDone
        from twisted.python.failure import Failure

        self.tunnel.connectionLost(Failure(ConnectionDone()))
        error = self.failureResultOf(self.connected, FetchError).value
        self.assertIn("closed the connection without an answer", error.cause)

    def test_cancelled_before_the_connection(self) -> None:
        """Cancelling gives the connection to the proxy up while it is being made."""

        class Waiting:
            """An endpoint that is looking its name up, say."""

            def connect(self, factory: object) -> Deferred[object]:
                """Not yet."""
                return Deferred()

        for to_proxy in (TCP4ClientEndpoint(MemoryReactor(), "192.0.2.9", 3128), Waiting()):
            endpoint = ConnectEndpoint(to_proxy, Proxy("p", 1), HOST, 443)  # type: ignore[arg-type]
            connected = endpoint.connect(Factory.forProtocol(Protocol))
            connected.cancel()
            self.failureResultOf(connected)

    def test_cancelled(self) -> None:
        """Cancelling closes the connection to the proxy."""
        self.connected.cancel()
        self.failureResultOf(self.connected)
        self.assertTrue(self.transport.disconnecting)


class ProxyFetchTests(FetchCase):
    """Real fetches through a proxy on loopback."""

    async def test_through(self) -> None:
        """The proxy is asked for the host by name; TLS and its checks are end to end; nothing is looked up here."""
        server = self.serve()
        proxy = self.plain(tunnel_to(server.port))
        fetcher = self.fetcher(server.port, "", proxy=f"http://127.0.0.1:{proxy.port}")
        self.assertEqual(await fetcher.fetch(DOMAIN), TEXT)
        self.assertEqual(proxy.requests[0].split(b"\r\n")[0], f"CONNECT {HOST}:{server.port} HTTP/1.1".encode())
        self.assertNotIn(b"Authorization", proxy.requests[0])

    async def test_with_password(self) -> None:
        """Name and password are sent to the proxy, and to it alone."""
        server = self.serve()
        proxy = self.plain(tunnel_to(server.port))
        fetcher = self.fetcher(server.port, "", proxy=URL.format(port=proxy.port))
        self.assertEqual(await fetcher.fetch(DOMAIN), TEXT)
        self.assertIn(b"\r\nProxy-Authorization: Basic ", proxy.requests[0])
        self.assertNotIn(b"uthorization", server.requests[0])

    async def test_wrong_certificate_behind_the_proxy(self) -> None:
        """A proxy that brings us to another host doesn't get a request through."""
        server = self.serve(certificate=self.authority.leaf("mta-sts.other.test"))
        proxy = self.plain(tunnel_to(server.port))
        fetcher = self.fetcher(server.port, "", proxy=f"http://127.0.0.1:{proxy.port}")
        await self.failure(fetcher, FetchFault.CERTIFICATE, "names presented: mta-sts.other.test")
        self.assertEqual(server.requests, [])

    async def test_refusing_and_garbage(self) -> None:
        """What a proxy says instead is told, without the password."""
        for answer, text in (
            (say(response(status="407 Who are you")), "refused: 407 Who are you"),
            (say(b"220 mail.one.test ESMTP\r\n\r\n"), "something that is not HTTP"),
            (say(b"X" * 40000, close=False), "more than 16384 octets"),
            (say(b""), "closed the connection without an answer"),
        ):
            proxy = self.plain(answer)
            fetcher = self.fetcher(443, "", proxy=URL.format(port=proxy.port), fetch_timeout=2.0)
            try:
                await fetcher.fetch(DOMAIN)
            except OwnFetchFault as error:
                self.assertEqual(error.fault, FetchFault.PROXY)
                self.assertIn(f"proxy http://127.0.0.1:{proxy.port} ", error.cause)
                self.assertIn(text, error.cause)
                self.assertNotIn("geheim", repr(error))
            else:
                self.fail("no error")
            await self.when_closed(proxy)

    async def test_dead(self) -> None:
        """A proxy that can't be reached is told of."""
        proxy = self.plain(say(b""))
        port = proxy.port
        await proxy.stop()
        fetcher = self.fetcher(443, "", proxy=URL.format(port=port))
        error = await self.assertFailure(fetcher.fetch(DOMAIN), OwnFetchFault)
        self.assertEqual(error.fault, FetchFault.PROXY)
        self.assertIn(f"proxy http://127.0.0.1:{port} can't be reached: ", error.cause)
        self.assertNotIn("geheim", str(error))

    async def test_silent(self) -> None:
        """A proxy that says nothing costs the time-out; then the connection is closed."""
        proxy = self.plain(lambda served: None)
        fetcher = self.fetcher(443, "", proxy=URL.format(port=proxy.port), fetch_timeout=0.2)
        error = await self.assertFailure(fetcher.fetch(DOMAIN), OwnFetchFault)
        text = f"timed out after 0 s connecting through proxy http://127.0.0.1:{proxy.port}"
        self.assertEqual((error.fault, error.cause), (FetchFault.PROXY, text))
        closed: Deferred[None] = Deferred.fromCoroutine(self.when_closed(proxy))
        await closed
