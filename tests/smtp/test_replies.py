"""Reading replies, and what they mean."""

from __future__ import annotations

import time
from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from seg.mail.errors import DeliveryError, Permanent, Temporary
from seg.mail.status import status_text
from seg.smtp.reply import CUT, KEPT, Phase, Reply, ReplyError
from seg.smtp.reply_parser import MAX_LINE, MAX_LINES, MAX_REPLY, ReplyParser


def parse(*chunks: bytes) -> tuple[list[Reply], str]:
    """Every reply in these chunks, and the text of the error that ended it ("" = none)."""
    parser = ReplyParser()
    replies: list[Reply] = []
    for chunk in chunks:
        parser.feed(chunk)
        try:
            while (reply := parser.next_reply()) is not None:
                replies.append(reply)
        except ReplyError as error:
            return replies, str(error) + repr(error.remote)
    return replies, ""


class ReplyParserTests(SynchronousTestCase):
    """`ReplyParser`."""

    def test_forms(self) -> None:
        """One line, several lines, no text, a bare code, and a line that ends with LF alone are replies."""
        for octets, expected in (
            (b"250 fine\r\n", Reply(250, ("fine",))),
            (b"250-a\r\n250-\r\n250 b\r\n", Reply(250, ("a", "", "b"))),
            (b"250 \r\n", Reply(250, ("",))),
            (b"250\r\n", Reply(250, ("",))),
            (b"250-a\r\n250\r\n", Reply(250, ("a", ""))),
            (b"220 bare\n", Reply(220, ("bare",))),
            (b"220  two  spaces \r\n", Reply(220, (" two  spaces ",))),
            (b"999 odd\r\n", Reply(999, ("odd",))),
        ):
            with self.subTest(octets):
                self.assertEqual(parse(octets), ([expected], ""))

    def test_pipelined(self) -> None:
        """Replies in one segment come out one by one, in order."""
        replies, fault = parse(b"250 a\r\n550-no\r\n550 way\r\n354 go\r\n")
        self.assertEqual([reply.code for reply in replies], [250, 550, 354])
        self.assertEqual(fault, "")

    def test_not_ascii(self) -> None:
        """Octets beyond ASCII are shown escaped."""
        replies, _ = parse(b"550 Empf\xe4nger\r\n")
        self.assertEqual(replies, [Reply(550, ("Empf\\xe4nger",))])

    def test_malformed(self) -> None:
        """What isn't a reply is an error that shows the line, and stays one."""
        for octets in (
            b" \r\n",
            b"25\r\n",
            b"hello\r\n",
            b"250x\r\n",
            b"2500\r\n",
            b"250\ttab\r\n",
            b" 250 a\r\n",
        ):
            with self.subTest(octets):
                parser = ReplyParser()
                parser.feed(octets + b"250 ok\r\n")
                for _ in range(2):
                    error = self.assertRaises(ReplyError, parser.next_reply)
                    self.assertEqual(error.enhanced, "4.5.0")
                    self.assertEqual(error.remote, (octets[:-2].decode(),))

    def test_empty_lines(self) -> None:
        """Empty lines before, between and behind replies are passed over, however they are cut; within a reply they break it."""
        for empty in (b"\r\n", b"\n", b"\r\n\n\r\n"):
            replies, fault = parse(empty + b"250-a\r\n250 b\r\n" + empty + b"550 c\r\n" + empty)
            self.assertEqual(([reply.code for reply in replies], fault), ([250, 550], ""))
            for parser in (ReplyParser(), ReplyParser()):
                parser.feed(b"250 a\r\n" + empty)
                self.assertIsNotNone(parser.next_reply())
                self.assertFalse(parser.pending)
                parser.feed(b"\r")
                self.assertFalse(parser.pending)
                parser.feed(b"\n2")
                self.assertIsNone(parser.next_reply())
                self.assertTrue(parser.pending)
        self.assertIn("not an SMTP reply", parse(b"250-a\r\n\r\n250 b\r\n")[1])

    def test_codes_differ(self) -> None:
        """The lines of one reply must have one code."""
        self.assertIn("differ", parse(b"250-a\r\n550 b\r\n")[1])

    def test_limits(self) -> None:
        """A line, a reply's lines and a reply's octets are bounded; what is just within is taken."""
        line = b"250 " + b"x" * (MAX_LINE - 5) + b"\r"
        self.assertEqual(len(line), MAX_LINE)
        self.assertEqual(parse(line + b"\n")[1], "")
        self.assertIn("octets", parse(b"250 x" + line[4:] + b"\n")[1])
        self.assertIn("octets", parse(b"x" * (MAX_LINE + 1))[1])
        self.assertEqual(parse(b"250-a\r\n" * (MAX_LINES - 1) + b"250 a\r\n")[1], "")
        self.assertIn("lines", parse(b"250-a\r\n" * MAX_LINES + b"250 a\r\n")[1])
        self.assertIn("lines", parse((b"250-" + b"x" * 1996 + b"\r\n") * (MAX_REPLY // 2000 + 1))[1])

    def test_endless_line_is_not_kept(self) -> None:
        """A line without an end is given up as soon as it is too long."""
        parser = ReplyParser()
        parser.feed(b"2" * (MAX_LINE + 1))
        self.assertRaises(ReplyError, parser.next_reply)
        self.assertFalse(parser.pending)

    def test_pending(self) -> None:
        """Octets that no reply accounts for are seen, also between the lines of one."""
        parser = ReplyParser()
        for octets, pending in ((b"250-a\r\n", True), (b"250 b", True), (b"\r\n", False), (b"2", True)):
            parser.feed(octets)
            parser.next_reply()
            self.assertEqual(parser.pending, pending)

    @settings(max_examples=100)
    @given(
        st.lists(
            st.sampled_from((b"250 ok\r\n", b"250-a\n", b"250 b\r\n", b"421\r\n", b"x", b"\r", b"\n", b"550-", b"\xff"))
            | st.binary(max_size=20),
            max_size=20,
        ),
        st.lists(st.integers(0, 300), max_size=20),
    )
    def test_any_chunking(self, pieces: list[bytes], cuts: list[int]) -> None:
        """However the octets are cut, the replies and the error are the same, and the error is
        `ReplyError`."""
        octets = b"".join(pieces)
        edges = sorted({min(cut, len(octets)) for cut in cuts} | {0, len(octets)})
        chunks = [octets[start:end] for start, end in pairwise(edges)]
        whole = parse(octets)
        self.assertEqual(parse(*chunks), whole)
        self.assertEqual(parse(*(octets[i : i + 1] for i in range(len(octets)))), whole)


class ReplyTests(SynchronousTestCase):
    """`Reply`."""

    def test_enhanced(self) -> None:
        """An enhanced code counts when it stands first and its class fits the code."""
        for code, text, expected in (
            (550, "5.1.1 no such user", "5.1.1"),
            (250, "2.0.0 queued", "2.0.0"),
            (451, "4.7.1", "4.7.1"),
            (550, "4.7.1 wrong class", ""),
            (550, "5.1 no", ""),
            (550, "5.1.1234 no", ""),
            (550, "5.1.1x no", ""),
            (550, "see 5.1.1", ""),
            (354, "3.0.0 no such class", ""),
        ):
            with self.subTest(text):
                self.assertEqual(Reply(code, (text,)).enhanced, expected)
        self.assertEqual(Reply(550, ("sorry", "5.7.1 policy")).enhanced, "5.7.1")

    def test_kept(self) -> None:
        """A long reply is kept cut, over all its lines; its code and its enhanced code, wherever that stood, are the whole one's."""
        small = Reply(550, ("5.1.1 no", "such user"))
        self.assertIs(small.kept(), small)
        for lines in (
            ("5.1.1 " + "x" * 60_000,),
            ("x" * 990, "5.1.1 y", "z" * 60_000),
            ("x" * 2000, "5.1.1 behind the cut"),
            ("5.1.1 a" + "b" * 500,) * 128,
        ):
            with self.subTest(lines[0][:20]):
                kept = Reply(550, lines).kept()
                self.assertEqual((kept.code, kept.enhanced), (550, "5.1.1"))
                self.assertLessEqual(sum(map(len, kept.lines)), KEPT + len(CUT))
                self.assertTrue(kept.text.endswith(CUT))
                error = kept.to_error(Phase.RCPT)
                self.assertEqual((type(error), error.enhanced, error.remote), (Permanent, "5.1.1", kept.lines))

    def test_cost(self) -> None:
        """A segment full of the shortest replies costs a moment, and nothing is copied for each."""
        parser = ReplyParser()
        begun = time.process_time()
        parser.feed(b"250\n" * 16384)
        count = 0
        while parser.next_reply() is not None:
            count += 1
        self.assertEqual(count, 16384)
        self.assertLess(time.process_time() - begun, 0.5)

    def test_verdicts(self) -> None:
        """A refusal of sender, recipient or message is permanent or temporary by its class, with a status by
        the table."""
        for phase, code, text, expected in (
            (Phase.RCPT, 550, "no such user", "5.1.0 Unknown address error"),
            (Phase.RCPT, 450, "greylisted", "4.1.0 Unknown address error"),
            (Phase.RCPT, 550, "5.1.1 no such user", "5.1.1 Bad destination email address"),
            (Phase.RCPT, 452, "full", "4.3.1 Mail system full"),
            (Phase.RCPT, 552, "full", "5.2.2 Mailbox full"),
            (Phase.RCPT, 421, "4.3.2 try again later", "4.3.2 Not accepting messages at this time"),
            (Phase.MAIL, 421, "later", "4.3.2 Not accepting messages at this time"),
            (Phase.MAIL, 553, "bad sender", "5.1.0 Unknown address error"),
            (Phase.MAIL, 552, "too big", "5.3.4 Message too big for system"),
            (Phase.DATA, 451, "oops", "4.3.0 Other mail system problem"),
            (Phase.CONTENT, 554, "spam", "5.3.0 Other mail system problem"),
            (Phase.CONTENT, 554, "5.7.999 odd", "5.7.999 Other security problem"),
            (Phase.RCPT, 556, "null MX", "5.1.10 Destination accepts no mail (null MX)"),
        ):
            with self.subTest(f"{phase} {code} {text}"):
                error = Reply(code, (text,)).to_error(phase)
                self.assertIsInstance(error, Permanent if code >= 500 else Temporary)
                self.assertEqual(f"{error.enhanced} {error.text}", expected)
                self.assertEqual((error.code, error.remote), (code, (text,)))

    def test_session(self) -> None:
        """A refusal of the session says nothing of a recipient: temporary, with the server's words, whatever
        its code."""
        for phase, code, text, expected in (
            (Phase.GREETING, 554, "5.7.1 go away", "4.7.1"),
            (Phase.GREETING, 554, "no", "4.4.0"),
            (Phase.EHLO, 421, "busy", "4.3.2"),
            (Phase.HELO, 550, "no", "4.4.0"),
            (Phase.STARTTLS, 454, "no", "4.7.0"),
            (Phase.STARTTLS, 502, "5.5.1 what?", "4.5.1"),
        ):
            with self.subTest(f"{phase} {code}"):
                error = Reply(code, (text,)).to_error(phase)
                self.assertIsInstance(error, Temporary)
                self.assertEqual((error.enhanced, error.remote), (expected, (text,)))
                self.assertIn(str(code), error.text)

    def test_out_of_class(self) -> None:
        """A reply that is neither 4xx nor 5xx where success is out of the question breaks the protocol:
        temporary."""
        for code in (199, 250, 354, 600, 999, 0):
            error = Reply(code, ("x",)).to_error(Phase.RCPT)
            self.assertIsInstance(error, Temporary)
            self.assertEqual((error.enhanced, error.code), ("4.5.0", 0))

    @settings(max_examples=100)
    @given(
        st.sampled_from(Phase),
        st.integers(0, 999),
        st.text(max_size=12) | st.from_regex(r"[245]\.\d{1,3}\.\d{1,3} x"),
    )
    def test_always_an_error(self, phase: Phase, code: int, text: str) -> None:
        """Every reply in every phase gives an error that is consistent in itself."""
        self.assertIsInstance(Reply(code, (text,)).to_error(phase), DeliveryError)

    def test_status_text(self) -> None:
        """A status without a name of its own has that of its subject."""
        self.assertEqual(status_text("5.1.99"), "Unknown address error")
        self.assertEqual(status_text("4.9.9"), "Other undefined status")
