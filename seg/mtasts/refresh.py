"""Renews cached policies before they expire, also while no mail flows (RFC 8461 §3.3, §10.2).

Every policy is looked at once within the refresh interval, at a random time, so that many don't come at once. A policy that
nobody has used for longer than its max_age is let go.
"""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.defer import CancelledError, Deferred, DeferredList
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from seg.config.schema import MTASTS
from seg.mtasts.cache import CachedPolicy
from seg.mtasts.store import PolicyStore

LOOK = 60.0  # seconds between two looks for policies that are due
AT_ONCE = 5  # policies renewed at a time
EARLIEST, LATEST = 0.4, 0.9  # shares of the interval between which a policy is renewed
AGAIN = 1 / 24  # of the interval: about when a renewal that changed nothing is tried again


class PolicyRefresh:
    """Keeps the store's cache fresh.

    :param random: a number from 0 up to 1.
    """

    log = Logger()

    def __init__(self, store: PolicyStore, settings: MTASTS, clock: IReactorTime, random: Callable[[], float]) -> None:
        self._store = store
        self._interval = settings.refresh_interval
        self._clock = clock
        self._random = random
        self._due: dict[str, tuple[CachedPolicy, float]] = {}  # when an entry, as it was then, is to be renewed
        self._running: dict[str, Deferred[None]] = {}
        self._call: IDelayedCall | None = None

    def start(self) -> None:
        """Begin."""
        self._call = self._clock.callLater(LOOK, self._look)

    def stop(self) -> Deferred[None]:
        """Begin nothing new, and give up what is under way."""
        if self._call is not None and self._call.active():
            self._call.cancel()
        running = list(self._running.values())
        for renewal in running:
            renewal.cancel()
        return DeferredList(running).addCallback(lambda _: None)

    def due_at(self, entry: CachedPolicy) -> float:
        """When a policy is to be renewed: within the interval, and before it expires. Drawn once for each renewal.

        One that was looked at in the future is due at once: the clock has gone back.
        """
        known = self._due.get(entry.domain)
        if known is not None and (known[0].checked, known[0].fetched) == (entry.checked, entry.fetched):
            return known[1]
        share = EARLIEST + (LATEST - EARLIEST) * self._random()
        due = entry.checked + share * min(self._interval, max(0.0, entry.expires - entry.checked))
        if entry.checked > self._clock.seconds():
            due = 0.0
        self._due[entry.domain] = (entry, due)
        return due

    def _look(self) -> None:
        self._call = self._clock.callLater(LOOK, self._look)
        now = self._clock.seconds()
        for entry in self._store.cache:
            if entry.expires <= now:
                self._due.pop(entry.domain, None)
                self._store.cache.remove(entry.domain)
            elif now >= self.due_at(entry) and now - entry.used <= entry.policy.max_age:
                if len(self._running) >= AT_ONCE:
                    return
                self._renew(entry)

    def _renew(self, entry: CachedPolicy) -> None:
        if entry.domain in self._running:
            return
        # What changes nothing (no answer, no record any more) is tried again later, until the policy expires.
        self._due[entry.domain] = (entry, self._clock.seconds() + self._interval * AGAIN * (0.5 + self._random()))
        renewal = Deferred.fromCoroutine(self._store.renew(entry))
        self._running[entry.domain] = renewal
        renewal.addErrback(self._failed, entry.domain)
        renewal.addBoth(lambda _: self._running.pop(entry.domain, None))

    def _failed(self, failure: Failure, domain: str) -> None:
        if not failure.check(CancelledError):
            self.log.failure("the policy of {domain} could not be renewed", failure, domain=domain)
