"""What the TLS policies cost a message: microseconds per decision, and what is asked of DNS and policy hosts.

``python -m bench.policy [--decisions 20000] [--rounds 7]``

Three destinations are decided in turn, in one process and one run: one with nothing but the TLS option, one that has no MTA-STS
record (and the DNS cache knows it), and one whose enforce policy is cached. The real chain, store, cache and DNS cache are used;
DNS and policy host are doubles that count, and nothing is logged. Figures are CPU time; only the ratios travel.
"""

from __future__ import annotations

import argparse
import cProfile
import gc
import pstats
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import attrs
from twisted.internet.defer import Deferred, execute
from twisted.internet.task import Clock
from zope.interface import implementer

from seg.config.destinations import Profile, STSMode
from seg.config.schema import DNS, MTASTS
from seg.dns.cache import CachingResolver
from seg.events.base import Event, IEventSink
from seg.mail.hosts import MXHost, Route, RouteKind
from seg.policy.chain import PolicyChain
from seg.policy.mtasts.cache import PolicyCache
from seg.policy.mtasts.fetch import NOBODY
from seg.policy.mtasts.interfaces import IPolicyFetcher
from seg.policy.mtasts.provider import MTASTSProvider
from seg.policy.mtasts.store import PolicyStore
from seg.policy.mtasts.turns import Claim
from seg.policy.requirement import DomainQuestion
from seg.policy.static import StaticProvider
from tests.dns_double import FakeResolver

TTL = 300
DOMAINS = 10
BODY = b"version: STSv1\nmode: enforce\nmx: mx1.%s\nmx: *.mail.%s\nmax_age: 604800\n"
STATIC, UNKNOWN, ENFORCED = "static only", "no policy (cached denial)", "cached enforce policy"


@implementer(IEventSink)
class Silence:
    """Logs nothing."""

    debug = False

    def emit(self, event: Event) -> None:
        """Nothing."""


@implementer(IPolicyFetcher)
class CountedFetcher:
    """A policy for each domain, at once."""

    fetches = 0

    async def fetch(self, domain: str, claim: Claim = NOBODY) -> bytes:
        """The policy."""
        self.fetches += 1
        return BODY % (domain.encode(), domain.encode())


@attrs.frozen
class Bench:
    """A policy chain over doubles that count."""

    chain: PolicyChain
    inner: FakeResolver
    fetcher: CountedFetcher
    clock: Clock

    async def decide(self, domain: str, profile: Profile) -> None:
        """One message: an attempt for a domain with one MX host."""
        host = MXHost(f"mx1.{domain}", 10, ())
        question = DomainQuestion(domain, profile, Route(domain, RouteKind.MX, (host,)))
        await self.chain.open(question).decide(host)


@contextmanager
def bench() -> Iterator[Bench]:
    """Everything as in the gateway, but for DNS, policy hosts and time."""
    clock, silence, fetcher = Clock(), Silence(), CountedFetcher()
    clock.advance(1_000_000)
    names = [f"d{number}.example" for number in range(DOMAINS)]
    inner = FakeResolver("\n".join(f'_mta-sts.{name} {TTL} TXT "v=STSv1; id=20250101T000000;"' for name in names))
    resolver = CachingResolver(inner, clock, DNS(), silence)
    with tempfile.TemporaryDirectory(prefix="seg-bench-") as folder:

        def in_thread(work: Callable[[], Any]) -> Deferred[Any]:
            return execute(work)

        cache = PolicyCache(Path(folder), in_thread, silence)
        store = PolicyStore(resolver, fetcher, cache, MTASTS(), silence, clock)
        chain = PolicyChain((MTASTSProvider(store, silence), StaticProvider()), silence)
        yield Bench(chain, inner, fetcher, clock)


def run(work: Any) -> None:
    """Run a coroutine to its end; everything it waits for is there."""
    ended: list[Any] = []
    Deferred.fromCoroutine(work).addBoth(ended.append)
    if ended != [None]:
        raise SystemExit(f"the benchmark failed: {ended}")


def destinations() -> dict[str, tuple[str, Profile]]:
    """What is compared: a domain and its profile."""
    return {
        STATIC: ("d0.example", Profile(mta_sts=STSMode.OFF)),
        UNKNOWN: ("without.example", Profile()),
        ENFORCED: ("d0.example", Profile()),
    }


def seconds(made: Bench, domain: str, profile: Profile, decisions: int) -> float:
    """CPU time of so many decisions."""

    async def work() -> None:
        for _ in range(decisions):
            await made.decide(domain, profile)

    gc.collect()
    began = time.process_time()
    run(work())
    return time.process_time() - began


def measure(made: Bench, decisions: int, rounds: int) -> dict[str, list[float]]:
    """Microseconds per decision, by destination and round."""
    found: dict[str, list[float]] = {name: [] for name in destinations()}
    for _ in range(rounds):
        for name, (domain, profile) in destinations().items():
            found[name].append(seconds(made, domain, profile, decisions) / decisions * 1e6)
    return found


def count(made: Bench) -> Iterator[tuple[str, int, int]]:
    """(what, TXT questions, fetches) for a thousand messages to ten domains: at first, again, and behind the TTL."""
    steps: Sequence[tuple[str, float]] = (("first 1,000", 0), ("next 1,000", 0), ("1,000 after the TTL", TTL))
    for name, wait in steps:
        made.clock.advance(wait)
        before = len(made.inner.questions), made.fetcher.fetches
        for number in range(1000):
            run(made.decide(f"d{number % DOMAINS}.example", Profile()))
        yield name, len(made.inner.questions) - before[0], made.fetcher.fetches - before[1]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--decisions", type=int, default=20000)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--profile", action="store_true", help="show where the time for a cached policy goes")
    options = parser.parse_args()
    with bench() as made:
        print(f"{DOMAINS} domains with an enforce policy    TXT questions    fetches")
        for name, questions, fetches in count(made):
            print(f"{name:38s} {questions:10d} {fetches:10d}")
        measure(made, 100, 1)  # everything is cached from here on
        if options.profile:
            with cProfile.Profile() as profile:
                seconds(made, *destinations()[ENFORCED], options.decisions)
            pstats.Stats(profile).sort_stats("tottime").print_stats(25)
            return
        found = measure(made, options.decisions, options.rounds)
    for name, values in found.items():
        ratios = [one / other for one, other in zip(values, found[STATIC], strict=True)]
        print(
            f"{name:28s} {statistics.median(values):6.1f} us per decision, "
            f"{statistics.median(ratios):.2f} times static (rounds: {', '.join(f'{ratio:.2f}' for ratio in ratios)})"
        )


if __name__ == "__main__":
    main()
