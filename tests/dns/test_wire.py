"""Reading replies octet by octet: TLSA records that dnspython can't hold."""

from __future__ import annotations

import dns.edns
import dns.message
import dns.name
import dns.rdata
import dns.rdataclass
import dns.rdatatype
import dns.rrset
from dns.rdata import GenericRdata
from dns.rdtypes.ANY.TLSA import TLSA
from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from seg.dns.parsed_reply import ParsedReply, UnusableReply, read_reply
from seg.dns.wire import MAX_RECORDS, MAX_REPLY, MalformedReply, answers, read_message
from seg.policy.dane.tlsa import sort_out

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


def read(wire: bytes, rdtype: dns.rdatatype.RdataType = dns.rdatatype.TLSA) -> ParsedReply:
    """What the reply says of the owner.

    :raises MalformedReply: it can't be read.
    """
    try:
        return read_reply(read_message(wire), dns.name.from_text(OWNER), rdtype)
    except UnusableReply as error:
        raise MalformedReply(error.detail) from None


class ReadMessageTests(SynchronousTestCase):
    """`read_message`."""

    def test_wrong_digest_beside_a_good_one(self) -> None:
        """The good record is used, the others are there as unusable ones (RFC 7672 §3.1.3)."""
        wire = reply_with(GOOD, bytes([3, 1, 1]) + b"\x22" * 31, bytes([3, 1, 2]) + b"\x22" * 32, b"", b"\x03\x01")
        reading = read(wire)
        self.assertEqual([type(record) for record in reading.records].count(TLSA), 1)
        found = sort_out(reading.records)
        self.assertEqual([record.data for record in found.usable], [b"\x11" * 32])
        self.assertEqual(len(found.faults), 4)
        self.assertIn("digest of 31 octets instead of 32", " ".join(found.faults))

    def test_only_wrong_ones(self) -> None:
        """A set without a record that can be read is still a set: there are TLSA records, none usable."""
        reading = read(reply_with(bytes([3, 1, 1]) + b"\x22" * 20))
        self.assertEqual((len(reading.records), reading.ttl), (1, 300))
        self.assertEqual(sort_out(reading.records).usable, ())

    def test_other_types(self) -> None:
        """Any other record that can't be read spoils the reply: an address is never guessed."""
        for rdtype, data in ((dns.rdatatype.A, b"\x7f\0\0"), (dns.rdatatype.MX, b"\0"), (dns.rdatatype.TXT, b"\x09a")):
            self.assertRaises(MalformedReply, read, reply_with(data, rdtype=rdtype), rdtype)

    def test_cut_off(self) -> None:
        """A reply cut off anywhere is malformed, never a shorter set."""
        wire = reply_with(GOOD, bytes([3, 1, 1]) + b"\x22" * 20)
        for end in range(len(wire)):
            self.assertRaises(MalformedReply, read_message, wire[:end])
        self.assertRaises(MalformedReply, read_message, wire + b"\0")

    def test_in_another_section(self) -> None:
        """Only the answer section answers."""
        wire = bytearray(reply_with(bytes([3, 1, 1]) + b"\x22" * 20))
        wire[6:8], wire[8:10] = wire[8:10], wire[6:8]  # counts of the answer and the authority section
        self.assertEqual(read(bytes(wire)).records, ())

    @given(st.binary(max_size=300), st.integers(0, 100))
    @settings(max_examples=200, deadline=None)
    def test_hostile(self, noise: bytes, position: int) -> None:
        """Whatever comes, it's a message or a `MalformedReply`."""
        wire = reply_with(GOOD, bytes([3, 1, 1]) + b"\x22" * 20)
        for octets in (noise, wire[:position] + noise, wire[:position] + noise + wire[position + len(noise) :]):
            try:
                read(octets)
            except MalformedReply:
                continue

    def test_many(self) -> None:
        """As many records as a reply may hold are read; one more, and none of it is."""
        records = [bytes([3, 1, 1]) + number.to_bytes(4) for number in range(MAX_RECORDS - 1)]
        self.assertEqual(len(read(reply_with(*records, GOOD)).records), MAX_RECORDS)
        with self.assertRaisesRegex(MalformedReply, "reply of 257 records, more than 256"):
            read(reply_with(*records, GOOD, b"\x03\x01"))

    def test_octets(self) -> None:
        """A reply is as large as a reply may be, or isn't read at all."""
        wire = reply_with(b"\xff" + b"a" * 255, rdtype=dns.rdatatype.TXT)
        with self.assertRaisesRegex(MalformedReply, "reply of 16385 octets, more than 16384"):
            read(wire + b"\0" * (MAX_REPLY + 1 - len(wire)), dns.rdatatype.TXT)

    def test_each_once(self) -> None:
        """Equal records count once, names whatever their case."""
        for rdtype, data in (
            (dns.rdatatype.A, (b"\1\2\3\4", b"\1\2\3\4", b"\1\2\3\5")),
            (dns.rdatatype.MX, (b"\0\1\1a\0", b"\0\1\1A\0", b"\0\2\1a\0")),
            (dns.rdatatype.PTR, (b"\1a\0", b"\1A\0", b"\1b\0")),
        ):
            response = dns.message.make_response(dns.message.make_query(OWNER, rdtype)).to_wire()
            owner = b"\xc0\x0c" + rdtype.to_bytes(2) + b"\0\1\0\0\0\7"
            body = b"".join(owner + len(each).to_bytes(2) + each for each in data)
            wire = response[:6] + b"\0\3" + response[8:] + body
            self.assertEqual(len(read(wire, rdtype).records), 2, rdtype)

    def test_foreign_types(self) -> None:
        """Types that only a third party's provider asks for are read too, in small sets; a name in them can't point elsewhere."""
        target = b"\0\1\0\1\0\x19\2mx\4test\0"
        self.assertEqual(len(read(reply_with(target, rdtype=dns.rdatatype.SRV), dns.rdatatype.SRV).records), 1)
        with self.assertRaises(MalformedReply):
            read(reply_with(target[:6] + b"\xc0\x0c", rdtype=dns.rdatatype.SRV), dns.rdatatype.SRV)
        many = [number.to_bytes(2) + target[2:6] + b"\x20" + b"a" * 32 + b"\0" for number in range(200)]
        with self.assertRaisesRegex(MalformedReply, "SRV records of more than 4096 octets"):
            read(reply_with(*many, rdtype=dns.rdatatype.SRV), dns.rdatatype.SRV)


class AnswersTests(SynchronousTestCase):
    """`answers`: nothing is parsed of a message that doesn't claim to answer."""

    def test_claims(self) -> None:
        """Id, reply flag, opcode, name, type and class must be those of the question; the name in any case."""
        query = dns.message.make_query(OWNER, "TLSA").to_wire()
        good = reply_with(GOOD)
        good = query[:2] + good[2:]
        end = query.index(b"\0", 12) + 1
        self.assertTrue(answers(good, query))
        self.assertTrue(answers(good[:12] + good[12:end].upper() + good[end:], query))
        for position, octet in ((0, 1), (2, 0x80), (2, 0x08), (13, 1), (end + 1, 1), (end + 3, 2), (5, 2)):
            bad = bytearray(good)
            bad[position] ^= octet
            self.assertFalse(answers(bytes(bad), query), (position, octet))
        for cut in range(12):
            self.assertFalse(answers(good[:cut], query))

    def test_without_question(self) -> None:
        """An error may come without the question, an answer may not."""
        query = dns.message.make_query(OWNER, "TLSA").to_wire()
        for rcode, claims in ((0, False), (1, True), (2, True), (3, False), (4, True), (5, True)):
            self.assertEqual(answers(query[:2] + bytes([0x81, 0x80 | rcode]) + b"\0" * 8, query), claims, rcode)


class SameAsLibraryTests(SynchronousTestCase):
    """What dnspython finds in a reply, written by it, is found."""

    NAMES = st.lists(st.text("abcXYZ09-_", min_size=1, max_size=10), min_size=1, max_size=5).map(".".join)
    RECORDS = st.one_of(
        st.ip_addresses(v=4).map("A {}".format),
        st.ip_addresses(v=6).map("AAAA {}".format),
        st.builds("MX {} {}.".format, st.integers(0, 65535), NAMES),
        st.builds("PTR {}.".format, NAMES),
        st.builds('TXT "{}" "{}"'.format, NAMES, NAMES),
        st.builds("TLSA 3 1 1 {}".format, st.binary(min_size=32, max_size=32).map(bytes.hex)),
        st.builds("DNSKEY 257 3 8 {}".format, st.just("AwEAAcWQ")),
    )

    @given(
        st.lists(RECORDS, max_size=20),
        st.sampled_from(["A", "AAAA", "MX", "PTR", "TXT", "TLSA", "DNSKEY"]),
        st.booleans(),
    )
    @settings(max_examples=200, deadline=None)
    def test_same(self, texts: list[str], kind: str, aliased: bool) -> None:
        """The records of the type asked for, their TTL and the name at the end of the chain."""
        rdtype = dns.rdatatype.from_text(kind)
        owner = dns.name.from_text("real.test." if aliased else "a.test.")
        response = dns.message.make_response(dns.message.make_query("a.test.", rdtype), recursion_available=True)
        if aliased:
            response.answer.append(dns.rrset.from_text("a.test.", 100, "IN", "CNAME", "real.test."))
        for text in texts:
            name, _, data = text.partition(" ")
            rdata = dns.rdata.from_text(IN, dns.rdatatype.from_text(name), data, origin=dns.name.root, relativize=False)
            response.find_rrset(response.answer, owner, IN, rdata.rdtype, create=True).add(rdata, 300)
        response.use_edns(0, options=[dns.edns.EDEOption(6, "no key")])
        wire = response.to_wire()
        ours = read_message(wire)
        self.assertEqual([error.to_text() for error in ours.errors], ["EDE 6 (DNSSEC Bogus): no key"])
        theirs = dns.message.from_wire(wire).resolve_chaining()
        try:
            reading = read_reply(ours, dns.name.from_text("a.test."), rdtype)
        except UnusableReply:
            self.assertIsNone(theirs.answer)
            return
        self.assertEqual(set(reading.records), set(theirs.answer or ()))
        self.assertEqual(reading.canonical, theirs.canonical_name)
        if reading.records:
            self.assertEqual(reading.ttl, theirs.minimum_ttl)
