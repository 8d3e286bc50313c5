"""Which policy is in force: the table of discovery, the cache on disk, and what the provider makes of it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred, execute
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from seg import events
from seg.config.destinations import Profile, STSMode, TLSOption
from seg.config.schema import MTASTS
from seg.dns.answer import FailureKind
from seg.interfaces import ITLSPolicyProvider
from seg.model import MXHost, Route, RouteKind
from seg.mtasts.cache import PolicyCache, file_name
from seg.mtasts.errors import FetchError, FetchFault
from seg.mtasts.provider import MTASTSProvider
from seg.mtasts.refresh import LOOK, PolicyRefresh
from seg.mtasts.store import Finding, PolicyStore
from seg.policy.requirement import Answer, DomainQuestion, NoOpinion, Observe, Raise, Refuse
from tests.dns_double import FakeResolver
from tests.doubles import RecordingSink

D = "one.test"
TXT = f"_mta-sts.{D}"


def body(mode: str = "enforce", mx: str = "mx.one.test", max_age: int = 604800) -> bytes:
    """A policy."""
    return f"version: STSv1\nmode: {mode}\nmx: {mx}\nmax_age: {max_age}\n".encode()


class FakeFetcher:
    """Gives what the test says; counts."""

    def __init__(self) -> None:
        self.fetches = 0
        self.answer: bytes | FetchError | Deferred[bytes] = body()

    async def fetch(self, domain: str) -> bytes:
        """The answer."""
        self.fetches += 1
        if isinstance(self.answer, FetchError):
            raise self.answer
        return self.answer if isinstance(self.answer, bytes) else await self.answer


class StoreCase(SynchronousTestCase):
    """A store with a clock, and a folder of its own."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.clock.advance(1_000_000)
        self.sink = RecordingSink()
        self.resolver = FakeResolver(f'{TXT} TXT "v=STSv1; id=1;"')
        self.fetcher = FakeFetcher()
        self.folder = Path(self.mktemp()) / "mta-sts"
        self.store = self.make_store()

    def make_store(self) -> PolicyStore:
        """A store on the folder, as after a restart."""

        def in_thread(work: Callable[[], Any]) -> Deferred[Any]:
            return execute(work)

        cache = PolicyCache(self.folder, in_thread, self.sink)
        self.successResultOf(Deferred.fromCoroutine(cache.load()))
        return PolicyStore(self.resolver, self.fetcher, cache, MTASTS(), self.sink, self.clock.seconds)

    def current(self, reread: bool = False) -> Finding:
        """What is in force."""
        return self.successResultOf(Deferred.fromCoroutine(self.store.current(D, reread)))

    def txt(self, *records: str) -> None:
        """Other TXT records from now on."""
        self.resolver.remove(TXT, "TXT")
        for record in records:
            self.resolver.add(f'{TXT} TXT "{record}"')


class StoreTests(StoreCase):
    """`PolicyStore.current`."""

    def test_fetched_then_cached(self) -> None:
        """A new policy is fetched once; with the same id the cached one is used."""
        self.assertEqual([self.current().how for _ in range(3)], ["fetched", "cached", "cached"])
        self.assertEqual(self.fetcher.fetches, 1)

    def test_new_id(self) -> None:
        """Case A8: a new id is seen with the next message, and the new policy used."""
        self.current()
        self.txt("v=STSv1; id=2;")
        self.fetcher.answer = body(mx="new.one.test")
        finding = self.current()
        assert finding.policy is not None
        self.assertEqual((finding.policy_id, finding.how, finding.policy.mx), ("2", "fetched", ("new.one.test",)))

    def test_record_gone(self) -> None:
        """No record, several, a malformed one, or a lookup that fails: a cached policy stays, without one there is none."""
        self.current()
        for change in (
            self.txt,
            lambda: self.txt("v=STSv1; id=1;", "v=STSv1; id=2;"),
            lambda: self.txt("v=STSv1; id=!;"),
            lambda: self.resolver.fail(TXT, "TXT", FailureKind.SERVFAIL),
        ):
            change()
            self.assertEqual((self.current().policy_id, self.current().how), ("1", "cached"))
        self.clock.advance(604800)
        finding = self.current()
        self.assertEqual((finding.policy, finding.reason), (None, "TXT lookup failed: ServFail"))
        self.assertTrue(self.sink.of(events.STSRecordFailed))

    def test_fetch_fails(self) -> None:
        """A failed fetch keeps what is cached, and the next one isn't made before the retry interval is over."""
        self.fetcher.answer = FetchError(FetchFault.HTTP_STATUS, "HTTP status 404")
        self.assertEqual(self.current().reason, "policy fetch failed: http-status")
        self.assertEqual(self.current().reason, "policy fetch failed lately")
        self.assertEqual(self.fetcher.fetches, 1)
        self.clock.advance(300)
        self.fetcher.answer = body()
        self.assertEqual(self.current().how, "fetched")
        self.txt("v=STSv1; id=2;")
        self.fetcher.answer = FetchError(FetchFault.TIMEOUT, "timed out")
        self.assertEqual((self.current().policy_id, self.current().how), ("1", "cached"))
        self.assertEqual(self.sink.of(events.STSFetchFailed)[-1].kept, "1")

    def test_a6_no_mx(self) -> None:
        """Case A6: an enforce policy without mx is no policy; negative for five minutes."""
        self.fetcher.answer = b"version: STSv1\nmode: enforce\nnmx: mx.one.test\nmax_age: 86400\n"
        self.assertEqual(self.current().reason, "policy fetch failed: invalid-policy")
        self.assertIn('without any "mx"', self.sink.of(events.STSFetchFailed)[0].cause)

    def test_max_age_zero(self) -> None:
        """max_age 0: good for this attempt, and not kept."""
        self.fetcher.answer = body(max_age=0)
        self.assertEqual([self.current().how, self.current().how], ["fetched", "fetched"])

    def test_reread(self) -> None:
        """Every MX refused: fetched once more though the id is the same, but not right after a fetch, nor again and again."""
        self.current()
        self.assertEqual(self.current(reread=True).how, "cached")
        self.clock.advance(301)
        self.assertEqual(self.current(reread=True).how, "fetched")
        self.assertEqual(self.current(reread=True).how, "cached")

    def test_withdrawn(self) -> None:
        """An enforce policy replaced by none is honoured, and told."""
        self.current()
        self.txt("v=STSv1; id=2;")
        self.fetcher.answer = b"version: STSv1\nmode: none\nmax_age: 86400\n"
        self.current()
        self.assertEqual(self.sink.of(events.STSPolicyWithdrawn), [events.STSPolicyWithdrawn(D, "2")])

    def test_one_fetch_for_all(self) -> None:
        """Those who ask while a fetch is under way share it; one who gives up doesn't disturb the others."""
        self.fetcher.answer = Deferred()
        waiting = [Deferred.fromCoroutine(self.store.current(D)) for _ in range(3)]
        waiting[1].cancel()
        self.fetcher.answer.callback(body())
        self.assertEqual(self.successResultOf(waiting[0]).how, "fetched")
        self.assertEqual(self.successResultOf(waiting[2]).how, "fetched")
        self.failureResultOf(waiting[1])
        self.assertEqual(self.fetcher.fetches, 1)


class CacheTests(StoreCase):
    """The files."""

    def test_restart(self) -> None:
        """A policy outlives the process."""
        self.current()
        self.store = self.make_store()
        self.assertEqual(self.current().how, "cached")

    def test_a30_damaged(self) -> None:
        """Case A30: damaged files are told, and the policy is fetched again; other files don't suffer."""
        self.current()
        path = self.folder / file_name(D)
        good = path.read_bytes()
        for damage in (
            b"",
            b"{",
            good[:40],
            b"[1]",
            good.replace(b'"1"', b'"!"'),
            b"[" * 100_000,
            good.replace(b"STSv1", b"STSv9"),
        ):
            path.write_bytes(damage)
            before = len(self.sink.of(events.Fault))
            self.store = self.make_store()
            self.assertEqual(len(self.sink.of(events.Fault)), before + 1)
            self.assertEqual(self.current().how, "fetched")

    def test_a30_unwritable(self) -> None:
        """Case A30: a folder that can't be written is told once, and decisions are the same."""
        self.folder.parent.mkdir(parents=True, exist_ok=True)
        self.folder.write_text("not a folder")
        self.assertEqual([self.current().how, self.current().how], ["fetched", "cached"])
        self.assertIn("can't be written", self.sink.of(events.Fault)[-1].text)

    def test_bounds(self) -> None:
        """Too many entries: those used longest ago give way, on disk too."""
        self.store.cache._max_entries = 1
        self.current()
        self.resolver.add('_mta-sts.two.test TXT "v=STSv1; id=1;"')
        self.successResultOf(Deferred.fromCoroutine(self.store.current("two.test")))
        self.assertEqual([path.name for path in self.folder.glob("*.json")], ["two.test.json"])


class RefreshTests(StoreCase):
    """`PolicyRefresh`."""

    def test_renewed_without_mail(self) -> None:
        """A cached policy is renewed within a day and before it expires; then nobody uses it, and it is let go."""
        self.fetcher.answer = body(max_age=172800)
        self.current()
        refresh = PolicyRefresh(self.store, MTASTS(), self.clock, lambda: 0.5)
        refresh.start()
        self.clock.pump([LOOK] * (24 * 60))
        self.assertEqual(self.fetcher.fetches, 2)
        self.clock.pump([LOOK] * (6 * 24 * 60))
        self.assertEqual(len(self.store.cache), 0)
        self.successResultOf(refresh.stop())
        self.assertEqual(self.clock.getDelayedCalls(), [])


class ProviderTests(StoreCase):
    """`MTASTSProvider`."""

    def answer(
        self, host: str = "mx.one.test", kind: RouteKind = RouteKind.MX, profile: Profile | None = None
    ) -> Answer:
        """What the provider says of one host."""
        question = DomainQuestion(D, profile or Profile(), Route(D, kind, ()))
        provider = MTASTSProvider(self.store, self.sink)
        verifyObject(ITLSPolicyProvider, provider)
        view = provider.open(question)
        return self.successResultOf(Deferred.fromCoroutine(view.answer(MXHost(host, 10, ()))))

    def test_enforce(self) -> None:
        """Listed: TLS with that name, tied to the domain. Not listed: not to be contacted."""
        raised = self.answer()
        assert isinstance(raised, Raise)
        self.assertEqual((raised.reason, raised.requirement.sni), ("enforce(id 1, fetched)", "mx.one.test"))
        self.assertTrue(raised.requirement.ties_host)
        self.assertEqual(self.answer("evil.test"), Refuse("MX not in policy"))
        self.assertEqual(self.sink.of(events.STSApplied)[0], events.STSApplied(D, "enforce"))

    def test_testing(self) -> None:
        """Observed only, and never a floor."""
        self.fetcher.answer = body("testing")
        for host, failure in (("mx.one.test", ""), ("evil.test", "MX not in policy")):
            observed = self.answer(host)
            assert isinstance(observed, Observe)
            self.assertEqual((observed.failure, observed.floor), (failure, None))

    def test_silent(self) -> None:
        """Switched off, TLS option No, SMTP route: no lookup at all."""
        self.assertEqual(self.answer(profile=Profile(mta_sts=STSMode.OFF)), NoOpinion("switched off"))
        self.assertEqual(self.answer(profile=Profile(tls=TLSOption.NO)), NoOpinion("switched off"))
        self.assertEqual(self.answer(kind=RouteKind.SMTP_ROUTE), NoOpinion("SMTP route"))
        self.assertEqual(self.resolver.questions, [])
