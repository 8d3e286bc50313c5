"""How many questions are with the resolvers at a time: each has a descriptor of its own, and strangers bring most of them about."""

from __future__ import annotations

import resource
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import attrs
from twisted.internet.defer import Deferred, TimeoutError
from twisted.internet.interfaces import IReactorTime
from zope.interface import implementer

from seg.common.spread import SpreadCalls
from seg.dns.answer import DNSAnswer, DNSFailure, FailureKind
from seg.dns.exchange import ExchangeError
from seg.dns.interfaces import IResolver
from seg.dns.zones import ZoneMemory, ZoneStanding, zone_of
from seg.mail.errors import LocalFault

T = TypeVar("T")

MOST = 256
LEAST = 8
QUARTER = 4
LEAST_OF_ONE = 2  # turns of one zone
SLOW = 2.0  # seconds for an answer
SHARE = 8  # of the descriptors that the process may have the eighth part at most


def most_questions() -> int:
    """How many there may be at a time with the descriptors that this process may have."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return MOST if soft == resource.RLIM_INFINITY else max(LEAST, min(MOST, soft // SHARE))


class NoTurn(LocalFault):
    """There was no turn in time: others' questions are with the resolvers. It says nothing of them."""


@attrs.define(eq=False)
class _Asker:
    zone: str
    standing: ZoneStanding
    ready: Deferred[None] = attrs.field(factory=Deferred)


class QueryTurns:
    """Lets so many do something at a time.

    Strangers choose most of the zones that are asked about, and how their name servers behave. So a quarter of the turns is for zones that
    answered when they were asked last, silent ones have a quarter at most, and so has any single one; and those that answer go first.

    :param what: in the plural, for the text of the fault: ``"questions to the resolvers"``.
    """

    def __init__(self, most: int, what: str, clock: IReactorTime) -> None:
        self._most = most
        self._what = what
        self._clock = clock
        self._timers: Any = SpreadCalls(clock)  # many may wait for as long
        self._zones = ZoneMemory()
        self._running = 0
        self._of_zone: Counter[str] = Counter()
        self._of_standing: Counter[ZoneStanding] = Counter()
        self._waiting: dict[ZoneStanding, dict[_Asker, None]] = {standing: {} for standing in ZoneStanding}

    async def take(self, name: str, work: Callable[[], Awaitable[T]], seconds: float) -> T:
        """Do it when it is its turn.

        :param name: that is asked about.
        :raises NoTurn: that wasn't within so many seconds.
        """
        zone = zone_of(name)
        asker = _Asker(zone, self._zones.standing(zone, self._clock.seconds()))
        if self._room(asker):
            self._begin(asker)
        else:
            await self._wait(asker, seconds)
        began = self._clock.seconds()
        try:
            result = await work()
        except (ExchangeError, DNSFailure) as failure:
            self._learn(zone, began, silent=failure.kind is FailureKind.TIMEOUT)
            raise
        else:
            self._learn(zone, began, silent=False)
            return result
        finally:
            self._end(asker)

    def _learn(self, zone: str, began: float, silent: bool) -> None:
        now = self._clock.seconds()
        slow = silent or now - began >= SLOW
        self._zones.note(zone, ZoneStanding.SILENT if slow else ZoneStanding.ANSWERED, now)

    def _room(self, asker: _Asker) -> bool:
        quarter = self._most // QUARTER
        if self._running >= self._most or self._of_zone[asker.zone] >= max(LEAST_OF_ONE, quarter):
            return False
        if asker.standing is ZoneStanding.ANSWERED:
            return True
        if asker.standing is ZoneStanding.SILENT and self._of_standing[ZoneStanding.SILENT] >= max(1, quarter):
            return False
        return self._running - self._of_standing[ZoneStanding.ANSWERED] < self._most - quarter

    def _begin(self, asker: _Asker) -> None:
        self._running += 1
        self._of_zone[asker.zone] += 1
        self._of_standing[asker.standing] += 1

    def _end(self, asker: _Asker) -> None:
        self._running -= 1
        self._of_standing[asker.standing] -= 1
        self._of_zone[asker.zone] -= 1
        if not self._of_zone[asker.zone]:
            del self._of_zone[asker.zone]
        self._serve()

    async def _wait(self, asker: _Asker, seconds: float) -> None:
        waiting = self._waiting[asker.standing]
        waiting[asker] = None
        try:
            await asker.ready.addTimeout(max(seconds, 0.0), self._timers)
        except TimeoutError:
            raise NoTurn(f"all {self._most} {self._what} that there may be at a time are taken") from None
        finally:
            waiting.pop(asker, None)

    def _serve(self) -> None:
        """Let those begin for whom there is room."""
        while (asker := self._next()) is not None:
            del self._waiting[asker.standing][asker]
            self._begin(asker)
            asker.ready.callback(None)

    def _next(self) -> _Asker | None:
        if self._running >= self._most:
            return None
        return next((asker for line in self._waiting.values() for asker in line if self._room(asker)), None)


@implementer(IResolver)
class SharedResolver:
    """A resolver for those who may have only a share of it: strangers who connect, and choose what is asked about them.

    :param limit: seconds that a question waits for its turn.
    """

    def __init__(self, inner: IResolver, most: int, clock: IReactorTime, limit: float) -> None:
        self._inner = inner
        self._turns = QueryTurns(most, "questions about clients", clock)
        self._limit = limit

    async def query(self, name: str, rdtype: str) -> DNSAnswer:
        """Ask (`IResolver.query`)."""

        async def ask() -> DNSAnswer:
            return await self._inner.query(name, rdtype)

        return await self._turns.take(name, ask, self._limit)
