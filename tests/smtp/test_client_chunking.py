"""The client towards servers that offer CHUNKING (RFC 3030)."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from seg.mail.envelope import Envelope, Recipient
from seg.mail.errors import Permanent, Temporary
from seg.smtp.client import ClientConnection
from seg.smtp.client_events import Anew, ContentWanted, Ended, TransactionDone
from seg.smtp.dot_stuffing import BdatEncoder, DotEncoder
from seg.smtp.reply import Phase, Reply

TWO = (Recipient(0, "a@to.test"), Recipient(1, "b@to.test"))
ENVELOPE = Envelope(1, "s@from.test", TWO, arrived=0.0)
ONE_AT_A_TIME = b"250-mx.test\r\n250 CHUNKING\r\n"
PIPELINING = b"250-mx.test\r\n250-CHUNKING\r\n250 PIPELINING\r\n"
MAIL, RCPTS = b"MAIL FROM:<s@from.test>\r\n", b"RCPT TO:<a@to.test>\r\nRCPT TO:<b@to.test>\r\n"


def greeted(ehlo: bytes, *, lmtp: bool = False, chunking: bool = True, known: bool | None = True) -> ClientConnection:
    """A connection that is ready for a transaction.

    :param known: whether the server has shown that it knows BDAT.
    """
    core = ClientConnection("us.test", lmtp, chunking)
    core.bdat.known = known
    core.receive(b"220 mx.test\r\n")
    core.hello()
    core.receive(ehlo)
    core.data_to_send()
    return core


class ChunkingTests(SynchronousTestCase):
    """BDAT instead of DATA."""

    def test_pipelined(self) -> None:
        """MAIL and RCPT in one batch; BDAT with the count of octets once it is known that somebody is to get it."""
        core = greeted(PIPELINING)
        core.begin(ENVELOPE, TWO, 1234)
        self.assertEqual(core.data_to_send(), MAIL + RCPTS)
        self.assertEqual(core.receive(b"250 m\r\n250 a\r\n"), [])
        self.assertEqual(core.receive(b"550 5.1.1 b\r\n"), [ContentWanted()])
        self.assertEqual((core.data_to_send(), core.awaiting), (b"BDAT 1234 LAST\r\n", Phase.CONTENT))
        self.assertIsInstance(core.encoder(1234), BdatEncoder)
        core.content_sent()
        (done,) = core.receive(b"250 2.0.0 queued\r\n")
        assert isinstance(done, TransactionDone)
        self.assertIsInstance(done.results[0], Reply)
        self.assertTrue(core.ready)
        core.begin(ENVELOPE, TWO, 1)
        self.assertEqual(core.data_to_send(), MAIL + RCPTS)

    def test_one_at_a_time(self) -> None:
        """The same without PIPELINING."""
        core = greeted(ONE_AT_A_TIME)
        core.begin(ENVELOPE, TWO, 0)
        for said in (MAIL, b"RCPT TO:<a@to.test>\r\n", b"RCPT TO:<b@to.test>\r\n"):
            self.assertEqual(core.data_to_send(), said)
            core.receive(b"250 ok\r\n")
        self.assertEqual(core.data_to_send(), b"BDAT 0 LAST\r\n")

    def test_nobody_accepted(self) -> None:
        """Nothing of the content goes out, and RSET comes before the next transaction."""
        for replies in (b"250 m\r\n550 a\r\n550 b\r\n", b"550 m\r\n503 a\r\n503 b\r\n"):
            core = greeted(PIPELINING)
            core.begin(ENVELOPE, TWO, 5)
            core.data_to_send()
            (done,) = core.receive(replies)
            self.assertIsInstance(done, TransactionDone)
            self.assertEqual((core.data_to_send(), core.ready), (b"", True))
            core.begin(ENVELOPE, TWO, 5)
            reset = b"RSET\r\n" if replies.startswith(b"2") else b""
            self.assertEqual(core.data_to_send(), reset + MAIL + RCPTS)

    def test_lmtp(self) -> None:
        """Behind the chunk a reply for each recipient that was accepted (RFC 2033 §4.2)."""
        core = greeted(PIPELINING, lmtp=True)
        core.begin(ENVELOPE, TWO, 5)
        core.receive(b"250 m\r\n250 a\r\n250 b\r\n")
        core.content_sent()
        self.assertEqual(core.receive(b"250 2.0.0 a\r\n"), [])
        (done,) = core.receive(b"452 4.2.2 b\r\n")
        assert isinstance(done, TransactionDone)
        self.assertEqual([type(done.results[rid]) for rid in (0, 1)], [Reply, Temporary])

    def test_reply_ahead(self) -> None:
        """A reply to BDAT that comes before BDAT is believed by nobody, and nothing of the content goes out."""
        core = greeted(PIPELINING)
        core.begin(ENVELOPE, TWO, 5)
        core.data_to_send()
        events = core.receive(b"250 m\r\n250 a\r\n250 b\r\n250 queued\r\n")
        self.assertEqual([type(event) for event in events], [TransactionDone, Ended])
        self.assertEqual(core.data_to_send(), b"")

    def test_refused_within(self) -> None:
        """A refusal before the chunk's end is the result, and the connection ends."""
        core = greeted(PIPELINING)
        core.begin(ENVELOPE, TWO, 5)
        core.receive(b"250 m\r\n250 a\r\n250 b\r\n")
        events = core.receive(b"552 5.3.4 too big\r\n")
        self.assertEqual([type(event) for event in events], [TransactionDone, Ended])

    def test_not_wanted(self) -> None:
        """DATA where CHUNKING isn't offered, isn't wanted, or was only offered before STARTTLS."""
        plain, unwanted = greeted(b"250-x\r\n250 PIPELINING\r\n"), greeted(PIPELINING, chunking=False)
        again = greeted(b"250-mx.test\r\n250-STARTTLS\r\n250 CHUNKING\r\n")
        again.starttls()
        again.receive(b"220 go\r\n")
        again.hello()
        again.receive(b"250-x\r\n250 PIPELINING\r\n")
        again.data_to_send()
        for core in (plain, unwanted, again):
            core.begin(ENVELOPE, TWO, 5)
            self.assertEqual(core.data_to_send(), MAIL + RCPTS + b"DATA\r\n")
            self.assertIsInstance(core.encoder(5), DotEncoder)


class TrialTests(SynchronousTestCase):
    """A server that offers CHUNKING and hasn't shown that it knows BDAT."""

    def tried(self, size: int = 5) -> ClientConnection:
        """A transaction whose first octet is out."""
        core = greeted(PIPELINING, known=None)
        core.bdat.first = b"x"
        core.begin(ENVELOPE, TWO, size)
        core.data_to_send()
        self.assertEqual(core.receive(b"250 m\r\n250 a\r\n250 b\r\n"), [])
        self.assertEqual((core.data_to_send(), core.awaiting), (b"BDAT 1\r\nx", Phase.CONTENT))
        return core

    def test_known(self) -> None:
        """An octet goes alone; the rest follows its 250, and the next message goes in one chunk."""
        for size in (5, 1):
            core = self.tried(size)
            self.assertEqual(core.receive(b"250 octet\r\n"), [ContentWanted()])
            self.assertEqual((core.data_to_send(), core.bdat.begun), (b"BDAT %d LAST\r\n" % (size - 1), 1))
            core.content_sent()
            (done,) = core.receive(b"250 2.0.0 queued\r\n")
            assert isinstance(done, TransactionDone)
            self.assertIsInstance(done.results[0], Reply)
            self.assertEqual((core.bdat.known, core.bdat.learnt), (True, True))
            core.begin(ENVELOPE, TWO, 3)
            core.receive(b"250 m\r\n250 a\r\n250 b\r\n")
            self.assertTrue(core.data_to_send().endswith(b"BDAT 3 LAST\r\n"))

    def test_unknown(self) -> None:
        """Nothing of the content but the octet went out; the connection ends, and another one may be made at once."""
        for reply in (b"500 5.5.1 what?\r\n", b"502 5.5.1 Command not implemented\r\n"):
            core = self.tried()
            events = core.receive(reply)
            self.assertEqual([type(event) for event in events], [TransactionDone, Ended])
            self.assertEqual((core.data_to_send(), core.bdat.known, core.bdat.learnt), (b"", False, True))
            self.assertIs(core.anew, Anew.BDAT_UNKNOWN)

    def test_refused(self) -> None:
        """Another refusal is the message's, and the connection goes on with RSET."""
        core = self.tried()
        (done,) = core.receive(b"552 5.3.4 too big\r\n")
        assert isinstance(done, TransactionDone)
        self.assertIsInstance(done.results[0], Permanent)
        self.assertEqual((core.ready, core.bdat.known), (True, None))
        core.begin(ENVELOPE, TWO, 5)
        self.assertTrue(core.data_to_send().startswith(b"RSET\r\n"))

    def test_content_not_at_hand(self) -> None:
        """Content that isn't at hand when the transaction begins goes by DATA, and nothing is learnt."""
        core = greeted(PIPELINING, known=None)
        core.begin(ENVELOPE, TWO, 5)
        self.assertEqual(core.data_to_send(), MAIL + RCPTS + b"DATA\r\n")
        self.assertIsNone(core.bdat.known)

    def test_known_not_to(self) -> None:
        """A server that has shown that it doesn't know BDAT gets DATA."""
        core = greeted(PIPELINING, known=False)
        core.bdat.first = b"x"
        core.begin(ENVELOPE, TWO, 5)
        self.assertTrue(core.data_to_send().endswith(b"DATA\r\n"))

    def test_lmtp(self) -> None:
        """A server of LMTP is believed."""
        self.assertTrue(ClientConnection("us.test", lmtp=True).bdat.known)


class ChunkTests(SynchronousTestCase):
    """`BdatEncoder`."""

    @given(st.lists(st.binary(max_size=20)))
    def test_as_it_is(self, pieces: list[bytes]) -> None:
        """What is counted is what is sent, dots and all."""
        chunk = BdatEncoder(sum(map(len, pieces)))
        self.assertEqual(b"".join(map(chunk.feed, pieces)) + chunk.finish(), b"".join(pieces))

    def test_other_size(self) -> None:
        """Too many octets are told before they go out, too few at the end."""
        chunk = BdatEncoder(5)
        self.assertEqual(chunk.feed(b"12345"), b"12345")
        self.assertIn("more than its 5", str(self.assertRaises(OSError, chunk.feed, b"6")))
        short = BdatEncoder(5)
        short.feed(b"123")
        self.assertIn("3 octets of 5", str(self.assertRaises(OSError, short.finish)))
