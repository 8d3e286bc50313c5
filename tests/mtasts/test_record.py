"""The TXT record (RFC 8461 §3.1)."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from seg.policy.mtasts.errors import RecordError, RecordFault
from seg.policy.mtasts.record import read_record
from tests.mtasts.rows import rows

_RECORDS = st.lists(st.lists(st.binary(max_size=60), max_size=4), max_size=4)
_NEARLY = st.text(alphabet="v=STSid1;; \tab-", max_size=40).map(lambda text: [[b"v=STSv1;", text.encode()]])


def outcome(records: list[list[bytes]]) -> tuple[str, str]:
    """("ok", id) or ("none", reason) as the corpus writes it."""
    try:
        policy_id = read_record(records)
    except RecordError as error:
        return "none", error.fault.value
    return ("none", "no-record") if policy_id is None else ("ok", policy_id)


class RecordTests(SynchronousTestCase):
    """`read_record`."""

    def test_corpus(self) -> None:
        """Each row of the corpus has the outcome, id and fault that it names."""
        cases = rows("mta-sts-txt.jsonl")
        self.assertEqual(len(cases), 71)
        wrong = []
        for row in cases:
            records = [[part.encode() for part in strings] for strings in row["records"]]
            expected = row["expect"]
            found = outcome(records)
            if found != (expected["result"], expected.get("id") or expected.get("reason")):
                wrong.append((row["id"], expected, found))
        self.assertEqual(wrong, [])

    def test_more(self) -> None:
        """Rows beyond the corpus: ids at their limits, a field without a name, two final delimiters."""
        for text, expected in (
            (b"v=STSv1;id=" + b"a" * 32, ("ok", "a" * 32)),
            (b"v=STSv1;\tid=a\t;\t", ("ok", "a")),
            (b"v=STSv1; id=a;;", ("none", RecordFault.FIELD)),
            (b"v=STSv1; =x; id=a", ("none", RecordFault.FIELD)),
            (b"v=STSv1; ", ("none", RecordFault.NO_ID)),
            (b"v=STSv1; id=a; id=", ("none", RecordFault.EXTENSION)),
            (b"v=STSv1; id=a; id=b", ("ok", "a")),
            (b"v=STSv1; id=a\n", ("none", RecordFault.NOT_ASCII)),
            (b"v=STSv1; id=\xff", ("none", RecordFault.NOT_ASCII)),
        ):
            self.assertEqual(outcome([[text]]), expected, text)

    def test_error_names_the_fault(self) -> None:
        """The error shows the part at fault, printable and cut."""
        error = self.assertRaises(RecordError, read_record, [[b"v=STSv1; id=" + b"-" * 500]])
        self.assertIn('id "---', str(error))
        self.assertLess(len(str(error)), 150)

    @settings(max_examples=100)
    @given(st.one_of(_RECORDS, _NEARLY))
    def test_any_bytes(self, records: list[list[bytes]]) -> None:
        """Whatever the DNS answers gives an id, None or a `RecordError`."""
        result, text = outcome(records)
        if result == "ok":
            self.assertTrue(1 <= len(text) <= 32 and text.isascii() and text.isalnum())
