"""Answers kept for their time, denials included, and one question in flight for all who ask it."""

from __future__ import annotations

from functools import partial
from typing import Any

import attrs
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.python.failure import Failure
from zope.interface import implementer

from seg.common.bounded import WeightedMap
from seg.common.spread import SpreadCalls
from seg.config.schema import DNS
from seg.dns.answer import DNSAnswer, DNSFailure, FailureKind
from seg.dns.interfaces import IResolver
from seg.events.base import IEventSink
from seg.events.dns import DNSAsked, DNSCached

# A resolver in trouble, or a zone that is broken, isn't asked again by each message of a burst, each waiting
# for the whole lifetime of a question; and yet the next retry of a message asks anew. RFC 9520 §3.2 wants at
# least one second.
FAILURE_TTL = 5.0
SUBSTITUTE_TTL = 60.0  # of an answer without validation, in the place of a trusted resolver's
ENTRY = 700  # octets of an entry besides its records
SHARE = 2048  # octets for which each of the entries of the settings stands: larger ones take the place of several
MOST_SHOWN = 20  # records in a line of the debug log
LONGEST_SHOWN = 500  # characters of one

Key = tuple[str, str]


@attrs.define
class DNSCounters:
    """What happened since the start."""

    requests: int = 0  # questions put to the cache
    hits: int = 0  # answered from it, failures included
    misses: int = 0  # not in it, or no longer
    network: int = 0  # passed on; the other misses shared a question in flight
    failures: int = 0  # of those passed on, ended in a failure
    timeouts: int = 0  # of the failures
    servfails: int = 0  # of the failures
    bogus: int = 0  # of the failures
    expired: int = 0  # of the misses, had been in the cache

    def failed(self, kind: FailureKind) -> None:
        """Count a question that was passed on, and not answered."""
        self.failures += 1
        if kind is FailureKind.TIMEOUT:
            self.timeouts += 1
        elif kind is FailureKind.SERVFAIL:
            self.servfails += 1
        elif kind is FailureKind.BOGUS:
            self.bogus += 1


@attrs.frozen(eq=False)
class _CachedAnswer:
    value: DNSAnswer | DNSFailure
    expires: float  # on the reactor's clock
    size: int  # octets, about

    @property
    def substitute(self) -> bool:
        """Whether it came from a stand-in of the trusted resolvers."""
        return isinstance(self.value, DNSAnswer) and self.value.substitute


@attrs.define(eq=False)
class _Flight:
    """A question on its way, and who waits for it."""

    waiters: list[Deferred[DNSAnswer]] = attrs.field(factory=list)
    work: Deferred[Any] | None = None


@implementer(IResolver)
class CachingResolver:
    """Keeps what another resolver answers, within the bounds of the settings in number and in memory; the least recently used answer
    goes first.

    :param counters: those of the cache that this one follows.
    """

    def __init__(
        self,
        inner: IResolver,
        clock: IReactorTime,
        settings: DNS,
        sink: IEventSink,
        counters: DNSCounters | None = None,
    ) -> None:
        self.counters = counters or DNSCounters()
        self._inner = inner
        self._clock = clock
        self._settings = settings
        self._sink = sink
        self._entries: WeightedMap[Key, _CachedAnswer] = WeightedMap(
            settings.cache_entries, settings.cache_entries * SHARE, _size
        )
        self._flights: dict[Key, _Flight] = {}
        self._telling = SpreadCalls(clock)

    def __len__(self) -> int:
        """How many answers and failures are kept."""
        return len(self._entries)

    async def query(self, name: str, rdtype: str) -> DNSAnswer:
        """Ask (`IResolver.query`). A hit ends without waiting for anything."""
        counters = self.counters
        counters.requests += 1
        if self._sink.debug:
            self._sink.emit(DNSAsked(name, rdtype))
        key = (name, rdtype)
        entry = self._entries.get(key)
        if entry is None:
            key = (name.rstrip(".").lower(), rdtype)
            entry = self._entries.get(key)
        if entry is not None:
            if entry.expires > self._clock.seconds():
                counters.hits += 1
                self._entries.move_to_end(key)
                return _opened(entry.value)
            counters.expired += 1
            del self._entries[key]
        counters.misses += 1
        return await self._join(key)

    def flush(self, name: str | None = None) -> int:
        """Forget everything, or a name with all below it; returns how many answers went.

        Questions in flight are answered to those who wait for them, and not kept.
        """
        if name is None:
            count = len(self._entries)
            self._entries.clear()
            self._flights.clear()
            return count
        wanted = name.rstrip(".").lower()
        below = "." + wanted
        gone = [key for key in self._entries if key[0] == wanted or key[0].endswith(below)]
        for key in gone:
            del self._entries[key]
        for key in [key for key in self._flights if key[0] == wanted or key[0].endswith(below)]:
            del self._flights[key]
        return len(gone)

    def forget_substitutes(self) -> None:
        """Forget what others answered while the trusted resolvers were away: they are back. What is in flight isn't kept either."""
        for key in [key for key, entry in self._entries.items() if entry.substitute]:
            del self._entries[key]
        self._flights.clear()

    # --- questions in flight --------------------------------------------------------------------------------

    def _join(self, key: Key) -> Deferred[DNSAnswer]:
        """Wait for the answer to a question, with all others who do."""
        flight = self._flights.get(key)
        started = flight is not None
        if flight is None:
            flight = self._flights[key] = _Flight()
        joined = flight

        def leave(waiter: Deferred[DNSAnswer]) -> None:
            if waiter in joined.waiters:  # else the answer is just being told
                joined.waiters.remove(waiter)
                if not joined.waiters:
                    self._abandon(key, joined)

        waiter: Deferred[DNSAnswer] = Deferred(leave)
        flight.waiters.append(waiter)
        if not started:
            self.counters.network += 1
            work = Deferred.fromCoroutine(self._fetch(key))
            flight.work = work
            work.addBoth(self._land, key, flight)
        return waiter

    async def _fetch(self, key: Key) -> DNSAnswer:
        return await self._inner.query(*key)

    def _abandon(self, key: Key, flight: _Flight) -> None:
        """Nobody waits any more."""
        if self._flights.get(key) is flight:
            del self._flights[key]
        if flight.work is not None:
            flight.work.cancel()

    def _land(self, result: DNSAnswer | Failure, key: Key, flight: _Flight) -> None:
        """Keep the answer, unless it was flushed meanwhile, and give it to all who wait."""
        current = self._flights.get(key) is flight
        if current:
            del self._flights[key]
        value = result.value if isinstance(result, Failure) else result
        if isinstance(value, DNSFailure):
            self.counters.failed(value.kind)
        if current and isinstance(value, DNSAnswer | DNSFailure):
            self._keep(key, value)
        waiters, flight.waiters = flight.waiters, []
        self._telling.each(partial(_tell, value), waiters)

    def _keep(self, key: Key, value: DNSAnswer | DNSFailure) -> None:
        if isinstance(value, DNSFailure):
            value, seconds = _again(value), FAILURE_TTL
        elif value.found:
            seconds = min(value.ttl, self._settings.max_ttl)
        else:
            seconds = min(value.ttl, self._settings.max_negative_ttl)
        if isinstance(value, DNSAnswer) and value.substitute:
            seconds = min(seconds, SUBSTITUTE_TTL)
        if seconds <= 0:
            return
        expires = self._clock.seconds() + seconds
        self._entries[key] = _CachedAnswer(value, expires, ENTRY + (value.size if isinstance(value, DNSAnswer) else 0))
        if self._sink.debug and isinstance(value, DNSAnswer):
            records = [record.to_text()[:LONGEST_SHOWN] for record in value.records[:MOST_SHOWN]]
            if len(value.records) > MOST_SHOWN:
                records.append(f"{len(value.records) - MOST_SHOWN} more")
            self._sink.emit(DNSCached(*key, expires, value.secure, tuple(records)))


def _size(entry: _CachedAnswer) -> int:
    return entry.size


def _tell(value: DNSAnswer | BaseException | None, waiter: Deferred[DNSAnswer]) -> None:
    if waiter.called:
        return  # cancelled meanwhile
    if isinstance(value, DNSAnswer):
        waiter.callback(value)
    else:
        waiter.errback(_again(value) if isinstance(value, DNSFailure) else value)


def _opened(value: DNSAnswer | DNSFailure) -> DNSAnswer:
    if isinstance(value, DNSFailure):
        raise _again(value)
    return value


def _again(failure: DNSFailure) -> DNSFailure:
    """A failure of its own for each who asks: a raised exception gathers the traces of all whom it passes."""
    return DNSFailure(failure.name, failure.rdtype, failure.kind, failure.detail)
