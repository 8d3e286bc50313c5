"""The worst replies that strangers can write, of each type, through all that reads them in the reactor."""

from __future__ import annotations

import struct
import time
from collections.abc import Callable, Coroutine
from ipaddress import ip_address
from random import Random
from typing import Any

import dns.message
import dns.name
import dns.rdatatype
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from seg.config.destinations import DANEMode, IPPreference, Profile
from seg.config.schema import DNS
from seg.dns.addresses import SelfAddresses, find_host
from seg.dns.answer import DNSAnswer, DNSFailure, FailureKind
from seg.dns.cache import SHARE, CachingResolver
from seg.dns.interfaces import IResolver
from seg.dns.parsed_reply import UnusableReply, read_reply
from seg.dns.routing import mx_route
from seg.dns.wire import MAX_RECORDS, MAX_REPLY, MalformedReply, answers, read_message
from seg.mail.errors import DeliveryError
from seg.mail.hosts import MXHost, Route, RouteKind
from seg.policy.dane.memory import SeenDANE
from seg.policy.dane.provider import DANEProvider
from seg.policy.mtasts.errors import RecordError
from seg.policy.mtasts.record import read_record
from seg.policy.requirement import DomainQuestion
from seg.receive.reverse_dns import client_name
from tests.doubles import RecordingSink

LIMIT = 0.05  # seconds of this thread
POINTER = struct.Struct("!H")
TYPES = ("MX", "A", "AAAA", "PTR", "TXT", "TLSA", "CNAME", "DNSKEY", "SRV")
CLIENT = ip_address("192.0.2.1")
Work = Callable[[IResolver, str], Coroutine[Any, Any, object]]


def encoded(*labels: bytes) -> bytes:
    """A name without compression."""
    return b"".join(bytes([len(label)]) + label for label in labels) + b"\0"


LONGEST = encoded(*([b"a"] * 127))
OWNER = b"\xc0\x0c"  # the question's name


def pointer(position: int) -> bytes:
    """A compressed name."""
    return POINTER.pack(0xC000 | position)


def record(rdtype: int, data: bytes, owner: bytes = OWNER, ttl: int = 300) -> bytes:
    """One record."""
    return owner + struct.pack("!HHIH", rdtype, 1, ttl, len(data)) + data


class Shape:
    """Builds one reply to a question."""

    def __init__(self, name: str, rdtype: str) -> None:
        self.type = int(dns.rdatatype.from_text(rdtype))
        self.wire = dns.message.make_query(name, rdtype, use_edns=False, id=1).to_wire()
        self.records: list[bytes] = []
        self.size = len(self.wire)
        self.options = b""

    def add(self, data: bytes, owner: bytes = OWNER, rdtype: int | None = None) -> int:
        """One more record; returns where its data are."""
        octets = record(self.type if rdtype is None else rdtype, data, owner)
        self.records.append(octets)
        self.size += len(octets)
        return self.size - len(data)

    def reply(self) -> bytes:
        """The whole of it."""
        body = self.wire[12:] + b"".join(self.records)
        if self.options:
            body += b"\0" + struct.pack("!HHIH", 41, 1232, 0, len(self.options)) + self.options
        counts = struct.pack("!HHHH", 1, len(self.records), 0, bool(self.options))
        return self.wire[:2] + b"\x81\xa0" + counts + body


# --- the shapes: each takes a Shape and fills it as badly as it can ------------------------------------------


def many_names(count: int, labels: int) -> Callable[[Shape], object]:
    """Records whose names are all the same long one, by pointers."""

    def fill(shape: Shape) -> None:
        lead = {15: b"\0\1", 33: b"\0\1\0\1\0\x19"}.get(shape.type, b"")
        named = shape.type in (2, 5, 12, 15, 33)
        first = shape.add(lead + encoded(*([b"a"] * labels)), rdtype=None if named else 15)
        for number in range(1, count):
            here = pointer(first + len(lead))
            distinct = (POINTER.pack(number) + lead[2:]) if lead else b"\1" + bytes([97 + number % 26])
            shape.add(distinct + here, rdtype=None if named else 15)

    return fill


def many_owners(count: int, labels: int) -> Callable[[Shape], object]:
    """Records of as many long owners."""

    def fill(shape: Shape) -> None:
        shape.add(b"\1\2\3\4", encoded(*([b"a"] * labels)))
        for number in range(1, count):
            shape.add(b"\1\2\3\4", b"\3%03d" % number + pointer(len(shape.wire)))

    return fill


def many_data(count: int, size: int) -> Callable[[Shape], object]:
    """Records of the type asked for, with other data each."""
    return lambda shape: [shape.add(number.to_bytes(2) * (size // 2)) for number in range(count)]


def hops(shape: Shape) -> None:
    """Pointers that lead back to pointers, through the whole reply."""
    start = shape.add(b"\0" * 9000, rdtype=99)
    chain = bytearray(b"\0\0")
    for position in range(start, start + 8000, 2):
        chain += pointer(position if position > start else start)
    shape.records[0] = record(99, bytes(chain[:9000]).ljust(9000, b"\0"))
    for _ in range(MAX_RECORDS - 1):
        shape.add(b"\1\2\3\4", pointer(start + 7998))


def strings(shape: Shape) -> None:
    """TXT records of empty strings."""
    shape.add(b"\0" * 7900, rdtype=16)


def texts(shape: Shape) -> None:
    """TXT records as long as they can be."""
    shape.add((b"\xff" + b"\x01" * 255) * 63, rdtype=16)


def aliases(shape: Shape) -> None:
    """A long chain of long aliases, and a loop at its end."""
    owner = OWNER
    for number in range(60):
        where = shape.add(b"\1%c" % (65 + number) + encoded(*([b"a"] * 60)), owner, rdtype=5)
        owner = pointer(where)
    shape.add(OWNER, owner, rdtype=5)


def options(shape: Shape) -> None:
    """As many EDNS options as there is room for, extended errors all."""
    shape.options = struct.pack("!HHH", 15, 2, 6) * 2600


def option_texts(shape: Shape) -> None:
    """One extended error as long as it can be."""
    shape.options = struct.pack("!HHH", 15, 15002, 6) + b"\xff" * 15000


def bad_digests(shape: Shape) -> None:
    """TLSA records that can't be held."""
    for number in range(MAX_RECORDS):
        shape.add(b"\3\1\1" + POINTER.pack(number))


def keys(shape: Shape) -> None:
    """TLSA records with keys that take long to read: points of a curve that have to be worked out."""
    for _ in range(MAX_RECORDS - 1):
        point = SLOW_KEYS[len(shape.records) % len(SLOW_KEYS)]
        if shape.size + len(point) + 20 < MAX_REPLY:
            shape.add(b"\2\1\0" + point)


def compressed_key() -> bytes:
    """SubjectPublicKeyInfo of a P-224 key with a compressed point."""
    key = ec.generate_private_key(ec.SECP224R1()).public_key()
    whole = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    full = key.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
    point = key.public_bytes(Encoding.X962, PublicFormat.CompressedPoint)
    algorithm = whole[2 : whole.index(full) - 3]
    bits = b"\x03" + bytes([len(point) + 1]) + b"\0" + point
    return b"\x30" + bytes([len(algorithm) + len(bits)]) + algorithm + bits


SLOW_KEYS = [compressed_key() for _ in range(60)]
SHAPES: dict[str, Callable[[Shape], object]] = {
    "names of 127 labels": many_names(MAX_RECORDS, 127),
    "names within the budget": many_names(60, 120),
    "names of 25 labels": many_names(MAX_RECORDS, 25),
    "most names": many_names(MAX_RECORDS, 13),
    "owners of 120 labels": many_owners(MAX_RECORDS, 120),
    "owners within the budget": many_owners(60, 120),
    "addresses": many_data(MAX_RECORDS, 4),
    "addresses of IPv6": many_data(MAX_RECORDS, 16),
    "largest data": many_data(MAX_RECORDS, 46),
    "too many": many_data(MAX_RECORDS + 1, 4),
    "hops": hops,
    "strings": strings,
    "texts": texts,
    "aliases": aliases,
    "options": options,
    "option texts": option_texts,
    "bad digests": bad_digests,
    "keys": keys,
}


@implementer(IResolver)
class WireResolver:
    """Answers every question by one reply, read as `StubResolver` reads it."""

    def __init__(self, replies: dict[str, bytes]) -> None:
        self.replies = replies
        self.failures: list[str] = []

    async def query(self, name: str, rdtype: str) -> DNSAnswer:
        """Read the reply (`IResolver.query`)."""
        wire = self.replies.get(rdtype)
        if wire is None:
            raise DNSFailure(name, rdtype, FailureKind.SERVFAIL)
        # The name asked for is that of the reply: its octets are what is measured.
        asked = dns.message.from_wire(wire[:6] + b"\0\0\0\0\0\0" + wire[12:], ignore_trailing=True).question[0]
        query = wire[:2] + b"\1\0" + wire[4:6] + b"\0\0\0\0\0\0" + wire[12:]
        try:
            assert answers(wire, query)
            reading = read_reply(read_message(wire), asked.name, asked.rdtype)
        except (MalformedReply, UnusableReply) as error:
            self.failures.append(str(error.args[-1]))
            raise DNSFailure(name, rdtype, FailureKind.MALFORMED, str(error.args[-1])) from None
        if reading.status is None:
            raise DNSFailure(name, rdtype, FailureKind.MALFORMED, "CNAME loop")
        return DNSAnswer(name, rdtype, reading.status, reading.records, True, name, reading.ttl, reading.size)


async def _route(resolver: IResolver, name: str) -> object:
    return await mx_route(resolver, name, IPPreference.IPV6_PREFERRED, SelfAddresses("gw.test"), 25, 5, Random(1))


async def _host(resolver: IResolver, name: str) -> object:
    return await find_host(resolver, name, preference=IPPreference.IPV4_PREFERRED, rank=1, port=25, mx_secure=True)


async def _client(resolver: IResolver, name: str) -> object:
    return await client_name(resolver, CLIENT, Clock().seconds)


async def _record(resolver: IResolver, name: str) -> object:
    answer = await resolver.query(name, "TXT")
    records: Any = answer.records
    try:
        return read_record([each.strings for each in records])
    except RecordError as error:
        return error


async def _dane(resolver: IResolver, name: str) -> object:
    host = MXHost(name, 1, (), mx_secure=True, address_secure=True, expanded=name)
    question = DomainQuestion(name, Profile(dane=DANEMode.OPPORTUNISTIC), Route(name, RouteKind.MX, (host,), True))
    return (
        await DANEProvider(resolver, RecordingSink(), lambda: True, SeenDANE(Clock().seconds, 1.0))
        .open(question)
        .answer(host)
    )


def _ask(rdtype: str) -> Work:
    async def work(resolver: IResolver, name: str) -> object:
        return await resolver.query(name, rdtype)

    return work


# Who asks for a type, and all that is done with the answer.
USERS: dict[str, Work] = {
    "MX": _route,
    "A": _host,
    "AAAA": _host,
    "PTR": _client,
    "TXT": _record,
    "TLSA": _dane,
    **{rdtype: _ask(rdtype) for rdtype in ("CNAME", "DNSKEY", "SRV")},
}


def seconds(resolver: WireResolver, work: Work) -> float:
    """Time of this thread for all that comes of a reply, with the debug log on; the best of three."""
    best = 9.0
    for _ in range(3):
        clock = Clock()
        cache = CachingResolver(resolver, clock, DNS(), RecordingSink())
        start = time.thread_time()
        done: list[object] = []
        Deferred.fromCoroutine(work(cache, "d.test")).addBoth(done.append)
        clock.advance(0)
        best = min(best, time.thread_time() - start)
        assert done, "waits"
        failure = done[0]
        if hasattr(failure, "trap"):
            failure.trap(DeliveryError)
    return best


class WorstReplyTests(SynchronousTestCase):
    """Each type by each shape."""

    def test_below_50_ms(self) -> None:
        """No reply of any type stops the reactor for 50 ms, whatever it holds, with all that is done about it."""
        for rdtype in TYPES:
            for name, fill in SHAPES.items():
                shape = Shape("d.test", rdtype)
                fill(shape)
                took = seconds(WireResolver({rdtype: shape.reply()}), USERS[rdtype])
                self.assertLess(took, LIMIT, f"{rdtype}: {name}: {took * 1000:.1f} ms")

    def test_hosts_behind_mx(self) -> None:
        """The largest MX set, whose hosts all have the largest address sets, costs no more than the hosts that are looked up."""
        most = Shape("d.test", "MX")
        many_names(MAX_RECORDS, 13)(most)
        addresses, addresses6 = Shape("d.test", "A"), Shape("d.test", "AAAA")
        many_data(MAX_RECORDS, 4)(addresses)
        many_data(MAX_RECORDS, 16)(addresses6)
        resolver = WireResolver({"MX": most.reply(), "A": addresses.reply(), "AAAA": addresses6.reply()})
        self.assertLess(seconds(resolver, _route), 20 * LIMIT)  # each host's answers come in turns of their own

    def test_honest(self) -> None:
        """A domain with a hundred MX hosts whose addresses stand beside them is read whole."""
        for count in (40, 100):
            query = dns.message.make_query("d.example", "MX")
            response = dns.message.make_response(query, recursion_available=True)
            for number in range(count):
                host = f"mx{number}.mail.provider.example."
                rrset = response.find_rrset(response.answer, query.question[0].name, 1, 15, create=True)  # type: ignore[arg-type]
                rrset.add(dns.rdata.from_text(1, 15, f"10 {host}"), 300)
                if number < 70:
                    for rdtype, text in ((1, f"192.0.2.{number}"), (28, f"2001:db8::{number:x}")):
                        owner = dns.name.from_text(host)
                        extra = response.find_rrset(response.additional, owner, 1, rdtype, create=True)  # type: ignore[arg-type]
                        extra.add(dns.rdata.from_text(1, rdtype, text), 300)
            if count == 100:
                response.additional = response.additional[:150]
            reading = read_reply(read_message(response.to_wire()), query.question[0].name, dns.rdatatype.MX)
            self.assertEqual(len(reading.records), count)

    @given(st.data())
    @settings(max_examples=150, deadline=None)
    def test_any_mixture(self, data: st.DataObject) -> None:
        """Any mixture of long names, pointers to anywhere and data is read, or is malformed, in bounded steps."""
        shape = Shape("d.test", data.draw(st.sampled_from(TYPES)))
        for _ in range(data.draw(st.integers(0, 40))):
            owner = data.draw(st.sampled_from([OWNER, LONGEST, pointer(data.draw(st.integers(0, 16383)))]))
            body = data.draw(st.binary(max_size=40)) + data.draw(
                st.sampled_from([b"", LONGEST, pointer(12), pointer(40)])
            )
            shape.add(
                body, owner, data.draw(st.sampled_from([1, 2, 5, 6, 12, 15, 16, 28, 41, 46, 48, 52, 55, 64, 65280]))
            )
        resolver = WireResolver({"MX": b""})
        resolver.replies = {kind: shape.reply() for kind in TYPES}
        start = time.thread_time()
        Deferred.fromCoroutine(resolver.query("d.test", "A")).addErrback(lambda failure: failure.trap(DNSFailure))
        self.assertLess(time.thread_time() - start, 2 * LIMIT)


class CacheMemoryTests(SynchronousTestCase):
    """What strangers' answers take of the memory."""

    def test_octets(self) -> None:
        """The cache is bounded in octets: large answers push out several small ones, each counted as what it takes."""
        shape = Shape("d.test", "MX")
        many_names(60, 100)(shape)
        cache = CachingResolver(
            WireResolver({"MX": shape.reply()}), Clock(), DNS(cache_entries=1000), RecordingSink(False)
        )
        for number in range(300):
            Deferred.fromCoroutine(cache.query(f"d{number}.test", "MX"))
        self.assertGreater(len(cache), 3)
        self.assertLess(len(cache) * 60 * 100 * 40, 1000 * SHARE)
        before = len(cache)
        self.assertEqual(cache.flush(), before)
        Deferred.fromCoroutine(cache.query("again.test", "MX"))
        self.assertEqual(len(cache), 1)
