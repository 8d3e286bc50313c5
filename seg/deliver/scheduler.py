"""Decides when a destination gets its next attempt: fair among destinations, within their limits.

The queue says which destinations have due work; the engine leases one message at a time for them, in turn, and runs an
`Attempt` for each lease. A destination's share grows with every success and falls back when it can't be reached, so that a
burst doesn't open hundreds of connections at once, and a dead host doesn't hold what others could use. Whoever lets us wait, at
whatever step, has bounds of its own (`seg.deliver.slots`), and every attempt has an end.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any, Protocol

from twisted.internet.defer import CancelledError, Deferred, DeferredList
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from seg.common.spread import SpreadCalls, TurnBudget
from seg.deliver.connection_limits import LimitReached
from seg.deliver.destination import INITIAL_WINDOW as INITIAL_WINDOW
from seg.deliver.destination import ConcurrencyWindow
from seg.deliver.limit_waiters import LimitWaiters
from seg.deliver.progress import AttemptProgress
from seg.deliver.rate_limits import UNLIMITED, RateLimit, SendingRates
from seg.deliver.slots import Slot, Slots
from seg.deliver.turns import DestinationTurns
from seg.events.base import IEventSink
from seg.events.gateway import Fault
from seg.mail.errors import Temporary, local_fault
from seg.mail.outcome import Delayed, Delivered, Outcome
from seg.queue.interfaces import IQueue, Lease

STARTS = 10  # attempts that begin in one turn of the reactor; each costs a millisecond or two
LOOKS = 50  # at destinations that aren't to have one now, that cost as much as a start
PUT_IN_LINE = 500  # destinations, in one turn
LOOK = 1.0  # seconds between two looks at how far the attempts are
ATTEMPT_TIMEOUT = 3600.0  # seconds for a whole attempt
MOST_KNOWN = 10_000  # destinations without an attempt under way of which something is remembered: the last ones
KNOWN_FOR = 3600.0  # seconds for which it is


NONE_SUSPENDED: Callable[[str], bool] = frozenset[str]().__contains__


class IAttempt(Protocol):
    """What the engine needs of an attempt: `outcomes` hold what is certain, also when `run` is cancelled half-way."""

    outcomes: dict[int, Outcome]
    connected: bool
    progress: AttemptProgress  # the engine puts one with its clock there
    crowded: list[LimitReached]  # why recipients without an outcome weren't tried

    def run(self) -> Coroutine[Deferred[Any], Any, None]:
        """Make the attempt."""


class DeliveryScheduler:
    """Runs attempts for the queue's due work.

    :param attempt: makes the attempt for a lease.
    :param limit: the most attempts at a time for a domain (its profile's concurrent connections).
    :param max_active: the most attempts at a time in all.
    """

    log = Logger()

    def __init__(
        self,
        queue: IQueue,
        attempt: Callable[[Lease], IAttempt],
        limit: Callable[[str], int],
        max_active: int,
        sink: IEventSink,
        clock: IReactorTime,
    ) -> None:
        self._queue = queue
        self._attempt = attempt
        self._limit = limit
        self._slots = Slots(max_active)
        self.attempt_timeout = ATTEMPT_TIMEOUT
        self._sink = sink
        self._clock = clock
        self.rate: Callable[[str], RateLimit] = lambda domain: UNLIMITED
        self._pace = SendingRates(clock.seconds)
        self.waiters = LimitWaiters(clock, self._ready)  # destinations that wait for a connection
        self._paced: dict[str, IDelayedCall] = {}  # destinations that had all that they may have for now
        self.suspended = NONE_SUSPENDED  # destinations that get nothing now
        self._parked: dict[str, None] = {}  # of these, the ones with due work
        self._turns = DestinationTurns()
        self._destinations: dict[str, ConcurrencyWindow] = {}  # those with attempts under way
        self._known: OrderedDict[str, ConcurrencyWindow] = OrderedDict()  # others
        self._looking: IDelayedCall | None = None
        self._running: dict[Lease, Deferred[None]] = {}
        self._settling: set[Deferred[None]] = set()
        self._stopped = False
        self._pumping = False
        self._budget = TurnBudget(clock, self._pump, STARTS * LOOKS)
        self._resuming = SpreadCalls(clock, PUT_IN_LINE)

    @property
    def max_active(self) -> int:
        """The most attempts at a time in all."""
        return self._slots.most

    @max_active.setter
    def max_active(self, most: int) -> None:
        self._slots.most = most

    @property
    def active(self) -> int:
        """Attempts under way."""
        return len(self._running)

    @property
    def known(self) -> int:
        """Destinations without an attempt under way of which something is remembered."""
        return len(self._known)

    def start(self) -> None:
        """Begin to work off the queue."""
        self._queue.subscribe(self._ready)

    @property
    def held_back(self) -> int:
        """Destinations with due mail that wait for a connection or for their recipient limit."""
        return len(self._paced) + len(self.waiters)

    def limited(self, domain: str) -> str:
        """Which limit a destination has reached, in words; "" when none holds it back."""
        if domain in self._paced:
            seconds = self._paced[domain].getTime() - self._clock.seconds()
            return f"it has had all the recipients that it may have; more may go in {max(0.0, seconds):.0f} seconds"
        if domain in self.waiters:
            return self.waiters.why(domain)
        destination = self._destinations.get(domain)
        if destination is not None and destination.active >= self._limit(domain):
            return "it has all the connections that it may have"
        return ""

    def _wait_for_pace(self, domain: str, rate: RateLimit) -> None:
        """Put a destination back in line when it may have more."""
        if domain not in self._paced:
            self._paced[domain] = self._clock.callLater(self._pace.free_in(domain, rate), self._pace_over, domain)

    def _pace_over(self, domain: str) -> None:
        del self._paced[domain]
        self._ready(domain)

    def resume(self) -> None:
        """Other destinations are suspended, or other limits hold, than before: go on with those that may."""
        parked = dict.fromkeys((*self._parked, *self._paced, *self.waiters.clear()))
        self._parked.clear()
        for waiting in self._paced.values():
            waiting.cancel()
        self._paced.clear()
        self._resuming.each(self._ready, parked)

    def _ready(self, domain: str) -> None:
        self._wait(domain)
        self._pump()

    def _wait(self, domain: str) -> None:
        """Put a destination in line."""
        self._turns.add(domain, self._destinations.get(domain) or self._known.get(domain))

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
        """So many as one turn of the reactor may begin; the rest in the next ones."""
        budget = self._budget
        while not self._stopped and budget.left > 0 and (domain := self._turns.next(self._slots)) is not None:
            budget.left -= 1
            if self.suspended(domain):
                self._parked[domain] = None
                continue
            if domain in self.waiters:
                continue
            destination = self._destinations.get(domain) or self._known.get(domain) or ConcurrencyWindow()
            if destination.active >= min(destination.most, self._limit(domain)):
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
            destination.active += 1
            self._destinations[domain] = destination
            self._known.pop(domain, None)
            self._wait(domain)
            budget.left -= LOOKS
            self._start(lease, destination)
        if budget.low and not self._stopped:
            budget.renew_later()

    def _start(self, lease: Lease, destination: ConcurrencyWindow) -> None:
        running: Deferred[None] = Deferred(lambda _: work.cancel())
        self._running[lease] = running
        attempt = self._attempt(lease)
        progress = attempt.progress = AttemptProgress(self._clock.seconds)
        progress.on_greeted = partial(self._greeted, lease.domain, destination)
        self._slots.take(lease, progress, destination.silent)
        self._look_later()
        work = Deferred.fromCoroutine(attempt.run())
        work.addBoth(self._finished, lease, attempt)

    def _greeted(self, domain: str, destination: ConcurrencyWindow) -> None:
        """A host of a destination has greeted: it may have more at a time from now on."""
        if not destination.greeted:
            destination.greeted = True
            self._ready(domain)

    # --- how long an attempt may take -------------------------------------------------------------

    def _look_later(self, seconds: float = LOOK) -> None:
        if self._looking is None and not self._stopped:
            self._looking = self._clock.callLater(seconds, self._look)

    def _look(self) -> None:
        """See which attempts are slow, and end those that have to make room, or have had their time."""
        self._looking = None
        now = self._clock.seconds()
        for slot in self._slots.look(now):
            destination = self._destinations[slot.lease.domain]
            destination.kept_waiting(slot.progress.greeted, slot.behind_dot)
        ends = self._ends(now)
        for slot, error in ends[:STARTS]:
            self._give_up(slot, error)
        self._pump()
        if self._running:
            self._look_later(0.0 if len(ends) > STARTS else LOOK)

    def _ends(self, now: float) -> list[tuple[Slot, Temporary]]:
        """The attempts that are to end now, and what to tell of them."""
        ends = []
        for slot in self._slots.too_many():
            waited = now - slot.progress.waiting_since
            text = f"No answer for {waited:.0f} s, and too many other hosts keep the gateway waiting: tried again later"
            ends.append((slot, Temporary("4.4.2" if slot.progress.greeted else "4.4.1", text)))
        for slot in self._slots:
            if now - slot.progress.begun >= self.attempt_timeout:
                text = f"The attempt took longer than {self.attempt_timeout:g} s (attempt_timeout)"
                ends.append((slot, Temporary("4.4.7", text)))
        return [(slot, error) for slot, error in ends if slot.progress.given_up is None]

    def _give_up(self, slot: Slot, error: Temporary) -> None:
        """End an attempt with what is certain; what its connection had under way gets its outcome by that connection's end."""
        slot.progress.give_up(error)
        running = self._running.get(slot.lease)
        if running is not None:  # it waits for something else: the DNS, a policy, a connection
            running.cancel()

    def _finished(self, result: object, lease: Lease, attempt: IAttempt) -> None:
        """Settle what is certain, free the slot, go on. An attempt that broke leaves its recipients for a later try."""
        running = self._running.pop(lease)
        slot = self._slots.free(lease)
        if isinstance(result, Failure) and not result.check(CancelledError):
            slot.progress.ours = True
            self._broken(result, lease, attempt)
        if not all(rid in attempt.outcomes for rid in lease.rids):
            self.waiters.add(lease.domain, attempt.crowded)
        settled = self._queue.settle(lease, attempt.outcomes)
        self._settling.add(settled)
        settled.addBoth(self._settled, settled)
        self._learn(lease.domain, attempt, slot)
        self._wait(lease.domain)
        running.callback(None)
        self._pump()

    def _learn(self, domain: str, attempt: IAttempt, slot: Slot) -> None:
        """What an attempt shows of its destination."""
        destination = self._destinations[domain]
        if not attempt.crowded or attempt.outcomes:
            destination.finished(_reached(attempt, slot), self._limit(domain))
        else:
            destination.crowded()
        if destination.active:
            return
        del self._destinations[domain]
        destination.rests()
        if destination.memorable:
            destination.rests_since = self._clock.seconds()
            self._known[domain] = destination
        self._forget()

    def _forget(self) -> None:
        """What a destination costs to which nothing has gone lately is nothing; the first in the table rests for longest."""
        oldest = self._clock.seconds() - KNOWN_FOR
        while self._known:
            domain, destination = next(iter(self._known.items()))
            if len(self._known) <= MOST_KNOWN and destination.rests_since > oldest:
                return
            del self._known[domain]

    def _broken(self, failure: Failure, lease: Lease, attempt: IAttempt) -> None:
        """A fault of ours: say so, and let the schedule space out the next tries."""
        self.log.failure("attempt for MID {mid} at {domain} broke", failure, mid=lease.mid, domain=lease.domain)
        self._sink.emit(Fault(f"MID {lease.mid} attempt at {lease.domain} broke: {failure.getErrorMessage()}"))
        fault = local_fault(failure.value)
        error = fault.temporary() if fault else Temporary("4.3.0", f"internal error: {failure.getErrorMessage()}")
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
        self._budget.stop()
        if self._looking is not None:
            self._looking.cancel()
            self._looking = None
        for waiting in self._paced.values():
            waiting.cancel()
        self._paced.clear()
        self.waiters.clear()
        running = list(self._running.values())
        if running:
            timer = self._clock.callLater(grace, self._cancel_all)
            await DeferredList(running, consumeErrors=True)
            if timer.active():
                timer.cancel()
        await DeferredList(list(self._settling), consumeErrors=True)


def _reached(attempt: IAttempt, slot: Slot) -> bool | None:
    """Whether a destination was served; None where an attempt doesn't show it."""
    if slot.progress.ours and not attempt.connected:
        return None
    if attempt.connected and slot.slow and not any(isinstance(o, Delivered) for o in attempt.outcomes.values()):
        return None  # it let us wait, and took nothing
    return attempt.connected
