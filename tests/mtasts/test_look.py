"""Looking at a domain's MTA-STS for a check: everything is shown, errors included, and nothing is changed."""

from __future__ import annotations

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from seg.dns.answer import FailureKind
from seg.policy.mtasts.answer import FetchTrace
from seg.policy.mtasts.errors import FetchError, FetchFault, OwnFetchFault
from seg.policy.mtasts.inspection import STSInspection
from seg.tls.peer import PeerCertificates, SessionFacts
from tests.certificates import Authority
from tests.dns_double import FakeResolver
from tests.mtasts.fetching import DOMAIN, HOST, FetchCase
from tests.mtasts.keeping import TXT, URL, D, StoreCase, body
from tests.mtasts.policyserver import TEXT, response, say, tunnel_to


class StoreLookTests(StoreCase):
    """`PolicyStore.look`."""

    def look(self) -> STSInspection:
        """What is seen; the cache, and what is remembered of failures, are as before."""
        before = list(self.store.cache), dict(self.store._failures._moments), list(self.sink.events)
        seen = self.successResultOf(self.store.look(D))
        after = list(self.store.cache), dict(self.store._failures._moments), list(self.sink.events)
        self.assertEqual(before, after)
        self.assertEqual(len(list(self.folder.glob("*"))), len(before[0]))
        return seen

    def test_all_is_well(self) -> None:
        """Record, id, the fetch of just now and its policy; nothing is cached by it."""
        seen = self.look()
        self.assertEqual((seen.records, seen.policy_id, seen.cached), (("v=STSv1; id=1;",), "1", None))
        self.assertEqual(seen.fetch, FetchTrace(URL, address="192.0.2.1:443", body=body()))
        assert seen.policy is not None
        self.assertEqual(seen.policy.mx, ("mx.one.test",))
        self.assertEqual(
            (seen.record_error, seen.record_failed, seen.fetch_error, seen.policy_error), ("", False, None, "")
        )

    def test_cached(self) -> None:
        """The cached policy is shown beside the fresh one, as long as it counts."""
        self.current()
        self.txt("v=STSv1; id=2;")
        self.fetcher.answer = body(mx="new.one.test")
        seen = self.look()
        assert seen.cached is not None
        assert seen.policy is not None
        self.assertEqual((seen.cached.policy_id, seen.policy_id, seen.policy.mx), ("1", "2", ("new.one.test",)))
        self.clock.advance(604800)
        self.assertIsNone(self.look().cached)

    def test_dns_fails(self) -> None:
        """A lookup that fails is an error, never "none"; nothing is fetched."""
        self.resolver.fail(TXT, "TXT", FailureKind.SERVFAIL)
        error = "DNS ServFail looking up _mta-sts.one.test (TXT)"
        self.assertEqual(self.look(), STSInspection(record_error=error, record_failed=True))
        self.assertEqual(self.fetcher.fetches, 0)

    def test_no_record(self) -> None:
        """No record of ours: what is there is shown, and there is no error."""
        self.txt()
        self.assertEqual(self.look(), STSInspection())
        self.txt("v=spf1 -all", "\\255\\007x")
        self.assertEqual(self.look(), STSInspection(records=("v=spf1 -all", "\\255\\007x"), ttl=300))

    def test_bad_record(self) -> None:
        """Records that can't be used are shown, with what is wrong."""
        self.txt("v=STSv1; id=1;", "v=STSv1; id=2;")
        seen = self.look()
        self.assertEqual(len(seen.records), 2)
        self.assertEqual((seen.record_error, seen.record_failed), ("2 MTA-STS records where one is allowed", False))
        self.assertEqual((seen.policy_id, seen.fetch), ("", None))

    def test_fetch_fails(self) -> None:
        """A fetch that fails says why, and how far it came; deliveries may fetch the next moment all the same."""
        self.fetcher.answer = FetchError(FetchFault.HTTP_STATUS, "HTTP status 404", status=404)
        seen = self.look()
        self.assertIs(seen.fetch_error, self.fetcher.answer)
        self.assertEqual((seen.fetch, seen.policy), (FetchTrace(URL, address="192.0.2.1:443"), None))
        self.fetcher.answer = body()
        self.assertEqual(self.current().how, "fetched")

    def test_fault_of_ours(self) -> None:
        """A fetch that a fault of ours kept from being made is told as one, and how far it came."""
        self.fetcher.answer = OwnFetchFault(FetchFault.BUSY, "all 20 fetches are busy")
        seen = self.look()
        assert seen.fetch_error is not None
        self.assertEqual((seen.fetch_error.fault, seen.policy), (FetchFault.BUSY, None))
        self.assertIn("all 20 fetches are busy", str(seen.fetch_error))

    def test_negative_cache_is_not_asked(self) -> None:
        """A failure of a minute ago doesn't keep a look from fetching."""
        self.fetcher.answer = FetchError(FetchFault.TIMEOUT, "timed out")
        self.current()
        self.fetcher.answer = body()
        self.assertIsNotNone(self.look().policy)
        self.assertEqual(self.current().reason, "policy fetch failed lately")

    def test_invalid_policy(self) -> None:
        """A policy that can't be used is shown as it came, with the line at fault."""
        self.fetcher.answer = body(mode="enforced")
        seen = self.look()
        assert seen.fetch is not None
        self.assertEqual((seen.fetch.body, seen.policy, seen.fetch_error), (body(mode="enforced"), None, None))
        self.assertIn('invalid policy: line 2: mode "enforced" is none of', seen.policy_error)


class AnswerTests(SynchronousTestCase):
    """`FetchTrace` of certificates that are there, missing or unreadable."""

    def of(self, *chain: x509.Certificate) -> tuple[str, tuple[str, ...], str, str]:
        """The facts for people."""
        facts = SessionFacts(version="TLSv1.3" if chain else "", peer=PeerCertificates(chain))
        answer = FetchTrace(URL, facts=facts)
        return answer.tls_version, answer.names, answer.issuer, answer.not_after

    def test_facts(self) -> None:
        """Names, issuer and end of the certificate; nothing without one; and never an error."""
        leaf = Authority.root("Root").leaf("a.test", "b.test", days=(-1, 10)).certificate
        self.assertEqual(self.of(leaf), ("TLSv1.3", ("a.test", "b.test"), "CN=Root", "2025-06-11 12:00:00 UTC"))
        self.assertEqual(self.of(), ("", (), "", ""))

    def test_date_that_is_none(self) -> None:
        """A certificate that ends in the year 0 can be presented; it is said that its date can't be read."""
        leaf = Authority.root("Root").leaf("a.test", days=(-1, 10_000)).certificate  # 2052: four digits for the year
        data = leaf.public_bytes(Encoding.DER)
        odd = x509.load_der_x509_certificate(data.replace(b"\x18\x0f2052", b"\x18\x0f0000"))
        self.assertEqual(self.of(odd)[3], "(unreadable date)")


class FetchLookTests(FetchCase):
    """`PolicyFetcher.look` on loopback."""

    async def met(
        self, port: int, zone: str = f"{HOST} A 127.0.0.1", **settings: object
    ) -> tuple[FetchError | OwnFetchFault, FetchTrace]:
        """The error of a look that fails, and what had been found out."""
        error = await self.assertFailure(self.fetcher(port, zone, **settings).look(DOMAIN), FetchError, OwnFetchFault)
        assert error.met is not None
        url = f"https://{HOST}{'' if port == 443 else f':{port}'}/.well-known/mta-sts.txt"
        self.assertEqual((error.met.url, error.met.body), (url, b""))
        return error, error.met

    async def test_all_is_well(self) -> None:
        """URL, address, TLS version, certificate and body."""
        server = self.serve()
        seen = await self.fetcher(server.port).look(DOMAIN)
        self.assertEqual((seen.url, seen.body), (f"https://{HOST}:{server.port}/.well-known/mta-sts.txt", TEXT))
        self.assertEqual((seen.address, seen.proxy), (f"127.0.0.1:{server.port}", ""))
        self.assertEqual((seen.tls_version, seen.names), ("TLSv1.3", (HOST,)))
        self.assertTrue(seen.issuer.startswith("CN="))
        self.assertTrue(seen.not_after.endswith(" UTC"))

    async def test_through_a_proxy(self) -> None:
        """The proxy is named without its credentials, and stands for the address that only it knows."""
        server = self.serve()
        proxy = self.plain(tunnel_to(server.port))
        seen = await self.fetcher(server.port, "", proxy=f"http://me:geheim@127.0.0.1:{proxy.port}").look(DOMAIN)
        self.assertEqual((seen.proxy, seen.address), (f"127.0.0.1:{proxy.port}", f"http://127.0.0.1:{proxy.port}"))
        self.assertEqual((seen.body, seen.names), (TEXT, (HOST,)))
        self.assertNotIn("geheim", repr(seen))

    async def test_stopped_before_a_connection(self) -> None:
        """Without an address there is only the URL."""
        error, met = await self.met(1, "")
        self.assertEqual((error.fault, error.doing), (FetchFault.DNS, f"looking up {HOST}"))
        self.assertEqual(met, FetchTrace(error.url))

    async def test_stopped_at_the_name(self) -> None:
        """A domain that can't have a policy host is told without doing anything."""
        error = self.failureResultOf(self.fetcher(1, resolver=FakeResolver()).look("a b.test"), FetchError).value
        self.assertEqual(
            (error.fault, error.met),
            (FetchFault.DNS, FetchTrace("https://mta-sts.a b.test:1/.well-known/mta-sts.txt")),
        )

    async def test_stopped_at_the_certificate(self) -> None:
        """The certificate that isn't accepted is shown, and the address that showed it."""
        server = self.serve(certificate=self.authority.leaf("mta-sts.other.test"))
        error, met = await self.met(server.port)
        self.assertEqual((error.fault, met.names), (FetchFault.CERTIFICATE, ("mta-sts.other.test",)))
        self.assertEqual(met.address, f"127.0.0.1:{server.port}")
        self.assertEqual(error.doing, f"in the TLS handshake with 127.0.0.1:{server.port}")

    async def test_stopped_at_the_answer(self) -> None:
        """A status other than 200 is kept as a number too."""
        server = self.serve(say(response(status="404 Not Found")))
        error, met = await self.met(server.port)
        self.assertEqual((error.status, error.kind, error.doing), (404, "http-status 404", "waiting for an answer"))
        self.assertEqual((met.tls_version, met.names), ("TLSv1.3", (HOST,)))

    async def test_stopped_by_time(self) -> None:
        """A time-out says what was being done, and the session is shown all the same."""
        server = self.serve(say(response()[:-5], close=False))
        error, met = await self.met(server.port, fetch_timeout=0.3)
        self.assertEqual((error.fault, error.doing), (FetchFault.TIMEOUT, "reading the policy"))
        self.assertEqual(met.names, (HOST,))

    async def test_stopped_at_the_proxy(self) -> None:
        """A proxy that refuses is where it stopped."""
        proxy = self.plain(say(response(status="407 Who are you")))
        error, met = await self.met(443, "", proxy=f"http://me:geheim@127.0.0.1:{proxy.port}")
        self.assertEqual((error.fault, met.address), (FetchFault.PROXY, f"http://127.0.0.1:{proxy.port}"))
        self.assertNotIn("geheim", f"{error!r}{met!r}")


class WaitingLookTests(FetchCase):
    """A look takes its turn among the fetches."""

    def test_cancelled(self) -> None:
        """Who gives up a look leaves nothing behind."""
        resolver = FakeResolver()
        resolver.hold(HOST, "AAAA")
        fetcher = self.fetcher(1, resolver=resolver, max_fetches=1)
        look: Deferred[FetchTrace] = fetcher.look(DOMAIN)
        look.cancel()
        self.failureResultOf(look)
        self.assertEqual((list(fetcher._turns._running), list(fetcher._turns._waiting)), ([], []))
