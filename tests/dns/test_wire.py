"""Reading replies octet by octet: TLSA records that dnspython can't hold."""

from __future__ import annotations

import dns.message
import dns.name
import dns.rdata
import dns.rdataclass
import dns.rdatatype
from dns.rdata import GenericRdata
from dns.rdtypes.ANY.TLSA import TLSA
from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from seg.dane.tlsa import sort_out
from seg.dns.reading import read_reply
from seg.dns.wire import MalformedReply, read_message

OWNER = "_25._tcp.mx.example."
IN = dns.rdataclass.IN
GOOD = bytes([3, 1, 1]) + b"\x11" * 32


def reply_with(*rdata: bytes, rdtype: dns.rdatatype.RdataType = dns.rdatatype.TLSA) -> bytes:
    """A reply whose answer section holds records with these octets, whatever they are."""
    response = dns.message.make_response(dns.message.make_query(OWNER, rdtype), recursion_available=True)
    rrset = response.find_rrset(response.answer, dns.name.from_text(OWNER), IN, rdtype, create=True)
    for data in rdata:
        rrset.add(GenericRdata(IN, rdtype, data), 300)
    return response.to_wire()


class ReadMessageTests(SynchronousTestCase):
    """`read_message`."""

    def test_wrong_digest_beside_a_good_one(self) -> None:
        """The good record is used, the others are there as unusable ones (RFC 7672 §3.1.3)."""
        wire = reply_with(GOOD, bytes([3, 1, 1]) + b"\x22" * 31, bytes([3, 1, 2]) + b"\x22" * 32, b"", b"\x03\x01")
        reading = read_reply(read_message(wire))
        self.assertEqual([type(record) for record in reading.records].count(TLSA), 1)
        found = sort_out(reading.records)
        self.assertEqual([record.data for record in found.usable], [b"\x11" * 32])
        self.assertEqual(len(found.faults), 4)
        self.assertIn("digest of 31 octets instead of 32", " ".join(found.faults))

    def test_only_wrong_ones(self) -> None:
        """A set without a record that can be read is still a set: there are TLSA records, none usable."""
        reading = read_reply(read_message(reply_with(bytes([3, 1, 1]) + b"\x22" * 20)))
        self.assertEqual((len(reading.records), reading.ttl), (1, 300))
        self.assertEqual(sort_out(reading.records).usable, ())

    def test_other_types(self) -> None:
        """Any other record that can't be read spoils the reply: an address is never guessed."""
        for rdtype, data in ((dns.rdatatype.A, b"\x7f\0\0"), (dns.rdatatype.MX, b"\0"), (dns.rdatatype.TXT, b"\x09a")):
            self.assertRaises(MalformedReply, read_message, reply_with(data, rdtype=rdtype))

    def test_cut_off(self) -> None:
        """A reply cut off anywhere is malformed, never a shorter set."""
        wire = reply_with(GOOD, bytes([3, 1, 1]) + b"\x22" * 20)
        for end in range(len(wire)):
            self.assertRaises(MalformedReply, read_message, wire[:end])
        self.assertRaises(MalformedReply, read_message, wire + b"\0")

    def test_in_another_section(self) -> None:
        """Only the answer section is mended."""
        wire = bytearray(reply_with(bytes([3, 1, 1]) + b"\x22" * 20))
        wire[6:8], wire[8:10] = wire[8:10], wire[6:8]  # counts of the answer and the authority section
        self.assertRaises(MalformedReply, read_message, bytes(wire))

    @given(st.binary(max_size=300), st.integers(0, 100))
    @settings(max_examples=200, deadline=None)
    def test_hostile(self, noise: bytes, position: int) -> None:
        """Whatever comes, it's a message or a `MalformedReply`."""
        wire = reply_with(GOOD, bytes([3, 1, 1]) + b"\x22" * 20)
        for octets in (noise, wire[:position] + noise, wire[:position] + noise + wire[position + len(noise) :]):
            try:
                read_message(octets)
            except MalformedReply:
                continue

    def test_many(self) -> None:
        """As many records as a message can hold are read in one pass."""
        records = [bytes([3, 1, 1]) + number.to_bytes(4) for number in range(3000)]
        reading = read_reply(read_message(reply_with(*records, GOOD)))
        self.assertEqual(len(reading.records), 3001)
