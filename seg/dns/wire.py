"""Replies as octets. One record that can't be read is no reason to lose the others of its set."""

from __future__ import annotations

from collections.abc import Iterator

import dns.exception
import dns.message
import dns.name
import dns.rdata
import dns.rdataclass
import dns.rdatatype
import dns.wire
from dns.rdata import GenericRdata


class MalformedReply(ValueError):
    """The octets aren't a DNS message."""


def read_message(wire: bytes) -> dns.message.Message:
    """The message in some octets.

    A TLSA record that dnspython refuses to hold, such as a digest of the wrong length, stays in its set as generic data: it proves that
    there are TLSA records, and is unusable (RFC 7671 §4), while the others are used.

    :raises MalformedReply: whatever else is wrong with it.
    """
    try:
        message = dns.message.from_wire(wire, continue_on_error=True)
        if message.errors:
            kept = 0
            for name, rdclass, ttl, data in _unreadable_tlsa(wire):
                rrset = message.find_rrset(message.answer, name, rdclass, dns.rdatatype.TLSA, create=True)
                rrset.add(GenericRdata(rdclass, dns.rdatatype.TLSA, data), ttl)
                kept += 1
            if kept < len(message.errors):  # each of those records is one error
                raise message.errors[-1].exception
    except MemoryError:
        raise  # ours
    # The parser is fed by strangers: whatever it raises, the reply is no good.
    except Exception as error:
        raise MalformedReply(f"{type(error).__name__}: {error}") from error
    return message


def _unreadable_tlsa(wire: bytes) -> Iterator[tuple[dns.name.Name, dns.rdataclass.RdataClass, int, bytes]]:
    """Owner, class, TTL and octets of the TLSA records in the answer section that dnspython can't hold."""
    parser = dns.wire.Parser(wire)
    _, _, questions, answers, _, _ = parser.get_struct("!HHHHHH")
    for _ in range(questions):
        parser.get_name(decompress=True)
        parser.get_struct("!HH")
    for _ in range(answers):
        name = parser.get_name(decompress=True)
        rdtype, number, ttl, length = parser.get_struct("!HHIH")
        data, rdclass = parser.get_bytes(length), dns.rdataclass.RdataClass.make(number)
        if rdtype == dns.rdatatype.TLSA and not _readable(rdclass, data):
            yield name, rdclass, ttl, data


def _readable(rdclass: dns.rdataclass.RdataClass, data: bytes) -> bool:
    try:
        dns.rdata.from_wire(rdclass, dns.rdatatype.TLSA, data, 0, len(data))
    except (dns.exception.DNSException, ValueError):
        return False
    return True
