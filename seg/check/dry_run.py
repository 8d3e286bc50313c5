"""An attempt without a message: the same algorithm, up to a session that would do; then QUIT, and the next host."""

from __future__ import annotations

from collections.abc import AsyncIterator

import attrs
from zope.interface import implementer

from seg.check.report import AddressReport, CheckReport, HostReport, NoSession
from seg.deliver.attempt import Attempt, AttemptServices
from seg.deliver.connection_errors import AuthenticationError, HandshakeFailed, Unreachable
from seg.deliver.connections import VerifiedConnection
from seg.deliver.policy_violation import PolicyViolation
from seg.events.base import Event, IEventSink
from seg.events.delivery import DeliveryConnected, DeliveryConnectFailed
from seg.mail.envelope import Envelope, Recipient
from seg.mail.errors import DeliveryError, Temporary, local_fault
from seg.mail.hosts import MXHost, PeerAddress, Route
from seg.mail.ids import IMessageIds
from seg.mail.outcome import Delayed, Delivered, Outcome
from seg.policy.judge import Verdict
from seg.policy.requirement import Decision
from seg.queue.interfaces import IContent, Lease
from seg.tls.peer import SessionFacts


@implementer(IEventSink)
class DryRunRecorder:
    """Keeps what a rehearsal's connections tell."""

    debug = False

    def __init__(self) -> None:
        self.interface = ""  # our end of the last connection

    def emit(self, event: Event) -> None:
        """Take note."""
        if isinstance(event, DeliveryConnected):
            self.interface = event.local
        elif isinstance(event, DeliveryConnectFailed):
            self.interface = ""


@implementer(IMessageIds)
class NoIds:
    """Connections of a check bear no DCID: they aren't deliveries, and the mail log doesn't show them."""

    unreserved = False

    def reserve(self) -> None:
        """Nothing to reserve."""

    def next_mid(self) -> int:
        """None."""
        return 0

    def next_icid(self) -> int:
        """None."""
        return 0

    def next_dcid(self) -> int:
        """None."""
        return 0


@implementer(IContent)
class EmptyContent:
    """The content of no message."""

    size = 0

    async def chunks(self) -> AsyncIterator[bytes]:
        """Nothing."""
        nothing: tuple[bytes, ...] = ()
        for piece in nothing:
            yield piece

    async def head(self, limit: int) -> bytes:
        """Nothing."""
        return b""


def _cause(error: Temporary) -> NoSession:
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


def weakened(verdict: Verdict) -> str:
    """What failed at a session and was given up, as the operator allows."""
    return f"although {' and '.join(verdict.failed).upper()} failed ({verdict.summary}) and was given up (fall-through)"


class DryRun(Attempt):
    """`run` it, then take the `report`. All hosts are looked at, also those behind one that would take the message."""

    def __init__(self, domain: str, means: AttemptServices, notebook: DryRunRecorder) -> None:
        recipient = Recipient(0, f"postmaster@{domain}")
        super().__init__(Lease(Envelope(0, "", (recipient,), 0.0), domain, (recipient,), EmptyContent()), means)
        self._outgoing = attrs.evolve(self._outgoing, connections=0)  # its few connections aren't what the limit is for
        self._notebook = notebook
        self._route: Route | None = None
        self._error: DeliveryError | None = None
        self._decisions: dict[str, Decision] = {}
        self._seen: dict[str, list[AddressReport]] = {}
        self._taken: tuple[str, Outcome] | None = None
        self._given_up: Verdict | None = None  # at the address that is being tried

    def give_up(self, why: str) -> None:
        """It took too long: what wasn't found out stays so."""
        self._conclude(Delayed(Temporary("4.4.2", why)))

    def report(self) -> CheckReport:
        """What was seen."""
        hosts = self._route.hosts if self._route is not None else ()
        reports = [
            HostReport(host, self._decisions[host.name], tuple(self._seen.get(host.name, ())))
            for host in hosts
            if host.name in self._decisions
        ]
        name, outcome = self._taken or ("", self.outcomes[0])
        return CheckReport(self._lease.domain, self._profile, self._route, self._error, tuple(reports), outcome, name)

    # --- what the attempt does, written down -----------------------------------------------------

    async def _find_route(self) -> Route:
        try:
            self._route = await super()._find_route()
        except DeliveryError as error:
            self._error = error
            raise
        return self._route

    def _decided(self, host: MXHost, decision: Decision) -> None:
        self._decisions[host.name] = decision
        self._seen.pop(host.name, None)  # a second look takes the place of the first

    async def _send(self, decision: Decision, session: VerifiedConnection, waiting: list[Recipient]) -> list[Recipient]:
        """Nothing is sent: leave politely."""
        key, sender = session.key, session.sender
        report = AddressReport(
            str(key.address), key.port, decision, self._notebook.interface, sender.facts, session.verdict
        )
        if self._taken is None:
            reason = session.verdict.reason
            given_up = f", {weakened(self._given_up)}" if self._given_up else ""
            self._taken = (decision.host, Delivered(0, reason + given_up))
        self._note(decision, report)
        sender.quit_soon()
        return []

    def _tell_failure(self, decision: Decision, verdict: Verdict) -> None:
        super()._tell_failure(decision, verdict)
        if set(verdict.failed) & set(decision.fall_through):
            self._given_up = verdict

    def _address_failed(self, decision: Decision, address: PeerAddress, error: Temporary) -> None:
        super()._address_failed(decision, address, error)
        held_against, facts, verdict = decision, SessionFacts(), None
        if isinstance(error, PolicyViolation):
            held_against, facts, verdict = error.decision, error.facts, error.verdict
        port, interface = self._port_of(decision.host), self._notebook.interface
        report = AddressReport(str(address), port, held_against, interface, facts, verdict, error.text, _cause(error))
        self._note(decision, report)

    def _note(self, decision: Decision, report: AddressReport) -> None:
        self._seen.setdefault(decision.host, []).append(attrs.evolve(report, given_up=self._given_up))
        self._given_up = None

    def _port_of(self, name: str) -> int:
        hosts = self._route.hosts if self._route is not None else ()
        return next((host.port for host in hosts if host.name == name), 0)
