"""What an attempt does, as events: for the mail log, the counts of `admin`, and the postmaster's alerts."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from zope.interface import implementer

from seg.deliver.connection_errors import PolicyRefusal
from seg.deliver.observer import IAttemptObserver
from seg.deliver.plan import AttemptPlan
from seg.deliver.policy_violation import PolicyViolation, mismatches_of
from seg.deliver.smtp_client import Tampered
from seg.deliver.verified_connection import VerifiedConnection
from seg.events.base import IEventSink
from seg.events.delivery import (
    DeliveryStarted,
    ExemptionUsed,
    PolicyExplained,
    PolicyObserved,
    RecipientsDelivered,
    RecipientsDiscarded,
    RouteUsed,
)
from seg.events.policy import DANEFailed, DANESucceeded, DANEWeakened, STSFailed, STSSucceeded
from seg.mail.causes import CauseKind, PolicyResult
from seg.mail.errors import DeliveryError, Temporary
from seg.mail.hosts import MXHost, PeerAddress, Route, RouteKind
from seg.mail.outcome import Delivered, Outcome
from seg.policy.judge import ObservedResult, Verdict
from seg.policy.requirement import Decision, TLSLevel
from seg.policy.sources import DANE, MTA_STS
from seg.queue.interfaces import Lease
from seg.smtp.told_replies import ToldReplies

Alert = Callable[[str, str, str], object]  # (domain, host, text): required TLS fails


@implementer(IAttemptObserver)
class ReportEvents:
    """The observer of one delivery's attempt.

    :param alert: tells the postmaster, where the destination's profile wants that.
    """

    def __init__(self, lease: Lease, plan: AttemptPlan, sink: IEventSink, alert: Alert) -> None:
        self._lease = lease
        self._profile = plan.profile
        self._sink = sink
        self._tell_postmaster = alert

    def route_found(self, route: Route) -> None:
        """Routes of the operator are told, as policies don't apply to them."""
        lease = self._lease
        if route.kind is RouteKind.DISCARD:
            self._sink.emit(RecipientsDiscarded(lease.mid, lease.rids, lease.domain))
        elif route.kind is RouteKind.SMTP_ROUTE:
            self._sink.emit(RouteUsed(lease.mid, lease.domain, ", ".join(host.name for host in route.hosts)))

    def route_failed(self, error: DeliveryError) -> None:
        """Nothing: the outcome of each recipient says it."""

    def decided(self, host: MXHost, decision: Decision) -> None:
        """Nothing: what comes of it is told."""

    def host_refused(self, decision: Decision) -> None:
        """See `IAttemptObserver.host_refused`."""
        self._alert(decision, decision.refusal)
        refused_by = decision.opinions[-1].provider if decision.opinions else ""
        self._failed({refused_by}, decision, decision.refusal)
        cause = decision.cause or CauseKind.PROVIDER_REFUSED
        self._explain(decision, f"refused: {decision.refusal}", PolicyResult.REFUSED, cause=cause)

    def policy_violated(self, decision: Decision, verdict: Verdict, given_up: bool) -> None:
        """See `IAttemptObserver.policy_violated`."""
        text = mismatches_of(verdict)
        self._failed(set(verdict.failed), decision, text)
        if given_up:
            self._explain_verdict(decision, verdict.reason, verdict)
            self._sink.emit(DANEWeakened(decision.domain, decision.host, text))

    def address_failed(self, decision: Decision, address: PeerAddress, error: Temporary) -> None:
        """See `IAttemptObserver.address_failed`."""
        if isinstance(error, PolicyViolation):
            self._alert(decision, mismatches_of(error.verdict))
            self._explain_verdict(decision, error.verdict.reason, error.verdict)
            return
        if isinstance(error, Tampered) and decision.requirement.tls is not TLSLevel.NEVER:
            self._alert(decision, error.text)
        result = PolicyResult.REFUSED if isinstance(error, PolicyRefusal) else PolicyResult.NOT_REACHED
        self._explain(decision, f"not reached: {error.text}", result, cause=error.cause)

    def connected(self, decision: Decision, connection: VerifiedConnection) -> None:
        """See `IAttemptObserver.connected`."""
        verdict = connection.verdict
        if verdict.matched:
            matched = dict(verdict.matched)
            if DANE in matched:
                self._sink.emit(DANESucceeded(decision.domain, decision.host, verdict.trusted))
            if MTA_STS in matched:
                self._sink.emit(STSSucceeded(decision.domain))
        for observed in verdict.observed:
            self._observed(decision, observed)
        self._explain_verdict(decision, _with_observed(verdict) if verdict.observed else verdict.reason, verdict)

    def transmitting(self, connection: VerifiedConnection, rids: tuple[int, ...]) -> None:
        """See `IAttemptObserver.transmitting`."""
        self._sink.emit(DeliveryStarted(connection.sender.dcid, self._lease.mid, rids, self._lease.domain))

    def transmitted(self, connection: VerifiedConnection, results: Mapping[int, Outcome]) -> None:
        """One event for each reply; usually all recipients share one."""
        by_reply: dict[str, list[int]] = {}
        for rid, outcome in results.items():
            if isinstance(outcome, Delivered):
                by_reply.setdefault(outcome.reply, []).append(rid)
        told, lease = ToldReplies(), self._lease
        for reply, rids in by_reply.items():
            text = told.text(reply)
            self._sink.emit(RecipientsDelivered(connection.sender.dcid, lease.mid, tuple(rids), text, lease.domain))

    # --- what they share ------------------------------------------------------------------------

    def _observed(self, decision: Decision, observed: ObservedResult) -> None:
        """How the session fared against a policy that isn't enforced."""
        domain, host = decision.domain, decision.host
        text = "; ".join(dict.fromkeys((observed.text, *observed.details)))
        self._sink.emit(PolicyObserved(domain, host, observed.provider, observed.ok, text, observed.cause))
        if observed.ok:
            return
        self._failed({observed.provider}, decision, text, enforced=False)
        exemption = self._profile.exemption
        if exemption is not None and observed.relaxed:
            used = ExemptionUsed(domain, host, observed.provider, text, exemption.end, exemption.reason)
            self._sink.emit(used)

    def _failed(self, providers: set[str], decision: Decision, text: str, enforced: bool = True) -> None:
        if MTA_STS in providers:
            self._sink.emit(STSFailed(decision.domain, decision.host, text, enforced))
        if DANE in providers:
            self._sink.emit(DANEFailed(decision.domain, decision.host, text, enforced))

    def _alert(self, decision: Decision, text: str) -> None:
        if self._profile.tls_alert:
            self._tell_postmaster(decision.domain, decision.host, text)

    def _explain_verdict(self, decision: Decision, outcome: str, verdict: Verdict) -> None:
        self._explain(decision, outcome, verdict.result, verdict.verified_by, verdict.cause)

    def _explain(
        self,
        decision: Decision,
        outcome: str,
        result: PolicyResult,
        verified_by: str = "",
        cause: CauseKind | None = None,
    ) -> None:
        opinions = tuple([(opinion.provider, opinion.text) for opinion in decision.opinions])
        if self._profile.exemption is not None:
            outcome = f"{outcome}; {self._profile.exemption}"
        mid, domain, host = self._lease.mid, decision.domain, decision.host
        self._sink.emit(PolicyExplained(mid, domain, host, opinions, outcome, result, verified_by, cause))


def _with_observed(verdict: Verdict) -> str:
    """The verdict in words, with what an observed policy would have said."""
    notes = [f"{o.provider} observed: {'passed' if o.ok else 'failed, ' + o.text}" for o in verdict.observed]
    return f"{verdict.reason} ({'; '.join(notes)})"
