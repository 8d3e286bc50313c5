"""Content in chunks (RFC 3030): the same message, the same rules, and no way to hide a command in a chunk or the other way round."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from seg.smtp import server_events as events
from seg.smtp.server_table import State
from tests.smtp.accepting import AcceptingServer

BEGIN = b"EHLO client.test\r\nMAIL FROM:<a@one.test>\r\nRCPT TO:<b@two.test>\r\n"
SMUGGLED = b"MAIL FROM:<evil@one.test>\r\n"


def bdat(data: bytes, last: bool = False) -> bytes:
    """One chunk."""
    return b"BDAT %d%s\r\n" % (len(data), b" LAST" if last else b"") + data


class ChunkTests(SynchronousTestCase):
    """BDAT at the server core."""

    def setUp(self) -> None:
        self.server = AcceptingServer()
        self.server.feed(BEGIN)

    def test_one_chunk(self) -> None:
        """A message in one chunk; dots mean nothing in it."""
        self.assertEqual(self.server.codes(bdat(b".\r\n..a\r\n.\r\n", True) + b"NOOP\r\n"), [250, 250])
        self.assertEqual(self.server.messages, [b".\r\n..a\r\n.\r\n"])
        self.assertIs(self.server.core.state, State.READY)

    def test_several(self) -> None:
        """Chunks may be cut anywhere, be empty, and come pipelined; each has its reply."""
        codes = self.server.codes(bdat(b"Subject: a\r") + bdat(b"") + bdat(b"\n\r\nQUIT\r\n") + bdat(b"", True))
        self.assertEqual(codes, [250, 250, 250, 250])
        self.assertEqual(self.server.messages, [b"Subject: a\r\n\r\nQUIT\r\n"])

    def test_last_line_without_end(self) -> None:
        """Content that doesn't end with CRLF gets it: what is stored is lines."""
        for data, wanted in ((b"a", b"a\r\n"), (b"a\r\n", b"a\r\n"), (b"", b"")):
            server = AcceptingServer()
            server.feed(BEGIN)
            self.assertEqual(server.codes(bdat(data, True)), [250])
            self.assertEqual(server.messages, [wanted])

    @given(st.lists(st.sampled_from([b"a\r\n", b"\r", b"\n", b".", b"\r\n.\r\n", b"b"]), max_size=6), st.data())
    @settings(max_examples=100)
    def test_any_cut(self, parts: list[bytes], data: st.DataObject) -> None:
        """However a message is cut into chunks, and its octets into segments, the outcome is that of one chunk."""
        whole = b"".join(parts)
        one = AcceptingServer()
        one.feed(BEGIN)
        wanted = one.codes(bdat(whole, True))
        cut = data.draw(st.integers(0, len(whole)))
        octets = bdat(whole[:cut]) + bdat(whole[cut:], True)
        step = data.draw(st.integers(1, 5))
        other = AcceptingServer()
        other.feed(BEGIN)
        codes = [code for start in range(0, len(octets), step) for code in other.codes(octets[start : start + step])]
        self.assertEqual(other.messages, one.messages)
        self.assertIn(wanted[0], codes)

    def test_rules(self) -> None:
        """Bare CR and LF, NUL and size are refused by name at the chunk that breaks the rule; what follows is passed over."""
        for data, code in ((b"a\nb\r\n", 550), (b"a\rb\r\n", 550), (b"\0\r\n", 550), (b"x" * 10001, 552)):
            server = AcceptingServer()
            server.feed(BEGIN)
            codes = server.codes(bdat(data) + bdat(SMUGGLED, True) + b"NOOP\r\n")
            self.assertEqual(codes, [code, 503, 250], data[:10])
            self.assertEqual(server.messages, [])
            self.assertIsInstance(server.events[-2], events.ContentRefused)

    def test_normalised(self) -> None:
        """With `normalise` each bare CR or LF becomes CRLF, also at the end of a chunk."""
        server = AcceptingServer(normalise=True)
        server.feed(BEGIN)
        self.assertEqual(server.codes(bdat(b"a\nb\rc\r") + bdat(b"\nd\r", True)), [250, 250])
        self.assertEqual(server.messages, [b"a\r\nb\r\nc\r\nd\r\n"])

    def test_never_a_command(self) -> None:
        """The octets of a chunk that isn't allowed are passed over, never run: before MAIL, without a recipient, within DATA's mixture."""
        server = AcceptingServer()
        self.assertEqual(server.codes(b"EHLO client.test\r\n" + bdat(SMUGGLED) + b"NOOP\r\n"), [250, 503, 250])
        self.assertEqual(server.codes(b"MAIL FROM:<>\r\n" + bdat(SMUGGLED, True) + b"NOOP\r\n"), [250, 554, 250])
        self.assertIs(server.core.state, State.MAIL)

    def test_mixtures(self) -> None:
        """DATA within chunks, or a chunk within DATA, makes no second message: the sequences of a smuggler."""
        self.assertEqual(self.server.codes(bdat(b"a\r\n") + b"DATA\r\n"), [250, 503])
        self.assertEqual(self.server.codes(bdat(b"b\r\n", True)), [250])
        self.assertEqual(self.server.messages, [b"a\r\nb\r\n"])
        server = AcceptingServer()
        server.feed(BEGIN)
        inside = b"BDAT 3 LAST\r\na\r\n" + SMUGGLED
        self.assertEqual(server.codes(b"DATA\r\n" + inside + b".\r\n"), [354, 250])
        self.assertEqual(server.messages, [inside])

    def test_malformed(self) -> None:
        """A size that can't be read ends the connection: nobody could tell content from commands any more."""
        for line in (b"BDAT x", b"BDAT", b"BDAT 5 LATS", b"BDAT -1"):
            server = AcceptingServer()
            server.feed(BEGIN)
            self.assertEqual(server.codes(line + b"\r\n" + SMUGGLED), [501])
            self.assertIs(server.core.state, State.ENDED)

    def test_dropped(self) -> None:
        """RSET and EHLO between chunks drop what has come."""
        for command in (b"RSET", b"EHLO client.test"):
            server = AcceptingServer()
            server.feed(BEGIN + bdat(b"half\r\n"))
            self.assertTrue(server.core.in_transaction)
            server.feed(command + b"\r\n")
            self.assertIsInstance(server.events[-1], events.TransactionDropped)
            self.assertEqual(server.codes(bdat(b"rest\r\n", True)), [503])
            self.assertEqual(server.messages, [])
