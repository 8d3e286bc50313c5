"""What the tests of the fetcher share: an authority, a policy host on loopback, and a fetcher that knows both."""

from __future__ import annotations

from typing import Any

from OpenSSL import SSL
from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.trial.unittest import TestCase

from seg.config.schema import MTASTS
from seg.dns.address_rules import AddressRules
from seg.policy.mtasts.errors import FetchError, FetchFault, OwnFetchFault
from seg.policy.mtasts.fetch import PolicyFetcher
from seg.tls.context import ClientTLS
from seg.tls.peer import Trust
from seg.tls.roots import RootStore
from tests.certificates import NOW, Authority, Issued
from tests.dns_double import FakeResolver
from tests.mtasts.policyserver import Answer, LoopbackServer, context, response, say

DOMAIN = "one.test"
HOST = "mta-sts.one.test"


class FetchCase(TestCase):
    """Serve something, fetch it, and look at what comes of it."""

    timeout = 15
    authority = Authority.root()
    good = authority.leaf(HOST)
    rules = AddressRules(allow_loopback=True)

    def serve(
        self,
        answer: Answer = say(response()),  # noqa: B008
        certificate: Issued | None = None,
        tls: SSL.Context | None = None,
        address: str = "127.0.0.1",
        port: int = 0,
    ) -> LoopbackServer:
        """A policy host; it ends with the test."""
        server = LoopbackServer(answer, tls or context(certificate or self.good), address, port)
        self.addCleanup(lambda: Deferred.fromCoroutine(server.stop()))
        return server

    def plain(self, answer: Answer, at_once: bool = False) -> LoopbackServer:
        """A server without TLS; it ends with the test."""
        server = LoopbackServer(answer, at_once=at_once)
        self.addCleanup(lambda: Deferred.fromCoroutine(server.stop()))
        return server

    def fetcher(
        self,
        port: int,
        zone: str = f"{HOST} A 127.0.0.1",
        resolver: FakeResolver | None = None,
        reactor: object = reactor,
        **settings: Any,
    ) -> PolicyFetcher:
        """A fetcher that trusts the authority."""
        trust = Trust(RootStore((self.authority.certificate,)), NOW)
        section = MTASTS(port=port, **{"fetch_timeout": 10.0, **settings})
        return PolicyFetcher(reactor, resolver or FakeResolver(zone), section, ClientTLS(), lambda: trust, self.rules)

    async def failure(self, fetcher: PolicyFetcher, fault: FetchFault, *parts: str) -> FetchError | OwnFetchFault:
        """The error of a fetch that fails; its line holds the parts and the URL."""
        try:
            body = await fetcher.fetch(DOMAIN)
        except FetchError as error:
            self.assertEqual(error.fault, fault, str(error))
            for part in (*parts, "https://mta-sts.one.test", "/.well-known/mta-sts.txt"):
                self.assertIn(part, str(error))
            self.assertNotIn("\n", str(error))
            return error
        except OwnFetchFault as own:
            self.assertEqual(own.fault, fault, str(own))
            for part in parts:
                self.assertIn(part, str(own))
            return own
        raise self.failureException(f"no error, but {body[:80]!r}")

    async def when_closed(self, server: LoopbackServer) -> None:
        """Wait until no client is connected any more."""
        if server.open:
            closed: Deferred[None] = Deferred()
            server.waiting.append(lambda: closed.callback(None))
            await closed
