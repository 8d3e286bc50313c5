"""The sender on a transport in memory, under a clock; and once on real sockets with real TLS."""

from __future__ import annotations

from collections.abc import AsyncIterator, Coroutine
from typing import Any, TypeVar

from OpenSSL import SSL
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import (
    IHandshakeListener,
    ITCPTransport,
)
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer
from zope.interface.verify import verifyObject

from seg.config.schema import Delivery
from seg.deliver.sender_factory import ESMTPSenderFactory
from seg.deliver.smtp_client import CLOSE_TIMEOUT, SMALL, HandshakeFailed, SMTPClientProtocol, StartTLSRefused
from seg.mail.envelope import BodyType, Envelope, Recipient
from seg.mail.errors import Temporary
from seg.mail.outcome import Bounced, Delayed, Delivered, Outcome
from seg.smtp.dot_stuffing import DotDecoder
from seg.tls.peer import SessionFacts
from tests.doubles import CountingCounters, MemoryContent

T = TypeVar("T")

TWO = (Recipient(0, "a@to.test"), Recipient(1, "b@to.test"))
ENVELOPE = Envelope(1, "s@from.test", TWO, arrived=0.0)
SETTINGS = Delivery(greeting_timeout=10.0, command_timeout=20.0, data_timeout=40.0, tls_timeout=5.0, source_address="")
PLAIN = b"250 mx.test\r\n"
PIPELINING = b"250-mx.test\r\n250-PIPELINING\r\n250 STARTTLS\r\n"
BATCH = b"MAIL FROM:<s@from.test>\r\nRCPT TO:<a@to.test>\r\nRCPT TO:<b@to.test>\r\nDATA\r\n"
ACCEPTED = b"250 m\r\n250 a\r\n250 b\r\n354 go\r\n"


@implementer(ITCPTransport)
class MemoryTransport(StringTransport):
    """Keeps what was written, and loses the connection when told to, like a socket: once, and in a later
    call."""

    def __init__(self) -> None:
        super().__init__()
        self.no_delay = False
        self.aborted = False
        self.started: list[object] = []  # creators given to startTLS

    def setTcpNoDelay(self, enabled: bool) -> None:
        self.no_delay = enabled

    def abortConnection(self) -> None:
        self.aborted = True
        self.disconnecting = True

    def startTLS(self, creator: object, normal: bool = True) -> None:
        self.started.append(creator)

    def getHandle(self) -> object:
        return self


class SenderCase(SynchronousTestCase):
    """A sender, its transport, and a script for the server."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.transport = MemoryTransport()
        factory = ESMTPSenderFactory("seg.test", SETTINGS, self.clock, CountingCounters(start=7))
        self.sender = factory.buildProtocol(None)
        self.sender.makeConnection(self.transport)

    def run_(self, work: Coroutine[Deferred[Any], Any, T]) -> Deferred[T]:
        return Deferred.fromCoroutine(work)

    def server(self, *segments: bytes) -> None:
        for segment in segments:
            self.sender.dataReceived(segment)

    def said(self) -> bytes:
        said = self.transport.value()
        self.transport.clear()
        return said

    def lose(self) -> None:
        if self.transport.producer is not None:
            self.transport.producer.stopProducing()
        self.sender.connectionLost(Failure(ConnectionDone()))

    def greet(self, ehlo: bytes = PIPELINING) -> None:
        hello = self.run_(self.sender.hello())
        self.server(b"220 mx.test\r\n", ehlo)
        self.successResultOf(hello)
        self.said()

    def send(self, content: object = None) -> Deferred[dict[int, Outcome]]:
        # type: ignore[arg-type]
        return self.run_(self.sender.send(ENVELOPE, TWO, content or MemoryContent(b"x\r\n")))

    def assertDelayed(self, work: Deferred[dict[int, Outcome]], enhanced: str, words: str = "") -> None:
        """Everybody is delayed by this error."""
        outcomes = self.successResultOf(work)
        self.assertEqual(set(outcomes), {0, 1})
        for outcome in outcomes.values():
            assert isinstance(outcome, Delayed)
            self.assertEqual((outcome.error.enhanced, outcome.dcid), (enhanced, 7))
            self.assertIn(words, outcome.error.text)

    def assertGone(self) -> None:
        """Not healthy, and on its way out."""
        self.assertFalse(self.sender.healthy)
        self.assertTrue(self.transport.disconnecting)
        self.lose()
        self.assertTrue(self.sender.closed)
        self.assertEqual(self.clock.getDelayedCalls(), [])


class HelloTests(SenderCase):
    """`hello`."""

    def test_hello(self) -> None:
        """It waits for the greeting, gives the capabilities, and leaves a healthy sender without Nagle's
        delay."""
        hello = self.run_(self.sender.hello())
        self.assertNoResult(hello)
        self.server(b"220 mx.test\r\n")
        self.assertEqual(self.said(), b"EHLO seg.test\r\n")
        self.assertFalse(self.sender.healthy)
        self.server(PIPELINING)
        self.assertTrue(self.successResultOf(hello).pipelining)
        self.assertTrue(self.sender.facts.starttls_offered)
        self.assertEqual((self.sender.healthy, self.sender.dcid, self.sender.transactions), (True, 7, 0))
        self.assertTrue(self.transport.no_delay)
        self.assertTrue(verifyObject(IHandshakeListener, self.sender))

    def test_greeting_times_out(self) -> None:
        """No greeting within its time is 4.4.1; octets that don't complete it win no time."""
        hello = self.run_(self.sender.hello())
        for _ in range(9):
            self.clock.advance(1)
            self.server(b"2")
        self.clock.advance(0.9)
        self.assertNoResult(hello)
        self.clock.advance(0.1)
        error = self.failureResultOf(hello, Temporary).value
        self.assertEqual(error.enhanced, "4.4.1")
        self.assertTrue(self.transport.aborted)
        self.assertGone()

    def test_ehlo_times_out(self) -> None:
        """No reply to EHLO within the command time-out is 4.4.2."""
        hello = self.run_(self.sender.hello())
        self.clock.advance(9)
        self.server(b"220 mx.test\r\n")
        self.clock.advance(19)
        self.assertNoResult(hello)
        self.clock.advance(1)
        self.assertIn("EHLO", self.failureResultOf(hello, Temporary).value.text)
        self.assertGone()

    def test_refused(self) -> None:
        """A refusal has the server's words; QUIT is said and the connection closed, by force after some
        seconds."""
        hello = self.run_(self.sender.hello())
        self.server(b"554 5.7.1 not you\r\n")
        error = self.failureResultOf(hello, Temporary).value
        self.assertEqual((error.enhanced, error.remote), ("4.7.1", ("5.7.1 not you",)))
        self.assertEqual(self.said(), b"QUIT\r\n")
        self.assertFalse(self.transport.aborted)
        self.clock.advance(CLOSE_TIMEOUT)
        self.assertTrue(self.transport.aborted)
        self.assertGone()

    def test_ended_before(self) -> None:
        """A connection that ended before `hello` fails it with the reason."""
        self.server(b"421 4.3.2 full\r\n")
        error = self.failureResultOf(self.run_(self.sender.hello()), Temporary).value
        self.assertEqual(error.enhanced, "4.3.2")
        self.assertGone()

    def test_lost(self) -> None:
        """A connection lost before the greeting is 4.4.2."""
        hello = self.run_(self.sender.hello())
        self.lose()
        self.assertEqual(self.failureResultOf(hello, Temporary).value.enhanced, "4.4.2")

    def test_cancelled(self) -> None:
        """Cancelling drops the connection."""
        hello = self.run_(self.sender.hello())
        hello.cancel()
        self.failureResultOf(hello, CancelledError)
        self.assertGone()


class StartTLSTests(SenderCase):
    """`start_tls` without cryptography: `handshakeCompleted` stands for it."""

    def setUp(self) -> None:
        super().setUp()
        self.greet()
        self.started = self.run_(self.sender.start_tls("creator", self.facts_of))  # type: ignore[arg-type]

    def facts_of(self, connection: object) -> SessionFacts:
        self.assertIs(connection, self.transport)
        return SessionFacts(tls=True, version="TLSv1.3", starttls_offered=True)

    def test_success(self) -> None:
        """TLS is begun within the call that brought the 220; nothing is sent before `hello`, which sends EHLO
        again."""
        self.assertEqual(self.said(), b"STARTTLS\r\n")
        self.server(b"220 go\r\n")
        self.assertEqual(self.transport.started, ["creator"])
        self.assertNoResult(self.started)
        self.sender.handshakeCompleted()
        self.assertEqual(self.successResultOf(self.started).version, "TLSv1.3")
        self.assertEqual((self.said(), self.sender.healthy), (b"", False))
        hello = self.run_(self.sender.hello())
        self.assertEqual(self.said(), b"EHLO seg.test\r\n")
        self.server(PLAIN)
        self.successResultOf(hello)
        self.assertTrue(self.sender.facts.tls and self.sender.facts.starttls_offered and self.sender.healthy)

    def test_refused(self) -> None:
        """A refusal leaves the session good in clear text, and the facts say so."""
        self.server(b"454 4.7.0 not now\r\n")
        error = self.failureResultOf(self.started, StartTLSRefused).value
        self.assertEqual((error.enhanced, error.remote), ("4.7.0", ("4.7.0 not now",)))
        self.assertTrue(self.sender.healthy)
        self.assertEqual(self.sender.facts.failure, "STARTTLS refused: 4.7.0 not now")
        self.assertEqual(self.transport.started, [])

    def test_plaintext_behind_the_220(self) -> None:
        """Plaintext in the segment of the 220 ends the connection, and TLS is never begun."""
        self.server(b"220 go\r\n250-mx.test\r\n250 SIZE\r\n")
        error = self.failureResultOf(self.started, HandshakeFailed).value
        self.assertEqual(error.enhanced, "4.7.0")
        self.assertIn("Plaintext", error.text)
        self.assertEqual(self.transport.started, [])
        self.assertGone()

    def test_handshake_times_out(self) -> None:
        """The handshake has its own time."""
        self.server(b"220 go\r\n")
        self.clock.advance(4.9)
        self.assertNoResult(self.started)
        self.clock.advance(0.1)
        self.failureResultOf(self.started, HandshakeFailed)
        self.assertTrue(self.transport.aborted)
        self.assertGone()

    def test_handshake_fails(self) -> None:
        """OpenSSL's reason is in the error."""
        self.server(b"220 go\r\n")
        self.sender.connectionLost(Failure(SSL.Error([("SSL routines", "", "tlsv1 alert protocol version")])))
        error = self.failureResultOf(self.started, HandshakeFailed).value
        self.assertEqual(str(error), "4.7.5 TLS handshake failed: tlsv1 alert protocol version")

    def test_lost_before_the_220(self) -> None:
        """A connection lost before the 220 isn't a failed handshake."""
        self.lose()
        self.assertIs(type(self.failureResultOf(self.started, Temporary).value), Temporary)

    def test_creator_fails(self) -> None:
        """A creator that raises ends this connection only."""

        def broken(creator: object) -> None:
            raise SSL.Error([("SSL routines", "", "no ciphers available")])

        self.transport.startTLS = broken  # type: ignore[method-assign,assignment]
        self.server(b"220 go\r\n")
        self.assertIn("no ciphers", self.failureResultOf(self.started, HandshakeFailed).value.text)
        self.assertGone()


class SendTests(SenderCase):
    """`send`."""

    def setUp(self) -> None:
        super().setUp()
        self.greet()

    def test_given_up(self) -> None:
        """A transaction that is given up keeps what is certain; the rest has the reason, and nothing is in doubt before the dot."""
        sent = self.send()
        self.server(b"250 m\r\n550 5.1.1 no\r\n")
        self.assertNoResult(sent)
        self.sender.give_up(Temporary("4.4.7", "enough"))
        outcomes = self.successResultOf(sent)
        refused, waiting = outcomes[0], outcomes[1]
        assert isinstance(refused, Bounced)
        assert isinstance(waiting, Delayed)
        self.assertEqual(
            (refused.error.enhanced, str(waiting.error), waiting.in_doubt), ("5.1.1", "4.4.7 enough", False)
        )
        self.assertGone()

    def test_given_up_behind_the_dot(self) -> None:
        """Behind the final dot it is in doubt who has the message."""
        sent = self.send()
        self.server(ACCEPTED)
        self.assertTrue(self.sender.behind_dot)
        self.sender.give_up(Temporary("4.4.7", "enough"))
        for outcome in self.successResultOf(sent).values():
            assert isinstance(outcome, Delayed)
            self.assertTrue(outcome.in_doubt)

    def test_small(self) -> None:
        """The commands go in one write, small content whole in another; everybody gets an outcome."""
        sent = self.send(MemoryContent(b".dot\r\nx\r\n"))
        self.assertEqual(self.said(), BATCH)
        self.server(b"250 m\r\n250 a\r\n550 5.1.1 who?\r\n354 go\r\n")
        self.assertEqual(self.said(), b"..dot\r\nx\r\n.\r\n")
        self.server(b"250-2.0.0 queued\r\n250 as 1\r\n")
        outcomes = self.successResultOf(sent)
        self.assertEqual(outcomes[0], Delivered(7, "2.0.0 queued as 1"))
        refused = outcomes[1]
        assert isinstance(refused, Bounced)
        self.assertEqual((refused.dcid, refused.error.code, refused.error.remote), (7, 550, ("5.1.1 who?",)))
        self.assertEqual((self.sender.healthy, self.sender.transactions), (True, 1))

    def test_one_at_a_time(self) -> None:
        """Without PIPELINING the dialogue goes step by step."""
        self.setUp_plain()
        sent = self.send()
        for said in (b"MAIL FROM:<s@from.test>\r\n", b"RCPT TO:<a@to.test>\r\n", b"RCPT TO:<b@to.test>\r\n"):
            self.assertEqual(self.said(), said)
            self.server(b"250 ok\r\n")
        self.assertEqual(self.said(), b"DATA\r\n")
        self.server(b"354 go\r\n")
        self.assertEqual(self.said(), b"x\r\n.\r\n")
        self.server(b"250 done\r\n")
        self.assertEqual(self.successResultOf(sent), {0: Delivered(7, "done"), 1: Delivered(7, "done")})

    def setUp_plain(self) -> None:
        SenderCase.setUp(self)
        self.greet(PLAIN)

    def test_content_arrives_as_it_was(self) -> None:
        """Lone dots, leading dots and CRLF lines arrive unaltered, cut at every octet and at each
        16,384-octet boundary."""
        tricky = b".\r\n..\r\n.a\r\n\r\n.\r\nb\r\n"
        for offset in range(len(tricky) + 1):
            big = b"y" * (16382 - offset) + b"\r\n" + tricky
            big = big * 5 + tricky
            for content in (MemoryContent(tricky, piece=max(offset, 1)), MemoryContent(big, piece=16384)):
                with self.subTest(f"{offset} {content.size}"):
                    SenderCase.setUp(self)
                    self.greet()
                    sent = self.send(content)
                    self.said()
                    self.server(ACCEPTED)
                    decoder = DotDecoder()
                    wire = self.said()
                    received = decoder.feed(wire)
                    self.assertTrue(decoder.ended)
                    self.assertEqual((received, decoder.rest, decoder.bare), (content.data, b"", ""))
                    self.server(b"250 ok\r\n")
                    self.assertIsInstance(self.successResultOf(sent)[0], Delivered)

    def test_large_content_waits(self) -> None:
        """Large content stops while the transport's buffer is full, and goes on when there is room."""
        taken: list[int] = []

        class Counted(MemoryContent):
            async def chunks(self) -> AsyncIterator[bytes]:
                async for chunk in super().chunks():
                    taken.append(len(chunk))
                    yield chunk

        content = Counted(b"x" * 998 * 1000, piece=65536)
        write = self.transport.write

        def full_at_once(data: bytes) -> None:
            write(data)
            if self.transport.producer is not None:
                self.transport.producer.pauseProducing()

        self.transport.write = full_at_once  # type: ignore[method-assign]
        sent = self.send(content)
        self.said()
        self.server(ACCEPTED)
        self.assertTrue(self.transport.streaming)
        wire = self.said()
        self.assertEqual(len(wire), 65536)
        rounds = 0
        while self.transport.producer is not None:
            self.assertLessEqual(len(taken), rounds + 2)
            self.clock.advance(19)  # slow, but within the time of each block
            self.transport.producer.resumeProducing()
            wire += self.said()
            rounds += 1
        self.assertEqual(wire, content.data + b"\r\n.\r\n")
        self.clock.advance(39)
        self.assertNoResult(sent)
        self.server(b"250 ok\r\n")
        self.assertIsInstance(self.successResultOf(sent)[0], Delivered)
        self.assertTrue(self.sender.healthy)

    def stalled(self) -> Deferred[dict[int, Outcome]]:
        """A transaction in the middle of content that the transport doesn't take."""
        sent = self.send(MemoryContent(b"x" * (SMALL + 1) * 4))
        write = self.transport.write

        def full_at_once(data: bytes) -> None:
            write(data)
            if self.transport.producer is not None:
                self.transport.producer.pauseProducing()

        self.transport.write = full_at_once  # type: ignore[method-assign]
        self.server(ACCEPTED)
        self.assertNoResult(sent)
        return sent

    def test_stalled_content_times_out(self) -> None:
        """A peer that takes no octet of the content within the time of a block is given up."""
        sent = self.stalled()
        self.clock.advance(20)
        self.assertDelayed(sent, "4.4.2", "timeout")
        self.assertTrue(self.transport.aborted)
        self.assertGone()

    def test_421_within_data(self) -> None:
        """A16: 421 in the middle of the content, then the end: delayed, aborted, and no more content is
        written."""
        sent = self.stalled()
        self.said()
        self.server(b"421 4.3.2 closing\r\n")
        self.lose()
        self.assertDelayed(sent, "4.3.2")
        self.assertTrue(self.transport.aborted)
        self.assertEqual(self.said(), b"")

    def test_refused_within_data(self) -> None:
        """A refusal in the middle of the content is the outcome; the connection is aborted."""
        sent = self.stalled()
        self.server(b"552 5.3.4 too much\r\n")
        outcome = self.successResultOf(sent)[0]
        assert isinstance(outcome, Bounced)
        self.assertTrue(self.transport.aborted)
        self.assertGone()

    def test_lost_within_data(self) -> None:
        """A connection lost in the middle of the content delays everybody."""
        sent = self.stalled()
        self.lose()
        self.assertDelayed(sent, "4.4.2", "end of data")

    def test_cancelled_within_data(self) -> None:
        """Cancelled in the middle of the content, the connection is aborted: the rest would be taken for
        commands."""
        sent = self.stalled()
        sent.cancel()
        self.failureResultOf(sent, CancelledError)
        self.assertTrue(self.transport.aborted)
        self.assertGone()

    def test_cancelled_waiting(self) -> None:
        """Cancelled while a reply is due, the connection is dropped."""
        sent = self.send()
        sent.cancel()
        self.failureResultOf(sent, CancelledError)
        self.assertGone()

    def test_unreadable_small(self) -> None:
        """Small content that can't be read delays everybody and costs no connection."""
        self.assertDelayed(self.send(Unreadable(10, pieces=0)), "4.3.0", "gone bad")
        self.assertEqual(self.said(), b"")
        self.assertTrue(self.sender.healthy)

    def test_unreadable_large(self) -> None:
        """Large content that breaks off half-way is never ended with a dot: the connection is aborted."""
        sent = self.send(Unreadable(SMALL + 1, pieces=1))
        self.said()
        self.server(ACCEPTED)
        self.assertDelayed(sent, "4.3.0", "gone bad")
        self.assertEqual(self.said(), b"piece\r\n")
        self.assertTrue(self.transport.aborted)
        self.assertGone()

    def test_time_outs(self) -> None:
        """Each phase of a transaction has its time, counted from the reply before."""
        for replies, allowed in (
            (b"", 20),
            (b"250 m\r\n", 20),
            (b"250 m\r\n250 a\r\n250 b\r\n", 20),
            (ACCEPTED, 40),
        ):
            with self.subTest(replies):
                SenderCase.setUp(self)
                self.greet()
                sent = self.send()
                self.clock.advance(15)
                if replies:
                    self.server(replies)
                    self.clock.advance(allowed - 1)
                else:
                    self.clock.advance(4)
                self.assertNoResult(sent)
                self.clock.advance(1)
                self.assertDelayed(sent, "4.4.2", "timeout")
                self.assertGone()

    def test_lost(self) -> None:
        """A lost connection delays whoever has no answer yet."""
        sent = self.send()
        self.server(b"250 m\r\n550 5.1.1 a\r\n")
        self.lose()
        outcomes = self.successResultOf(sent)
        self.assertIsInstance(outcomes[0], Bounced)
        self.assertIsInstance(outcomes[1], Delayed)

    def test_in_doubt(self) -> None:
        """Lost behind the final dot: nobody knows whether the server took it. Lost before, or refused: it didn't."""
        sent = self.send()
        self.server(ACCEPTED)
        self.lose()
        for outcome in self.successResultOf(sent).values():
            assert isinstance(outcome, Delayed)
            self.assertTrue(outcome.in_doubt)

    def test_not_in_doubt(self) -> None:
        """A 421 in place of the last reply is a refusal."""
        sent = self.send()
        self.server(ACCEPTED, b"421 4.3.2 bye\r\n")
        for outcome in self.successResultOf(sent).values():
            assert isinstance(outcome, Delayed)
            self.assertFalse(outcome.in_doubt)

    def test_not_sendable(self) -> None:
        """A message that the server can't take bounces without a word on the wire."""
        eight = Envelope(1, "", TWO, arrived=0.0, body=BodyType.EIGHT_BIT)
        outcomes = self.successResultOf(self.run_(self.sender.send(eight, TWO, MemoryContent(b"\xe4\r\n"))))
        self.assertEqual({type(outcome) for outcome in outcomes.values()}, {Bounced})
        self.assertEqual((self.said(), self.sender.healthy), (b"", True))

    def test_after_the_end(self) -> None:
        """A sender that is gone delays everybody; it doesn't raise."""
        self.server(b"421 4.3.2 bye\r\n")
        self.assertDelayed(self.send(), "4.3.2")
        self.lose()
        self.assertDelayed(self.send(), "4.3.2")

    def test_many_transactions(self) -> None:
        """Transactions follow one another, and no timers pile up."""
        for _ in range(5):
            sent = self.send()
            self.server(ACCEPTED, b"250 ok\r\n")
            self.successResultOf(sent)
            self.clock.advance(3)
        self.assertEqual(self.sender.transactions, 5)
        self.assertLessEqual(len(self.clock.getDelayedCalls()), 1)


class Unreadable(MemoryContent):
    """Fails after some pieces."""

    def __init__(self, size: int, pieces: int) -> None:
        super().__init__(b"")
        self.size = size
        self._pieces = pieces

    async def chunks(self) -> AsyncIterator[bytes]:
        for _ in range(self._pieces):
            yield b"piece\r\n"
        raise OSError(5, "gone bad")


class ClosingTests(SenderCase):
    """The end of a connection."""

    def setUp(self) -> None:
        super().setUp()
        self.greet()
        self.closed: list[SMTPClientProtocol] = []
        self.sender.on_closed(self.closed.append)

    def test_closed_once(self) -> None:
        """Whoever asked hears once that the connection is gone, and at once when it is already."""
        self.lose()
        self.sender.connectionLost(Failure(ConnectionDone()))
        self.assertEqual(self.closed, [self.sender])
        self.sender.on_closed(self.closed.append)
        self.assertEqual(len(self.closed), 2)

    def test_idle_end(self) -> None:
        """EOF, an unasked 421 or chatter while idle makes the sender unhealthy, and it closes."""
        for octets in (b"", b"421 4.4.2 idle too long\r\n", b"250 what?\r\n", b"2", b"\x00"):
            with self.subTest(octets):
                SenderCase.setUp(self)
                self.greet()
                self.assertTrue(self.sender.healthy)
                if octets:
                    self.server(octets)
                    self.assertGone()
                else:
                    self.lose()
                    self.assertFalse(self.sender.healthy)

    def test_quit(self) -> None:
        """QUIT waits for its reply, then closes; it ends when the connection is gone."""
        leaving = self.run_(self.sender.quit())
        self.assertEqual((self.said(), self.sender.healthy), (b"QUIT\r\n", False))
        self.assertFalse(self.transport.disconnecting)
        self.server(b"221 bye\r\n")
        self.assertTrue(self.transport.disconnecting)
        self.assertNoResult(leaving)
        self.lose()
        self.successResultOf(leaving)
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.successResultOf(self.run_(self.sender.quit()))

    def test_quit_unanswered(self) -> None:
        """A server that doesn't answer QUIT is left after some seconds."""
        leaving = self.run_(self.sender.quit())
        self.clock.advance(CLOSE_TIMEOUT)
        self.assertTrue(self.transport.aborted)
        self.lose()
        self.successResultOf(leaving)

    def test_quit_twice(self) -> None:
        """Who asks again meanwhile waits for the same end; the reply to QUIT is still awaited."""
        first, second = self.run_(self.sender.quit()), self.run_(self.sender.quit())
        self.assertEqual((self.said(), self.transport.disconnecting), (b"QUIT\r\n", False))
        self.lose()
        self.successResultOf(first)
        self.successResultOf(second)

    def test_quit_soon(self) -> None:
        """Nobody needs to wait for QUIT."""
        self.sender.quit_soon()
        self.assertEqual(self.said(), b"QUIT\r\n")
        self.server(b"221 bye\r\n")
        self.assertGone()

    def test_quit_within_an_operation(self) -> None:
        """QUIT in the middle of a transaction drops the connection."""
        sent = self.send()
        self.run_(self.sender.quit())
        self.assertDelayed(sent, "4.4.2")
        self.assertTrue(self.transport.aborted)
        self.assertGone()

    def test_reset(self) -> None:
        """RSET keeps a healthy sender; a server that refuses it is left."""
        reset = self.run_(self.sender.reset())
        self.assertEqual(self.said(), b"RSET\r\n")
        self.server(b"250 ok\r\n")
        self.successResultOf(reset)
        self.assertTrue(self.sender.healthy)
        reset = self.run_(self.sender.reset())
        self.server(b"500 no\r\n")
        self.failureResultOf(reset, Temporary)
        self.assertGone()

    def test_no_time_out_while_idle(self) -> None:
        """An idle connection is the pool's business: no time-out of an earlier operation hits it."""
        self.clock.advance(1000)
        self.assertTrue(self.sender.healthy)
        self.assertEqual(self.clock.getDelayedCalls(), [])
