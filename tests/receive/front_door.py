"""A listener in memory: connections without sockets, and what they were told."""

from __future__ import annotations

from collections.abc import Sequence

import attrs
from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.error import ConnectionDone
from twisted.internet.protocol import Protocol
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from seg.config.receive import Receive, Recipients, SenderGroup
from seg.dns.interfaces import IResolver
from seg.filter.chain import FilterChain
from seg.receive.connection_counter import ConnectionCounter
from seg.receive.turns import ClientTurns
from seg.receive.workqueue import WorkQueue
from tests.doubles import CountingCounters, MemoryQueue, RecordingSink
from tests.receive.made_listener import made_listener

EHLO = b"EHLO client.test\r\n"
MAIL = b"MAIL FROM:<a@one.test>\r\n"
RCPT = b"RCPT TO:<b@two.test>\r\n"
DATA = b"DATA\r\n"
TRANSACTION = MAIL + RCPT + DATA
MESSAGE = TRANSACTION + b"Subject: hello\r\n\r\ntext\r\n.\r\n"


class TCPTransport(StringTransport):
    """Knows besides whether it was closed, cut, and set to send at once."""

    no_delay = False
    aborted = False

    def setTcpNoDelay(self, enabled: bool) -> None:
        self.no_delay = enabled

    def abortConnection(self) -> None:
        self.aborted = True
        super().abortConnection()


@attrs.define
class Client:
    """The far end of a connection."""

    protocol: Protocol
    transport: TCPTransport
    clock: Clock = attrs.field(factory=Clock)

    def say(self, data: bytes) -> bytes:
        """What comes back without time going by."""
        self.transport.clear()
        self.protocol.dataReceived(data)
        self.settle()
        return self.heard()

    def settle(self) -> None:
        """Let everybody have as many turns as they want."""
        while any(call.getTime() <= self.clock.seconds() for call in self.clock.getDelayedCalls()):
            self.clock.advance(0)

    def heard(self) -> bytes:
        """What came since the last `say`."""
        return self.transport.value()

    def codes(self, data: bytes) -> list[int]:
        """The codes of what comes back."""
        return [int(line[:3]) for line in self.say(data).splitlines() if line[3:4] == b" "]

    @property
    def closed(self) -> bool:
        """Whether the server closed."""
        return self.transport.disconnecting

    def vanish(self) -> None:
        """The connection is lost."""
        self.protocol.connectionLost(Failure(ConnectionDone()))


class FrontDoorCase(SynchronousTestCase):
    """A test of one listener; `self.settings` may be changed before the first `connect`."""

    transport_class = TCPTransport

    def setUp(self) -> None:
        self.clock = Clock()
        self.turns = ClientTurns(self.clock, seconds=lambda: 0.0)
        self.sink = RecordingSink()
        self.queue = MemoryQueue()
        self.counters = CountingCounters()
        self.work = WorkQueue()
        self.build()

    def build(
        self,
        connections: ConnectionCounter | None = None,
        postmaster: str = "",
        groups: Sequence[SenderGroup] = (),
        recipients: Recipients | None = None,
        resolver: IResolver | None = None,
        filters: FilterChain | None = None,
        **settings: object,
    ) -> None:
        """Make the listener with these keys of `Receive`."""
        self.factory = made_listener(
            self.queue,
            self.clock,
            Receive(**settings),  # type: ignore[arg-type]
            ids=self.counters,
            sink=self.sink,
            postmaster=postmaster or None,
            connections=connections,
            sender_group=groups,
            recipients=recipients,
            resolver=resolver,
            filters=filters,
            work=self.work,
            turns=self.turns,
        )

    def connect(self, host: str = "127.0.0.1") -> Client:
        """A new connection from this address."""
        kind = IPv6Address if ":" in host else IPv4Address
        peer = kind("TCP", host, 40000)
        protocol = self.factory.buildProtocol(peer)
        transport = self.transport_class(IPv4Address("TCP", "127.0.0.2", 25), peer)
        protocol.makeConnection(transport)
        return Client(protocol, transport, self.clock)

    def told(self) -> list[str]:
        """The names of the events so far, which are then forgotten."""
        names = [type(event).__name__ for event in self.sink.events]
        self.sink.events.clear()
        return names
