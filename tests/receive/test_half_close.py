"""A client that has said all and shuts its side of the connection down."""

from __future__ import annotations

import socket

from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IHalfCloseableProtocol
from twisted.internet.threads import deferToThread
from twisted.trial.unittest import TestCase
from zope.interface.verify import verifyObject

from seg.events.receive import ConnectionClosed
from seg.filter.answers import Accept, Answer
from tests.doubles import MemoryQueue, RecordingSink
from tests.receive.front_door import DATA, EHLO, MAIL, MESSAGE, RCPT
from tests.receive.front_door import Client as Peer
from tests.receive.made_listener import made_listener
from tests.receive.test_filters import FilterCase

QUIT = b"QUIT\r\n"


class HalfCloseTests(FilterCase):
    """`Session.readConnectionLost`."""

    def shut_down(self, client: Peer) -> None:
        verifyObject(IHalfCloseableProtocol, client.protocol)
        client.protocol.readConnectionLost()  # type: ignore[attr-defined]
        client.settle()

    def test_every_question(self) -> None:
        """It gets its replies, then the connection is closed; with QUIT or without."""
        for end in (b"", QUIT):
            client = self.connect()
            client.protocol.dataReceived(EHLO + MESSAGE * 2 + end)
            self.shut_down(client)
            codes = [line[:3] for line in client.heard().splitlines() if line[3:4] == b" "]
            self.assertEqual(codes.count(b"354"), 2)
            self.assertIn(b"queued as", client.heard())
            self.assertTrue(client.closed)
            client.vanish()
        self.assertEqual(len(self.queue.messages), 4)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_waits_for_the_queue(self) -> None:
        """An answer that takes its time is waited for, and what was sent behind it is answered too."""
        self.queue.by_hand = True
        client = self.connect()
        client.say(EHLO + MESSAGE + b"NOOP\r\n")
        self.shut_down(client)
        self.assertFalse(client.closed)
        client.transport.clear()
        self.queue.commits[0].callback(None)
        client.settle()
        self.assertEqual(client.heard(), b"250 2.0.0 Ok: queued as 1\r\n250 2.0.0 Ok\r\n")
        self.assertTrue(client.closed)

    def test_waits_for_filters(self) -> None:
        """With a QUIT ahead the filters' word is waited for; a client that closes while it waits for more has given up, and comes again."""
        for ahead in (QUIT, b""):
            answer: Deferred[Answer] = Deferred()
            client = self.filtered(answer)
            client.say(MESSAGE + ahead)
            self.shut_down(client)
            self.assertIs(client.transport.aborted, not ahead)
            if ahead:
                answer.callback(Accept())
                client.settle()
                self.assertTrue(client.heard().endswith(b"221 2.0.0 Goodbye\r\n"))
                self.assertTrue(client.closed)

    def test_in_the_middle(self) -> None:
        """What isn't whole is forgotten, at once and with its line in the log."""
        for said in (
            b"",
            b"EHLO cl",
            EHLO + MAIL,
            EHLO + MAIL + RCPT + DATA + b"x\r\n",
            EHLO + MAIL + RCPT + b"BDAT 9\r\nabc",
        ):
            client = self.connect()
            client.say(said)
            self.shut_down(client)
            self.assertTrue(client.closed, said)
            client.vanish()
            self.assertIn("ConnectionLost", self.told())
        self.assertEqual(self.queue.messages, {})

    def test_replies_never_read(self) -> None:
        """One that reads nothing either is cut as any other."""
        client = self.connect()
        client.say(EHLO)
        client.protocol.pauseProducing()  # type: ignore[attr-defined]
        client.protocol.dataReceived(b"NOOP\r\n" * 3)
        self.shut_down(client)
        self.assertFalse(client.closed)
        self.clock.pump([100.0] * 4)
        self.assertTrue(client.closed)


class SocketTests(TestCase):
    """With a real socket."""

    async def test_pipelined_session(self) -> None:
        """As ``nc -N`` does it: all at once, then the end."""
        sink, queue = RecordingSink(), MemoryQueue()
        factory = made_listener(queue, reactor, sink=sink)
        port = reactor.listenTCP(0, factory, interface="127.0.0.1")  # type: ignore[attr-defined]
        self.addCleanup(port.stopListening)

        def talk() -> bytes:
            with socket.create_connection(("127.0.0.1", port.getHost().port), 20) as client:
                client.sendall(EHLO + MESSAGE * 30)
                client.shutdown(socket.SHUT_WR)
                return b"".join(iter(lambda: client.recv(65536), b""))

        said = await deferToThread(talk)
        self.assertEqual(said.count(b"queued as"), 30)
        self.assertEqual(len(queue.messages), 30)
        await factory.shutdown(5)
        self.assertEqual(len(sink.of(ConnectionClosed)), 1)
