"""What an attempt does, written down for a check: the observer of a dry run, and the sink of its connections."""

from __future__ import annotations

from collections.abc import Mapping

import attrs
from zope.interface import implementer

from seg.check.report import AddressReport, CheckReport, HostReport, NoSession
from seg.deliver.attempt_record import AttemptRecord
from seg.deliver.connection_errors import AuthenticationError, HandshakeFailed, Unreachable
from seg.deliver.observer import IAttemptObserver
from seg.deliver.policy_violation import PolicyViolation
from seg.deliver.verified_connection import VerifiedConnection
from seg.events.base import Event, IEventSink
from seg.events.delivery import DeliveryConnected, DeliveryConnectFailed
from seg.mail.errors import DeliveryError, Temporary, local_fault
from seg.mail.hosts import MXHost, PeerAddress, Route
from seg.mail.outcome import Delivered, Outcome
from seg.policy.judge import Verdict
from seg.policy.requirement import Decision
from seg.tls.peer import SessionFacts


@implementer(IEventSink, IAttemptObserver)
class DryRunRecorder:
    """Give it to an attempt, run that, then take the `report`."""

    debug = False

    def __init__(self) -> None:
        self.interface = ""  # our end of the last connection
        self._route: Route | None = None
        self._error: DeliveryError | None = None
        self._decisions: dict[str, Decision] = {}
        self._seen: dict[str, list[AddressReport]] = {}
        self._taken: tuple[str, Outcome] | None = None
        self._given_up: Verdict | None = None  # at the address that is being tried

    def report(self, attempt: AttemptRecord) -> CheckReport:
        """What was seen in this attempt, which has ended."""
        hosts = self._route.hosts if self._route is not None else ()
        reports = [
            HostReport(host, self._decisions[host.name], tuple(self._seen.get(host.name, ())))
            for host in hosts
            if host.name in self._decisions
        ]
        name, outcome = self._taken or ("", attempt.outcomes[0])
        domain, profile = attempt.lease.domain, attempt.plan.profile
        return CheckReport(domain, profile, self._route, self._error, tuple(reports), outcome, name)

    def emit(self, event: Event) -> None:
        """Take note of our end of each connection."""
        if isinstance(event, DeliveryConnected):
            self.interface = event.local
        elif isinstance(event, DeliveryConnectFailed):
            self.interface = ""

    # --- IAttemptObserver ------------------------------------------------------------------------

    def route_found(self, route: Route) -> None:
        """See `IAttemptObserver.route_found`."""
        self._route = route

    def route_failed(self, error: DeliveryError) -> None:
        """See `IAttemptObserver.route_failed`."""
        self._error = error

    def decided(self, host: MXHost, decision: Decision) -> None:
        """A second look takes the place of the first."""
        self._decisions[host.name] = decision
        self._seen.pop(host.name, None)

    def host_refused(self, decision: Decision) -> None:
        """The decision says it."""

    def policy_violated(self, decision: Decision, verdict: Verdict, given_up: bool) -> None:
        """See `IAttemptObserver.policy_violated`."""
        if given_up:
            self._given_up = verdict

    def address_failed(self, decision: Decision, address: PeerAddress, error: Temporary) -> None:
        """See `IAttemptObserver.address_failed`."""
        held_against, facts, verdict = decision, SessionFacts(), None
        if isinstance(error, PolicyViolation):
            held_against, facts, verdict = error.decision, error.facts, error.verdict
        port = self._port_of(decision.host)
        self._note(
            decision,
            AddressReport(
                str(address), port, held_against, self.interface, facts, verdict, error.told, _no_session(error)
            ),
        )

    def connected(self, decision: Decision, connection: VerifiedConnection) -> None:
        """See `IAttemptObserver.connected`."""
        key, sender, verdict = connection.key, connection.sender, connection.verdict
        if self._taken is None:
            given_up = f", {weakened(self._given_up)}" if self._given_up else ""
            self._taken = (decision.host, Delivered(0, verdict.reason + given_up))
        self._note(decision, AddressReport(str(key.address), key.port, decision, self.interface, sender.facts, verdict))

    def transmitting(self, connection: VerifiedConnection, rids: tuple[int, ...]) -> None:
        """Never: nothing is sent."""

    def transmitted(self, connection: VerifiedConnection, results: Mapping[int, Outcome]) -> None:
        """Never."""

    def _note(self, decision: Decision, report: AddressReport) -> None:
        self._seen.setdefault(decision.host, []).append(attrs.evolve(report, given_up=self._given_up))
        self._given_up = None

    def _port_of(self, name: str) -> int:
        hosts = self._route.hosts if self._route is not None else ()
        return next((host.port for host in hosts if host.name == name), 0)


def weakened(verdict: Verdict) -> str:
    """What failed at a session and was given up, as the operator allows."""
    return f"although {' and '.join(verdict.failed).upper()} failed ({verdict.summary}) and was given up (fall-through)"


def _no_session(error: Temporary) -> NoSession:
    """Why no session came about."""
    if local_fault(error) is not None:
        return NoSession.LOCAL
    if isinstance(error, AuthenticationError):
        return NoSession.AUTH
    if isinstance(error, HandshakeFailed):
        return NoSession.TLS
    if isinstance(error, Unreachable) or not error.remote:
        return NoSession.UNREACHABLE
    return NoSession.REFUSED
