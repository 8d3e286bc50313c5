"""Whatever a reply holds, reading it ends in a reading or in `UnusableReply`."""

from __future__ import annotations

import contextlib

import dns.message
import dns.name
import dns.rdatatype
from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from seg.dns.answer import AnswerStatus
from seg.dns.parsed_reply import ParsedReply, UnusableReply, read_reply
from seg.dns.wire import MalformedReply, read_message
from tests.dns.wire_server import reply

A_TEST = dns.name.from_text("a.test.")

names = st.sampled_from(["a.test.", "b.test.", "c.test.", "other."])
records = st.one_of(
    st.builds("{} CNAME {}".format, names, names),
    st.builds("{} A 192.0.2.1".format, names),
    st.builds("{} MX 10 {}".format, names, names),
    st.builds("{} NS {}".format, names, names),
    st.builds("{} SOA {} . 1 2 3 4 5".format, names, names),
)


class ReadingTests(SynchronousTestCase):
    """`read_reply`."""

    @settings(max_examples=100)
    @given(
        st.lists(records, max_size=6, unique=True),
        records,
        st.sampled_from([0, 2, 3, 4, 5, 9]),
        st.booleans(),
    )
    def test_any_records(self, answer: list[str], authority: str, rcode: int, ad: bool) -> None:
        """Records in any mixture never break it, and what is found bears the name at the end of the chain."""
        query = dns.message.make_query("a.test.", "A")
        message = reply(query, *answer, ad=ad, authority=authority)
        message.flags |= rcode
        try:
            reading = read_reply(read_message(message.to_wire()), A_TEST, dns.rdatatype.A)
        except UnusableReply:
            return
        self.assertIn(rcode, (0, 3))
        self.assertEqual(reading.status is AnswerStatus.FOUND, bool(reading.records))
        self.assertEqual(reading.authentic, ad)
        if reading.records:
            self.assertIn(f"{reading.canonical} A 192.0.2.1", answer)

    @settings(max_examples=100)
    @given(st.lists(st.tuples(st.integers(2, 90), st.integers(0, 255)), max_size=8))
    def test_any_octets(self, changes: list[tuple[int, int]]) -> None:
        """A reply with octets changed anywhere can't be parsed, can't be used, or is understood."""
        query = dns.message.make_query("a.test.", "A", want_dnssec=True)
        wire = bytearray(reply(query, "a.test. CNAME b.test.", "b.test. A 192.0.2.1", ad=True).to_wire())
        for position, octet in changes:
            wire[position % len(wire)] = octet
        try:
            message = read_message(bytes(wire))
        except MalformedReply:
            return
        with contextlib.suppress(UnusableReply):
            self.assertIsInstance(read_reply(message, A_TEST, dns.rdatatype.A), ParsedReply)
