"""Faults of our own, at every step of finding a policy: never a weaker decision, and never remembered as the domain's."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from itertools import product
from typing import Any

import attrs
from hypothesis import given, settings
from hypothesis import strategies as st
from OpenSSL import SSL
from twisted.internet import tcp
from twisted.internet.defer import CancelledError, Deferred
from twisted.python.failure import Failure

from seg.common.clock import SteadyClock
from seg.config.destinations import Profile
from seg.config.schema import MTASTS, WhenProxyFails
from seg.dns.address_rules import AddressRules
from seg.dns.answer import FailureKind
from seg.events.gateway import ConditionBegan, ConditionEnded, ConditionKind
from seg.events.policy import STSFetchFailed
from seg.mail.errors import LOCAL_ERRNOS, LocalFault
from seg.mail.hosts import MXHost, Route, RouteKind
from seg.policy.chain import PolicyChain
from seg.policy.mtasts import cache, request, saving, store
from seg.policy.mtasts import verified as checked
from seg.policy.mtasts.errors import FetchError, FetchFault, OwnFetchFault
from seg.policy.mtasts.fetch import PolicyFetcher
from seg.policy.mtasts.provider import MTASTSProvider
from seg.policy.mtasts.refresh import LOOK, PolicyRefresh
from seg.policy.requirement import Answer, DomainQuestion, NoOpinion, Observe, Raise, Refuse, TempFail
from seg.tls.context import ClientTLS
from tests.dns_double import FakeResolver
from tests.doubles import SettableClock
from tests.mtasts.fetching import DOMAIN, HOST, FetchCase
from tests.mtasts.keeping import D, StoreCase, body
from tests.mtasts.policyserver import TEXT, response, say, tunnel_to

FAULTS: tuple[Callable[[], BaseException], ...] = (
    *(lambda number=number: OSError(number, os.strerror(number)) for number in sorted(LOCAL_ERRNOS)),
    MemoryError,
    lambda: LocalFault("no free turn"),
    lambda: OwnFetchFault(FetchFault.BUSY, "all 20 fetches are busy"),
    lambda: OwnFetchFault(FetchFault.PROXY, "proxy http://p:1 refused: 407"),
    lambda: RuntimeError("a fault in the program"),
    lambda: KeyError("x"),
    AssertionError,
    CancelledError,
)
STEPS = ("record", "cache", "fetch", "parse", "keep")
# Stricter is greater. What defers or forbids is stricter than what lets mail through.
_STRENGTH = {NoOpinion: 0, Observe: 1, Raise: 2, TempFail: 3, Refuse: 3}


class StepTests(StoreCase):
    """Each step by itself, with a store in memory."""

    def answer(self, host: str = "mx.one.test") -> Answer:
        """What the provider says of a host."""
        route = Route(D, RouteKind.MX, ())
        view = MTASTSProvider(self.store, self.sink).open(DomainQuestion(D, Profile(), route, mid=7))
        return self.successResultOf(Deferred.fromCoroutine(view.answer(MXHost(host, 10, ()))))

    def break_step(self, step: str, fault: BaseException) -> None:
        """From now on a step fails."""

        async def failing(*_: object, **__: object) -> Any:
            raise fault

        def failing_at_once(*_: object, **__: object) -> Any:
            raise fault

        if step == "record":
            self.patch(self.resolver, "query", failing)
        elif step == "cache":
            self.patch(cache, "read_entry", failing_at_once)
            self.store.cache._memory.pop(D, None)
        elif step == "fetch":
            self.patch(self.fetcher, "fetch", failing)
        elif step == "parse":
            self.patch(store, "parse_policy", failing_at_once)
        else:
            self.patch(saving, "write_entry", failing_at_once)

    def begin(self, cached: str) -> None:
        """A domain of which a policy of this mode is cached ("" for none), with another id and mode enforce now."""
        self.setUp()
        if cached:
            self.fetcher.answer = body(cached)
            self.current()
            self.clock.advance(300)
            self.txt("v=STSv1; id=2;")
        self.fetcher.answer = body()

    @settings(max_examples=400, deadline=None)
    @given(
        st.sampled_from(STEPS),
        st.sampled_from(range(len(FAULTS))),
        st.sampled_from(["", "enforce", "testing", "none"]),
        st.sampled_from(["mx.one.test", "mx.evil.test"]),
    )
    def test_never_weaker(self, step: str, number: int, cached: str, host: str) -> None:
        """Under no fault of ours, at no step, is the answer for a host weaker than without it; and it isn't remembered."""
        if step == "cache" and isinstance(FAULTS[number](), CancelledError):
            return  # a thread isn't cancelled
        self.begin(cached)
        sound = self.answer(host)
        self.begin(cached)
        self.break_step(step, FAULTS[number]())
        try:
            found = self.answer(host)
        except Exception as error:  # noqa: BLE001 - the chain makes a TempFail of it
            found = TempFail(repr(error))
        except BaseException as error:  # noqa: BLE001
            self.assertIsInstance(error, CancelledError)
            found = TempFail("cancelled")
        self.assertGreaterEqual(_STRENGTH[type(found)], _STRENGTH[type(sound)], (step, cached, host, found, sound))
        self.doCleanups()
        self.clock.advance(1)
        after = self.answer(host)
        self.assertEqual(type(after), type(sound), (step, number, cached, host))
        self.flushLoggedErrors()

    def test_told_once(self) -> None:
        """Each kind is told at its beginning and its end, however often it fails."""
        for fault, kind in (
            (OwnFetchFault(FetchFault.BUSY, "all 20 fetches are busy"), ConditionKind.FETCHES),
            (OwnFetchFault(FetchFault.PROXY, "proxy http://p:1 refused: 407"), ConditionKind.PROXY),
            (OSError(errno.EMFILE, "Too many open files"), ConditionKind.LOCAL),
        ):
            self.setUp()
            self.fetcher.answer = fault
            for _ in range(5):
                self.assertIsInstance(self.answer(), TempFail)
            (began,) = self.sink.of(ConditionBegan)
            self.assertIs(began.kind, kind)
            self.assertIn("mail waits for domains whose MTA-STS policy isn't known", began.text)
            self.assertEqual(self.sink.of(STSFetchFailed), [])
            self.fetcher.answer = body()
            self.clock.advance(61)
            self.assertIsInstance(self.answer(), Raise)
            self.assertEqual([ended.kind for ended in self.sink.of(ConditionEnded)], [kind])

    def test_over_without_mail(self) -> None:
        """That the turns aren't all taken any more is told though nobody fetches."""
        self.fetcher.answer = OwnFetchFault(FetchFault.BUSY, "all 20 fetches are busy")
        self.answer()
        refresh = PolicyRefresh(self.store, MTASTS(), self.clock, lambda: 0.5)
        refresh.start()
        self.clock.pump([LOOK] * 3)
        self.assertEqual(len(self.sink.of(ConditionEnded)), 1)
        self.successResultOf(refresh.stop())

    def test_doubtful(self) -> None:
        """What may be one host's doing is no trouble of the proxy while fetches come through; the mail waits all the same."""
        self.answer()
        self.clock.advance(200)
        self.txt("v=STSv1; id=2;")
        self.store.cache.forget(D)
        self.fetcher.answer = OwnFetchFault(FetchFault.PROXY, "proxy http://p:1 refused: 502", doubtful=True)
        self.assertIsInstance(self.answer(), TempFail)
        self.assertEqual(self.sink.of(ConditionBegan), [])
        self.clock.advance(101)
        self.answer()
        self.assertEqual(len(self.sink.of(ConditionBegan)), 1)

    def test_another_proxy(self) -> None:
        """With another proxy in use what was wrong with the old one is over."""
        self.fetcher.answer = OwnFetchFault(FetchFault.PROXY, "proxy http://p:1 refused: 407")
        self.answer()
        self.store.troubles.proxy_changed()
        (ended,) = self.sink.of(ConditionEnded)
        self.assertEqual((ended.kind, ended.text), (ConditionKind.PROXY, "the proxy is another one now"))

    def test_asked_once_in_an_attempt(self) -> None:
        """A fault met with the first host holds for the whole attempt: nobody waits again for each of five hosts."""
        self.fetcher.answer = OwnFetchFault(FetchFault.BUSY, "all 20 fetches are busy")
        question = DomainQuestion(D, Profile(), Route(D, RouteKind.MX, ()), mid=7)
        view = MTASTSProvider(self.store, self.sink).open(question)
        for _ in range(5):
            found = self.successResultOf(Deferred.fromCoroutine(view.answer(MXHost("mx.one.test", 10, ()))))
            self.assertEqual(found, TempFail("MTA-STS policy not looked at yet: all 20 fetches are busy"))
        self.assertEqual((self.fetcher.fetches, self.fetcher.claims[0].mid), (1, 7))

    def test_deferred_by_the_chain(self) -> None:
        """The chain's decision is a deferral, 4.7.5, with the reason."""
        self.fetcher.answer = OwnFetchFault(FetchFault.LOCAL, "Too many open files")
        chain = PolicyChain((MTASTSProvider(self.store, self.sink),), self.sink, self.clock)
        opened = chain.open(DomainQuestion(D, Profile(), Route(D, RouteKind.MX, ())))
        decision = self.successResultOf(Deferred.fromCoroutine(opened.decide(MXHost("mx.one.test", 10, ()))))
        self.assertFalse(decision.usable)
        self.assertTrue(decision.temporary)
        self.assertEqual(
            (decision.enhanced, decision.refusal), ("4.7.5", "MTA-STS policy not known: Too many open files")
        )


@attrs.frozen
class _Broken:
    """A resolver that can't ask for some types."""

    inner: FakeResolver
    types: tuple[str, ...]

    async def query(self, name: str, rdtype: str) -> Any:
        """The answer, or the fault."""
        if rdtype in self.types:
            raise LocalFault("Too many open files")
        return await self.inner.query(name, rdtype)


class FetchFaultTests(FetchCase):
    """The steps of a fetch, with a policy host on loopback."""

    async def own(self, fetcher: PolicyFetcher, fault: FetchFault, *parts: str) -> None:
        """A fetch fails by our fault."""
        error = await self.assertFailure(fetcher.fetch(DOMAIN), OwnFetchFault)
        self.assertIs(error.fault, fault, str(error))
        for part in parts:
            self.assertIn(part, error.text)

    async def test_socket(self) -> None:
        """No descriptor, no memory, no local address, no permission for a socket, no network: ours, and the next fetch is as ever."""
        server = self.serve()
        fetcher = self.fetcher(server.port)
        for number in (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM, errno.EACCES, errno.EPERM):

            def failing(client: object, number: int = number) -> None:
                raise OSError(number, os.strerror(number))

            self.patch(tcp.BaseClient, "createInternetSocket", failing)
            await self.own(fetcher, FetchFault.LOCAL, os.strerror(number))
        self.restore()
        for number in (errno.EADDRNOTAVAIL, errno.ENETUNREACH, errno.ENETDOWN, errno.EACCES, errno.EMFILE):
            self.patch(tcp.BaseClient, "_connectDone", lambda client, number=number: client.failIfNotConnected(
                tcp.error.getConnectError((number, os.strerror(number)))
            ))  # fmt: skip
            await self.own(fetcher, FetchFault.LOCAL, os.strerror(number))
        self.restore()
        self.assertEqual(await fetcher.fetch(DOMAIN), TEXT)

    def restore(self) -> None:
        """Undo the patches now."""
        for patch in reversed(self.patches):
            patch.restore()
        self.patches.clear()

    def setUp(self) -> None:
        """Nothing is patched."""
        self.patches: list[Any] = []

    def patch(self, obj: object, attribute: str, value: Any) -> Any:
        """As ever, to be undone at will."""
        found = super().patch(obj, attribute, value)
        self.patches.append(found)
        return found

    async def test_one_address_by_our_fault(self) -> None:
        """Of two addresses one fails by our fault and one by the host's: what the first would have brought isn't known."""
        server = self.serve()
        tries: list[int] = []
        real = tcp.BaseClient.createInternetSocket  # type: ignore[attr-defined]

        def failing(client: object) -> Any:
            tries.append(1)
            if len(tries) == 1:
                raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))
            return real(client)

        self.patch(tcp.BaseClient, "createInternetSocket", failing)
        zone = f"{HOST} A 127.0.0.1\n{HOST} A 127.0.0.77"
        await self.own(self.fetcher(server.port, zone), FetchFault.LOCAL, os.strerror(errno.EMFILE))
        self.assertEqual(len(tries), 2)
        tries.clear()
        zone = f"{HOST} A 127.0.0.77\n{HOST} A 127.0.0.1"
        self.assertEqual(await self.fetcher(server.port, zone).fetch(DOMAIN), TEXT)

    async def test_machine_without_ipv6(self) -> None:
        """That there is no IPv6 here is no fault that mail would wait for: the host's other address counts, or it can't be reached."""
        server = self.serve()

        def failing(client: object) -> None:
            raise OSError(errno.EADDRNOTAVAIL, os.strerror(errno.EADDRNOTAVAIL))

        self.patch(tcp.BaseClient, "createInternetSocket", failing)
        fetcher = self.fetcher(server.port, f"{HOST} AAAA 2001:db8::1")
        await self.failure(fetcher, FetchFault.CONNECT, "can't connect", os.strerror(errno.EADDRNOTAVAIL))

    async def test_cut_by_our_fault(self) -> None:
        """A connection that is lost in the handshake for lack of memory or buffers of ours isn't the host's doing."""
        for number in (errno.ENOBUFS, errno.ENOMEM):
            connection = checked.VerifiedStream(HOST, lambda peer: None, None, None)  # type: ignore[arg-type,return-value]
            connection.connectionLost(Failure(OSError(number, os.strerror(number))))
            await self.assertFailure(connection.accepted, LocalFault)

    async def test_standstill(self) -> None:
        """A gateway that was stopped in the midst of a fetch doesn't take what follows for the host's doing: it may have given up on us."""
        clock = SettableClock(1_800_000_000.0)
        steady = clock.seconds
        assert isinstance(steady, SteadyClock)
        steady.watched()
        resolver = FakeResolver(f"{HOST} A 127.0.0.1")
        for stopped, fault in ((0, FetchError), (60, OwnFetchFault)):
            resolver.fail(HOST, "AAAA", FailureKind.SERVFAIL)
            resolver.fail(HOST, "A", FailureKind.SERVFAIL)
            resolver.hold(HOST, "A")
            fetch = self.fetcher(443, resolver=resolver, reactor=clock).fetch(DOMAIN)
            clock.pump([1, stopped])
            resolver.release(HOST, "A")
            error = self.failureResultOf(fetch, fault).value
            if stopped:
                self.assertIn("this gateway was stopped meanwhile: ", error.cause)

    async def test_lookups(self) -> None:
        """An address that can't be asked for by our fault: ours, unless the other family brings the policy."""
        server = self.serve()
        for zone, types, good in (
            (f"{HOST} A 127.0.0.1", ("AAAA",), True),
            (f"{HOST} A 127.0.0.1", ("A",), False),
            (f"{HOST} A 127.0.0.77", ("AAAA",), False),
            ("", ("A", "AAAA"), False),
            ("", ("A",), False),
        ):
            fetcher = self.fetcher(server.port, resolver=_Broken(FakeResolver(zone), types))  # type: ignore[arg-type]
            if good:
                self.assertEqual(await fetcher.fetch(DOMAIN), TEXT)
            else:
                await self.own(fetcher, FetchFault.LOCAL, "Too many open files")

    async def test_errors_of_ours(self) -> None:
        """Whatever breaks in our own part of TLS, HTTP and the check is ours."""

        def broken(*_: object, **__: object) -> Any:
            raise fault

        server = self.serve()
        places: tuple[tuple[object, str], ...] = (
            (ClientTLS, "creator"),
            (checked, "session_facts"),
            (request, "_check"),
            (request, "Agent"),
            (SSL.Connection, "set_tlsext_host_name"),
        )
        for (place, name), fault in product(  # noqa: B007 - `broken` raises it
            places, (MemoryError(), RuntimeError("x"), OSError(errno.EMFILE, "no more"))
        ):
            self.patch(place, name, broken)
            await self.own(self.fetcher(server.port), FetchFault.LOCAL, "MTA-STS policy not known: ")
            self.restore()
            self.flushLoggedErrors()
        self.assertEqual(await self.fetcher(server.port).fetch(DOMAIN), TEXT)

    async def test_addresses_of_ours(self) -> None:
        """A domain's DNS leads to nothing of this machine, nor to what is no host: refused, told, and nothing is connected to."""
        server = self.serve()
        for strict, address, text in (
            (True, "127.0.0.1", "only the loopback address 127.0.0.1"),
            (True, "127.8.9.10", "loopback"),
            (True, "0.0.0.0", "unspecified"),
            (True, "169.254.169.254", "link-local"),
            (True, "224.0.0.1", "multicast"),
            (True, "255.255.255.255", "broadcast"),
            (True, "93.184.216.1", "only the own address 93.184.216.1"),
            (True, "::1", "loopback"),
            (True, "::", "unspecified"),
            (True, "::ffff:127.0.0.1", "loopback"),
            (True, "64:ff9b::7f00:1", "loopback"),
            (True, "fe80::1", "link-local"),
            (True, "ff02::1", "multicast"),
            (True, "10.0.0.1", "private"),
            (True, "fd00::1", "private"),
        ):
            own = AddressRules(frozenset({ip("93.184.216.1")}), allow_loopback=not strict, allow_private=False)
            self.rules = own
            zone = f"{HOST} {'AAAA' if ':' in address else 'A'} {address}"
            await self.failure(self.fetcher(server.port, zone), FetchFault.ADDRESS, text)
        self.assertEqual(server.connections, 0)

    async def test_good_address_beside_one_of_ours(self) -> None:
        """Of several addresses the refused ones are left out, and the others tried."""
        server = self.serve()
        self.rules = Lenient()  # type: ignore[assignment]
        zone = f"{HOST} A 127.0.0.1\n{HOST} A 169.254.169.254"
        self.assertEqual(await self.fetcher(server.port, zone).fetch(DOMAIN), TEXT)

    async def test_connected_as_looked_up(self) -> None:
        """The name is looked up once, so that no second answer leads elsewhere (DNS rebinding)."""
        server = self.serve()
        resolver = FakeResolver(f"{HOST} A 127.0.0.1")
        await self.fetcher(server.port, resolver=resolver).fetch(DOMAIN)
        self.assertEqual((resolver.count(HOST, "A"), resolver.count(HOST, "AAAA")), (1, 1))


class Lenient(AddressRules):
    """Loopback is allowed, and nothing else."""

    def refusal(self, address: Any) -> str:
        """Why not."""
        return "" if address.is_loopback else f"link-local address {address}"


def ip(text: str) -> Any:
    """An address."""
    import ipaddress

    return ipaddress.ip_address(text)


class ProxyFaultTests(FetchCase):
    """Every way in which a proxy doesn't bring us to a policy host."""

    async def test_ways(self) -> None:
        """Each defers, says what the proxy did, and whether it may be the policy host's doing; "continue" makes it the host's failure."""
        ways = (
            (say(response(status="407 Who are you")), "refused: 407 Who are you", False),
            (say(response(status="403 Forbidden")), "refused: 403", True),
            (say(response(status="502 Bad Gateway")), "refused: 502", True),
            (say(response(status="503 Busy")), "refused: 503", True),
            (say(response(status="504 Late")), "refused: 504", True),
            (say(b"220 mail.one.test ESMTP\r\n\r\n"), "something that is not HTTP", False),
            (say(b""), "closed the connection without an answer", False),
            (say(b"HTTP/1.1 200 OK\r\n\r\nhello"), "sent data of its own", False),
            (lambda served: None, "timed out after 1 s connecting through proxy", True),
            (say(b"HTTP/1.1 200 OK\r\n\r\n"), "connection closed during the TLS handshake", True),
        )
        for answer, text, doubtful in ways:
            proxy = self.plain(answer)
            url = f"http://127.0.0.1:{proxy.port}"
            error = await self.failure(self.fetcher(443, "", proxy=url, fetch_timeout=1.0), FetchFault.PROXY, text)
            assert isinstance(error, OwnFetchFault)
            self.assertIs(error.doubtful, doubtful, text)
            self.assertIn(url, error.text)
            going_on = self.fetcher(443, "", proxy=url, fetch_timeout=1.0, when_proxy_fails=WhenProxyFails.CONTINUE)
            await self.assertFailure(going_on.fetch(DOMAIN), FetchError)

    async def test_of_the_host(self) -> None:
        """What the policy host does behind the proxy's 200, and that the proxy can't reach it, is the host's."""
        ways = (
            (say(response(status="500 Unable to connect")), FetchFault.PROXY, "refused: 500 Unable to connect"),
            (
                say(b"HTTP/1.1 200 OK\r\n\r\n", close=False),
                FetchFault.TIMEOUT,
                "timed out after 1 s in the TLS handshake",
            ),
        )
        for answer, fault, text in ways:
            url = f"http://127.0.0.1:{self.plain(answer).port}"
            error = await self.failure(self.fetcher(443, "", proxy=url, fetch_timeout=1.0), fault, text)
            self.assertNotIsInstance(error, OwnFetchFault)

    async def test_away(self) -> None:
        """Nobody listens, or there is no such proxy."""
        proxy = self.plain(say(b""))
        port = proxy.port
        await proxy.stop()
        for host in ("127.0.0.1", "no-such-proxy.invalid"):
            url = f"http://{host}:{port}"
            await self.failure(self.fetcher(443, "", proxy=url), FetchFault.PROXY, f"proxy {url} can't be reached: ")

    async def test_no_descriptor(self) -> None:
        """No descriptor for the connection to the proxy is ours, whatever the proxy's switch says."""
        proxy = self.plain(say(b""))

        def failing(client: object) -> None:
            raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

        self.patch(tcp.BaseClient, "createInternetSocket", failing)
        for when in WhenProxyFails:
            fetcher = self.fetcher(443, "", proxy=f"http://127.0.0.1:{proxy.port}", when_proxy_fails=when)
            error = await self.assertFailure(fetcher.fetch(DOMAIN), OwnFetchFault)
            self.assertIs(error.fault, FetchFault.LOCAL)

    async def test_what_the_policy_host_says(self) -> None:
        """Behind a finished handshake it is the policy host that speaks: its certificate, its status."""
        for certificate, answer, fault in (
            (self.authority.leaf("mta-sts.other.test"), say(response()), FetchFault.CERTIFICATE),
            (self.good, say(response(status="404 Not Found")), FetchFault.HTTP_STATUS),
            (self.good, lambda served: None, FetchFault.TIMEOUT),
        ):
            server = self.serve(answer, certificate)
            proxy = self.plain(tunnel_to(server.port))
            url = f"http://127.0.0.1:{proxy.port}"
            fetcher = self.fetcher(server.port, "", proxy=url, fetch_timeout=1.0)
            error = await self.assertFailure(fetcher.fetch(DOMAIN), FetchError)
            self.assertIs(error.fault, fault)

    async def test_cut(self) -> None:
        """A connection that is lost in the midst of an answer may be the proxy's."""
        server = self.serve(say(response(length=False, fields="Content-Length: 999\r\n")))
        proxy = self.plain(tunnel_to(server.port))
        fetcher = self.fetcher(server.port, "", proxy=f"http://127.0.0.1:{proxy.port}")
        error = await self.failure(fetcher, FetchFault.PROXY, "the connection was lost before the answer was complete")
        self.assertTrue(getattr(error, "doubtful", False))
