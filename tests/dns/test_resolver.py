"""The resolver on real sockets: servers that truncate, lie, stay silent, send garbage."""

from __future__ import annotations

import struct
from collections.abc import Callable

import dns.edns
import dns.flags
import dns.message
import dns.rcode
import dns.rdatatype
from twisted.internet import reactor
from twisted.internet.defer import CancelledError, Deferred
from twisted.trial.unittest import TestCase
from zope.interface.verify import verifyObject

from seg.config.schema import DNS
from seg.dns.answer import AnswerStatus, DNSAnswer, DNSFailure, FailureKind
from seg.dns.interfaces import IResolver
from seg.dns.resolver import StubResolver
from seg.events.dns import DNSSent
from seg.mail.errors import LocalFault
from tests.dns.wire_server import Respond, Send, WireServer, reply
from tests.doubles import RecordingSink

Query = dns.message.Message
SOA = "test. SOA ns.test. host.test. 1 3600 600 86400 60"
GARBAGE = (
    b"",
    b"\x00",
    b"\xff" * 40,
    b"\x81\x80" + b"\x00\x01" * 4,
    b"\x81\x80\x00\x01\x00\xff\x00\x00\x00\x00\xc0\x0c",
)


def framed(wire: bytes) -> bytes:
    """A message as sent over TCP."""
    return struct.pack("!H", len(wire)) + wire


def sends(*records: str, ad: bool = False, authority: str = "") -> Respond:
    """Answers with these records."""
    return lambda query, send: send(reply(query, *records, ad=ad, authority=authority).to_wire())


def sends_tcp(*records: str) -> Respond:
    """The same over TCP."""
    return lambda query, send: send(framed(reply(query, *records).to_wire()))


def errs(rcode: dns.rcode.Rcode, ede: int | None = None) -> Respond:
    """Answers with an error, and an extended one."""

    def respond(query: Query, send: Send) -> None:
        response = reply(query)
        response.set_rcode(rcode)
        if ede is not None:
            response.use_edns(0, options=[dns.edns.EDEOption(ede)])
        send(response.to_wire())

    return respond


def truncates(query: Query, send: Send) -> None:
    """Answers that there is more than fits."""
    response = reply(query)
    response.flags |= dns.flags.TC
    send(response.to_wire())


def silent(query: Query, send: Send) -> None:
    """Doesn't answer."""


class ResolverCase(TestCase):
    """Servers, and a resolver that asks them."""

    timeout = 10

    def serve(self, udp: Respond, tcp: Respond | None = None) -> WireServer:
        """A server for this test."""
        server = WireServer(reactor, udp, tcp)
        self.addCleanup(server.stop)
        return server

    def resolver(
        self,
        *servers: WireServer | str,
        trusted: tuple[str, ...] = ("127.0.0.0/8",),
        patience: float = 0.25,
    ) -> StubResolver:
        """A resolver with short time-outs."""
        addresses = tuple(s if isinstance(s, str) else s.address for s in servers)
        self.sink = RecordingSink()
        settings = DNS(resolvers=addresses, trusted=trusted, timeout=patience, lifetime=patience * 2.7)
        return StubResolver(reactor, settings, self.sink)

    async def failure(self, resolver: StubResolver, name: str = "a.test", rdtype: str = "A") -> DNSFailure:
        """How the question fails."""
        try:
            answer = await resolver.query(name, rdtype)
        except DNSFailure as failure:
            return failure
        raise AssertionError(f"{answer} instead of a failure")


class AnswerTests(ResolverCase):
    """What is asked, and what an answer says."""

    async def test_question(self) -> None:
        """The question asks for recursion, AD and DO, with room for 1232 octets, and is told when somebody
        listens."""
        server = self.serve(sends("a.test. A 192.0.2.1", ad=True))
        resolver = self.resolver(server)
        verifyObject(IResolver, resolver)
        answer = await resolver.query("A.Test.", "A")
        self.assertEqual([r.to_text() for r in answer.records], ["192.0.2.1"])
        self.assertEqual((answer.name, answer.canonical, answer.ttl), ("a.test", "a.test", 300.0))
        ((_, query),) = server.queries
        self.assertEqual(query.flags & (dns.flags.RD | dns.flags.AD | dns.flags.CD), dns.flags.RD | dns.flags.AD)
        self.assertEqual((query.edns, query.payload, query.ednsflags), (0, 1232, dns.flags.DO))
        self.assertEqual(self.sink.events, [DNSSent("a.test", "A", server.address, 0.25)])

    async def test_ad(self) -> None:
        """AD makes an answer secure if the operator trusts the resolver, and only then."""
        for ad, trusted, secure in (
            (True, ("127.0.0.0/8",), True),
            (True, ("192.0.2.0/24", "::1/128"), False),
            (False, ("127.0.0.0/8",), False),
        ):
            server = self.serve(sends("a.test. A 192.0.2.1", ad=ad))
            answer = await self.resolver(server, trusted=trusted).query("a.test", "A")
            self.assertEqual(answer.secure, secure)

    async def test_denials(self) -> None:
        """NODATA and NXDOMAIN, also behind an alias; their time is the lesser of the SOA's TTL and minimum
        (RFC 2308)."""
        alias = ("a.test. CNAME b.test.",)
        for records, rcode, status in (
            ((), dns.rcode.NOERROR, AnswerStatus.NO_DATA),
            (alias, dns.rcode.NOERROR, AnswerStatus.NO_DATA),
            ((), dns.rcode.NXDOMAIN, AnswerStatus.NO_NAME),
            (alias, dns.rcode.NXDOMAIN, AnswerStatus.NO_NAME),
        ):

            def respond(
                query: Query, send: Send, records: tuple[str, ...] = records, rcode: dns.rcode.Rcode = rcode
            ) -> None:
                response = reply(query, *records, ad=True, authority=SOA)
                response.set_rcode(rcode)
                send(response.to_wire())

            answer = await self.resolver(self.serve(respond)).query("a.test", "MX")
            self.assertEqual((answer.status, answer.records, answer.ttl), (status, (), 60.0))
            self.assertEqual((answer.canonical, answer.secure), ("b.test" if records else "a.test", True))

    async def test_denial_without_soa(self) -> None:
        """A denial without SOA isn't to be kept."""
        answer = await self.resolver(self.serve(sends())).query("a.test", "A")
        self.assertEqual((answer.status, answer.ttl), (AnswerStatus.NO_DATA, 0.0))

    async def test_alias_inside(self) -> None:
        """A chain of CNAMEs inside an answer is followed."""
        server = self.serve(sends("a.test. CNAME B.test.", "b.test. CNAME c.test.", "c.test. A 192.0.2.1"))
        answer = await self.resolver(server).query("a.test", "A")
        self.assertEqual((answer.canonical, len(answer.records)), ("c.test", 1))

    async def test_alias_target_missing(self) -> None:
        """A target that the answer leaves out is asked for; secure is only what was secure at every step."""
        for first, second in ((True, True), (True, False), (False, True)):

            def respond(query: Query, send: Send, first: bool = first, second: bool = second) -> None:
                if query.question[0].name.to_text() == "a.test.":
                    send(reply(query, "a.test. CNAME b.test.", ad=first).to_wire())
                else:
                    send(reply(query, "b.test. A 192.0.2.1", ad=second).to_wire())

            server = self.serve(respond)
            answer = await self.resolver(server).query("a.test", "A")
            self.assertEqual((answer.name, answer.canonical), ("a.test", "b.test"))
            self.assertEqual(answer.secure, first and second)
            self.assertEqual(len(server.queries), 2)

    async def test_endless_aliases(self) -> None:
        """Loops and endless chains end as malformed, inside one answer or over many."""
        loop = sends("a.test. CNAME b.test.", "b.test. CNAME a.test.")

        def longer(query: Query, send: Send) -> None:
            name = query.question[0].name.to_text()
            send(reply(query, f"{name} CNAME x{name}").to_wire())

        for respond in (loop, longer, sends("a.test. CNAME a.test.")):
            server = self.serve(respond)
            failure = await self.failure(self.resolver(server))
            self.assertIs(failure.kind, FailureKind.MALFORMED)
            self.assertLessEqual(len(server.queries), 11)

    async def test_names_outside_the_dns(self) -> None:
        """A name that can't be in the DNS doesn't exist; nobody is asked."""
        server = self.serve(sends())
        resolver = self.resolver(server)
        for name in ("a" * 64 + ".test", "a..test", ".a.test", "ü.test", "x." * 130 + "test", "a\\300.test"):
            self.assertIs((await resolver.query(name, "A")).status, AnswerStatus.NO_NAME, name)
        self.assertEqual(server.queries, [])

    async def test_tcp(self) -> None:
        """After truncation the question is put over TCP; the big answer is read however slowly it comes."""
        records = [
            f"a.test. A 192.0.{n}.{m}" for n in range(3) for m in range(85)
        ]  # with the EDNS record as many as there may be
        rest = reply(dns.message.make_query("a.test", "A", use_edns=0), *records).to_wire(max_size=65535)[2:]

        def slowly(query: Query, send: Send) -> None:
            wire = framed(query.id.to_bytes(2, "big") + rest)
            step = len(wire) // 20
            for n, start in enumerate(range(0, len(wire), step)):
                reactor.callLater(n * 0.001, send, wire[start : start + step])

        resolver = self.resolver(self.serve(truncates, slowly), patience=5.0)
        self.assertEqual(len((await resolver.query("a.test", "A")).records), 255)

    async def test_tcp_faults(self) -> None:
        """What may go wrong over TCP is a failure by kind, and never hangs."""

        def short(query: Query, send: Send) -> None:
            send(b"\x01\x00abc")

        def other(query: Query, send: Send) -> None:
            response = reply(query, "a.test. A 192.0.2.1")
            response.id ^= 1
            send(framed(response.to_wire()))

        def truncated(query: Query, send: Send) -> None:
            truncates(query, lambda wire: send(framed(wire)))

        table: list[tuple[Respond | None, FailureKind | None]] = [
            (None, None),  # nobody takes the connection any further: ours
            (silent, FailureKind.TIMEOUT),
            (short, FailureKind.TIMEOUT),
            (other, FailureKind.MALFORMED),
            (truncated, FailureKind.MALFORMED),
        ]
        for tcp, kind in table:
            resolver = self.resolver(self.serve(truncates, tcp))
            if kind is None:
                with self.assertRaises(LocalFault):
                    await resolver.query("a.test", "A")
                continue
            failure = await self.failure(resolver)
            self.assertIs(failure.kind, kind, failure)

    async def test_forged_replies(self) -> None:
        """Replies with another id, another question, or that are no replies are ignored: the true one comes
        after them."""

        def respond(query: Query, send: Send) -> None:
            def forged(change: Callable[[Query], object]) -> None:
                response = reply(query, "a.test. A 203.0.113.66", ad=True)
                change(response)
                send(response.to_wire())

            forged(lambda r: setattr(r, "id", query.id ^ 1))
            forged(lambda r: r.question.clear())
            forged(lambda r: setattr(r, "question", dns.message.make_query("b.test", "A").question))
            forged(lambda r: setattr(r, "flags", r.flags & ~dns.flags.QR))
            send(b"")
            send(b"\x00" * 40)
            send(reply(query, "a.test. A 192.0.2.1").to_wire())

        answer = await self.resolver(self.serve(respond)).query("a.test", "A")
        self.assertEqual([r.to_text() for r in answer.records], ["192.0.2.1"])
        self.assertFalse(answer.secure)

    async def test_garbage(self) -> None:
        """A reply with our id that can't be read is asked for again over TCP, and then a failure by kind."""
        for garbage in GARBAGE[2:]:

            def udp(query: Query, send: Send, garbage: bytes = garbage) -> None:
                send(query.id.to_bytes(2, "big") + garbage)

            def tcp(query: Query, send: Send, garbage: bytes = garbage) -> None:
                send(framed(query.id.to_bytes(2, "big") + garbage))

            good = self.resolver(self.serve(udp, sends_tcp("a.test. A 192.0.2.1")))
            self.assertTrue((await good.query("a.test", "A")).found)
            failure = await self.failure(self.resolver(self.serve(udp, tcp)))
            self.assertIs(failure.kind, FailureKind.MALFORMED, failure)

    async def test_too_large(self) -> None:
        """A reply of too many octets, records or labels isn't read, whatever was asked; the failure says which."""

        def tcp(wire: bytes) -> Respond:
            return lambda query, send: send(framed(query.id.to_bytes(2, "big") + wire[2:]))

        for rdtype in ("MX", "A", "AAAA", "PTR", "TXT", "TLSA", "CNAME", "DNSKEY"):
            empty = dns.message.make_response(dns.message.make_query("a.test", rdtype)).to_wire()
            records = empty[:6] + b"\1\1" + empty[8:] + b"\xc0\x0c" + dns.rdatatype.from_text(rdtype).to_bytes(2)
            for wire, text in (
                (empty + b"\0" * 65000, "octets, more than 16384"),
                (records, "reply of 257 records, more than 256"),
            ):
                failure = await self.failure(self.resolver(self.serve(truncates, tcp(wire))), rdtype=rdtype)
                self.assertIs(failure.kind, FailureKind.MALFORMED)
                self.assertIn(text, failure.text)
                self.assertTrue(
                    failure.text.startswith(f"DNS Malformed looking up a.test ({rdtype}): 127.0.0.1:"), failure.text
                )

    async def test_unrelated_records(self) -> None:
        """An answer with records of other names only, or that contradicts itself, is malformed."""

        def contradiction(query: Query, send: Send) -> None:
            response = reply(query, "a.test. A 192.0.2.1")
            response.set_rcode(dns.rcode.NXDOMAIN)
            send(response.to_wire())

        for respond in (sends("b.test. A 192.0.2.1"), sends("a.test. MX 1 b.test."), contradiction):
            failure = await self.failure(self.resolver(self.serve(respond)))
            self.assertIs(failure.kind, FailureKind.MALFORMED)

    async def test_errors(self) -> None:
        """Each error of a server is a failure of its kind; validation errors make SERVFAIL bogus (RFC
        8914)."""
        table: list[tuple[Respond, FailureKind]] = [
            (errs(dns.rcode.SERVFAIL), FailureKind.SERVFAIL),
            (errs(dns.rcode.SERVFAIL, dns.edns.EDECode.NETWORK_ERROR), FailureKind.SERVFAIL),
            *((errs(dns.rcode.SERVFAIL, code), FailureKind.BOGUS) for code in (*range(5, 13), 25)),
            (errs(dns.rcode.REFUSED), FailureKind.REFUSED),
            (errs(dns.rcode.NOTIMP), FailureKind.NOTIMP),
            (errs(dns.rcode.FORMERR), FailureKind.MALFORMED),
            (errs(dns.rcode.YXDOMAIN), FailureKind.SERVFAIL),
            (sends(authority="test. NS ns.test."), FailureKind.REFUSED),
        ]
        for respond, kind in table:
            self.assertIs((await self.failure(self.resolver(self.serve(respond)))).kind, kind)

    async def test_no_edns(self) -> None:
        """A server that doesn't know EDNS is asked without it."""

        def respond(query: Query, send: Send) -> None:
            (sends("a.test. A 192.0.2.1") if query.edns < 0 else errs(dns.rcode.FORMERR))(query, send)

        self.assertTrue((await self.resolver(self.serve(respond)).query("a.test", "A")).found)


class FailoverTests(ResolverCase):
    """Several servers, and time."""

    async def test_next_server(self) -> None:
        """A server that fails or is silent is followed by the next one."""
        good = self.serve(sends("a.test. A 192.0.2.1"))
        for respond in (silent, errs(dns.rcode.SERVFAIL), errs(dns.rcode.REFUSED), errs(dns.rcode.NOTIMP)):
            answer: DNSAnswer = await self.resolver(self.serve(respond), good).query("a.test", "A")
            self.assertTrue(answer.found)

    async def test_noted(self) -> None:
        """How each server fares is noted: answers, failures, when, and what the last failure was."""
        bad, good = self.serve(errs(dns.rcode.SERVFAIL)), self.serve(sends("a.test. A 192.0.2.1"))
        resolver = self.resolver(bad, good)
        for _ in range(2):
            await resolver.query("a.test", "A")
        first, second = resolver.servers
        self.assertEqual((first.answers, first.failures, first.last_answer), (0, 2, 0.0))
        self.assertEqual(first.last_failure, "a.test A: ServFail")
        self.assertGreater(first.last_failure_at, 0)
        self.assertEqual((second.answers, second.failures, second.last_failure), (2, 0, ""))
        self.assertGreaterEqual(second.last_answer, first.last_failure_at)

    async def test_closed_port(self) -> None:
        """A port where nobody listens is noticed at once."""
        dead = WireServer(reactor, silent)
        await dead.stop()
        good = self.serve(sends("a.test. A 192.0.2.1"))
        self.assertTrue((await self.resolver(dead, good).query("a.test", "A")).found)
        with self.assertRaises(LocalFault) as caught:  # that our resolvers are away is no word of any domain
            await self.resolver(dead).query("a.test", "A")
        self.assertIn(
            f"no resolver answers: DNS Network looking up a.test (A): {dead.address} Network (", caught.exception.text
        )

    async def test_lost_datagram(self) -> None:
        """A lost datagram is sent again within the lifetime."""
        server = self.serve(silent)

        def second(query: Query, send: Send) -> None:
            if len(server.queries) > 1:
                sends("a.test. A 192.0.2.1")(query, send)

        server.udp = second
        self.assertTrue((await self.resolver(server).query("a.test", "A")).found)

    async def test_lifetime(self) -> None:
        """All tries together end with the lifetime; the failure names the servers."""
        servers = [self.serve(silent) for _ in range(2)]
        resolver = self.resolver(*servers)
        start = reactor.seconds()
        failure = await self.failure(resolver)
        self.assertLess(reactor.seconds() - start, 2.0)
        self.assertIs(failure.kind, FailureKind.TIMEOUT)
        for server in servers:
            self.assertIn(server.address, failure.text)

    async def test_silent_server_comes_last(self) -> None:
        """After a time-out a server is asked after the others for a while."""
        bad, good = self.serve(silent), self.serve(sends("a.test. A 192.0.2.1"))
        resolver = self.resolver(bad, good)
        for _ in range(3):
            await resolver.query("a.test", "A")
        self.assertEqual((len(bad.queries), len(good.queries)), (1, 3))

    async def test_no_way_around_validation(self) -> None:
        """After a trusted resolver that couldn't vouch for an answer no untrusted one is asked; after one
        that is down, yes."""
        other = "[::1]:9"
        table: list[tuple[Respond, bool]] = [
            (silent, False),
            (errs(dns.rcode.SERVFAIL), False),
            (errs(dns.rcode.SERVFAIL, dns.edns.EDECode.DNSSEC_BOGUS), False),
            (errs(dns.rcode.REFUSED), True),
        ]
        for respond, asked in table:
            await self.failure(self.resolver(self.serve(respond), other))
            servers = {event.server for event in self.sink.of(DNSSent)}
            self.assertEqual(other in servers, asked)

    async def test_worst_failure_counts(self) -> None:
        """Of several failures the most telling one is reported."""
        bogus = self.serve(errs(dns.rcode.SERVFAIL, dns.edns.EDECode.DNSSEC_BOGUS))
        failure = await self.failure(self.resolver(self.serve(errs(dns.rcode.REFUSED)), bogus))
        self.assertIs(failure.kind, FailureKind.BOGUS)

    async def test_cancel(self) -> None:
        """Cancelling a question closes its socket and ends it, over UDP and TCP."""
        for udp in (silent, truncates):
            asking = Deferred.fromCoroutine(self.resolver(self.serve(udp, silent)).query("a.test", "A"))
            reactor.callLater(0.05, asking.cancel)
            with self.assertRaises(CancelledError):
                await asking


class ProbeTests(ResolverCase):
    """Whether the resolver validates."""

    KEY = ". DNSKEY 257 3 13 mdsswUyr3DPW132mOi8V9xESWE8jTo0dxCjjnopKl+GqJxpVXckHAeF+KkxLbxILfDLUT0rAK9iUzy1L53eKGQ=="

    def answering(self, validates: bool) -> Respond:
        """Sets AD on everything but, if it doesn't validate, the probe."""

        def respond(query: Query, send: Send) -> None:
            probe = query.question[0].rdtype == dns.rdatatype.DNSKEY
            records = self.KEY if probe else "a.test. A 192.0.2.1"
            send(reply(query, records, ad=validates or not probe).to_wire())

        return respond

    async def test_verdict(self) -> None:
        """If the probe comes back without AD no answer counts as secure any more, until a later probe
        does."""
        server = self.serve(self.answering(False))
        resolver = self.resolver(server)
        self.assertTrue((await resolver.query("a.test", "A")).secure)
        self.assertFalse(await resolver.probe())
        self.assertFalse((await resolver.query("a.test", "A")).secure)
        server.udp = self.answering(True)
        self.assertTrue(await resolver.probe())
        self.assertTrue((await resolver.query("a.test", "A")).secure)

    async def test_untrusted(self) -> None:
        """A resolver that isn't trusted isn't asked: it validates for somebody else."""
        server = self.serve(self.answering(True))
        self.assertFalse(await self.resolver(server, trusted=()).probe())
        self.assertEqual(server.queries, [])

    async def test_no_answer(self) -> None:
        """Without an answer of any trusted resolver nothing is known."""
        resolver = self.resolver(self.serve(errs(dns.rcode.SERVFAIL)))
        with self.assertRaises(DNSFailure):
            await resolver.probe()
        self.assertTrue(resolver.servers[0].believed)

    async def test_each_server(self) -> None:
        """Each server is judged by itself."""
        good, bad = self.serve(self.answering(True)), self.serve(self.answering(False))
        resolver = self.resolver(bad, good)
        self.assertTrue(await resolver.probe())
        self.assertEqual([server.believed for server in resolver.servers], [False, True])
