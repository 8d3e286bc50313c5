"""What the tests of store, cache, refresh and provider share: a domain with a record, a fetcher that is told what to bring."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred, execute
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from seg.config.schema import MTASTS
from seg.policy.mtasts.answer import FetchTrace
from seg.policy.mtasts.cache import PolicyCache
from seg.policy.mtasts.entry import CachedPolicy
from seg.policy.mtasts.errors import FetchError
from seg.policy.mtasts.fetch import NOBODY
from seg.policy.mtasts.interfaces import IPolicyFetcher
from seg.policy.mtasts.store import PolicyLookup, PolicyStore
from seg.policy.mtasts.turns import Claim
from tests.dns_double import FakeResolver
from tests.doubles import RecordingSink

D = "one.test"
TXT = f"_mta-sts.{D}"
URL = f"https://mta-sts.{D}/.well-known/mta-sts.txt"
DAY = 86400
WEEK = 7 * DAY


def body(mode: str = "enforce", mx: str = "mx.one.test", max_age: int = WEEK) -> bytes:
    """A policy."""
    return f"version: STSv1\nmode: {mode}\nmx: {mx}\nmax_age: {max_age}\n".encode()


@implementer(IPolicyFetcher)
class FakeFetcher:
    """Gives what the test says; counts."""

    def __init__(self) -> None:
        self.fetches = 0
        self.claims: list[Claim] = []
        self.answer: bytes | Exception | Deferred[bytes] = body()

    async def fetch(self, domain: str, claim: Claim = NOBODY) -> bytes:
        """The answer."""
        self.fetches += 1
        self.claims.append(claim)
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer if isinstance(self.answer, bytes) else await self.answer

    async def look(self, domain: str, claim: Claim = NOBODY) -> FetchTrace:
        """The answer, as from an address."""
        met = FetchTrace(URL, address="192.0.2.1:443")
        try:
            return FetchTrace(URL, address="192.0.2.1:443", body=await self.fetch(domain))
        except FetchError as error:
            error.met = met
            raise


class StoreCase(SynchronousTestCase):
    """A store with a clock, and a folder of its own."""

    def setUp(self) -> None:
        """Nothing is known yet; the record has id 1."""
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
        return PolicyStore(self.resolver, self.fetcher, cache, MTASTS(), self.sink, self.clock)

    def known(self, domain: str = D) -> CachedPolicy:
        """The entry of a domain."""
        entry = self.successResultOf(Deferred.fromCoroutine(self.store.cache.get(domain)))
        assert entry is not None
        return entry

    def current(self, reread: bool = False, domain: str = D) -> PolicyLookup:
        """What is in force, in a turn of the reactor."""
        self.clock.advance(0)
        return self.successResultOf(Deferred.fromCoroutine(self.store.current(domain, reread)))

    def txt(self, *records: str) -> None:
        """Other TXT records from now on."""
        self.resolver.remove(TXT, "TXT")
        for record in records:
            self.resolver.add(f'{TXT} TXT "{record}"')

    def set_clock(self, seconds: float) -> None:
        """Set the time, also back."""
        self.clock.rightNow = seconds
