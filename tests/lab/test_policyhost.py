"""The policy host and the proxy, over real sockets and real TLS."""

from __future__ import annotations

import base64
import http.client
import socket
import ssl
from pathlib import Path
from typing import Any

from twisted.internet import reactor
from twisted.internet.threads import deferToThread
from twisted.trial.unittest import TestCase

from seg.lab.behaviour import Certificate
from seg.lab.pki import Authority
from seg.lab.policyhost import PATH, Answer, PolicyHost
from seg.lab.proxy import ConnectProxy

ADDRESS = "127.0.0.1"
POLICY = "version: STSv1\r\nmode: enforce\r\nmx: mx.a.example\r\nmax_age: 86400\r\n"


class PolicyHostTests(TestCase):
    """What is served for a domain, right and wrong."""

    def setUp(self) -> None:
        """A host with one good policy."""
        self.authority = Authority()
        folder = Path(self.mktemp())
        folder.mkdir(parents=True)
        self.root = self.authority.write_root(folder / "root.pem")
        self.host = PolicyHost(reactor, self.authority)  # type: ignore[arg-type]
        self.host.start(ADDRESS)
        self.host.publish("a.example", POLICY)
        self.addCleanup(self._stop)

    async def _stop(self) -> None:
        await self.host.stop()

    def fetch_through(self, plain: socket.socket, domain: str, path: str = PATH) -> tuple[int, str, bytes]:
        """Status, media type and body, verified for ``mta-sts.<domain>``, over an open connection."""
        context = ssl.create_default_context(cafile=str(self.root))
        with context.wrap_socket(plain, server_hostname=f"mta-sts.{domain}") as inside:
            request = f"GET {path} HTTP/1.1\r\nHost: mta-sts.{domain}\r\nConnection: close\r\n\r\n"
            inside.sendall(request.encode())
            response = http.client.HTTPResponse(inside)
            response.begin()
            return response.status, response.getheader("content-type", ""), response.read()

    async def fetch(self, domain: str = "a.example", *, path: str = PATH, timeout: float = 5) -> Any:
        """The same, directly, in a thread."""

        def run() -> tuple[int, str, bytes]:
            with socket.create_connection((ADDRESS, self.host.port), timeout) as plain:
                return self.fetch_through(plain, domain, path)

        return await deferToThread(run)

    async def test_good(self) -> None:
        """A policy is served as text/plain, under the certificate of its host, and the request is counted."""
        self.assertEqual(await self.fetch(), (200, "text/plain", POLICY.encode()))
        self.assertEqual(self.host.count("a.example"), 1)

    async def test_many_domains(self) -> None:
        """Each domain has its own policy and certificate."""
        self.host.publish("b.example", "version: STSv1\r\n")
        self.assertEqual((await self.fetch("b.example"))[2], b"version: STSv1\r\n")
        self.assertEqual((await self.fetch("a.example"))[2], POLICY.encode())

    async def test_changes_while_running(self) -> None:
        """A policy can be replaced and withdrawn."""
        self.host.publish("a.example", "new")
        self.assertEqual((await self.fetch())[2], b"new")
        self.host.withdraw("a.example")
        self.assertEqual((await self.fetch())[0], 404)

    async def test_other_path(self) -> None:
        """Nothing is elsewhere."""
        self.assertEqual((await self.fetch(path="/mta-sts.txt"))[0], 404)

    async def test_wrong_statuses(self) -> None:
        """404, 500 and a redirect."""
        for answer, status in ((Answer.NOT_FOUND, 404), (Answer.SERVER_ERROR, 500), (Answer.REDIRECT, 301)):
            self.host.publish("a.example", POLICY, answer=answer)
            self.assertEqual((await self.fetch())[0], status)

    async def test_wrong_media_type(self) -> None:
        """text/html instead of text/plain."""
        self.host.publish("a.example", POLICY, answer=Answer.WRONG_MEDIA_TYPE)
        self.assertEqual((await self.fetch())[:2], (200, "text/html"))

    async def test_too_large(self) -> None:
        """A megabyte."""
        self.host.publish("a.example", POLICY, answer=Answer.TOO_LARGE)
        self.assertGreater(len((await self.fetch())[2]), 1_000_000)

    async def test_hangs(self) -> None:
        """No answer at all."""
        self.host.publish("a.example", POLICY, answer=Answer.HANGS)
        with self.assertRaises(TimeoutError):
            await self.fetch(timeout=0.2)

    async def test_slow(self) -> None:
        """The beginning of an answer, then nearly nothing for a long time."""
        self.host.publish("a.example", POLICY, answer=Answer.SLOW)
        with self.assertRaises(TimeoutError):
            await self.fetch(timeout=0.1)

    async def test_slow_to_the_end(self) -> None:
        """Who waits gets all of it."""
        self.host.publish("a.example", "ab", answer=Answer.SLOW)
        self.assertEqual((await self.fetch())[2], b"ab")

    async def test_closes(self) -> None:
        """The connection ends instead of an answer."""
        self.host.publish("a.example", POLICY, answer=Answer.CLOSES)
        with self.assertRaises((http.client.RemoteDisconnected, ConnectionError, ssl.SSLError)):
            await self.fetch()

    async def test_certificates(self) -> None:
        """A verifying client gets no answer under a bad certificate, and its request isn't sent."""
        for kind in set(Certificate) - {Certificate.GOOD}:
            self.host.publish("a.example", POLICY, certificate=kind)
            with self.assertRaises(ssl.SSLCertVerificationError, msg=str(kind)):
                await self.fetch()
        self.assertEqual(self.host.count("a.example"), 0)

    # --- through a proxy ---

    def proxy(self, **options: Any) -> ConnectProxy:
        """A running proxy to whom ``mta-sts.a.example`` is the policy host."""
        names = {"mta-sts.a.example": (ADDRESS,)}
        proxy = ConnectProxy(reactor, lambda name: names.get(name, ()), **options)  # type: ignore[arg-type]
        proxy.start(ADDRESS)
        self.addCleanup(proxy.stop)
        return proxy

    async def connect(self, proxy: ConnectProxy, target: str, *, secret: str = "") -> Any:
        """The proxy's status line, and the policy fetched through it when it said 200."""

        def run() -> tuple[int, Any]:
            with socket.create_connection((ADDRESS, proxy.port), 5) as plain:
                extra = f"Proxy-Authorization: Basic {secret}\r\n" if secret else ""
                plain.sendall(f"CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n{extra}\r\n".encode())
                status = int(plain.recv(1000).split()[1])
                return status, self.fetch_through(plain, "a.example") if status == 200 else None

        return await deferToThread(run)

    async def test_proxy(self) -> None:
        """A tunnel leads to the policy host, and the target is noted."""
        proxy = self.proxy()
        status, answer = await self.connect(proxy, f"mta-sts.a.example:{self.host.port}")
        self.assertEqual((status, answer[0]), (200, 200))
        self.assertEqual(proxy.requests, [f"mta-sts.a.example:{self.host.port}"])

    async def test_proxy_with_password(self) -> None:
        """Without the password it's 407, with it a tunnel."""
        proxy = self.proxy(user="seg", password="s3cret")
        target = f"mta-sts.a.example:{self.host.port}"
        self.assertEqual((await self.connect(proxy, target))[0], 407)
        secret = base64.b64encode(b"seg:s3cret").decode()
        self.assertEqual((await self.connect(proxy, target, secret=secret))[0], 200)

    async def test_proxy_refuses(self) -> None:
        """A proxy may refuse everything, not know a host, or not reach it."""
        target = f"mta-sts.a.example:{self.host.port}"
        self.assertEqual((await self.connect(self.proxy(refuse=403), target))[0], 403)
        self.assertEqual((await self.connect(self.proxy(), "nobody.example:443"))[0], 502)
        self.assertEqual((await self.connect(self.proxy(), "mta-sts.a.example:1"))[0], 502)
