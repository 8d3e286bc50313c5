"""Renews cached policies before they expire, also while no mail flows (RFC 8461 §3.3, §10.2).

Every policy is looked at once within the refresh interval, at a random time, so that many don't come at once. A policy that
nobody has used for longer than its max_age is let go.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

import attrs
from twisted.internet.defer import CancelledError, Deferred, DeferredList
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from seg.config.schema import MTASTS
from seg.mail.errors import LocalFault
from seg.policy.mtasts.entry import KnownPolicy
from seg.policy.mtasts.store import PolicyStore

LOOK = 60.0  # seconds between two looks for policies that are due
LOOKED_AT = 2000  # policies in one turn of the reactor
PAUSE = 0.05  # seconds between two such turns
AT_ONCE = 5  # policies renewed at a time
EARLIEST, LATEST = 0.4, 0.9  # shares of the interval between which a policy is renewed
KEPT_OVER = (
    86400.0  # seconds of this run that an expired policy is kept: the system's clock may be wrong, and be set right
)
AGAIN = 1 / 24  # of the interval: about when a renewal that changed nothing is tried again


@attrs.frozen
class _Due:
    """When an entry is to be renewed, as long as it is still the one with these times."""

    checked: float
    fetched: float
    at: float


class PolicyRefresh:
    """Keeps the store's cache fresh.

    :param random: a number from 0 up to 1.
    """

    log = Logger()

    def __init__(self, store: PolicyStore, settings: MTASTS, clock: IReactorTime, random: Callable[[], float]) -> None:
        self._store = store
        self._interval = settings.refresh_interval
        self._clock = clock
        self._now = store.now
        self._random = random
        self._due: dict[str, _Due] = {}
        self._over: dict[str, float] = {}  # expired policies, and when that was seen first
        self._waiting: deque[str] = deque()  # domains that are due, and not begun
        self._running: dict[str, Deferred[None]] = {}
        self._filling = False
        self._call: IDelayedCall | None = None

    def start(self) -> None:
        """Begin."""
        self._call = self._clock.callLater(LOOK, self._look)

    def stop(self) -> Deferred[None]:
        """Begin nothing new, and give up what is under way."""
        if self._call is not None:
            self._call.cancel()
            self._call = None
        self._waiting.clear()
        running = list(self._running.values())
        for renewal in running:
            renewal.cancel()
        return DeferredList(running).addCallback(lambda _: None)

    def due_at(self, entry: KnownPolicy) -> float:
        """When a policy is to be renewed: within the interval, and before it expires. Drawn once for each renewal.

        One that was looked at in the future is due at once: the clock has gone back.
        """
        known = self._due.get(entry.domain)
        if known is not None and (known.checked, known.fetched) == (entry.checked, entry.fetched):
            return known.at
        share = EARLIEST + (LATEST - EARLIEST) * self._random()
        at = entry.checked + share * min(self._interval, max(0.0, entry.expires - entry.checked))
        if entry.checked > self._now():
            at = 0.0
        self._note(entry, at)
        return at

    def _note(self, entry: KnownPolicy, at: float) -> None:
        self._due[entry.domain] = _Due(entry.checked, entry.fetched, at)

    def _look(self) -> None:
        self._waiting.clear()
        self._store.troubles.look(self._now())
        Deferred.fromCoroutine(self._store.cache.maintain()).addErrback(
            lambda failure: self.log.failure("the policies' files", failure)
        )
        cache = self._store.cache
        self._due = {domain: due for domain, due in self._due.items() if cache.known(domain) is not None}
        self._over = {domain: at for domain, at in self._over.items() if self._is_over(domain)}
        self._look_at(list(cache), 0)

    def _look_at(self, known: list[KnownPolicy], start: int) -> None:
        """Look at some of them; at the rest in a moment, so that many don't keep everything else waiting."""
        now = self._now()
        for entry in known[start : start + LOOKED_AT]:
            if not self._store.in_force(entry):
                self._let_go(entry.domain)
            elif entry.domain in self._running:
                continue
            elif now >= self.due_at(entry) and now - entry.used <= entry.max_age:
                self._waiting.append(entry.domain)
        start += LOOKED_AT
        if start < len(known):
            self._call = self._clock.callLater(PAUSE, self._look_at, known, start)
        else:
            self._call = self._clock.callLater(LOOK, self._look)
        self._fill()

    def _is_over(self, domain: str) -> bool:
        known = self._store.cache.known(domain)
        return known is not None and not self._store.in_force(known)

    def _let_go(self, domain: str) -> None:
        """Forget a policy that is over, and has been for a while: until then it is only not in force."""
        seen = self._clock.seconds()
        if domain not in self._over:
            self._over[domain] = seen
            self._store.cache.over(domain)
        elif seen - self._over[domain] >= KEPT_OVER:
            del self._over[domain]
            self._store.cache.forget(domain)

    def _fill(self) -> None:
        """Begin renewals, so many at a time; the end of each begins the next."""
        if self._filling:
            return  # one that ended at once: the loop below goes on
        self._filling = True
        while self._waiting and len(self._running) < AT_ONCE:
            entry = self._store.cache.known(self._waiting.popleft())
            if entry is not None:
                self._renew(entry)
        self._filling = False

    def _renew(self, entry: KnownPolicy) -> None:
        # What changes nothing (no answer, no record any more) is tried again later, until the policy expires.
        self._note(entry, self._now() + self._interval * AGAIN * (0.5 + self._random()))
        renewal = self._running[entry.domain] = Deferred.fromCoroutine(self._store.renew(entry))
        renewal.addErrback(self._failed, entry.domain)
        renewal.addBoth(self._ended, entry.domain)

    def _ended(self, _: object, domain: str) -> None:
        del self._running[domain]
        self._fill()

    def _failed(self, failure: Failure, domain: str) -> None:
        if not failure.check(CancelledError, LocalFault):  # a fault of ours is told where it is met
            self.log.failure("the policy of {domain} could not be renewed", failure, domain=domain)
