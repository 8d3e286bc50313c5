"""Policy hosts behind something that mishandles a client hello with a post-quantum group."""

from __future__ import annotations

import errno
import os
from typing import Any

from twisted.internet import tcp

from seg.lab.session import POST_QUANTUM
from seg.policy.mtasts.errors import FetchFault, OwnFetchFault
from seg.policy.mtasts.fetch import PolicyFetcher
from seg.tls.context import ClientTLS
from seg.tls.groups import REMEMBERED
from seg.tls.parameters import Parameters
from tests.mtasts.fetching import DOMAIN, HOST, FetchCase
from tests.mtasts.policyserver import TEXT, Answer, LoopbackServer, Served, response, say, tunnel_to

ALERT = b"\x15\x03\x03\x00\x02\x02\x28"  # fatal: handshake_failure


def hangs(served: Served) -> None:
    """The hello goes nowhere."""


def closes(served: Served) -> None:
    """It ends the connection."""
    served.transport.abortConnection()


MISHANDLED: dict[str, Answer] = {
    "hangs": hangs,
    "closes": closes,
    "alert": say(ALERT),
    "garbage": say(b"no ServerHello\r\n" * 4),
}


class ClassicalTests(FetchCase):
    """What lies between lets classical hellos through only."""

    def between(self, server: LoopbackServer, otherwise: Answer) -> LoopbackServer:
        """Where the fetcher connects to."""

        def answer(served: Served) -> None:
            hello = front.requests[-1]
            if POST_QUANTUM in hello:
                otherwise(served)
            else:
                tunnel_to(server.port, b"", hello)(served)

        front = self.plain(answer, at_once=True)
        return front

    def offering(self, fetcher: PolicyFetcher, groups: str) -> PolicyFetcher:
        """It offers these groups."""
        fetcher._tls = ClientTLS(parameters=Parameters(groups=groups))
        return fetcher

    async def test_second_try(self) -> None:
        """However the hello is mishandled, a second one with classical groups only brings the policy, within the time of the fetch; for a day
        the host is offered no other."""
        for way, otherwise in MISHANDLED.items():
            with self.subTest(way):
                server = self.serve()
                front = self.between(server, otherwise)
                fetcher = self.fetcher(front.port, fetch_timeout=2.0)
                for connections in (2, 3):
                    self.assertEqual(await fetcher.fetch(DOMAIN), TEXT)
                    self.assertEqual(front.connections, connections)
                peers = fetcher._tls.classical_peers
                (since,) = peers._since.values()
                self.assertFalse(peers.has(f"127.0.0.1:{front.port}", since + REMEMBERED))
                await fetcher.fetch(DOMAIN)
                self.assertEqual(front.connections, 5)

    async def test_through_a_proxy(self) -> None:
        """The same behind a proxy, where the host is known by its name."""
        for way, otherwise in MISHANDLED.items():
            with self.subTest(way):
                front = self.between(self.serve(), otherwise)
                proxy = self.plain(tunnel_to(front.port))
                fetcher = self.fetcher(443, "", proxy=f"http://127.0.0.1:{proxy.port}", fetch_timeout=2.0)
                for connections in (2, 3):
                    self.assertEqual(await fetcher.fetch(DOMAIN), TEXT)
                    self.assertEqual(front.connections, connections)
                self.assertEqual(list(fetcher._tls.classical_peers._since), [f"{HOST}:443"])

    async def test_of_no_use(self) -> None:
        """A host that fails with either hello is told by its last failure, is tried twice and no more, and isn't remembered; nor does it take
        longer than the fetch may."""
        for answer, fault in ((hangs, FetchFault.TIMEOUT), (closes, FetchFault.TLS), (say(ALERT), FetchFault.TLS)):
            server = self.plain(answer, at_once=True)
            fetcher = self.fetcher(server.port, fetch_timeout=0.4)
            error = await self.failure(fetcher, fault)
            self.assertEqual((server.connections, len(fetcher._tls.classical_peers)), (2, 0))
            self.assertEqual(error.cause.count("127.0.0.1"), 1, error.cause)

    async def test_no_second_try(self) -> None:
        """There is one connection where fewer groups can't help: only classical ones are offered, or it isn't the handshake that failed."""
        for groups in ("", "X25519:P-256"):
            server = self.plain(closes, at_once=True)
            await self.failure(self.offering(self.fetcher(server.port), groups), FetchFault.TLS)
            self.assertEqual(server.connections, 1)
        for certificate, answer, fault in (
            (self.authority.leaf("mta-sts.other.test"), say(response()), FetchFault.CERTIFICATE),
            (self.good, say(response(status="404 Not Found")), FetchFault.HTTP_STATUS),
            (self.good, hangs, FetchFault.TIMEOUT),
        ):
            server = self.serve(answer, certificate)
            await self.failure(self.fetcher(server.port, fetch_timeout=0.5), fault)
            self.assertEqual(server.connections, 1)

    async def test_other_address_first(self) -> None:
        """An address that works is taken before another one is tried a second time."""
        front = self.between(self.serve(), closes)
        good = self.serve(address="127.0.0.2", port=front.port)
        fetcher = self.fetcher(front.port, f"{HOST} A 127.0.0.1\n{HOST} A 127.0.0.2")
        self.assertEqual(await fetcher.fetch(DOMAIN), TEXT)
        self.assertEqual((front.connections, good.connections), (1, 1))

    async def test_several_addresses(self) -> None:
        """Of several addresses each whose handshake failed has a second try, and those that can't be reached have none."""
        front = self.between(self.serve(), hangs)
        fetcher = self.fetcher(front.port, f"{HOST} A 127.0.0.77\n{HOST} A 127.0.0.1", fetch_timeout=2.0)
        self.assertEqual(await fetcher.fetch(DOMAIN), TEXT)
        self.assertEqual(front.connections, 2)

    async def test_fault_of_ours(self) -> None:
        """A second try that a fault of ours keeps from being made might have brought the policy: mail waits."""
        server = self.plain(closes, at_once=True)
        tries: list[int] = []
        real = tcp.BaseClient.createInternetSocket  # type: ignore[attr-defined]

        def failing(client: object) -> Any:
            tries.append(1)
            if len(tries) == 2:
                raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))
            return real(client)

        self.patch(tcp.BaseClient, "createInternetSocket", failing)
        error = await self.assertFailure(self.fetcher(server.port).fetch(DOMAIN), OwnFetchFault)
        self.assertIs(error.fault, FetchFault.LOCAL)
