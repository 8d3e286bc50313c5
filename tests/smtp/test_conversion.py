"""Content beyond ASCII becomes quoted-printable or base64, part by part, and means the same."""

from __future__ import annotations

import time
from email import message_from_bytes, policy
from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from seg.smtp.conversion import Converter, NotConvertible, Survey
from seg.smtp.mime import MOST_LEVELS, MOST_OF_HEADER, MOST_PARTS

GREETING = "Grüße aus Köln\r\n.\r\n =20 \r\nFrom here\r\n".encode()
MIXED = (
    b'MIME-Version: 1.0\r\nContent-Type: multipart/mixed;\r\n boundary="a b"\r\nContent-Transfer-Encoding: 8bit\r\n\r\n'
    b"pre\xfc\r\n--a b\r\n\r\n%b\r\n--a b\r\nContent-Type: application/octet-stream\r\nContent-Transfer-Encoding:\r\n binary\r\n"
    b"\r\n\xff\xfe\r\nabc\r\n--a b \r\nContent-Type: message/rfc822\r\nContent-Transfer-Encoding: 8bit\r\n\r\n"
    b"Subject: inner\r\n\r\n%b--a b\r\nContent-Type: text/html\r\nContent-Transfer-Encoding: base64\r\n\r\nYWJj\r\n--a b--\r\nepi\xfc\r\n"
) % (GREETING, GREETING)


PIECES = (
    *(
        b"--b",
        b"--b--",
        b"--c",
        b"\r\n",
        b"\r",
        b"\n",
        b"\r\n\r\n",
        b"\xfc",
        b"x",
        b"=",
        b" ",
        b"boundary=b\r\n",
        b"boundary=c\r\n",
    ),
    *(b"Content-Type: multipart/mixed; ", b"Content-Type: message/rfc822\r\n", b"Content-Transfer-Encoding: 8bit\r\n"),
)


def converted(content: bytes, *cuts: int) -> bytes:
    """Content after a conversion, fed in pieces that are cut there."""
    edges = sorted({0, len(content), *(min(cut, len(content)) for cut in cuts)})
    pieces = [content[start:end] for start, end in pairwise(edges)]
    survey = Survey()
    for piece in pieces:
        survey.feed(piece)
    converter = Converter(survey.finish())
    out = [converter.feed(piece) for piece in pieces]
    return b"".join((*out, converter.finish()))


def leaves(content: bytes) -> list[tuple[str, object]]:
    """Type and decoded octets of each leaf, as the standard library reads them."""
    message = message_from_bytes(content, policy=policy.SMTP)
    return [
        (part.get_content_type(), part.get_payload(decode=True)) for part in message.walk() if not part.is_multipart()
    ]


class ConversionTests(SynchronousTestCase):
    """`Survey` and `Converter`."""

    def test_meaning(self) -> None:
        """What comes out is ASCII in short lines, labelled rightly, and decodes to the same octets."""
        for name, content in (
            ("no MIME fields", b"Subject: x\r\n\r\n" + GREETING),
            (
                "8bit",
                b"MIME-Version: 1.0\r\nContent-Transfer-Encoding: 8bit\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n"
                + GREETING,
            ),
            ("no line end", b"Subject: x\r\n\r\nGr\xfc\xdfe"),
            ("Russian", b"Subject: x\r\n\r\n" + "Привет, мир! \r\n".encode() * 50),
            ("long line", b"Subject: x\r\n\r\n" + b"ab\xffcd= " * 20_000 + b"\r\nend\r\n"),
            ("parts", MIXED),
            ("open part", MIXED.partition(b"--a b--")[0]),
            ("no header", b"\r\n" + GREETING),
        ):
            with self.subTest(name):
                out = converted(content)
                self.assertTrue(out.isascii())
                self.assertLessEqual(max(map(len, out.split(b"\r\n"))), 76)
                self.assertEqual(leaves(out), leaves(content))
                self.assertNotIn(b"8bit", out.replace(b"unknown-8bit", b""))
                self.assertNotIn(b"binary", out)
                for size in (1, 2, 3, 7, 1000):
                    self.assertEqual(converted(content[:5000], *range(0, 5000, size)), converted(content[:5000]))

    def test_labels(self) -> None:
        """A message without MIME fields gets them; text is readable still, and base64 where it wouldn't be."""
        for body, words in (
            (GREETING, (b"MIME-Version: 1.0", b"charset=utf-8", b": quoted-printable")),
            (b"\xfc\xdf x\r\n" * 9, (b"charset=unknown-8bit", b": base64")),
            (b"a long line with one \xfc in it\r\n", (b"charset=unknown-8bit", b": quoted-printable", b"one =FC in")),
        ):
            out = converted(b"Subject: x\r\n\r\n" + body)
            for word in words:
                self.assertIn(word, out)
            self.assertTrue(out.startswith(b"Subject: x\r\nMIME-Version"))

    def test_untouched(self) -> None:
        """Parts without octets beyond ASCII stay octet by octet."""
        out = converted(MIXED)
        self.assertIn(b"Content-Type: text/html\r\nContent-Transfer-Encoding: base64\r\n\r\nYWJj\r\n--a b--\r\n", out)
        self.assertEqual(converted(out), out)

    def test_not_convertible(self) -> None:
        """What is signed is left alone, and what can't be converted is told, with a reason."""
        signed = b"Content-Type: multipart/signed; boundary=q\r\n\r\n--q\r\nContent-Type: text/plain\r\n\r\n%b--q--\r\n"
        deep = b"".join(
            b"Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%d\r\n" % (n, n) for n in range(MOST_LEVELS + 1)
        )
        for content, words in (
            (b"DKIM-Signature: v=1\r\nSubject: x\r\n\r\n" + GREETING, "it is signed (DKIM-Signature)"),
            (b"ARC-Message-Signature: i=1\r\n\r\n" + GREETING, "it is signed (ARC-Message-Signature)"),
            (signed % GREETING, "multipart/signed"),
            (signed.replace(b"signed", b"encrypted") % GREETING, "multipart/encrypted"),
            (b"Subject: \xfc\r\n\r\nx\r\n", "its header has octets beyond ASCII (subject)"),
            (b"Content-Transfer-Encoding: base64\r\n\r\n\xfc\r\n", "a part says base64"),
            (b"Content-Transfer-Encoding: x-uuencode\r\n\r\n\xfc\r\n", "a part says x-uuencode"),
            (b"Content-Type: multipart/mixed\r\n\r\n\xfc\r\n", "a part of type multipart/mixed"),
            (b"Content-Type: message/partial\r\n\r\n\xfc\r\n", "a part of type message/partial"),
            (b"Content-Type: multipart/mixed; boundary=b\r\n\r\n" + b"--b\r\n\r\nx\r\n" * (MOST_PARTS + 1), "parts"),
            (deep, "deep"),
            (b"X: " + b"y" * MOST_OF_HEADER + b"\r\n\r\nx\r\n", "a header has more"),
        ):
            with self.subTest(words):
                self.assertIn(words, self.assertRaises(NotConvertible, converted, content).text)
        self.assertEqual(converted(signed % b"x\r\n"), signed % b"x\r\n")

    @settings(max_examples=100, deadline=None)
    @given(
        st.lists(
            st.sampled_from(PIECES),
            max_size=40,
        ),
        st.lists(st.integers(0, 400), max_size=10),
    )
    def test_any_content(self, pieces: list[bytes], cuts: list[int]) -> None:
        """Whatever it is, and however it is cut: the result is ASCII and the same, or a reason."""
        content = b"".join(pieces)

        def outcome(*edges: int) -> bytes | str:
            try:
                return converted(content, *edges)
            except NotConvertible as error:
                return error.text

        whole = outcome()
        self.assertTrue(whole.isascii())
        self.assertEqual(outcome(*cuts), whole)

    def test_cost(self) -> None:
        """A slice of any content takes its time in proportion, and a moment."""
        for line in (b"\r\n", b"\xfc\r\n", b"\xfc", b"a=\xfc \r\n", b"--b\r\n\r\n", b"--x\r\n"):
            header = b"Content-Type: multipart/mixed; boundary=z\r\n\r\n--z\r\n\r\n"
            content = line * (65536 // len(line))
            spent = []
            for _ in range(3):
                survey, converter = Survey(), Converter({1: Survey()._part})
                survey.feed(header)
                converter.feed(header)
                begun = time.thread_time()
                survey.feed(content)
                converter.feed(content)
                spent.append(time.thread_time() - begun)
            self.assertLess(min(spent), 0.5, line)
