"""The header as fields: read whole, changed field by field, nothing else touched."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from seg.filter.answers import AddField, ChangeField, DeleteField, InsertField
from seg.filter.header import MAX_FIELDS, MAX_HEADER, HeaderTooLong, edited, made, parse_header
from seg.filter.message import Octets, read_header
from tests.filter.messages import HEADER, TRACE, message

# A message, its fields, where they end.
HEADERS = [
    (b"", [], 0),
    (b"\r\nbody", [], 0),
    (b"A: 1\r\n\r\nbody", [b"A: 1\r\n"], 6),
    (b"A: 1\r\n b\r\n\tc\r\nB:2\r\n\r\n", [b"A: 1\r\n b\r\n\tc\r\n", b"B:2\r\n"], 19),
    (b"A: 1\r\nnot a field\r\n", [b"A: 1\r\n"], 6),
    (b"A: 1", [b"A: 1\r\n"], 4),
    (b"A: 1\r\n", [b"A: 1\r\n"], 6),
    (b" folded from nowhere\r\nA: 1\r\n", [], 0),
    (b"From mbox\r\nA: 1\r\n", [], 0),
    (b"A : odd\r\n\r\n", [b"A : odd\r\n"], 9),
    (b": none\r\n", [], 0),
    (b"A: 1\r\n \r\n\r\nbody", [b"A: 1\r\n \r\n"], 9),
]


class ParseTests(SynchronousTestCase):
    """`parse_header` and `read_header`."""

    def test_table(self) -> None:
        """Fields are kept octet by octet; the first line that can't be one ends the header."""
        for text, fields, end in HEADERS:
            found, where = parse_header(text)
            self.assertEqual(([field.raw for field in found], where), (fields, end), text)

    @given(st.binary(max_size=300), st.booleans())
    def test_nothing_is_lost(self, text: bytes, crlf: bool) -> None:
        """Fields and rest are the message again, whatever it is."""
        text = text.replace(b"\n", b"\r\n") if crlf else text
        fields, end = parse_header(text)
        joined = b"".join(field.raw for field in fields)
        self.assertIn(joined, (text[:end], text[:end] + b"\r\n"))
        for field in fields:
            self.assertTrue(field.name)
            field.value.encode("utf-8", "surrogateescape")

    def read(self, text: bytes, trace: int = 0) -> tuple[list[bytes], bytes]:
        fields, body = self.successResultOf(Deferred.fromCoroutine(read_header(Octets(text), trace)))
        return [field.raw for field in fields], self.successResultOf(Deferred.fromCoroutine(body.head(1000)))

    def test_read(self) -> None:
        """The body begins below the blank line, or at the line that is no field."""
        self.assertEqual(self.read(b"A: 1\r\n\r\nbody\r\n"), ([b"A: 1\r\n"], b"body\r\n"))
        self.assertEqual(self.read(b"A: 1\r\nno field\r\n"), ([b"A: 1\r\n"], b"no field\r\n"))
        self.assertEqual(self.read(TRACE + b"\r\nx", len(TRACE)), ([TRACE], b"x"))
        self.assertEqual(self.read(TRACE + b" x\r\n", len(TRACE)), ([TRACE], b" x\r\n"))

    def test_too_long(self) -> None:
        """A header that can't be held is refused as a whole; a long body is no header."""
        long, many = b"A: " + b"x" * MAX_HEADER + b"\r\n\r\n", b"A: 1\r\n" * (MAX_FIELDS + 1) + b"\r\n"
        for text in (long, many):
            self.failureResultOf(Deferred.fromCoroutine(read_header(Octets(text), 0)), HeaderTooLong)
        self.assertEqual(len(self.read(b"A: 1\r\n" * MAX_FIELDS + b"\r\n")[0]), MAX_FIELDS)
        fields, body = self.read(b"A: 1\r\n\r\n" + b"x" * MAX_HEADER)
        self.assertEqual((fields, len(body)), ([b"A: 1\r\n"], 1000))

    def test_names_and_values(self) -> None:
        """A field tells its name as written and its value folded as it is."""
        ours, sender, subject, _, odd = message().header
        self.assertEqual(
            (ours.ours, sender.name, subject.value, odd.name), (True, "From", " hello,\r\n world", "x-spam")
        )


class EditTests(SynchronousTestCase):
    """`edited`."""

    def after(self, *edits: AddField | InsertField | ChangeField | DeleteField) -> str:
        """The header, our own field as RECEIVED."""
        fields = edited(message().header, edits)
        return "".join("RECEIVED " if f.ours else f.raw.decode().replace("\r\n", " ") for f in fields).strip()

    def test_table(self) -> None:
        """Each edit is applied to what the one before has left; our own field is counted for places only."""
        whole = HEADER.decode().replace("\r\n", " ").strip()
        start, rest = "From: a@one.test Subject: hello,  world", "X-Spam: no x-spam : maybe"
        for edits, wanted in [
            ((), f"RECEIVED {whole}"),
            ((AddField("A", "1"),), f"RECEIVED {whole} A: 1"),
            ((AddField("A", "1", spaced=False),), f"RECEIVED {whole} A:1"),
            ((InsertField(0, "A", "1"),), f"A: 1 RECEIVED {whole}"),
            ((InsertField(1, "A", "1"),), f"RECEIVED A: 1 {whole}"),
            ((InsertField(99, "A", "1"),), f"RECEIVED {whole} A: 1"),
            ((ChangeField("X-SPAM", 1, "yes"),), f"RECEIVED {start} X-SPAM: yes x-spam : maybe"),
            ((ChangeField("x-spam", 2, "yes"),), f"RECEIVED {start} X-Spam: no x-spam: yes"),
            ((ChangeField("X-Spam", 0, "yes"),), f"RECEIVED {start} X-Spam: yes x-spam : maybe"),
            ((ChangeField("X-Spam", 3, "yes"),), f"RECEIVED {whole} X-Spam: yes"),
            ((DeleteField("X-Spam", 1),), f"RECEIVED {start} x-spam : maybe"),
            ((DeleteField("X-Spam", 1), DeleteField("X-Spam", 1)), f"RECEIVED {start}"),
            ((DeleteField("X-Spam", 3), DeleteField("Received", 1)), f"RECEIVED {start} {rest}"),
        ]:
            self.assertEqual(self.after(*edits), wanted, edits)

    def test_no_injection(self) -> None:
        """Nothing in a value can become another field, or end the header."""
        for value, raw in [
            ("a\nB: 2", b"N: a\r\n\tB: 2\r\n"),
            ("a\r\n\r\nbody", b"N: a\r\n\tbody\r\n"),
            ("a\r b", b"N: a\r\n b\r\n"),
            ("a\n \n\n", b"N: a\r\n"),
            ("\n\nx", b"N: x\r\n"),
            ("", b"N: \r\n"),
            (" lead", b"N: lead\r\n"),
        ]:
            self.assertEqual(made("N", value, True).raw, raw, value)

    @given(st.text(max_size=80))
    def test_one_field(self, value: str) -> None:
        """Whatever the value is, the field is one field."""
        if any("\ud800" <= c <= "\udfff" for c in value):
            return
        field = made("Name", value, True)
        self.assertEqual(parse_header(field.raw + b"\r\n")[0], (field,))

    def test_what_cannot_be_made(self) -> None:
        """Names that are none, NULs and negative places are faults of the filter."""
        for make in (
            lambda: AddField("", "x"),
            lambda: AddField("A B", "x"),
            lambda: AddField("A:", "x"),
            lambda: AddField("Ä", "x"),
            lambda: AddField("A", "x\0y"),
            lambda: InsertField(-1, "A", "x"),
            lambda: ChangeField("A\r\n", 1, "x"),
            lambda: DeleteField("A", -1),
        ):
            self.assertRaises(ValueError, make)
