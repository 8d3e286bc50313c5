"""The adapter between frames and a stream: back-pressure both ways, limits, and the end."""

from __future__ import annotations

from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionDone
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from seg.filter.milter.connection import AT_ONCE, FAREWELL, MOST_WAITING, MilterConnection
from seg.filter.milter.wire import MilterError
from tests.filter.milter_double import answer


class Transport(StringTransport):
    """Knows whether it was cut."""

    aborted = False

    def abortConnection(self) -> None:
        self.aborted = True


class ConnectionTests(SynchronousTestCase):
    """`MilterConnection`."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.wire = MilterConnection(self.clock)
        self.transport = Transport()
        self.wire.makeConnection(self.transport)

    def test_slow_reader(self) -> None:
        """While the milter doesn't read, sending waits; then it goes on."""
        self.successResultOf(self.wire.send(b"1", 30.0))
        self.wire.pauseProducing()
        self.wire.pauseProducing()
        sent = self.wire.send(b"2", 30.0)
        self.assertNoResult(sent)
        self.wire.resumeProducing()
        self.wire.resumeProducing()
        self.successResultOf(sent)
        self.assertEqual(self.transport.value(), b"12")

    def test_no_reader(self) -> None:
        """A milter that doesn't read at all is given up in time; what it does later hurts nobody."""
        self.wire.pauseProducing()
        sent = self.wire.send(b"2", 30.0)
        self.clock.advance(30)
        self.assertIn("doesn't read", str(self.failureResultOf(sent, MilterError).value))
        self.wire.resumeProducing()

    def test_frames_wait(self) -> None:
        """Frames that come before anybody asks are kept in order; a milter that floods isn't read until they are fewer."""
        self.wire.dataReceived(b"".join(answer(b"h", b"%d" % number) for number in range(MOST_WAITING)))
        self.assertEqual(self.transport.producerState, "paused")
        for number in range(MOST_WAITING):
            found = self.successResultOf(self.wire.receive(30.0))
            self.assertEqual(found, (b"h", b"%d" % number))
        self.assertEqual(self.transport.producerState, "producing")

    def test_flood(self) -> None:
        """A milter that answers in advance keeps nobody waiting: so many frames are taken or sent in a turn of the reactor, whoever asks."""
        taken = []

        async def ask() -> None:
            while True:
                taken.append(await self.wire.receive(30.0))
                await self.wire.send(b"x", 30.0)

        asking = Deferred.fromCoroutine(ask())
        self.wire.dataReceived(answer(b"p") * 13_000)
        for _ in range(20):
            before, calls = len(taken), self.clock.calls
            self.assertLessEqual(before, AT_ONCE * 20)
            (turn,) = [call for call in calls if call.getTime() <= self.clock.seconds()]
            calls.remove(turn)
            turn.func(*turn.args, **turn.kw)
            self.assertLessEqual(len(taken) - before, AT_ONCE)
        asking.addErrback(lambda _: None)
        asking.cancel()

    def test_lost(self) -> None:
        """A lost connection ends every wait, and what is tried afterwards fails at once; frames that came before still count."""
        self.wire.dataReceived(answer(b"c"))
        self.wire.pauseProducing()
        sent = self.wire.send(b"1", 30.0)
        self.wire.connectionLost(Failure(ConnectionDone()))
        self.wire.stopProducing()
        self.failureResultOf(sent, MilterError)
        self.assertEqual(self.successResultOf(self.wire.receive(1.0)), (b"c", b""))
        for waiting in (self.wire.receive(1.0), self.wire.send(b"2", 1.0)):
            self.assertIn("closed the connection", str(self.failureResultOf(waiting, MilterError).value))
        self.wire.close(b"bye")
        self.assertEqual((self.transport.value(), self.clock.getDelayedCalls()), (b"1", []))

    def test_garbage(self) -> None:
        """Octets that are no frames end the wait, and the conversation can still be closed."""
        waiting = self.wire.receive(30.0)
        self.wire.dataReceived(b"220 mail.test ESMTP\r\n")
        self.assertIn("is this a milter?", str(self.failureResultOf(waiting, MilterError).value))
        self.wire.close(b"bye")
        self.assertTrue(self.transport.disconnecting)

    def test_close(self) -> None:
        """The last word is said, and the connection cut if it doesn't get through."""
        self.wire.close(b"bye")
        self.wire.close(b"bye")
        self.assertEqual((self.transport.value(), self.transport.disconnecting), (b"bye", True))
        self.clock.advance(FAREWELL)
        self.assertTrue(self.transport.aborted)
        self.wire.connectionLost(Failure(ConnectionDone()))

    def test_closed_in_time(self) -> None:
        """When the milter closes in time nothing is left to be done."""
        self.wire.close()
        self.wire.connectionLost(Failure(ConnectionDone()))
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_late_frames(self) -> None:
        """A frame that comes when its wait has timed out is nobody's."""
        waiting = self.wire.receive(30.0)
        self.clock.advance(30)
        self.failureResultOf(waiting, MilterError)
        self.wire.dataReceived(answer(b"c"))
        self.assertEqual(self.successResultOf(self.wire.receive(1.0)), (b"c", b""))
