"""Decides when a destination gets its next attempt: fair among destinations, within their limits.

The queue says which destinations have due work; the engine leases one message at a time for them, in turn, and runs an
`Attempt` for each lease. A destination's share grows with every success and falls back when it can't be reached, so that a
burst doesn't open hundreds of connections at once, and a dead host doesn't hold what others could use.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Coroutine
from typing import Any, Protocol

import attrs
from twisted.internet.defer import CancelledError, Deferred, DeferredList
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from seg.deliver.crowd import Crowd
from seg.deliver.lines import Crowded
from seg.deliver.pace import UNLIMITED, Pace, Rate
from seg.errors import Temporary
from seg.events import Fault
from seg.interfaces import IEventSink, IQueue
from seg.model import Delayed, Outcome
from seg.queue.lease import Lease

INITIAL_WINDOW = 10  # attempts at a time for a destination that nothing is known of


class AttemptLike(Protocol):
    """What the engine needs of an attempt: `outcomes` hold what is certain, also when `run` is cancelled half-way."""

    outcomes: dict[int, Outcome]
    connected: bool
    crowded: list[Crowded]  # why recipients without an outcome weren't tried

    def run(self) -> Coroutine[Deferred[Any], Any, None]:
        """Make the attempt."""


@attrs.define
class Destination:
    """How much one destination may have at a time, and how much it has."""

    active: int = 0
    window: int = INITIAL_WINDOW
    _successes_wanted: int = 0  # until the window grows
    _careful: bool = False  # it has been too large once: grow slowly

    def finished(self, connected: bool, limit: int) -> None:
        """Adapt the window to how an attempt went: one more after a success, half after a failure to connect."""
        self.active -= 1
        self._successes_wanted -= 1
        if not connected:
            self.window = max(1, self.window // 2)
        elif self._successes_wanted <= 0:
            self.window = min(limit, self.window + 1)
            self._successes_wanted = self.window if self._careful else 0

    def crowded(self) -> None:
        """There was no connection for an attempt: as many as are under way now are enough, and one more will do for a while."""
        self.active -= 1
        self.window = max(1, self.active)
        self._careful, self._successes_wanted = True, self.window


class DeliveryEngine:
    """Runs attempts for the queue's due work.

    :param attempt: makes the attempt for a lease.
    :param limit: the most attempts at a time for a domain (its profile's concurrent connections).
    :param max_active: the most attempts at a time in all.
    """

    log = Logger()

    def __init__(
        self,
        queue: IQueue,
        attempt: Callable[[Lease], AttemptLike],
        limit: Callable[[str], int],
        max_active: int,
        sink: IEventSink,
        clock: IReactorTime,
    ) -> None:
        self._queue = queue
        self._attempt = attempt
        self._limit = limit
        self.max_active = max_active
        self._sink = sink
        self._clock = clock
        self.rate: Callable[[str], Rate] = lambda domain: UNLIMITED
        self._pace = Pace(clock.seconds)
        self.crowd = Crowd(clock, self._ready)  # destinations that wait for a connection
        self._paced: dict[str, IDelayedCall] = {}  # destinations that had all that they may have for now
        self.suspended: Callable[[str], bool] = lambda domain: False  # destinations that get nothing now
        self._parked: set[str] = set()  # of these, the ones with due work
        self._waiting: OrderedDict[str, None] = OrderedDict()  # destinations with due work, in turn
        self._destinations: dict[str, Destination] = {}  # those with attempts under way
        self._running: dict[Lease, Deferred[None]] = {}
        self._settling: set[Deferred[None]] = set()
        self._stopped = False
        self._pumping = False

    @property
    def active(self) -> int:
        """Attempts under way."""
        return len(self._running)

    def start(self) -> None:
        """Begin to work off the queue."""
        self._queue.subscribe(self._ready)

    @property
    def held_back(self) -> int:
        """Destinations with due mail that wait for a connection or for their recipient limit."""
        return len(self._paced) + len(self.crowd)

    def limited(self, domain: str) -> str:
        """Which limit a destination has reached, in words; "" when none holds it back."""
        if domain in self._paced:
            seconds = self._paced[domain].getTime() - self._clock.seconds()
            return f"it has had all the recipients that it may have; more may go in {max(0.0, seconds):.0f} seconds"
        if domain in self.crowd:
            return self.crowd.why(domain)
        destination = self._destinations.get(domain)
        if destination is not None and destination.active >= self._limit(domain):
            return "it has all the connections that it may have"
        return ""

    def _wait_for_pace(self, domain: str, rate: Rate) -> None:
        """Put a destination back in line when it may have more."""
        if domain not in self._paced:
            self._paced[domain] = self._clock.callLater(self._pace.free_in(domain, rate), self._pace_over, domain)

    def _pace_over(self, domain: str) -> None:
        del self._paced[domain]
        self._ready(domain)

    def resume(self) -> None:
        """Other destinations are suspended, or other limits hold, than before: go on with those that may."""
        parked, self._parked = self._parked | self._paced.keys() | set(self.crowd.clear()), set()
        for waiting in self._paced.values():
            waiting.cancel()
        self._paced.clear()
        for domain in sorted(parked):
            self._waiting[domain] = None
        self._pump()

    def _ready(self, domain: str) -> None:
        self._waiting[domain] = None
        self._pump()

    def _pump(self) -> None:
        """Start attempts until nothing is due or a limit is reached; each destination gets one in its turn."""
        if self._pumping:  # an attempt that ended at once; the loop further up goes on
            return
        self._pumping = True
        try:
            self._start_due()
        finally:
            self._pumping = False

    def _start_due(self) -> None:
        while self._waiting and len(self._running) < self.max_active and not self._stopped:
            domain, _ = self._waiting.popitem(last=False)
            if self.suspended(domain):
                self._parked.add(domain)
                continue
            if domain in self.crowd:
                continue
            destination = self._destinations.get(domain) or Destination()
            if destination.active >= min(destination.window, self._limit(domain)):
                continue  # `_finished` puts it back in line
            rate = self.rate(domain)
            if rate.recipients and not self._pace.allowance(domain, rate):
                self._wait_for_pace(domain, rate)
                continue
            lease = self._queue.lease(domain, self._pace.allowance(domain, rate) if rate.recipients else 0)
            if lease is None:
                continue
            if rate.recipients:
                self._pace.count(domain, rate, len(lease.recipients))
            self._waiting[domain] = None
            destination.active += 1
            self._destinations[domain] = destination
            self._start(lease)

    def _start(self, lease: Lease) -> None:
        running: Deferred[None] = Deferred(lambda _: work.cancel())
        self._running[lease] = running
        attempt = self._attempt(lease)
        work = Deferred.fromCoroutine(attempt.run())
        work.addBoth(self._finished, lease, attempt)

    def _finished(self, result: object, lease: Lease, attempt: AttemptLike) -> None:
        """Settle what is certain, free the slot, go on. An attempt that broke leaves its recipients for a later try."""
        running = self._running.pop(lease)
        if isinstance(result, Failure) and not result.check(CancelledError):
            self._broken(result, lease, attempt)
        if not all(rid in attempt.outcomes for rid in lease.rids):
            self.crowd.add(lease.domain, attempt.crowded)
        settled = self._queue.settle(lease, attempt.outcomes)
        self._settling.add(settled)
        settled.addBoth(self._settled, settled)
        destination = self._destinations[lease.domain]
        if attempt.crowded and not attempt.outcomes:
            destination.crowded()
        else:
            destination.finished(attempt.connected, self._limit(lease.domain))
        if not destination.active and destination.window >= INITIAL_WINDOW:
            del self._destinations[lease.domain]
        self._waiting[lease.domain] = None
        running.callback(None)
        self._pump()

    def _broken(self, failure: Failure, lease: Lease, attempt: AttemptLike) -> None:
        """A fault of ours: say so, and let the schedule space out the next tries."""
        self.log.failure("attempt for MID {mid} at {domain} broke", failure, mid=lease.mid, domain=lease.domain)
        self._sink.emit(Fault(f"MID {lease.mid} attempt at {lease.domain} broke: {failure.getErrorMessage()}"))
        error = Temporary("4.3.0", f"internal error: {failure.getErrorMessage()}")
        for rid in lease.rids:
            attempt.outcomes.setdefault(rid, Delayed(error))

    def _settled(self, result: object, settled: Deferred[None]) -> None:
        self._settling.discard(settled)
        if isinstance(result, Failure):
            self.log.failure("outcome of an attempt could not be recorded", result)
            self._sink.emit(Fault(f"outcome of an attempt could not be recorded: {result.getErrorMessage()}"))

    def _cancel_all(self) -> None:
        for running in tuple(self._running.values()):
            running.cancel()

    async def stop(self, grace: float) -> None:
        """Start nothing new, give attempts under way `grace` seconds, then cancel them; what is certain gets settled."""
        self._stopped = True
        for waiting in self._paced.values():
            waiting.cancel()
        self._paced.clear()
        self.crowd.clear()
        running = list(self._running.values())
        if running:
            timer = self._clock.callLater(grace, self._cancel_all)
            await DeferredList(running, consumeErrors=True)
            if timer.active():
                timer.cancel()
        await DeferredList(list(self._settling), consumeErrors=True)
