"""Does the resolver validate? Asked at the start and hourly, and told once when it changes."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Protocol

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from seg.dns.answer import DNSFailure
from seg.events.base import IEventSink
from seg.events.conditions import Condition
from seg.events.gateway import ConditionKind, Fault, Notice
from seg.mail.errors import LocalFault

HOUR = 3600.0
RETRY = 60.0  # seconds until the next probe when none of the resolvers answered

NOT_VALIDATING = (
    "no trusted resolver validates DNSSEC: DANE isn't applied, and mail to destinations with mandatory DANE "
    "waits. Run a validating resolver on this host (unbound, knot-resolver), name it in dns.resolvers, and "
    "see that its address is in dns.trusted"
)
UNKNOWN = (
    "no trusted resolver answers the gateway's probe: whether they validate DNSSEC isn't known; see that they run, and that dns.resolvers and "
    "dns.trusted are right"
)
VALIDATING = "the resolver validates DNSSEC again: DANE is applied"


class Probed(Protocol):
    """What is probed: `seg.dns.resolver.StubResolver`."""

    def probe(self) -> Awaitable[bool]:
        """Whether it validates.

        :raises DNSFailure: nobody answered.
        :raises LocalFault: nobody could be asked.
        """


class ValidationProbe:
    """Probes a resolver and keeps the verdict in `validates`; one Warning when it is bad, one Notice when
    it's good again.

    A probe that gets no answer changes nothing: who can suppress answers must not be able to switch DANE off. It is told as a condition.

    :param interval: seconds between two probes.
    :param changed: called when the verdict changed: answers kept from before bear the wrong security.
    """

    log = Logger()

    def __init__(
        self,
        resolver: Probed,
        clock: IReactorTime,
        sink: IEventSink,
        interval: float = HOUR,
        changed: Callable[[], object] = lambda: None,
    ) -> None:
        self.validates = True  # the operator named it as trusted; that counts until it is known better
        self.known = False  # whether some probe was answered
        self._unanswered = Condition(sink, ConditionKind.RESOLVER, "probe")
        self._resolver = resolver
        self._clock = clock
        self._sink = sink
        self._interval = interval
        self._changed = changed
        self._running: Deferred[None] | None = None
        self._timer: IDelayedCall | None = None

    @property
    def verdict(self) -> bool | None:
        """Whether the resolver validates, as far as it has ever said; None: it never has."""
        return self.validates if self.known else None

    def follow(self, former: ValidationProbe) -> None:
        """Go on with what lasts, after a reload with other resolvers."""
        self._unanswered = former._unanswered

    def start(self) -> Deferred[None]:
        """Begin; fires after the first probe, and never fails."""
        first: Deferred[None] = Deferred()
        self._run().addCallback(first.callback)
        return first

    def stop(self) -> None:
        """End."""
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
        if self._running is not None:
            self._running.cancel()

    def _run(self) -> Deferred[None]:
        running = self._running = Deferred.fromCoroutine(self._probe())
        return running.addErrback(self._broke)

    async def _probe(self) -> None:
        wait = self._interval
        try:
            self._judge(await self._resolver.probe())
        except (DNSFailure, LocalFault) as failure:
            self.log.info("the resolver's validation can't be probed: {failure}", failure=failure)
            self._unanswered.begin(UNKNOWN)
            wait = min(RETRY, self._interval)
        self._timer = self._clock.callLater(wait, self._run)

    def _judge(self, validates: bool) -> None:
        self.known = True
        self._unanswered.end("the resolvers answer the gateway's probe")
        if validates == self.validates:
            return
        self.validates = validates
        self._changed()
        self._sink.emit(Notice(VALIDATING) if validates else Fault(NOT_VALIDATING))

    def _broke(self, failure: Failure) -> None:
        """Stopped while a question was out; anything else is a fault of ours, and mail goes on as it did."""
        if not failure.check(CancelledError):
            self.log.failure("probing the resolver broke", failure)
            self._sink.emit(Fault(f"probing the resolver broke: {failure.getErrorMessage()}"))
            self._timer = self._clock.callLater(self._interval, self._run)
