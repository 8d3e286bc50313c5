"""How many questions are with the resolvers at a time: each has a descriptor of its own, and strangers bring most of them about."""

from __future__ import annotations

import resource
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from twisted.internet.defer import DeferredSemaphore, TimeoutError
from twisted.internet.interfaces import IReactorTime
from zope.interface import implementer

from seg.common.spread import SpreadCalls
from seg.dns.answer import DNSAnswer
from seg.dns.interfaces import IResolver
from seg.mail.errors import LocalFault

T = TypeVar("T")

MOST = 256
LEAST = 8
SHARE = 8  # of the descriptors that the process may have the eighth part at most


def most_questions() -> int:
    """How many there may be at a time with the descriptors that this process may have."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return MOST if soft == resource.RLIM_INFINITY else max(LEAST, min(MOST, soft // SHARE))


class QueryTurns:
    """Lets so many do something at a time; the others wait in the order in which they came.

    :param what: in the plural, for the text of the fault: ``"questions to the resolvers"``.
    """

    def __init__(self, most: int, what: str, clock: IReactorTime) -> None:
        self._most = most
        self._what = what
        self._timers: Any = SpreadCalls(clock)  # many may wait for as long
        self._free = DeferredSemaphore(most)

    async def take(self, work: Callable[[], Awaitable[T]], seconds: float) -> T:
        """Do it when it is its turn.

        :raises LocalFault: that wasn't within so many seconds.
        """
        if self._free.tokens == 0:
            try:
                await self._free.acquire().addTimeout(max(seconds, 0.0), self._timers)
            except TimeoutError:
                raise LocalFault(f"all {self._most} {self._what} that there may be at a time are taken") from None
        else:
            self._free.acquire()
        try:
            return await work()
        finally:
            self._free.release()


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

        return await self._turns.take(ask, self._limit)
