"""Names and format of spool files."""

import json

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from seg.mail.envelope import BodyType, DSNNotify, DSNRet, Envelope, Recipient, RecipientState
from seg.mail.errors import Permanent
from seg.mail.outcome import Bounced
from seg.queue.codec import SpoolFileError, StoredEnvelope, decode, encode
from seg.queue.index_entry import IndexEntry
from seg.queue.paths import SpoolPaths, folder_name, mid_of, spool_id

text = st.text(st.characters(), max_size=40)
moment = st.floats(0, 1e11, allow_nan=False)
number = st.integers(0, 10**15)
states = st.sampled_from([state for state in RecipientState if state is not RecipientState.BOUNCING])
asked = st.none() | st.frozensets(st.sampled_from(DSNNotify))
recipient = st.builds(
    Recipient, number, text, states, st.integers(0, 1000), moment, text, number, asked, text, st.booleans(), text
) | st.builds(Recipient, number, text, st.just(RecipientState.BOUNCING), number, moment, text, st.integers(1, 9**9))
envelopes = st.builds(
    Envelope,
    number,
    text,
    st.lists(recipient, min_size=1, max_size=5, unique_by=lambda r: r.rid).map(tuple),
    moment,
    number,
    st.sampled_from(BodyType),
    st.booleans(),
    number,
    text,
    text,
    st.booleans(),
    st.booleans(),
    st.sampled_from(DSNRet),
    text | st.just("double-bounce"),
    text,
    text,
    st.booleans(),
    st.booleans(),
    text,
)
failure = st.builds(
    lambda status, words, code, remote, dcid, host: Bounced(Permanent(status, words, code, tuple(remote)), dcid, host),
    st.sampled_from(["5.1.1", "5.4.7"]),
    text,
    st.sampled_from([0, 550, 554]),
    st.lists(text, max_size=3),
    number,
    text,
)


def told(stored: StoredEnvelope) -> object:
    """Something comparable: errors compare by identity."""
    failures = {rid: (b.error.args, b.dcid, b.host) for rid, b in stored.failures.items()}
    return stored.envelope, failures


class FilesTests(SynchronousTestCase):
    """Envelope lines and names."""

    @settings(max_examples=100)
    @given(envelopes, st.dictionaries(number, failure, max_size=2))
    def test_round_trip(self, envelope: Envelope, failures: dict[int, Bounced]) -> None:
        """What is written is read again, whatever text the peers gave, and is one line."""
        line = encode(envelope, failures)
        self.assertEqual(line.count(b"\n"), 1)
        self.assertEqual(told(decode(line)), told(StoredEnvelope(envelope, failures)))

    @settings(max_examples=50, deadline=None)
    @given(envelopes)
    def test_record(self, envelope: Envelope) -> None:
        """The packed form in memory gives the same envelope back."""
        self.assertEqual(IndexEntry(envelope, 0.0).envelope, envelope)

    @settings(max_examples=100)
    @given(st.binary(max_size=200))
    def test_noise(self, noise: bytes) -> None:
        """Arbitrary octets are refused with a reason, never by another error."""
        self.assertRaises(SpoolFileError, decode, noise + b"\n")

    def test_damage(self) -> None:
        """Each missing or wrong entry is refused by name; unknown keys are passed over."""
        good = json.loads(encode(Envelope(5, "a@b.test", (Recipient(0, "c@d.test"),), 1.0, 3)))
        decode(json.dumps({**good, "colour": "red", "to": [{**good["to"][0], "new": 1}]}).encode() + b"\n")
        for key in good:
            reason = self.assertRaises(SpoolFileError, decode, _line({k: v for k, v in good.items() if k != key}))
            self.assertIn(key, str(reason).replace("schema version", "v"))
        table: list[tuple[str, object]] = [
            ("v", 2),
            ("v", True),
            ("mid", -1),
            ("mid", "5"),
            ("to", []),
            ("to", ["x"]),
            ("to", good["to"] * 2),
            ("to", [{**good["to"][0], "state": "lost"}]),
            ("to", [{**good["to"][0], "state": "bouncing"}]),
            ("arrived", float("nan")),
            ("arrived", True),
            ("arrived", 10**400),
            ("relayed", 0),
            ("body", "BINARYMIME"),
            ("held", 1),
            ("failures", [{"rid": 0}]),
        ]
        for key, value in table:
            self.assertRaises(SpoolFileError, decode, _line({**good, key: value}))
        self.assertRaises(SpoolFileError, decode, b"[" * 100_000 + b"\n")
        self.assertRaises(SpoolFileError, decode, encode(Envelope(5, "", (Recipient(0, "x"),), 1.0))[:-1])

    def test_double_bounce_of_former_versions(self) -> None:
        """A report of a former version is known by its ENVID; a message of a client that has the same isn't, nor is any of today."""
        for icid, sender, ours in ((0, "", True), (7, "", False), (0, "a@b.test", False)):
            line = json.loads(
                encode(Envelope(5, sender, (Recipient(0, "c@d.test"),), 1.0, icid=icid, envid="double-bounce"))
            )
            self.assertFalse(decode(_line(line)).envelope.double_bounce)
            del line["double_bounce"]
            self.assertEqual(decode(_line(line)).envelope.double_bounce, ours)

    def test_readable(self) -> None:
        """A person sees sender, recipients and their state at the head of the file."""
        line = encode(Envelope(5, "a@b.test", (Recipient(0, "jörg@d.test"),), 1.0, 3)).decode()
        self.assertTrue(
            line.startswith(
                '{"v": 1, "mid": 5, "from": "a@b.test", '
                '"to": [{"rid": 0, "address": "jörg@d.test", "state": "pending"}]'
            ),
            line,
        )

    @given(st.integers(0, 10**12 - 1), st.integers(0, 10**12 - 1))
    def test_names_sort(self, one: int, other: int) -> None:
        """File names sort as MIDs do, and lead back to them."""
        self.assertEqual(spool_id(one) < spool_id(other), one < other)
        self.assertEqual(mid_of(spool_id(one)), one)

    def test_foreign_names(self) -> None:
        """Only exact names are taken for messages."""
        for name in ("", "5", "00000000005", "000000000005.tmp", "-00000000005", "00000000000٣", "0000000000005"):
            self.assertIsNone(mid_of(name), name)

    def test_neighbours(self) -> None:
        """Neighbours share a folder, and all 256 are used."""
        self.assertEqual({folder_name(mid) for mid in range(256)}, {"00"})
        self.assertEqual(len({folder_name(mid) for mid in range(256 * 256)}), 256)
        self.assertEqual(SpoolPaths("s").message(300).envelope, "s/cur/01/000000000300.env")


def _line(entry: dict[str, object]) -> bytes:
    return json.dumps(entry).encode() + b"\n"
