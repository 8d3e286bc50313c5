"""Syslog over TCP: connections come and go, lines stay as long as there is room."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectError, ConnectionAborted, ConnectionDone, ConnectionLost
from twisted.internet.interfaces import IProtocol, IStreamClientEndpoint
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from seg.maillog.syslog_stream import LARGEST_WRITE, LONGEST_END, SOUND, StreamLink
from tests.maillog.syslog_double import Told


class Wire(StringTransport):
    """A connection whose kernel takes what it is told to take."""

    def __init__(self, protocol: IProtocol) -> None:
        super().__init__()
        self.protocol = protocol
        self.keeps_alive = False

    def setTcpKeepAlive(self, enabled: bool) -> None:
        self.keeps_alive = bool(enabled)

    def registerProducer(self, producer: Any, streaming: bool) -> None:
        """As a real one: one that waits to be asked is asked."""
        super().registerProducer(producer, streaming)
        producer.resumeProducing()

    def written(self) -> None:
        """The kernel took all."""
        if self.producer is not None:
            self.producer.resumeProducing()

    def lose(self, reason: Exception) -> None:
        """The connection is gone."""
        if self.producer is not None:
            self.producer.stopProducing()
        self.protocol.connectionLost(Failure(reason))

    def abortConnection(self) -> None:
        super().abortConnection()
        self.lose(ConnectionAborted())


@implementer(IStreamClientEndpoint)
class Host:
    """An endpoint; each try waits until it is answered."""

    def __init__(self) -> None:
        self.tries: list[tuple[Any, Deferred[IProtocol]]] = []

    def connect(self, protocolFactory: Any) -> Deferred[IProtocol]:
        """A try."""
        tried: Deferred[IProtocol] = Deferred()
        self.tries.append((protocolFactory, tried))
        return tried

    def accept(self) -> Wire:
        """The try succeeds."""
        factory, tried = self.tries.pop()
        protocol = factory.buildProtocol(None)
        wire = Wire(protocol)
        protocol.makeConnection(wire)
        tried.callback(protocol)
        return wire

    def refuse(self) -> None:
        """It doesn't."""
        self.tries.pop()[1].errback(ConnectError(string="refused"))


class StreamTests(SynchronousTestCase):
    """A link to a host that does as it is told."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.told = Told()
        self.host = Host()
        self.link = StreamLink(self.host, self.clock, self.told, 200)
        self.link.start()

    def send(self, *numbers: int) -> None:
        """Messages that bear numbers."""
        self.link.send([b"%d" % number for number in numbers])

    def steady(self) -> Wire:
        """A connection that lasts."""
        wire = self.host.accept()
        self.clock.advance(0.5)
        return wire

    def test_send(self) -> None:
        """Messages go with their lengths; more are fetched when the kernel has taken those, and nobody is bothered."""
        wire = self.steady()
        self.assertTrue(wire.keeps_alive)
        self.send(1, 22)
        self.send(3)
        self.assertEqual(wire.value(), b"1 12 22")
        wire.written()
        self.assertEqual(wire.value(), b"1 12 221 3")
        wire.written()
        self.assertIsNone(wire.producer)
        self.send(4)
        self.assertEqual((wire.value(), self.told.news), (b"1 12 221 31 4", []))
        wire.protocol.dataReceived(b"whatever syslog says")

    def test_pieces(self) -> None:
        """Never is more than a piece of what waits with the transport."""
        self.link._backlog._most = 10**6
        wire = self.steady()
        self.link.send([b"x" * 60000, b"y" * 5000, b"z" * 5000])
        self.assertEqual(len(wire.value()), 60006 + 5005)
        self.assertLess(len(wire.value()), LARGEST_WRITE)
        wire.written()
        self.assertEqual(len(wire.value()), 60006 + 5005 + 5005)

    def test_not_there(self) -> None:
        """Lines wait for the first connection; told are the first failure, and that it is there."""
        self.send(1)
        self.host.refuse()
        self.clock.advance(1)
        self.host.refuse()
        self.assertEqual(self.told.news, ["away: An error occurred while connecting: refused"])
        self.clock.advance(1.9)
        self.assertEqual(self.host.tries, [])
        self.clock.advance(0.1)
        wire = self.steady()
        self.assertEqual((wire.value(), self.told.news[1:]), (b"1 1", ["back"]))

    def test_accepted_for_nobody(self) -> None:
        """A connection that is closed at once took no line, and isn't told as a return."""
        self.send(1)
        wire = self.host.accept()
        self.clock.advance(0.4)
        wire.lose(ConnectionDone())
        self.assertEqual((wire.value(), self.told.news), (b"", ["away: Connection was closed cleanly"]))
        for delay in (1, 2, 4):  # and again, more and more seldom
            self.clock.advance(delay)
            self.host.accept().lose(ConnectionDone())
        self.assertEqual(len(self.told.news), 1)
        self.clock.advance(8)
        self.assertEqual((self.steady().value(), self.told.news[1:]), (b"1 1", ["back"]))

    def test_goes_away(self) -> None:
        """What the kernel didn't take whole goes again over the next connection; a host that was sound is tried soon."""
        wire = self.steady()
        self.send(1, 2)
        wire.written()
        self.send(3, 4)
        self.clock.advance(SOUND)
        wire.lose(ConnectionLost())
        self.send(5)
        self.clock.advance(1)
        wire = self.steady()
        self.assertEqual(wire.value(), b"1 31 41 5")
        self.assertEqual(self.told.news, ["away: Connection to the other side was lost in a non-clean fashion", "back"])

    def test_lost(self) -> None:
        """Beyond the memory set aside lines are lost, and told once it is back: to syslog behind what was kept."""
        self.host.refuse()
        self.link.send([b"x" * 100] * 5)
        self.clock.advance(1)
        wire = self.steady()
        self.assertEqual(wire.value(), (b"100 " + b"x" * 100) * 2 + b"6 NOTE 3")
        self.assertEqual(self.told.news[1:], ["back", "lost 3"])

    def test_too_slow(self) -> None:
        """One that doesn't read is told of when lines are lost, and what was lost once it has caught up."""
        wire = self.steady()
        self.send(1)
        self.link.send([b"x" * 100] * 3)
        self.assertEqual(self.told.news, ["away: it is too slow"])
        self.send(2)
        wire.written()
        wire.written()
        self.assertEqual(wire.value(), b"1 1" + (b"100 " + b"x" * 100) * 2 + b"6 NOTE 2")
        self.assertEqual(self.told.news[1:], ["back", "lost 2"])

    def test_stop(self) -> None:
        """At the end all that waits is written, then the connection closed; nothing was lost."""
        wire = self.steady()
        self.send(1)
        self.send(2)
        ended = self.link.stop()
        self.assertEqual((wire.value(), wire.disconnecting, wire.producer), (b"1 11 2", True, None))
        self.assertNoResult(ended)
        wire.lose(ConnectionDone())
        self.successResultOf(ended)
        self.assertEqual((self.told.news, self.clock.getDelayedCalls()), ([], []))
        self.successResultOf(self.link.stop())

    def test_stop_without_reader(self) -> None:
        """A host that doesn't read holds nobody up; what waited is counted as lost."""
        self.steady()
        self.send(1)
        self.send(2)
        ended = self.link.stop()
        self.clock.advance(LONGEST_END)
        self.successResultOf(ended)
        self.assertEqual((self.told.news, self.clock.getDelayedCalls()), (["lost 2"], []))

    def test_stop_while_away(self) -> None:
        """The end while nobody is there: between two tries, in the middle of one, and in the first moments."""
        self.send(1)
        self.host.refuse()
        self.successResultOf(self.link.stop())
        self.assertEqual(self.told.news[1:], ["lost 1"])
        self.setUp()
        self.send(1, 2)
        self.successResultOf(self.link.stop())
        self.assertEqual(self.told.news, ["lost 2"])
        self.setUp()
        self.link._service.stopService = Deferred  # type: ignore[method-assign,assignment] # one that never ends
        ended = self.link.stop()
        self.clock.advance(LONGEST_END)
        self.successResultOf(ended)
        self.setUp()
        self.send(1)
        wire = self.host.accept()
        self.link.stop()
        self.assertEqual(wire.value(), b"1 1")
        wire.lose(ConnectionDone())
        self.assertEqual((self.told.news, self.clock.getDelayedCalls()), ([], []))
