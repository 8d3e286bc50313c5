"""Fetching policies over real TCP, TLS and HTTP on loopback (RFC 8461 §3.3)."""

from __future__ import annotations

import contextlib
import gzip
from typing import Any

from OpenSSL import SSL
from twisted.internet import reactor
from twisted.internet.defer import CancelledError, Deferred, gatherResults
from twisted.internet.task import Clock, LoopingCall, deferLater
from zope.interface.verify import verifyObject

from seg.dns.answer import FailureKind
from seg.policy.mtasts import fetch as fetch_module
from seg.policy.mtasts.errors import FetchError, FetchFault, OwnFetchFault
from seg.policy.mtasts.fetch import policy_url
from seg.policy.mtasts.interfaces import IPolicyFetcher
from seg.policy.mtasts.policy import MAX_SIZE
from tests.certificates import CLIENT_AUTH, Authority, self_signed
from tests.dns_double import FakeResolver
from tests.mtasts.fetching import DOMAIN, HOST, FetchCase
from tests.mtasts.policyserver import TEXT, Served, context, response, say


class GoodTests(FetchCase):
    """What leads to a policy."""

    async def test_fetch(self) -> None:
        """The body comes as served; the request is a plain GET without cookies or wishes for compression."""
        server = self.serve()
        fetcher = self.fetcher(server.port)
        verifyObject(IPolicyFetcher, fetcher)
        self.assertEqual(await fetcher.fetch(DOMAIN), TEXT)
        line, *fields = server.requests[0].decode().split("\r\n")
        self.assertEqual(line, "GET /.well-known/mta-sts.txt HTTP/1.1")
        sent = {name.lower(): value.strip() for name, _, value in (f.partition(":") for f in fields if f)}
        self.assertEqual(sent["host"], f"{HOST}:{server.port}")
        self.assertEqual(sent["accept-encoding"], "identity")
        self.assertIn("MTA-STS", sent["user-agent"])
        self.assertFalse({"cookie", "if-none-match", "if-modified-since", "authorization"} & sent.keys())
        await self.when_closed(server)

    async def test_parameters_of_the_media_type(self) -> None:
        """``text/plain`` may have parameters."""
        server = self.serve(say(response(media_type="Text/Plain; charset=utf-8")))
        self.assertEqual(await self.fetcher(server.port).fetch(DOMAIN), TEXT)

    async def test_cookies_are_forgotten(self) -> None:
        """A cookie that a policy host sets isn't sent back."""
        server = self.serve(say(response(fields="Set-Cookie: a=b; Path=/\r\n")))
        fetcher = self.fetcher(server.port)
        await fetcher.fetch(DOMAIN)
        await fetcher.fetch(DOMAIN)
        self.assertEqual([b"cookie" in request.lower() for request in server.requests], [False, False])

    async def test_alias(self) -> None:
        """The policy host may be a CNAME; certificate and SNI go by its own name."""
        names: list[bytes | None] = []
        tls = context(self.good)
        tls.set_tlsext_servername_callback(lambda connection: names.append(connection.get_servername()))
        server = self.serve(tls=tls)
        zone = f"{HOST} CNAME www.hoster.test\nwww.hoster.test A 127.0.0.1"
        self.assertEqual(await self.fetcher(server.port, zone).fetch(DOMAIN), TEXT)
        self.assertEqual(set(names), {HOST.encode()})  # asked for again by a server that wants another group

    async def test_limits_are_inclusive(self) -> None:
        """A body of 64 KiB is taken."""
        body = TEXT + b"x" * (MAX_SIZE - len(TEXT))
        server = self.serve(say(response(body)))
        self.assertEqual(await self.fetcher(server.port).fetch(DOMAIN), body)

    async def test_chunked(self) -> None:
        """A body in chunks is put together."""
        head = response(b"", length=False, fields="Transfer-Encoding: chunked\r\n")
        server = self.serve(say(head + b"%x\r\n%s\r\n0\r\n\r\n" % (len(TEXT), TEXT)))
        self.assertEqual(await self.fetcher(server.port).fetch(DOMAIN), TEXT)

    async def test_body_until_the_end(self) -> None:
        """A body without a length ends with the connection, if TLS ends it in order."""
        server = self.serve(say(response(length=False)))
        self.assertEqual(await self.fetcher(server.port).fetch(DOMAIN), TEXT)

    async def test_other_address(self) -> None:
        """An address that refuses is passed over for the next one."""
        server = self.serve()
        zone = f"{HOST} AAAA ::1\n{HOST} A 127.0.0.77\n{HOST} A 127.0.0.1"
        self.assertEqual(await self.fetcher(server.port, zone).fetch(DOMAIN), TEXT)

    async def test_ipv6(self) -> None:
        """A policy host may have an IPv6 address only."""
        server = self.serve(address="::1")
        self.assertEqual(await self.fetcher(server.port, f"{HOST} AAAA ::1").fetch(DOMAIN), TEXT)

    async def test_one_family_fails(self) -> None:
        """An AAAA lookup that fails doesn't matter where there is an A record."""
        server = self.serve()
        resolver = FakeResolver(f"{HOST} A 127.0.0.1")
        resolver.fail(HOST, "AAAA", FailureKind.SERVFAIL)
        self.assertEqual(await self.fetcher(server.port, resolver=resolver).fetch(DOMAIN), TEXT)

    def test_url(self) -> None:
        """The URL names the port only where it isn't that of HTTPS."""
        self.assertEqual(policy_url("one.test"), "https://mta-sts.one.test/.well-known/mta-sts.txt")
        self.assertEqual(policy_url("one.test", 8443), "https://mta-sts.one.test:8443/.well-known/mta-sts.txt")


class CertificateTests(FetchCase):
    """Nobody gets a request who isn't ``mta-sts.<domain>`` by the word of a trusted root."""

    async def test_refused_certificates(self) -> None:
        """Wrong name, dates, issuer or purpose: each fails before the request, and says why."""
        authority = self.authority
        cases = (
            (authority.leaf("mta-sts.other.test"), "names wanted: mta-sts.one.test; names presented: mta-sts.other.test"),
            (authority.leaf("*.test"), "names presented: *.test"),
            (authority.leaf("*.mta-sts.one.test"), "names presented: *.mta-sts.one.test"),
            (authority.leaf("one.test"), "names presented: one.test"),
            (authority.leaf(common_name=HOST), "none (the common name does not count)"),
            (authority.leaf(HOST, days=(-20, -10)), "expired on 2025-05-22 12:00:00 UTC"),
            (authority.leaf(HOST, days=(10, 20)), "is valid only from 2025-06-11 12:00:00 UTC"),
            (self_signed(HOST), "self signed certificate"),
            (Authority.root("Other").leaf(HOST), "unable to get local issuer certificate"),
            (authority.leaf(HOST, eku=(CLIENT_AUTH,)), "isn't for servers"),
        )  # fmt: skip
        for certificate, text in cases:
            server = self.serve(certificate=certificate)
            await self.failure(self.fetcher(server.port), FetchFault.CERTIFICATE, "certificate not accepted", text)
            await self.when_closed(server)
            self.assertEqual((server.connections, server.requests), (1, []), text)

    async def test_a26_server_name(self) -> None:
        """A26: the name is sent in SNI, so that a host of many certificates shows the right one."""
        tls = context(self.authority.leaf("default.test"))
        right = context(self.good)
        tls.set_tlsext_servername_callback(
            lambda connection: connection.set_context(right) if connection.get_servername() == HOST.encode() else None
        )  # fmt: skip
        server = self.serve(tls=tls)
        self.assertEqual(await self.fetcher(server.port).fetch(DOMAIN), TEXT)

    async def test_wildcard(self) -> None:
        """``*.one.test`` is a name of ``mta-sts.one.test``."""
        server = self.serve(certificate=self.authority.leaf("*.one.test"))
        self.assertEqual(await self.fetcher(server.port).fetch(DOMAIN), TEXT)

    async def test_intermediate(self) -> None:
        """A chain over an intermediate is followed."""
        server = self.serve(certificate=self.authority.intermediate().leaf(HOST))
        self.assertEqual(await self.fetcher(server.port).fetch(DOMAIN), TEXT)


class TLSTests(FetchCase):
    """Handshakes that fail."""

    async def test_old_version(self) -> None:
        """TLS 1.1 is refused."""
        tls = context(self.good)
        tls.set_cipher_list(b"ALL:@SECLEVEL=0")
        tls.set_min_proto_version(SSL.TLS1_1_VERSION)
        tls.set_max_proto_version(SSL.TLS1_1_VERSION)
        server = self.serve(tls=tls)
        await self.failure(self.fetcher(server.port), FetchFault.TLS, "TLS handshake failed:", "protocol version")

    async def test_no_tls(self) -> None:
        """A server that speaks plain HTTP is refused."""
        server = self.plain(say(response(status="400 Bad Request")), at_once=True)
        await self.failure(self.fetcher(server.port), FetchFault.TLS, "TLS handshake failed:", "wrong version")

    async def test_stalled_handshake(self) -> None:
        """A server that takes the connection and says nothing costs the time-out, then the connection is closed."""
        server = self.plain(lambda served: None)
        error = await self.failure(self.fetcher(server.port, fetch_timeout=0.2), FetchFault.TIMEOUT, "timed out")
        self.assertIn(f"in the TLS handshake with 127.0.0.1:{server.port}", error.cause)
        await self.when_closed(server)

    async def test_stalled_address_has_its_share(self) -> None:
        """An address that stalls leaves time for the next one."""
        stalled = self.plain(lambda served: None)
        server = self.serve(address="127.0.0.2", port=stalled.port)
        zone = f"{HOST} A 127.0.0.1\n{HOST} A 127.0.0.2"
        fetcher = self.fetcher(server.port, zone, fetch_timeout=1.0)
        self.assertEqual(await fetcher.fetch(DOMAIN), TEXT)
        self.assertEqual((stalled.connections, len(server.requests)), (1, 1))
        await self.when_closed(stalled)

    async def test_closed_in_the_handshake(self) -> None:
        """A connection cut in the handshake is a fault of TLS."""
        server = self.plain(lambda served: served.transport.abortConnection(), at_once=True)
        text = "connection closed during the TLS handshake"
        await self.failure(self.fetcher(server.port), FetchFault.TLS, text)


class AnswerTests(FetchCase):
    """Answers that aren't a policy."""

    async def test_refused_answers(self) -> None:
        """Each is refused with its kind and a line that says what came."""
        big = str(MAX_SIZE + 1)
        cases: tuple[tuple[bytes, FetchFault, str], ...] = (
            (response(status="404 Not Found"), FetchFault.HTTP_STATUS, "HTTP status 404 Not Found"),
            (response(status="500 \x1b[2J"), FetchFault.HTTP_STATUS, "HTTP status 500 ?[2J"),
            (response(status="203 Non-Authoritative"), FetchFault.HTTP_STATUS, "HTTP status 203"),
            (response(status="204 No Content"), FetchFault.HTTP_STATUS, "HTTP status 204"),
            (response(status="301 Moved", fields="Location: /elsewhere\r\n"), FetchFault.REDIRECT, "redirect (301) to /elsewhere"),
            (response(status="302 Found"), FetchFault.REDIRECT, "redirect (302) to (nowhere)"),
            (response(status="303 \xff", fields="Location: /\xe9\r\n"), FetchFault.REDIRECT, "redirect (303) to /\xe9"),
            (response(media_type="text/\xff"), FetchFault.MEDIA_TYPE, "media type text/\xff instead of"),
            (response(media_type="text/html"), FetchFault.MEDIA_TYPE, "media type text/html instead of text/plain"),
            (response(media_type=""), FetchFault.MEDIA_TYPE, "media type (none)"),
            (response(fields="Content-Type: text/html\r\n"), FetchFault.MEDIA_TYPE, "text/plain, text/html"),
            (response(gzip.compress(b"x" * 1_000_000), fields="Content-Encoding: gzip\r\n"), FetchFault.MEDIA_TYPE, "content encoding gzip"),
            (response(b"x", length=False, fields=f"Content-Length: {big}\r\n"), FetchFault.TOO_LARGE, "more than 65536 octets"),
            (response(b"x" * (MAX_SIZE + 1), length=False), FetchFault.TOO_LARGE, "more than 65536 octets"),
            (b"HTTP/1.1 200 OK\r\n" + b"X-Long: 0123456789\r\n" * 20000, FetchFault.TOO_LARGE, "answer of more than 262144 octets"),
            (b"HTTP/1.1 100 Continue\r\n\r\n" * 20000, FetchFault.TOO_LARGE, "answer of more than 262144 octets"),
            (b"SSH-2.0-OpenSSH_9.2\r\n", FetchFault.HTTP_STATUS, "not valid HTTP"),
            (b"HTTP/1.1 200 OK\r\nno colon here\r\n\r\n", FetchFault.HTTP_STATUS, "not valid HTTP"),
            (b"HTTP/1.1 abc OK\r\n\r\n", FetchFault.HTTP_STATUS, "not valid HTTP"),
            (response(b"zz\r\n", length=False, fields="Transfer-Encoding: chunked\r\n"), FetchFault.HTTP_STATUS, "not valid HTTP"),
            (response(fields="Content-Length: 5\r\n"), FetchFault.HTTP_STATUS, "not valid HTTP"),
            (response(b"", length=False, fields="Transfer-Encoding: br\r\n"), FetchFault.HTTP_STATUS, "not valid HTTP"),
            (b"", FetchFault.CONNECT, "the connection was lost before the answer was complete"),
            (b"HTTP/1.1 200 OK\r\nContent-", FetchFault.CONNECT, "the connection was lost"),
            (response(TEXT[:20], length=False, fields="Content-Length: 71\r\n"), FetchFault.CONNECT, "the connection was lost"),
        )  # fmt: skip
        server = self.serve()
        fetcher = self.fetcher(server.port)
        for answer, fault, text in cases:
            server.answer = say(answer)
            await self.failure(fetcher, fault, text)
            await self.when_closed(server)
        self.assertEqual(len(server.requests), len(cases))

    async def test_four_megabytes(self) -> None:
        """A body without end is cut off soon after 64 KiB: the server can't send much more."""

        def pour(served: Served) -> None:
            def piece() -> None:
                served.transport.write(b"x" * 16384)
                served.sent += 16384

            served.transport.write(response(b"", length=False))
            call = LoopingCall(piece)
            call.start(0.0).addErrback(lambda _: None)
            sent.append(served)
            server.waiting.append(call.stop)

        sent: list[Served] = []
        server = self.serve(pour)
        await self.failure(self.fetcher(server.port), FetchFault.TOO_LARGE, "more than 65536 octets")
        await self.when_closed(server)
        self.assertLess(sent[0].sent, 4_000_000)

    async def test_cut_short(self) -> None:
        """A body without a length whose TLS isn't ended in order may have been cut by somebody: it is refused."""

        def answer(served: Served) -> None:
            served.transport.write(response(length=False))
            reactor.callLater(0.05, served.transport.transport.loseConnection)  # type: ignore[attr-defined]

        server = self.serve(answer)
        await self.failure(self.fetcher(server.port), FetchFault.CONNECT, "the connection was lost")

    async def test_slow_body(self) -> None:
        """A body that doesn't end in time is given up, with what was being done."""
        server = self.serve(say(response()[:-5], close=False))
        await self.failure(
            self.fetcher(server.port, fetch_timeout=0.3), FetchFault.TIMEOUT, "timed out after", "reading the policy"
        )
        await self.when_closed(server)

    async def test_no_answer(self) -> None:
        """A server that takes the request and says nothing is given up."""
        server = self.serve(lambda served: None)
        await self.failure(self.fetcher(server.port, fetch_timeout=0.3), FetchFault.TIMEOUT, "waiting for an answer")
        await self.when_closed(server)


class ReachTests(FetchCase):
    """Policy hosts that can't be found or reached."""

    async def test_no_address(self) -> None:
        """No address, a lookup that fails, a name that can't be one: each has its line."""
        await self.failure(self.fetcher(1, ""), FetchFault.DNS, "mta-sts.one.test has no address")
        resolver = FakeResolver()
        resolver.fail(HOST, "A", FailureKind.TIMEOUT)
        await self.failure(
            self.fetcher(1, resolver=resolver), FetchFault.DNS, "DNS Timeout looking up mta-sts.one.test (A)"
        )
        error = await self.assertFailure(self.fetcher(1).fetch("a b/c?.test"), FetchError)
        self.assertEqual(error.cause, "mta-sts.a b/c?.test can't be the name of a host")

    async def test_refused(self) -> None:
        """Every address tried is named with its error."""
        server = self.serve()
        zone = f"{HOST} A 127.0.0.77\n{HOST} A 127.0.0.78"
        error = await self.failure(self.fetcher(server.port, zone), FetchFault.CONNECT, "can't connect")
        self.assertIn(f"127.0.0.77:{server.port}: ", error.cause)
        self.assertIn(f"; 127.0.0.78:{server.port}: ", error.cause)

    async def test_bounded(self) -> None:
        """Of many addresses four are tried."""
        zone = "\n".join(f"{HOST} A 127.0.1.{n}" for n in range(1, 20))
        server = self.serve()
        error = await self.failure(self.fetcher(server.port, zone), FetchFault.CONNECT)
        self.assertEqual(error.cause.count("can't connect"), 4)


class TurnTests(FetchCase):
    """How many at a time, and giving up."""

    async def test_turns(self) -> None:
        """No more than `max_fetches` are under way; of the others the newest and the oldest go next by turns."""
        held: list[Served] = []
        server = self.serve(held.append)
        zone = "\n".join(f"mta-sts.d{n}.test A 127.0.0.1" for n in range(5))
        tls = context(self.authority.leaf(*(f"mta-sts.d{n}.test" for n in range(5))))
        server = self.serve(held.append, tls=tls)
        fetcher = self.fetcher(server.port, zone, max_fetches=2)
        fetches = [fetcher.fetch(f"d{n}.test") for n in range(5)]
        done = 0
        while done < 5:
            while len(held) <= done:
                await deferLater(reactor, 0.01)  # type: ignore[arg-type]
            self.assertLessEqual(len(server.open), 2)
            say(response())(held[done])
            done += 1
            await self.when_some(fetches, done)
        await gatherResults(fetches)
        order = [request.decode().split("mta-sts.")[2][:2] for request in server.requests]
        self.assertEqual(sorted(order[:2]) + order[2:], ["d0", "d1", "d4", "d2", "d3"])

    async def when_some(self, fetches: list[Deferred[Any]], count: int) -> None:
        """Wait until so many have ended."""
        while sum(fetch.called and not isinstance(fetch.result, Deferred) for fetch in fetches) < count:
            await deferLater(reactor, 0.01)  # type: ignore[arg-type]

    async def test_no_turn(self) -> None:
        """A fetch that has no turn in time is a fault of ours, with how far it came; nothing of it stays behind."""
        self.patch(fetch_module, "LONGEST_WAIT", 0.1)
        stalled = self.plain(lambda served: None)
        fetcher = self.fetcher(stalled.port, max_fetches=1)
        first = fetcher.fetch(DOMAIN)
        error = await self.assertFailure(fetcher.fetch(DOMAIN), OwnFetchFault)
        self.assertEqual((error.fault, error.doing), (FetchFault.BUSY, "waiting for its turn"))
        self.assertEqual(len(fetcher._turns._waiting), 0)
        first.cancel()
        await self.assertFailure(first, CancelledError)
        await self.when_closed(stalled)

    def test_silent_lookup(self) -> None:
        """A lookup that nobody ends is a fault of ours: the resolver itself tells of name servers that are silent."""
        clock = Clock()
        resolver = FakeResolver()
        resolver.hold("mta-sts.d0.test", "AAAA")
        fetch = self.fetcher(443, resolver=resolver, reactor=clock, fetch_timeout=10.0).fetch("d0.test")
        clock.advance(10.0)
        error = self.failureResultOf(fetch, OwnFetchFault).value
        self.assertEqual(error.cause, "timed out after 10 s looking up mta-sts.d0.test")

    async def test_cancel(self) -> None:
        """Cancelling closes the connection, in the handshake and behind it, and gives the turn back."""
        stalled = self.plain(lambda served: None)
        hanging = self.serve(lambda served: None)
        for server in (stalled, hanging):
            fetcher = self.fetcher(server.port, max_fetches=1)
            fetch = fetcher.fetch(DOMAIN)
            while not server.requests and not server.open:
                await deferLater(reactor, 0.01)  # type: ignore[arg-type]
            await deferLater(reactor, 0.05)  # type: ignore[arg-type]
            fetch.cancel()
            with contextlib.suppress(CancelledError):
                await fetch
            await self.when_closed(server)
            self.assertEqual((list(fetcher._turns._running), list(fetcher._turns._waiting)), ([], []))
