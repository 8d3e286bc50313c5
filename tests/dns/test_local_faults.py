"""What the system refuses to the gateway is no word of any resolver or domain: at each place here that uses a descriptor."""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Callable
from typing import Any

import dns.name
import dns.rcode
from twisted.internet import reactor
from twisted.internet.defer import Deferred, gatherResults

from seg.config.destinations import IPPreference
from seg.config.schema import DNS
from seg.dns import exchange
from seg.dns import resolver as resolving
from seg.dns.addresses import NoAddress, SelfAddresses, find_host
from seg.dns.answer import DNSFailure, FailureKind
from seg.dns.cache import CachingResolver
from seg.dns.outage import SILENT
from seg.dns.probe import ValidationProbe
from seg.dns.routing import mx_route
from seg.dns.turns import NoTurn, QueryTurns
from seg.events.gateway import ConditionBegan, ConditionEnded
from seg.mail.errors import LOCAL_ERRNOS, LocalFault, Temporary, local_fault
from tests.dns.test_resolver import ResolverCase, errs, sends, silent, truncates
from tests.dns.wire_server import WireServer
from tests.doubles import RecordingSink

Break = Callable[["LocalFaultTests", int], None]


def _socket_that(fails: str, kind: int, number: int) -> type[socket.socket]:
    """Sockets of one kind whose one step fails."""

    class Refused(socket.socket):
        def __init__(self, family: int = -1, type: int = -1, *args: Any, **options: Any) -> None:
            if fails == "socket" and type & kind:
                raise OSError(number, os.strerror(number))
            super().__init__(family, type, *args, **options)

        def _step(self, name: str) -> None:
            if fails == name and self.type & kind:
                raise OSError(number, os.strerror(number))

        def connect(self, address: Any) -> None:
            self._step("connect")
            super().connect(address)

        def connect_ex(self, address: Any) -> int:
            return number if fails == "connect" and self.type & kind else super().connect_ex(address)

        def send(self, *args: Any) -> int:
            self._step("send")
            return super().send(*args)

        def recv(self, *args: Any) -> bytes:
            self._step("recv")
            return super().recv(*args)

    return Refused


def _at(step: str, kind: int) -> Break:
    return lambda test, number: test.break_sockets(step, kind, number)


def _watching(test: LocalFaultTests, number: int) -> None:
    def refuse(reader: object) -> None:
        raise OSError(number, os.strerror(number))

    test.patch(reactor, "addReader", refuse)


# Every place in seg/dns that opens, watches or uses a descriptor, by what is done there.
PLACES: dict[str, Break] = {
    "udp socket": _at("socket", socket.SOCK_DGRAM),
    "udp connect": _at("connect", socket.SOCK_DGRAM),
    "udp send": _at("send", socket.SOCK_DGRAM),
    "udp receive": _at("recv", socket.SOCK_DGRAM),
    "udp watched": _watching,
    "tcp socket": _at("socket", socket.SOCK_STREAM),
    "tcp connect": _at("connect", socket.SOCK_STREAM),
}


class LocalFaultTests(ResolverCase):
    """A `LocalFault` for each place and each error number of ours."""

    def break_sockets(self, step: str, kind: int, number: int) -> None:
        """One step of new sockets of one kind fails from now on."""
        self.patch(socket, "socket", _socket_that(step, kind, number))

    def server_for(self, place: str) -> WireServer:
        """A server that the question reaches by the place's transport."""
        return self.serve(truncates, silent) if place.startswith("tcp") else self.serve(sends("a.test. A 192.0.2.1"))

    async def test_each_place(self) -> None:
        """Wherever the system refuses something, the question ends in a `LocalFault`, told as what it is."""
        for place, broken in PLACES.items():
            for number in sorted(LOCAL_ERRNOS):
                with self.subTest(place=place, number=number):
                    resolver = self.resolver(self.server_for(place))
                    real, watch = socket.socket, reactor.addReader  # type: ignore[attr-defined]
                    broken(self, number)
                    try:
                        await resolver.query("a.test", "A")
                    except LocalFault as fault:
                        self.assertIn(os.strerror(number), fault.text)
                    else:
                        self.fail("an answer")
                    finally:
                        self.patch(socket, "socket", real)
                        self.patch(reactor, "addReader", watch)

    async def test_nobody_there(self) -> None:
        """That nobody is at the resolver's port is an outage of ours; that it fails isn't."""
        with self.assertRaises(LocalFault):
            await self.resolver("127.0.0.1:1").query("a.test", "A")
        failure = await self.failure(self.resolver("127.0.0.1:1", self.serve(errs(dns.rcode.SERVFAIL))))
        self.assertEqual(failure.kind, FailureKind.SERVFAIL)

    async def test_nobody_replies(self) -> None:
        """A resolver that replies to nothing any more is away after a while; one that is silent about some names isn't."""
        server = self.serve(silent)
        resolver = self.resolver(server, patience=0.02)
        for _ in range(SILENT - 1):
            await self.failure(resolver)
        with self.assertRaises(LocalFault):
            await resolver.query("a.test", "A")
        server.udp = sends("a.test. A 192.0.2.1")
        self.assertTrue((await resolver.query("a.test", "A")).found)
        server.udp = silent
        await self.failure(resolver)

    async def test_silent_zones(self) -> None:
        """However many domains have silent name servers, in a row and at a time, that says nothing of a resolver that answers for the root,
        with whatever it is: each failure is the domain's, and nothing is told."""
        roots = (
            sends(". NS a.root-servers.net."),
            sends(),
            errs(dns.rcode.SERVFAIL),
            errs(dns.rcode.REFUSED),
            errs(dns.rcode.NXDOMAIN),
        )
        for root in roots:
            server = self.serve(
                lambda query, send, root=root: root(query, send) if len(query.question[0].name) == 1 else None
            )
            resolver = self.resolver(server, patience=0.02)
            asked = [self.failure(resolver, f"d{number}.test") for number in range(SILENT + 5)]
            for failure in await gatherResults([Deferred.fromCoroutine(each) for each in asked]):
                self.assertEqual(failure.kind, FailureKind.TIMEOUT)
            for number in range(SILENT if root is roots[0] else 0):  # and one after the other
                await self.failure(resolver, f"d{number}.test")
            self.assertEqual(self.sink.of(ConditionBegan), [])
            asked_root = sum(len(query.question[0].name) == 1 for _, query in server.queries)
            self.assertTrue(1 <= asked_root <= 4, "asked about the root now and then only")

    async def test_silent_zones_take_turns(self) -> None:
        """Silent domains that take all the turns that they may have aren't told of as a fault of ours, and a domain that answered before, the
        root among them, is still looked up."""
        server = self.serve(
            lambda query, send: (
                sends("good.test. A 192.0.2.1")(query, send)
                if "silent" not in query.question[0].name.to_text()
                else None
            )
        )
        resolver = self.resolver(server, patience=0.25)
        resolver._turns = QueryTurns(8, "questions", reactor)  # type: ignore[arg-type]
        self.assertTrue((await resolver.query("good.test", "A")).found)

        async def fails(name: str) -> type[Exception]:
            try:
                await resolver.query(name, "A")
            except (DNSFailure, LocalFault) as error:
                return type(error)
            raise AssertionError(name)

        asked = [Deferred.fromCoroutine(fails(f"www.silent{number}.test")) for number in range(100)]
        self.assertTrue((await resolver.query("good.test", "A")).found)
        self.assertTrue(await resolver._ask_root())
        self.assertEqual(set(await gatherResults(asked)), {DNSFailure, NoTurn})
        self.assertEqual(self.sink.of(ConditionBegan), [])

    async def test_back_for_the_root(self) -> None:
        """An outage ends as well where nobody asks but for silent domains: the resolvers are asked about the root again."""
        server = self.serve(silent)
        resolver = self.resolver(server, patience=0.02)
        for _ in range(SILENT + 1):
            with contextlib.suppress(LocalFault, DNSFailure):
                await resolver.query("a.test", "A")
        self.assertEqual(len(self.sink.of(ConditionBegan)), 1)
        server.udp = lambda query, send: (
            sends(". NS a.test.")(query, send) if len(query.question[0].name) == 1 else None
        )
        for _ in range(SILENT):
            with contextlib.suppress(LocalFault, DNSFailure):
                await resolver.query("a.test", "A")
        self.assertEqual(len(self.sink.of(ConditionEnded)), 1)
        await self.failure(resolver)

    async def test_root_that_cannot_be_asked(self) -> None:
        """Where a fault of ours keeps the question about the root from being put, nothing is known of the resolvers."""
        resolver = self.resolver(self.serve(silent), patience=0.02)
        for _ in range(SILENT - 1):
            await self.failure(resolver)

        async def refused(*_: object) -> None:
            raise LocalFault("no descriptors")

        real = resolver._ask_server

        async def ask_server(question: Any, wanted: dns.name.Name, server: Any) -> Any:
            return await (refused() if wanted == dns.name.root else real(question, wanted, server))

        self.patch(resolver, "_ask_server", ask_server)
        await self.failure(resolver)
        self.assertEqual([began.kind for began in self.sink.of(ConditionBegan)], [])

    async def test_beside_others(self) -> None:
        """A question kept from one server isn't answered by what another one says of its failure; one that answers will do."""
        broken = "[fe80::1]:53"  # no scope: refused by the system whatever the network is

        async def outcome(*servers: WireServer | str, trusted: tuple[str, ...] = ()) -> object:
            resolver = self.resolver(*servers, trusted=trusted)
            try:
                return (await resolver.query("a.test", "A")).status.value
            except (DNSFailure, LocalFault) as error:
                return type(error)

        self.patch(
            exchange, "local_fault", lambda error: LocalFault("no more") if error.errno == 22 else local_fault(error)
        )
        self.assertEqual(await outcome(broken, self.serve(sends("a.test. A 192.0.2.1"))), "found")
        self.assertIs(await outcome(broken, "127.0.0.1:1"), LocalFault)
        # A believed one that couldn't be asked isn't replaced by one that isn't believed.
        untrusted = self.serve(sends("a.test. A 192.0.2.1"))
        self.assertIs(await outcome(broken, untrusted, trusted=("fe80::/10",)), LocalFault)

    async def test_error_in_the_program(self) -> None:
        """An exception of our own is a local fault, too: while asking, and while reading what was understood."""

        def broken(*_: object) -> object:
            raise ZeroDivisionError("oops")

        for module, name in ((exchange, "_over_udp"), (resolving, "read_reply")):
            resolver = self.resolver(self.serve(sends("a.test. A 192.0.2.1")))
            real = getattr(module, name)
            self.patch(module, name, broken)
            with self.assertRaises(LocalFault) as caught:
                await resolver.query("a.test", "A")
            self.assertIn("ZeroDivisionError: oops", caught.exception.text)
            self.patch(module, name, real)
            self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    async def test_never_kept(self) -> None:
        """The cache keeps no local fault: the next question is put, and answered."""
        resolver = self.resolver(self.serve(sends("a.test. A 192.0.2.1")))
        cache = CachingResolver(resolver, reactor, DNS(), RecordingSink())  # type: ignore[arg-type]
        real = socket.socket
        self.break_sockets("socket", socket.SOCK_DGRAM, 24)
        with self.assertRaises(LocalFault):
            await cache.query("a.test", "A")
        self.patch(socket, "socket", real)
        self.assertTrue((await cache.query("a.test", "A")).found)

    async def test_users(self) -> None:
        """Routing defers, a host is dropped for now, and the probe changes nothing."""
        resolver = self.resolver(self.serve(silent))
        self.break_sockets("socket", socket.SOCK_DGRAM, 24)
        probe = ValidationProbe(resolver, reactor, self.sink)  # type: ignore[arg-type]
        await probe.start()
        probe.stop()
        self.assertTrue(probe.validates)
        try:
            await mx_route(resolver, "a.test", IPPreference.IPV4_REQUIRED, SelfAddresses("gw.test"), 25, 5, Any)  # type: ignore[arg-type]
        except Temporary as error:
            self.assertEqual(error.enhanced, "4.3.0")
            self.assertIsInstance(local_fault(error), LocalFault)
        else:
            self.fail("a route")
        found = await find_host(
            resolver, "a.test", preference=IPPreference.IPV4_REQUIRED, rank=1, port=25, mx_secure=True
        )
        assert isinstance(found, NoAddress)
        self.assertFalse(found.certain)
        self.assertIn("Too many open files", found.reason)
