"""AUTH in one session: what the client sends goes to the SASL server, and its answer to the client."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from twisted.internet.defer import Deferred

from seg.auth.mechanism_results import Challenge, Success
from seg.auth.sasl_server import Answer, Exchange, SASLServer
from seg.events.receive import AuthFailed, AuthSucceeded
from seg.mail.hosts import IPAddress
from seg.receive.context import ListenerContext
from seg.receive.refusals import Refusals
from seg.smtp import server_events as events
from seg.smtp.reply import Reply
from seg.smtp.server import ServerConnection

MOST_FAILURES = 5  # in one connection

INVALID = Reply.of(535, "5.7.8", "Authentication credentials invalid")
UNAVAILABLE = Reply.of(454, "4.7.0", "Temporary authentication failure")
LOCKED = Reply.of(454, "4.7.0", "Too many authentication failures from your address; try again later")
TOO_MANY = Reply.of(421, "4.7.0", "Too many authentication failures; closing connection")


class AuthSession:
    """Lets the client of a session authenticate.

    :param on_answer: called when an answer was given that took its time.
    """

    def __init__(
        self,
        sasl: SASLServer,
        context: ListenerContext,
        core: ServerConnection,
        icid: int,
        refusals: Refusals,
        on_answer: Callable[[], None],
    ) -> None:
        self.mechanism = ""  # by which the client authenticated
        self._sasl = sasl
        self._core = core
        self._icid = icid
        self._profile = context.auth_profile
        self._sink = context.sink
        self._refusals = refusals
        self._on_answer = on_answer
        self._bindings: Mapping[str, bytes] = {}
        self._exchange: Exchange | None = None
        self._waiting: Deferred[Answer] | None = None
        self._failures = 0

    def secured(self, bindings: Mapping[str, bytes]) -> None:
        """TLS is on: AUTH may be offered."""
        self._bindings = bindings
        self._core.mechanisms = self._sasl.mechanisms(bindings)

    def begin(self, event: events.AuthBegun, address: IPAddress) -> None:
        """AUTH."""
        if self._sasl.locked(address):
            self._told_failed("", event.mechanism, "too many failures from this address")
            self._core.refuse(LOCKED)
            return
        self._exchange = self._sasl.exchange(event.mechanism, self._bindings, address)
        self._wait_for(self._exchange.start(event.initial))

    def respond(self, event: events.AuthResponse) -> None:
        """A response to a challenge."""
        assert self._exchange is not None  # the core knows of a challenge
        self._wait_for(self._exchange.step(event.data))

    def ended(self, event: events.AuthEnded) -> None:
        """The client gave up, or sent what can't be read."""
        exchange, self._exchange = self._exchange, None
        if exchange is not None:
            self._told_failed("", exchange.mechanism, event.reply.message)

    def cancel(self) -> None:
        """The client has gone."""
        if self._waiting is not None:
            self._waiting.cancel()

    def _wait_for(self, answer: Deferred[Answer]) -> None:
        self._waiting = answer
        at_once = True
        answer.addCallbacks(
            lambda found: self._answered(found, at_once), lambda _: None
        )  # it fails when it is cancelled only
        at_once = False

    def _answered(self, answer: Answer, at_once: bool) -> None:
        self._waiting = None
        exchange = self._exchange
        assert exchange is not None
        if isinstance(answer, Challenge):
            self._core.challenge(answer.data)
        elif isinstance(answer, Success):
            self.mechanism = exchange.mechanism
            self._sink.emit(AuthSucceeded(self._icid, answer.identity, exchange.mechanism, self._profile))
            self._core.authenticated(answer.identity)
        else:
            self._told_failed(answer.user, exchange.mechanism, answer.reason)
            self._failures += 1
            if self._failures >= MOST_FAILURES:
                self._core.end(TOO_MANY)
            else:
                self._core.refuse(UNAVAILABLE if answer.later else INVALID)
        if not isinstance(answer, Challenge):
            self._exchange = None
        if not at_once:
            self._on_answer()

    def _told_failed(self, user: str, mechanism: str, reason: str) -> None:
        self._refusals.emit(AuthFailed(self._icid, user, mechanism, self._profile, reason))
