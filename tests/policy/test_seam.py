"""Real TLS on loopback: the handshake ends, the session is judged, and only then would mail go."""

from __future__ import annotations

import os
from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import TCP4ClientEndpoint, TCP4ServerEndpoint
from twisted.internet.interfaces import IHandshakeListener
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.protocols.tls import TLSMemoryBIOFactory
from twisted.python.failure import Failure
from twisted.trial.unittest import TestCase
from zope.interface import implementer

from seg.policy.dane.authenticator import DANEAuthenticator
from seg.policy.dane.tlsa import TLSARecord
from seg.policy.judge import judge
from seg.policy.requirement import Decision, Requirement, TLSLevel
from seg.tls.context import ClientTLS, server_context, session_facts
from seg.tls.peer import SessionFacts, Trust
from seg.tls.roots import RootStore
from seg.tls.webpki import WebPKI
from tests.certificates import DAY, NOW, Authority, Issued, tlsa_data
from tests.tls.handshake import ServerTLS

HOST = "mx.example.test"
ROOT = Authority.root()


class Greeter(Protocol):
    """Says one line, and keeps what it hears."""

    factory: Any

    def connectionMade(self) -> None:
        """Greet."""
        self.factory.heard.append(b"")
        self.transport.write(b"220 hello\r\n")  # type: ignore[union-attr]

    def dataReceived(self, data: bytes) -> None:
        """Keep it."""
        self.factory.heard[-1] += data

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """Tell the test."""
        self.factory.gone.callback(None)


@implementer(IHandshakeListener)
class Visitor(Protocol):
    """Reports the session as soon as the handshake is done, then the end of the connection."""

    def __init__(self) -> None:
        self.shaken: Deferred[Any] = Deferred()
        self.greeted: Deferred[bytes] = Deferred()
        self.closed: Deferred[None] = Deferred()

    def handshakeCompleted(self) -> None:
        """The moment for judging."""
        self.shaken.callback(self.transport.getHandle())  # type: ignore[union-attr]

    def dataReceived(self, data: bytes) -> None:
        """The greeting."""
        if not self.greeted.called:
            self.greeted.callback(data)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """The end."""
        self.closed.callback(None)


class SeamTests(TestCase):
    """A server with a certificate made to order, on a port of its own."""

    async def serve(self, issued: Issued) -> None:
        """Start a server."""
        folder = self.mktemp()
        os.makedirs(folder)
        listener = ServerTLS(server_context(*issued.write(folder), now=NOW))
        factory: Any = Factory.forProtocol(Greeter)
        self.factory = factory
        self.factory.noisy = False
        self.factory.heard = []
        endpoint = TCP4ServerEndpoint(reactor, 0, interface="127.0.0.1")
        self.port = await endpoint.listen(TLSMemoryBIOFactory(listener, False, self.factory))
        self.addCleanup(self.port.stopListening)
        self.tls = ClientTLS()

    async def visit(self) -> SessionFacts:
        """Connect, note what was presented before a single octet of ours is sent, and leave."""
        self.factory.gone = Deferred()
        port = self.port.getHost().port
        creator = self.tls.creator(HOST, f"127.0.0.1:{port}")
        visitor = Visitor()
        inner: Any = Factory.forProtocol(lambda: visitor)
        inner.noisy = False
        await TCP4ClientEndpoint(reactor, "127.0.0.1", port).connect(TLSMemoryBIOFactory(creator, True, inner))
        connection = await visitor.shaken
        facts = session_facts(connection, HOST)
        await visitor.greeted
        self.tls.remember(connection, HOST, f"127.0.0.1:{port}")
        visitor.transport.loseConnection()  # type: ignore[union-attr]
        await visitor.closed
        await self.factory.gone
        self.assertEqual(self.factory.heard[-1], b"")
        return facts

    def verdict(self, facts: SessionFacts, authenticator: Any, days: int = 0) -> tuple[bool, str]:
        """Whether it is good, and the reason."""
        requirement = Requirement(TLSLevel.MUST, authenticators=(authenticator,))
        trust = Trust(RootStore((ROOT.certificate,)), NOW + days * DAY)
        found = judge(Decision("example.test", HOST, requirement), facts, trust)
        return found.ok, found.reason

    async def test_bare_key(self) -> None:
        """2 1 0: the anchor is a key in the DNS, and its certificate isn't sent."""
        await self.serve(ROOT.intermediate().leaf(HOST))
        facts = await self.visit()
        for authority, wanted in ((ROOT, True), (Authority.root(), False)):
            record = TLSARecord(2, 1, 0, tlsa_data(authority.certificate, 1, 0))
            good, reason = self.verdict(facts, DANEAuthenticator((record,), HOST, (HOST,)))
            self.assertEqual(good, wanted, reason)

    async def test_resumed_session_is_judged_again(self) -> None:
        """A resumed session shows its chain, and fails once the certificate or the policy asks for it."""
        await self.serve(ROOT.intermediate().leaf(HOST, days=(-10, 10)))
        first, second = await self.visit(), await self.visit()
        self.assertEqual((first.resumed, second.resumed), (False, True))
        self.assertEqual(second.peer, first.peer)
        good = WebPKI((HOST,), "mta-sts")
        self.assertEqual(self.verdict(second, good), (True, "TLSv1.3 verified by mta-sts"))
        self.assertEqual(self.verdict(second, good, days=11), (False, "TLSv1.3 refused: certificate has expired"))
        self.assertFalse(self.verdict(second, WebPKI(("other.test",), "static"))[0])

    async def test_name_that_fails_open_elsewhere(self) -> None:
        """A certificate for ``*.test`` is refused like any that doesn't fit; no word of ours was sent."""
        await self.serve(ROOT.leaf("*.test"))
        facts = await self.visit()
        for name in (HOST, "example.test", "test"):
            good, reason = self.verdict(facts, WebPKI((name,), "mta-sts"))
            self.assertEqual((good, reason), (False, f"TLSv1.3 refused: peer cert does not match domain {name}"))
