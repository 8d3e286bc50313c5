"""Dot-stuffing and the end of DATA are right wherever the chunks are cut."""

from __future__ import annotations

import itertools

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from seg.smtp.dot_stuffing import END, DotDecoder, DotEncoder

# Octets of which every short string has something to do with line ends and dots.
TRICKY = st.lists(st.sampled_from([b"\r\n", b".", b"\r\n.", b"a", b"..", b"\r\n\r\n"]), max_size=20)
ANYTHING = st.lists(st.sampled_from([b"\r", b"\n", b".", b"a", b"\0", b"\r\n", END]), max_size=20)


def encode(chunks: list[bytes]) -> bytes:
    encoder = DotEncoder()
    return b"".join([encoder.feed(chunk) for chunk in chunks]) + encoder.finish()


def decode(chunks: list[bytes], normalise: bool = False) -> tuple[bytes, bytes, bool, str, bool]:
    """Content, rest, whether it ended, the bare newline seen, whether a NUL was seen."""
    decoder = DotDecoder(normalise=normalise)
    content = b""
    rest = b""
    for chunk in chunks:
        if decoder.ended:
            rest += chunk
        else:
            content += decoder.feed(chunk)
            rest = decoder.rest
    return content, rest, decoder.ended, decoder.bare, decoder.nul


def cut(data: bytes, places: list[int]) -> list[bytes]:
    """The data in chunks, cut at the places."""
    bounds = [0, *sorted(place % (len(data) + 1) for place in places), len(data)]
    return [data[start:end] for start, end in itertools.pairwise(bounds)]


def model(data: bytes) -> tuple[bytes, bytes] | None:
    """Content and rest by the definition: lines by CRLF, one dot off, the end at a line of one dot."""
    lines = data.split(b"\r\n")
    if b"." not in lines[:-1]:
        return None
    end = lines.index(b".")
    content = b"".join(line.removeprefix(b".") + b"\r\n" for line in lines[:end])
    return content, b"\r\n".join(lines[end + 1 :])


class EncoderTests(SynchronousTestCase):
    """`DotEncoder`."""

    def test_table(self) -> None:
        """A leading dot is doubled, on the first line too; CRLF stays CRLF; a missing last CRLF is added."""
        for content, wanted in [
            (b"", b".\r\n"),
            (b"a\r\n", b"a\r\n.\r\n"),
            (b"a", b"a\r\n.\r\n"),
            (b"a\r", b"a\r\n.\r\n"),
            (b".", b"..\r\n.\r\n"),
            (b".\r\n", b"..\r\n.\r\n"),
            (b"a\r\n.\r\nb\r\n", b"a\r\n..\r\nb\r\n.\r\n"),
            (b"..a\r\n", b"...a\r\n.\r\n"),
            (b"a.b\r\n", b"a.b\r\n.\r\n"),
        ]:
            self.assertEqual(encode([content]), wanted, content)

    def test_lone_dot_at_each_chunk_boundary(self) -> None:
        """A line of one dot is stuffed wherever the chunks are cut, also in two places at once."""
        content = b"x\r\n.\r\ny\r\n"
        for one, two in itertools.combinations_with_replacement(range(len(content) + 1), 2):
            self.assertEqual(encode(cut(content, [one, two])), b"x\r\n..\r\ny\r\n.\r\n", (one, two))

    def test_lone_dot_at_16384(self) -> None:
        """A lone dot behind a chunk of 16,384 octets doesn't end the data."""
        first = b"x" * 16382 + b"\r\n"
        self.assertEqual(encode([first, b".\r\nMAIL FROM:<>\r\n"]), first + b"..\r\nMAIL FROM:<>\r\n.\r\n")

    @given(TRICKY, st.lists(st.integers(0, 100), max_size=5))
    @settings(max_examples=100)
    def test_chunks_do_not_matter(self, parts: list[bytes], places: list[int]) -> None:
        """The result is the same however the content is cut."""
        content = b"".join(parts)
        self.assertEqual(encode(cut(content, places)), encode([content]))


class DecoderTests(SynchronousTestCase):
    """`DotDecoder`."""

    def test_every_split_of_the_end(self) -> None:
        """CRLF . CRLF is found wherever it is cut, and what follows it is given back untouched."""
        data = b"one\r\n..two\r\n.three\r\n.\r\n.MAIL\r\n.\r\n"
        for one, two in itertools.combinations_with_replacement(range(len(data) + 1), 2):
            content, rest, ended, bare, _ = decode(cut(data, [one, two]))
            self.assertEqual(content, b"one\r\n.two\r\nthree\r\n", (one, two))
            self.assertEqual((rest, ended, bare), (b".MAIL\r\n.\r\n", True, ""), (one, two))

    def test_octet_by_octet(self) -> None:
        """Chunks of one octet give the same as one chunk."""
        data = b"..\r\n\r\n..a\r\n.\r\nrest"
        self.assertEqual(decode([bytes([octet]) for octet in data]), (b".\r\n\r\n.a\r\n", b"rest", True, "", False))

    def test_empty(self) -> None:
        """A dot right behind the command's CRLF ends an empty message."""
        self.assertEqual(decode([b".\r\nQUIT\r\n"]), (b"", b"QUIT\r\n", True, "", False))

    def test_only_one_end(self) -> None:
        """No other sequence ends the data, and each bare CR or LF in them is reported."""
        for sequence, bare in [
            (b"\n.\n", "LF"),
            (b"\n.\r\n", "LF"),
            (b"\r\n.\n", "LF"),
            (b"\r.\r", "CR"),
            (b"\r.\r\n", "CR"),
            (b"\r\n.\r", "CR"),
            (b"\n.\r", "LF"),
            (b"\r.\n", "CR"),
            (b"\r\n.\r\r\n", "CR"),
            (b"\r\r\n.\r\r\n", "CR"),
            (b"\r\n\0.\r\n", ""),
            (b"\r\n.\0\r\n", ""),
            (b"\r\0\n.\r\n", "CR"),
        ]:
            content, _, ended, seen, nul = decode([b"a", sequence, b"MAIL FROM:<x@y.test>\r\n"])
            self.assertFalse(ended, sequence)
            self.assertEqual((seen, nul), (bare, b"\0" in sequence), sequence)
            self.assertIn(b"MAIL FROM", content)

    def test_normalised(self) -> None:
        """With `normalise` a bare CR or LF becomes CRLF, and a dot line made so is content, not an end."""
        for data, wanted in [
            (b"a\nb\rc\r\n.\r\n", b"a\r\nb\r\nc\r\n"),
            (b"a\n.\nb\r\n.\r\n", b"a\r\n.\r\nb\r\n"),
            (b"a\r\r\nb\r\n.\r\n", b"a\r\n\r\nb\r\n"),
            (b"a\n..b\r\n..c\r\n.\r\n", b"a\r\n..b\r\n.c\r\n"),
        ]:
            content, _, ended, _, _ = decode([data], normalise=True)
            self.assertTrue(ended)
            self.assertEqual(content, wanted)
            self.assertIn(b"\r\n" + wanted.split(b"\r\n")[1], b"\r\n" + content)

    def test_ended_once(self) -> None:
        """Feeding a decoder that has ended is a mistake of the caller."""
        decoder = DotDecoder()
        decoder.feed(b".\r\n")
        self.assertRaises(ValueError, decoder.feed, b"x")

    @given(ANYTHING, st.lists(st.integers(0, 100), max_size=6), st.booleans())
    @settings(max_examples=100)
    def test_chunks_do_not_matter(self, parts: list[bytes], places: list[int], normalise: bool) -> None:
        """Content, end, rest and findings are the same however the octets are cut."""
        data = b"".join(parts)
        whole, pieces = decode([data], normalise), decode(cut(data, places), normalise)
        self.assertEqual(pieces[1:3], whole[1:3])
        if whole[2]:
            self.assertEqual(pieces, whole)

    @given(ANYTHING)
    @settings(max_examples=100)
    def test_against_the_definition(self, parts: list[bytes]) -> None:
        """It finds what the plain definition of the RFC finds, line by line."""
        data = b"".join(parts)
        content, rest, ended, bare, _ = decode([data])
        wanted = model(data)
        self.assertEqual(ended, wanted is not None)
        if wanted is not None:
            self.assertEqual((content, rest), wanted)
            raw = data[: len(data) - len(rest)].replace(b"\r\n", b"")
            self.assertEqual(bool(bare), b"\r" in raw or b"\n" in raw)

    @given(TRICKY, st.lists(st.integers(0, 100), max_size=4), st.lists(st.integers(0, 100), max_size=4))
    @settings(max_examples=100)
    def test_round_trip(self, parts: list[bytes], sent: list[int], received: list[int]) -> None:
        """What the encoder makes of any content comes out of the decoder unchanged, all chunkings of both."""
        content = b"".join(parts)
        whole = content if not content or content.endswith(b"\r\n") else content + b"\r\n"
        wire = encode(cut(content, sent)) + b"NOOP\r\n"
        self.assertEqual(decode(cut(wire, received)), (whole, b"NOOP\r\n", True, "", False))
