"""The milter protocol's frames, negotiation and replies, sans I/O."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from seg.filter.milter import replies as told
from seg.filter.milter.options import OUR_ACTIONS, OUR_STEPS, Actions, Stage, Steps, agreed, offer
from seg.filter.milter.replies import Word, parse_reply
from seg.filter.milter.wire import CHUNK, MAX_FRAME, Command, FrameReader, MilterError, frame, strings


def numbers(*values: int) -> bytes:
    """Numbers of four octets."""
    return b"".join(value.to_bytes(4, "big") for value in values)


class FrameTests(SynchronousTestCase):
    """`seg.filter.milter.wire`."""

    def test_golden(self) -> None:
        """Frames as the protocol has them."""
        self.assertEqual(frame(Command.QUIT), b"\0\0\0\x01Q")
        self.assertEqual(frame(Command.HELO, strings("a.test")), b"\0\0\0\x08Ha.test\0")
        self.assertEqual(offer(), b"\0\0\0\x0dO\0\0\0\x06\0\0\x01\xff\0\x1f\xf7\xff")

    def test_limits(self) -> None:
        """libmilter takes 65535 octets of data in a frame, and no NUL in a string."""
        self.assertEqual(len(frame(Command.BODY, b"x" * CHUNK)), CHUNK + 5)
        self.assertRaises(MilterError, frame, Command.BODY, b"x" * (CHUNK + 1))
        self.assertRaises(MilterError, strings, "a\0b")

    @given(st.lists(st.tuples(st.binary(min_size=1, max_size=1), st.binary(max_size=40)), max_size=8), st.data())
    def test_any_cut(self, frames: list[tuple[bytes, bytes]], data: st.DataObject) -> None:
        """Frames come out whole and in order, wherever the stream is cut."""
        stream = b"".join(numbers(len(body) + 1) + what + body for what, body in frames)
        cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=10)))
        reader = FrameReader()
        found = [each for start, end in pairwise([0, *cuts, len(stream)]) for each in reader.feed(stream[start:end])]
        self.assertEqual(found, frames)

    @given(st.binary(max_size=200))
    def test_garbage(self, data: bytes) -> None:
        """Octets that are no milter's give frames or a `MilterError`, and never more than what came."""
        reader = FrameReader()
        try:
            size = sum(5 + len(body) for _, body in reader.feed(data))
        except MilterError:
            return
        self.assertLessEqual(size, len(data))

    def test_oversized(self) -> None:
        """A frame that is empty or too large is refused as soon as its length is known."""
        for length in (0, MAX_FRAME + 1, 0x48545450):  # "HTTP"
            self.assertRaises(MilterError, list, FrameReader().feed(numbers(length)))
        self.assertEqual(list(FrameReader().feed(numbers(MAX_FRAME))), [])


class OptionTests(SynchronousTestCase):
    """`seg.filter.milter.options`."""

    def test_agreed(self) -> None:
        """What the milter picks holds; lists of macros come behind, braces or not."""
        lists = numbers(Stage.CONNECT) + b"j {client_addr}\0" + numbers(Stage.MAIL) + b"i, {auth_authen}\0"
        options = agreed(b"O", numbers(6, Actions.ADD_HEADER, Steps.NO_BODY | Steps.MAY_SKIP) + lists)
        self.assertEqual(options.actions, Actions.ADD_HEADER)
        self.assertEqual(options.steps, Steps.NO_BODY | Steps.MAY_SKIP)
        self.assertEqual(options.macros, {0: {"j", "client_addr"}, 2: {"i", "auth_authen"}})

    def test_all_versions(self) -> None:
        """Older versions of the protocol are spoken, newer ones and the first one aren't."""
        for version in range(2, 7):
            options = agreed(b"O", numbers(version, 0, 0))
            self.assertEqual(options.steps, Steps.NO_DATA if version < 4 else Steps(0))  # which didn't know DATA
        for version in (0, 1, 7):
            self.assertRaises(MilterError, agreed, b"O", numbers(version, 0, 0))

    def test_refused(self) -> None:
        """More than was offered, another frame, or half of one: this is no milter for us."""
        for what, data in [
            (b"O", numbers(6, int(OUR_ACTIONS) + 0x200, 0)),
            (b"O", numbers(6, 0, 0x800)),
            (b"O", numbers(6, 0)),
            (b"c", numbers(6, 0, 0)),
            (b"O", numbers(6, 0, 0) + b"\0\0"),
            (b"O", numbers(6, 0, 0) + numbers(1) + b"no end"),
        ]:
            self.assertRaises(MilterError, agreed, what, data)
        self.assertFalse(OUR_STEPS & 0x800)  # a recipient refused before is never told


class ReplyTests(SynchronousTestCase):
    """`seg.filter.milter.replies`."""

    def test_table(self) -> None:
        """Each reply of the protocol."""
        for what, data, wanted in [
            (b"c", b"", Word.CONTINUE),
            (b"a", b"", Word.ACCEPT),
            (b"r", b"", Word.REJECT),
            (b"t", b"", Word.TEMPFAIL),
            (b"d", b"", Word.DISCARD),
            (b"s", b"", Word.SKIP),
            (b"p", b"", Word.PROGRESS),
            (b"f", b"", Word.CONNECTION_FAILURE),
            (b"4", b"", Word.SHUTDOWN),
            (b"h", b"X-A\0b\0", told.FieldAdded("X-A", "b")),
            (b"h", b"X-A\0b", told.FieldAdded("X-A", "b")),
            (b"h", b"X-A\0\xffb\0", told.FieldAdded("X-A", "\udcffb")),
            (b"i", numbers(1) + b"X-A\0b\0", told.FieldInserted(1, "X-A", "b")),
            (b"m", numbers(2) + b"X-A\0\0", told.FieldChanged(2, "X-A", "")),
            (b"m", numbers(2) + b"X-A\0", told.FieldChanged(2, "X-A", "")),
            (b"e", b"<a@b.test>\0", told.SenderChanged("a@b.test", "")),
            (b"e", b"<>\0RET=HDRS\0", told.SenderChanged("", "RET=HDRS")),
            (b"+", b"<a@b.test>\0", told.RecipientAdded("a@b.test", "")),
            (b"2", b"a@b.test\0NOTIFY=NEVER\0", told.RecipientAdded("a@b.test", "NOTIFY=NEVER")),
            (b"2", b"a@b.test\0", told.RecipientAdded("a@b.test", "")),
            (b"-", b"<a@b.test>\0", told.RecipientDeleted("a@b.test")),
            (b"b", b"x\0y", told.BodyReplaced(b"x\0y")),
            (b"q", b"looks odd\0", told.Quarantined("looks odd")),
            (b"y", b"550 5.7.1 No\0", told.ReplyCode("550 5.7.1 No")),
            (b"y", b"550 5.7.1 100%% spam\0", told.ReplyCode("550 5.7.1 100% spam")),
            (b"y", b"550-5.7.1 No\r\n550 5.7.1 never\0", told.ReplyCode("550-5.7.1 No never")),
        ]:
            self.assertEqual(parse_reply(what, data), wanted, (what, data))

    def test_malformed(self) -> None:
        """What isn't a reply, or lacks a part, is refused."""
        for what, data in [
            (b"Z", b""),
            (b"h", b"X-A"),
            (b"h", b"A\0b\0c\0"),
            (b"i", b"\0\0"),
            (b"m", numbers(1)),
            (b"+", b"a\0b\0"),
            (b"e", b"a\0b\0c\0"),
            (b"-", b"a\0b\0"),
            (b"y", b"550 a\0b\0"),
        ]:
            self.assertRaises(MilterError, parse_reply, what, data)

    @given(st.binary(min_size=1, max_size=1), st.binary(max_size=60))
    def test_anything(self, what: bytes, data: bytes) -> None:
        """Nothing else than a reply or a `MilterError` comes out."""
        try:
            parse_reply(what, data)
        except MilterError:
            return
