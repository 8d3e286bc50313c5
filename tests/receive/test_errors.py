"""A client that gets nowhere is sent away, and doesn't fill the log, however it goes about it."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from seg.admin.counters import EventCounters
from seg.config.receive import Access, Recipients, SenderGroup
from seg.events.receive import (
    AuthFailed,
    BadCommand,
    ConnectionClosed,
    ReceiveFailed,
    RecipientAccepted,
    RecipientRefused,
    RefusalsUntold,
    SenderRefused,
    UnknownCommand,
)
from seg.receive.refusals import MOST_TOLD
from tests.doubles import tell
from tests.receive.front_door import DATA, EHLO, MAIL, MESSAGE, RCPT, TRANSACTION, FrontDoorCase

STRANGER = "203.0.113.1"
TOO_MANY = b"421 4.7.0 Too many errors; closing connection\r\n"
ELSEWHERE = b"RCPT TO:<x@elsewhere.test>\r\n"
# Each leads nowhere; whoever repeats it, or any mix of them, is sent away.
NOWHERE = (
    b"NOOP\r\n",
    b"NOOP x\r\n",
    b"RSET\r\n",
    b"HELP\r\n",
    b"VRFY x\r\n",
    EHLO,
    b"HELO client.test\r\n",
    MAIL + b"RSET\r\n",
    MAIL + EHLO,
    MAIL + ELSEWHERE + b"RSET\r\n",
    MAIL + RCPT + b"RSET\r\n",
    MAIL + RCPT * 3 + EHLO,
    MAIL + RCPT + ELSEWHERE * 3 + b"RSET\r\n",
    MAIL + RCPT + b"BDAT 0\r\n" * 3 + b"RSET\r\n",
    MAIL + RCPT + b"BDAT 3\r\nabc" + b"RSET\r\n",
    b"MAIL FROM:<a@one.test> SIZE=999999999\r\n",
    b"MAIL FROM:<a@one.test> BODY=8BITMIME RET=HDRS\r\nRSET\r\n",
    MAIL + RCPT + b"BDAT 5 LAST\r\na\0b\r\n",
    MAIL + RCPT + b"BDAT 5 LAST\r\na\nb\r\n",
    TRANSACTION + b"Received: x\r\n" * 60 + b"\r\n.\r\n",
)


class SentAwayTests(FrontDoorCase):
    """A stranger, from whom mail for two.test is accepted."""

    def setUp(self) -> None:
        super().setUp()
        self.build_for_strangers()

    def build_for_strangers(self, **settings: object) -> None:
        groups = (SenderGroup(name="IN", match=("ALL",), access=Access.ACCEPT),)
        self.build(groups=groups, recipients=Recipients(accept=("two.test",)), **settings)

    def test_each(self) -> None:
        """Each, repeated, ends with 421 after a hundred or so replies, and at most twenty refusals have lines of their own."""
        for lines in NOWHERE:
            with self.subTest(lines[:40]):
                self.sink.events.clear()
                client = self.connect(STRANGER)
                said = client.say(EHLO + lines * 1000)
                self.assertTrue(said.endswith(TOO_MANY), said[-80:])
                self.assertTrue(client.closed)
                self.assertLess(said.count(b"\r\n2") + said.count(b"\r\n5"), 1500)
                client.vanish()
                self.assertLessEqual(self.refusals_told(), MOST_TOLD)
                self.assertLess(len(self.sink.events), 750)

    def refusals_told(self) -> int:
        kinds = (
            RecipientRefused,
            SenderRefused,
            BadCommand,
            UnknownCommand,
            AuthFailed,
        )
        content = [e for e in self.sink.of(ReceiveFailed) if "Too many errors" not in e.text]
        return len(content) + sum(len(self.sink.of(kind)) for kind in kinds)  # type: ignore[type-var]

    @settings(max_examples=30, deadline=None)
    @given(st.lists(st.sampled_from(NOWHERE), min_size=1, max_size=6), st.data())
    def test_any_mix(self, mix: list[bytes], data: st.DataObject) -> None:
        """Any mix of them ends the connection as well."""
        super().setUp()
        self.build_for_strangers(max_refusals=8, max_idle_commands=8)
        client = self.connect(STRANGER)
        client.say(EHLO)
        for _ in range(8 * 9):
            client.say(data.draw(st.sampled_from(mix)))
            if client.closed:
                break
        self.assertTrue(client.closed)
        self.assertTrue(client.heard().endswith(TOO_MANY))

    def test_who_gets_somewhere_stays(self) -> None:
        """An accepted message wipes refusals and idle commands out: with some of each before every message nobody is sent away."""
        client = self.connect(STRANGER)
        client.say(EHLO)
        for _ in range(30):
            said = client.codes(b"NOOP\r\n" * 20 + b"RSET\r\n" + MAIL + ELSEWHERE * 20 + RCPT + DATA + b"x: y\r\n.\r\n")
            self.assertEqual(said[-1], 250)
        self.assertFalse(client.closed)
        self.assertEqual(len(self.queue.messages), 30)

    def test_recipients_for_nothing(self) -> None:
        """However many recipients each transaction has, of those that never become a message only a thousand or two are accepted."""
        for end in (b"RSET\r\n", EHLO, DATA + b"bare\nline\r\n.\r\n", b"BDAT 5 LAST\r\na\nb\r\n"):
            for count in (1, 9, 10, 100, 1000):
                self.sink.events.clear()
                client = self.connect(STRANGER)
                client.say(EHLO + (MAIL + RCPT * count + end) * (100 + 20_000 // count))
                self.assertTrue(client.closed, (end, count))
                self.assertLessEqual(len(self.sink.of(RecipientAccepted)), 2000, (end, count))

    def test_many_recipients_and_chunks(self) -> None:
        """A thousand recipients, or chunks with octets in them, are no idle commands."""
        client = self.connect(STRANGER)
        self.assertEqual(set(client.codes(EHLO + MAIL + RCPT * 1000)), {250})
        said = client.codes(b"BDAT 3\r\nx\r\n" * 500 + b"BDAT 0 LAST\r\n")
        self.assertEqual((len(said), set(said)), (501, {250}))
        self.assertEqual(len(self.queue.messages), 1)

    def test_keys(self) -> None:
        """Both limits are keys."""
        self.build_for_strangers(max_refusals=3, max_idle_commands=5)
        client = self.connect(STRANGER)
        self.assertEqual(client.codes(EHLO + MAIL + ELSEWHERE * 9), [250, 250, 550, 550, 550, 421])
        client = self.connect(STRANGER)
        self.assertEqual(client.codes(EHLO + b"NOOP\r\n" * 9), [250, 250, 250, 250, 250, 421])

    def test_the_rest_is_counted(self) -> None:
        """Refusals without a line are in one line at the end, and in the metrics."""
        client = self.connect(STRANGER)
        client.say(EHLO + MAIL + ELSEWHERE * 90 + b"MAIL FROM:<a@one.test> SIZE=x\r\nQUIT\r\n")
        client.vanish()
        self.assertEqual(self.sink.of(RefusalsUntold), [RefusalsUntold(1, 71, 70, 0)])
        self.assertIsInstance(self.sink.events[-1], ConnectionClosed)
        counters = EventCounters(self.clock.seconds)
        tell(counters, *self.sink.events)
        self.assertEqual(counters.total("recipients_refused"), 90)

    def test_message_behind_the_end(self) -> None:
        """What was pipelined behind the last straw isn't taken."""
        client = self.connect(STRANGER)
        client.say(EHLO + b"NOOP\r\n" * 200 + MESSAGE)
        self.assertEqual(self.queue.messages, {})


class EndlessTests(FrontDoorCase):
    """What has no end is cut off."""

    def test_lines(self) -> None:
        """A line without an end is 500 once, then 421 after 1 MiB,
        in every state in which lines are read."""
        for before in (b"", EHLO, EHLO + MAIL, EHLO + MAIL + RCPT, EHLO + MAIL + RCPT + b"BDAT 1\r\nx"):
            for piece in (b"x" * 65536, b"\n" * 65536, b"AUTH PLAIN " * 6000, b"XCLIENT NAME=" * 5000):
                with self.subTest(before + piece[:12]):
                    client = self.connect()
                    client.say(before)
                    self.assertEqual(client.codes(piece)[-1:], [500])
                    said = [client.codes(piece) for _ in range(17)]
                    self.assertEqual([codes for codes in said if codes], [[421]])
                    self.assertTrue(client.closed)
                    core = client.protocol._core  # type: ignore[attr-defined]
                    self.assertLess(core.buffered, 2000)
                    client.vanish()
        self.assertIn("Line without an end", self.sink.of(ReceiveFailed)[-1].text)

    def test_tls_in_clear(self) -> None:
        """A client that begins a handshake where SMTP is spoken is told of in the log as such, and let go at once, in every state in
        which lines are read, whatever octets its handshake has."""
        for before in (b"", EHLO, EHLO + MAIL, EHLO + MAIL + RCPT):
            for behind in (b"", b"\n", b"\r\n", b"x" * 5000, b"\0\r\n\x16\x03\r\n"):
                with self.subTest(before + behind[:12]):
                    client = self.connect()
                    client.say(before)
                    self.assertEqual(client.codes(b"\x16\x03\x01\x02\0\x01" + behind), [421])
                    self.assertTrue(client.closed)
                    client.vanish()
                    self.assertIn("TLS handshake where SMTP was expected", self.sink.of(ReceiveFailed)[-1].text)

    def test_content(self) -> None:
        """Content without an end is read on for some times the largest size, in flat memory, then it is 552 and the end."""
        self.build(max_message_size=100_000)
        for begin in (DATA, b"BDAT 400000\r\n"):
            client = self.connect()
            client.say(EHLO + MAIL + RCPT + begin)
            sent = 0
            while not client.closed:
                client.say(b"x" * 65536)
                sent += 65536
                self.assertLess(sent, 2_000_000)
                self.assertLess(client.protocol._core.buffered, 70_000)  # type: ignore[attr-defined]
                if sent > 500_000 and begin != DATA:
                    break
            self.assertLess(len(self.queue.writers[-1].data), 101_000)
        self.assertEqual(self.queue.messages, {})

    def test_chunk_that_lies(self) -> None:
        """A chunk that says it is larger than anything that is read on is refused at once, wherever it comes."""
        for before in (b"", EHLO, EHLO + MAIL, EHLO + MAIL + RCPT):
            client = self.connect()
            client.say(before)
            self.assertEqual(client.codes(b"BDAT 99999999999999999999 LAST\r\n")[-1:], [552])
            self.assertTrue(client.closed)


class SlowTests(FrontDoorCase):
    """Who is slow on purpose."""

    def test_command_octet_by_octet(self) -> None:
        """A command has to be whole within `command_timeout`, whatever comes of it meanwhile; in every state."""
        self.build(command_timeout=100.0, min_data_rate=0)
        for before in (b"", EHLO, EHLO + MAIL, EHLO + MAIL + RCPT, EHLO + b"x" * 2000):
            with self.subTest(before[-20:]):
                client = self.connect()
                client.say(before)
                for _ in range(99):
                    self.clock.advance(1)
                    client.say(b"N")
                self.assertFalse(client.closed)
                client.transport.clear()
                self.clock.advance(1)
                self.assertEqual(client.heard()[:9], b"421 4.4.2")

    def test_least_rate(self) -> None:
        """Content slower than `min_data_rate` behind its first `data_timeout` ends with 421, be it a line, many lines or chunks."""
        self.build(data_timeout=60.0, min_data_rate=100, connection_timeout=100_000.0)
        for begin, piece, lives in (
            (DATA, b"x", False),
            (DATA, b"x\r\n", False),
            (DATA, b"..\r\n", False),
            (b"", b"BDAT 1\r\nx", False),
            (b"BDAT 4000\r\n", b"x", False),
            (DATA, b"x" * 100, True),
            (b"", b"BDAT 100\r\n" + b"x" * 100, True),
        ):
            with self.subTest(begin + piece[:12]):
                client = self.connect()
                client.say(EHLO + MAIL + RCPT + begin)
                for _ in range(300):
                    self.clock.advance(1)
                    client.say(piece)
                self.assertEqual(client.closed, not lives)
                client.vanish()

    def test_after_slow_content(self) -> None:
        """Behind content that was only just in time the client has the usual time for its next command."""
        self.build(data_timeout=60.0, min_data_rate=100, command_timeout=300.0)
        client = self.connect()
        client.say(EHLO + TRANSACTION + b"x: y\r\n\r\n")
        self.clock.advance(59)
        self.assertEqual(client.codes(b".\r\n"), [250])
        self.clock.advance(299)
        self.assertEqual(client.codes(b"NOOP\r\n"), [250])

    def test_replies_read_slowly(self) -> None:
        """A client that doesn't read our replies is sent away when its time for a command is over, and cut off."""
        self.build(command_timeout=100.0)
        client = self.connect()
        client.say(EHLO)
        client.transport.producer.pauseProducing()
        client.say(b"NOOP\r\n" * 10)
        self.clock.advance(100)
        self.assertTrue(client.closed)
        self.clock.advance(10)
        self.assertTrue(client.transport.aborted)

    def test_proxy_header(self) -> None:
        """The header of a load balancer has its time as a whole."""
        self.build(proxy_networks=("192.0.2.9",))
        client = self.connect("192.0.2.9")
        for octet in b"PROXY TCP4 1":
            client.say(bytes([octet]))
            self.clock.advance(0.9)
        self.assertTrue(client.transport.aborted)
