"""Replies as octets, read within bounds: strangers write them, and they are read in the reactor.

A reply holds at most `MAX_RECORDS` records in `MAX_REPLY` octets, and whatever costs time for each octet of a pointer's two (labels, hops,
strings, options) comes out of one budget for the whole reply (`MAX_PARTS`). What the gateway doesn't ask for is passed over unread. Pure.
"""

from __future__ import annotations

import struct

import attrs
import dns.edns
import dns.name
import dns.rcode
import dns.rdata
import dns.rdataclass
from dns.rdata import GenericRdata, Rdata
from dns.rdataclass import IN
from dns.rdatatype import RdataType
from dns.rdtypes.ANY.CNAME import CNAME
from dns.rdtypes.ANY.MX import MX
from dns.rdtypes.ANY.PTR import PTR

MAX_REPLY = 16384  # octets: ten times what a domain with 100 MX hosts needs
MAX_RECORDS = 256  # of all sections
MAX_PARTS = 8000  # labels, hops of pointers, strings of TXT records, EDNS options: of the whole reply
MAX_FOREIGN = (
    4096  # octets of all records of a type that the gateway itself doesn't ask for (a third party's provider may)
)
RECORD = 250  # octets of memory for a record
LABEL = 48  # for a label or a string
MAX_ERRORS = 4  # extended errors that are told
LONGEST_ERROR = 200  # characters of one

_HEADER = struct.Struct("!HHHHHH")
_FIXED = struct.Struct("!HHIH")  # type, class, TTL, length
_TIMES = 20  # octets of a SOA behind its names; the last four are the minimum
_EDE = 15  # RFC 8914 §2
_TEXTLESS = frozenset({dns.rcode.FORMERR, dns.rcode.SERVFAIL, dns.rcode.NOTIMP, dns.rcode.REFUSED})
_PLAIN = frozenset({RdataType.A, RdataType.AAAA, RdataType.TXT, RdataType.TLSA, RdataType.DNSKEY})  # hold no names
_NAMED = {RdataType.MX: 2, RdataType.PTR: 0, RdataType.CNAME: 0}  # where the name begins

Labels = tuple[bytes, ...]  # of a name, in lower case, without the root


class MalformedReply(ValueError):
    """The octets aren't a DNS message, or one larger than a reply may be."""


@attrs.frozen
class WireRecord:
    """One record, not yet understood."""

    owner: Labels
    type: int
    ttl: int
    start: int  # of its data
    length: int


@attrs.frozen
class WireReply:
    """A reply, as far as it is read before anybody asks what it says."""

    wire: bytes
    flags: int
    rcode: dns.rcode.Rcode
    answer: tuple[WireRecord, ...] = ()
    authority: tuple[WireRecord, ...] = ()
    errors: tuple[dns.edns.EDEOption, ...] = ()  # RFC 8914
    parts: int = MAX_PARTS  # what is left of the budget


def labels_of(name: dns.name.Name) -> Labels:
    """The labels by which names are compared here."""
    return tuple(label.lower() for label in name.labels if label)


def answers(wire: bytes, query: bytes) -> bool:
    """Whether a message claims to answer a query of ours: id, question, and that it is a reply at all (RFC 5452 §9.1).

    Nothing of it is parsed: anybody may send datagrams.
    """
    if len(wire) < _HEADER.size or wire[:2] != query[:2] or not wire[2] & 0x80 or (wire[2] ^ query[2]) & 0x78:
        return False
    questions = int.from_bytes(wire[4:6])
    if not questions:  # RFC 1035 §4.1.1 doesn't ask for one, and some servers that couldn't read it leave it out
        return wire[3] & 0x0F in _TEXTLESS
    end = query.index(b"\0", _HEADER.size) + 1
    asked, repeated = query[_HEADER.size : end + 4], wire[_HEADER.size : end + 4]
    return questions == 1 and repeated[-4:] == asked[-4:] and repeated[:-4].lower() == asked[:-4].lower()


def garbled(wire: bytes, query: bytes) -> bool:
    """Whether a message that doesn't answer a query bears its id all the same, and a question that can't be read."""
    if wire[:2] != query[:2] or (len(wire) >= _HEADER.size and wire[4:6] == b"\0\0"):
        return False
    try:
        return _Reader(wire).name(_HEADER.size)[1] + 4 > len(wire)
    except (MalformedReply, IndexError):
        return True


def truncated(wire: bytes) -> bool:
    """Whether a message that `answers` says that it isn't all (TC)."""
    return bool(wire[2] & 0x02)


def read_message(wire: bytes) -> WireReply:
    """The records of a reply.

    :raises MalformedReply: it can't be read, or is larger than the bounds here.
    """
    if len(wire) > MAX_REPLY:
        raise MalformedReply(f"reply of {len(wire)} octets, more than {MAX_REPLY}")
    try:
        return _Reader(wire).reply()
    except (IndexError, struct.error):
        raise MalformedReply("cut off") from None


def read_data(reply: WireReply, records: list[WireRecord], rdtype: RdataType) -> tuple[tuple[Rdata, ...], int]:
    """What records of one type hold, each once; and the octets of memory that this takes, about.

    A TLSA record that dnspython refuses to hold, such as a digest of the wrong length, stays in its set as generic data: it proves that there
    are TLSA records, and is unusable (RFC 7671 §4), while the others are used. Any other one spoils the reply: an address is never guessed.

    :raises MalformedReply: one of them can't be read.
    """
    reader = _Reader(reply.wire, reply.parts)
    found: dict[object, Rdata] = {}
    octets = sum(record.length for record in records)
    foreign = rdtype not in _PLAIN and rdtype not in _NAMED
    if foreign and octets > MAX_FOREIGN:
        raise MalformedReply(f"{rdtype.name} records of more than {MAX_FOREIGN} octets")
    for record in records:
        try:
            key, rdata = reader.named(record) if rdtype in _NAMED else reader.plain(record)
        except (IndexError, struct.error):
            raise MalformedReply("cut off") from None
        found.setdefault(key, rdata)
    # Each label is an object of its own, as is each record; of foreign ones it isn't known how many labels there are.
    return tuple(found.values()), RECORD * len(found) + LABEL * (reader.spent + octets * foreign // 2) + octets


def negative_ttl(reply: WireReply, record: WireRecord) -> int:
    """Seconds for which a SOA record lets a denial be kept (RFC 2308 §5)."""
    if record.length < _TIMES:
        raise MalformedReply("SOA too short")
    end = record.start + record.length
    return min(record.ttl, int.from_bytes(reply.wire[end - 4 : end]))


class _Reader:
    """Reads a message from one position to the next, until its budget is used up."""

    def __init__(self, wire: bytes, parts: int = MAX_PARTS) -> None:
        self._wire = wire
        self._left = self._parts = parts

    @property
    def spent(self) -> int:
        """What was used of the budget."""
        return self._parts - self._left

    def reply(self) -> WireReply:
        """The whole message."""
        _, flags, questions, *counts = _HEADER.unpack_from(self._wire)
        if sum(counts) > MAX_RECORDS or questions > 1:
            raise MalformedReply(
                f"reply of {sum(counts)} records, more than {MAX_RECORDS}" if questions < 2 else "two questions"
            )
        position = _HEADER.size
        for _ in range(questions):
            position = self.name(position)[1] + 4
        sections: list[tuple[WireRecord, ...]] = []
        rcode = flags & 0x0F
        errors: tuple[dns.edns.EDEOption, ...] = ()
        for count in counts:
            records: list[WireRecord] = []
            for _ in range(count):
                record, position = self._record(position)
                if record is None:
                    continue
                if record.type == RdataType.OPT:  # RFC 6891 §6.1.3
                    rcode, errors = flags & 0x0F | record.ttl >> 24 << 4, self._errors(record)
                else:
                    records.append(record)
            sections.append(tuple(records))
        if position != len(self._wire):
            raise MalformedReply("octets behind the end" if position < len(self._wire) else "cut off")
        return WireReply(self._wire, flags, dns.rcode.Rcode.make(rcode), sections[0], sections[1], errors, self._left)

    def _record(self, position: int) -> tuple[WireRecord | None, int]:
        """The record there, or None for one of another class, and where the next one begins."""
        owner, position = self.name(position)
        rdtype, rdclass, ttl, length = _FIXED.unpack_from(self._wire, position)
        start = position + _FIXED.size
        if rdtype != RdataType.OPT:
            if rdclass != IN:
                return None, start + length
            ttl = 0 if ttl > 0x7FFFFFFF else ttl  # RFC 2181 §8
        return WireRecord(tuple(label.lower() for label in owner), rdtype, ttl, start, length), start + length

    def name(self, position: int) -> tuple[list[bytes], int]:
        """The labels of the name there, and where it ends. A pointer leads back, and each further than the one before it."""
        wire, end, least, size = self._wire, -1, position, 1
        labels: list[bytes] = []
        while True:
            length = wire[position]
            if not length:
                return labels, position + 1 if end < 0 else end
            self._spend(1)
            if length < 64:
                label = wire[position + 1 : position + 1 + length]
                position += length + 1
                size += length + 1
                if size > 255:
                    raise MalformedReply("name too long")
                labels.append(label)
                continue
            target = (length & 0x3F) << 8 | wire[position + 1]
            if length < 0xC0 or target >= least:
                raise MalformedReply("bad label" if length < 0xC0 else "compression pointer that doesn't lead back")
            end = position + 2 if end < 0 else end
            position = least = target

    def _spend(self, parts: int) -> None:
        self._left -= parts
        if self._left < 0:
            raise MalformedReply(f"reply of more than {MAX_PARTS} labels")

    def _errors(self, record: WireRecord) -> tuple[dns.edns.EDEOption, ...]:
        """The extended errors among the options."""
        found: list[dns.edns.EDEOption] = []
        position, end = record.start, record.start + record.length
        while position < end:
            self._spend(1)
            code, length = struct.unpack_from("!HH", self._wire, position)
            position += 4 + length
            if position > end:
                raise MalformedReply("EDNS option cut off")
            if code == _EDE and length >= 2 and len(found) < MAX_ERRORS:
                data = self._wire[position - length : position]
                text = data[2:].rstrip(b"\0").decode("utf-8", "replace")[:LONGEST_ERROR]
                found.append(dns.edns.EDEOption(dns.edns.EDECode.make(int.from_bytes(data[:2])), text or None))
        return tuple(found)

    # --- data -----------------------------------------------------------------------------------------------

    def named(self, record: WireRecord) -> tuple[object, Rdata]:
        """What a record holds whose data end with a name, and what it is equal by."""
        rdtype = RdataType(record.type)
        begin, end = record.start + _NAMED[rdtype], record.start + record.length
        labels, name_end = self.name(begin)
        if name_end != end:
            raise MalformedReply(f"{rdtype.name} record of a wrong length")
        name = dns.name.Name([*labels, b""])
        key = tuple(label.lower() for label in labels)
        if rdtype is RdataType.MX:
            preference = int.from_bytes(self._wire[record.start : begin])
            return (preference, key), MX(IN, rdtype, preference, name)
        return key, (PTR if rdtype is RdataType.PTR else CNAME)(IN, rdtype, name)

    def plain(self, record: WireRecord) -> tuple[object, Rdata]:
        """What any other record holds. By itself: only names in records of RFC 1035 may point elsewhere (RFC 3597 §4)."""
        data = self._wire[record.start : record.start + record.length]
        if record.type == RdataType.TXT:
            self._count_strings(data)
        try:
            return data, dns.rdata.from_wire(IN, RdataType.make(record.type), data, 0, len(data))
        except MemoryError:
            raise  # ours
        # dnspython reads what strangers wrote: whatever it raises, the record is no good.
        except Exception as error:
            if record.type == RdataType.TLSA:
                return data, GenericRdata(IN, RdataType.TLSA, data)
            raise MalformedReply(f"{type(error).__name__}: {error}") from error

    def _count_strings(self, data: bytes) -> None:
        position = 0
        while position < len(data):
            self._spend(1)
            position += data[position] + 1
