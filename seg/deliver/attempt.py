"""One attempt: the due recipients of one message at one destination, from route to outcome.

This is the algorithm of the product, from top to bottom: find the hosts, decide for each how it must be reached, open a
session that satisfies the decision or leave the host alone, send, and keep what each recipient got.
"""

from __future__ import annotations

from collections.abc import Callable

import attrs
from twisted.internet.defer import CancelledError

from seg.common.errors import without_traces
from seg.config.destinations import Destinations, LimitPer
from seg.deliver.connection_errors import PolicyRefusal
from seg.deliver.connection_limits import LimitReached
from seg.deliver.connections import DANE, MTA_STS, ConnectionOpener, VerifiedConnection
from seg.deliver.interfaces import IRouter
from seg.deliver.outbound import outgoing_of
from seg.deliver.policy_violation import PolicyViolation, mismatches_of
from seg.deliver.progress import AttemptProgress
from seg.deliver.rate_limits import RateLimit, SendingRates
from seg.deliver.smtp_client import Tampered
from seg.deliver.transactions import at_host, fewer, is_one_too_many, may_go_anew
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
from seg.mail.envelope import MOST_REFUSALS, HostRefusal, Recipient
from seg.mail.errors import LocalFault, Permanent, Temporary, local_fault
from seg.mail.hosts import MXHost, PeerAddress, Route, RouteKind
from seg.mail.outcome import Bounced, Delayed, Delivered, Outcome
from seg.policy.chain import DomainPolicies, PolicyChain, every_refused_by
from seg.policy.judge import NOBODY, ObservedResult, Verdict
from seg.policy.requirement import Decision, DomainQuestion, TLSLevel
from seg.queue.interfaces import Lease
from seg.smtp.told_replies import ToldReplies

MOST_ANEW = 3  # connections to one address in an attempt, where what was kept from earlier can't serve


@attrs.frozen
class AttemptServices:
    """What every attempt uses."""

    router: IRouter
    policies: PolicyChain
    sessions: ConnectionOpener
    destinations: Callable[[], Destinations]
    sink: IEventSink
    pace: SendingRates  # recipients of each address that has a limit
    alert: Callable[[str, str, str], object]  # (domain, host, text): required TLS fails
    now: Callable[[], float]  # POSIX seconds
    max_hosts: int
    max_addresses: int


class Attempt:
    """One attempt for one lease. `outcomes` fill up as it goes, and hold what is certain even if it is cancelled."""

    def __init__(self, lease: Lease, means: AttemptServices) -> None:
        self.outcomes: dict[int, Outcome] = {}
        self.connected = False  # some host was reached
        self.progress = AttemptProgress()
        self.crowded: list[LimitReached] = []  # why recipients were left without an outcome
        self._lease = lease
        self._means = means
        self._sink = means.sink
        self._profile = means.destinations().profile(lease.domain).at(means.now())
        self._outgoing = outgoing_of(self._profile, means.destinations())
        self._addresses_left = means.max_addresses
        self._refusals: dict[str, CauseKind] = {}  # hosts that TLS policy keeps the mail from
        self._tampered = False  # no other host is to be tried
        self._obstacle = Temporary("4.4.4", f"Unable to route: no usable host for {lease.domain}")

    async def run(self) -> None:
        """Serve as many recipients as possible; afterwards each RID of the lease has an outcome, unless limits were reached (`crowded`).

        Given up (`AttemptProgress.give_up`) and then cancelled, it still leaves an outcome for each.
        """
        try:
            await self._serve()
        except CancelledError:
            if self.progress.given_up is None:
                raise
        if self.progress.given_up is not None:
            self._conclude(self._delayed(self.progress.given_up))

    async def _serve(self) -> None:
        try:
            route = await self._find_route()
        except Permanent as error:
            self._conclude(Bounced(without_traces(error)))
            return
        except (Temporary, LocalFault) as error:
            self.progress.ours = local_fault(error) is not None
            self._conclude(Delayed(without_traces(error if isinstance(error, Temporary) else error.temporary())))
            return
        if route.kind is RouteKind.DISCARD:
            self._discard()
            return
        if route.kind is RouteKind.SMTP_ROUTE:
            hosts = ", ".join(host.name for host in route.hosts)
            self._sink.emit(RouteUsed(self._lease.mid, self._lease.domain, hosts))
        decisions = await self._try_hosts(route, reread=False)
        if every_refused_by(decisions, MTA_STS):  # the policy may have changed: look once more (RFC 8461 §5.1)
            await self._try_hosts(route, reread=True)
        if self.crowded and self._remaining():
            return  # what has no outcome is due again when there is room
        self._conclude(self._delayed(self._obstacle))

    def _discard(self) -> None:
        """The operator's table says /dev/null. The sender, who may have asked for success, hears that it was relayed to nobody."""
        self.connected = True  # nothing stands in the way of the next
        self._sink.emit(RecipientsDiscarded(self._lease.mid, self._lease.rids, self._lease.domain))
        self._conclude(Delivered(0, "discarded by the SMTP route /dev/null"))

    async def _try_hosts(self, route: Route, reread: bool) -> list[Decision]:
        """Host by host in order of preference, until no recipient is left to serve."""
        optional, mid = self._lease.envelope.tls_optional, self._lease.mid
        question = DomainQuestion(self._lease.domain, self._profile, route, reread, optional, mid)
        policies = self._means.policies.open(question)
        self._outgoing = attrs.evolve(self._outgoing, by_mx=route.kind is not RouteKind.SMTP_ROUTE)
        decisions: list[Decision] = []
        full: int | None = None  # preference of the hosts that have all the connections they may have
        for host in route.hosts[: self._means.max_hosts]:
            if not self._remaining() or (full is not None and host.preference > full):
                break  # a host that is busy with us is no reason to go to its substitute
            self.progress.asks()
            decision = await policies.decide(host)
            decisions.append(decision)
            self._decided(host, decision)
            self._refusals.pop(host.name, None)  # of an earlier look
            if decision.usable:
                await self._try_addresses(policies, decision, host)
                full = host.preference if self.crowded else None
            else:
                self._host_refused(decision)
        return decisions

    async def _try_addresses(self, policies: DomainPolicies, decision: Decision, host: MXHost) -> None:
        """Address by address, until a session comes about; what the server then says is the host's word."""
        for address in host.addresses:
            if not self._addresses_left or self._over:
                return
            if not self._may_have_recipients(address):
                continue
            self._addresses_left -= 1
            if await self._try_address(policies, decision, host, address):
                return

    async def _try_address(
        self, policies: DomainPolicies, decision: Decision, host: MXHost, address: PeerAddress
    ) -> bool:
        """Try one address, and at once on a new connection what one kept from earlier couldn't serve; whether the host had its say."""
        waiting = self._remaining()
        for number in range(MOST_ANEW):
            for recipient in waiting if number else ():
                self.outcomes.pop(recipient.rid, None)
            try:
                used, session = await self._open(policies, decision, host, address, fresh=number > 0)
            except LimitReached as crowded:
                self._addresses_left += 1
                self.crowded.append(without_traces(crowded))
                return False
            except Temporary as error:
                self._session_failed(decision, address, error)
                return False
            self.connected = True
            if self._lease.envelope.requiretls and session.verdict.by == NOBODY:
                self.progress.parts()
                self._means.sessions.give(session, self._profile.messages_per_connection)
                self._refusals[used.host] = CauseKind.REQUIRETLS_UNVERIFIED
                self._address_failed(used, address, unverified(used.host))
                return True
            waiting = await self._send(used, session, waiting)
            if not waiting or self._over:
                break
        return True

    async def _open(
        self, policies: DomainPolicies, decision: Decision, host: MXHost, address: PeerAddress, fresh: bool
    ) -> tuple[Decision, VerifiedConnection]:
        """A session that satisfies the decision, or, where the operator allows it, what is left without a failing DANE.

        :param fresh: on a new connection.
        :raises Temporary: this address can't be used.
        """
        try:
            return decision, await self._session(decision, host, address, fresh)
        except PolicyViolation as failure:
            self._tell_failure(decision, failure.verdict)
            if not decision.fall_through or not set(failure.verdict.failed) & set(decision.fall_through):
                raise
            self._explain(decision, failure.verdict.reason, failure.verdict)
            self._sink.emit(DANEWeakened(decision.domain, decision.host, mismatches_of(failure.verdict)))
        weaker = await policies.decide(host, without=decision.fall_through)
        if not weaker.usable:
            self._refusals[weaker.host] = weaker.cause or CauseKind.PROVIDER_REFUSED
            raise PolicyRefusal(weaker.enhanced, weaker.refusal, cause=self._refusals[weaker.host])
        try:
            return weaker, await self._session(weaker, host, address, fresh)
        except PolicyViolation as failure:
            self._tell_failure(weaker, failure.verdict)
            raise

    async def _session(self, decision: Decision, host: MXHost, address: PeerAddress, fresh: bool) -> VerifiedConnection:
        sessions = self._means.sessions
        opened = sessions.open_anew if fresh else sessions.open
        return await opened(decision, host, address, self._outgoing, self.progress)

    async def _send(self, decision: Decision, session: VerifiedConnection, waiting: list[Recipient]) -> list[Recipient]:
        """As many transactions as the server's limits and ours ask for, and what each recipient got; whom a new connection may serve."""
        self._tell_success(decision, session.verdict)
        sender, address = session.sender, session.key.address
        anew: list[Recipient] = []
        taken: int | None = None  # of one transaction, when the server wanted no more
        while waiting and self._may_have_recipients(address):
            most = self._most_recipients(sender.capabilities.max_recipients, taken, address)
            batch, rest = waiting[:most], waiting[most:] if most else []
            rids = tuple(r.rid for r in batch)
            self._sink.emit(DeliveryStarted(sender.dcid, self._lease.mid, rids, self._lease.domain))
            if self._rate.recipients:
                self._means.pace.count(address, self._rate, len(batch))
            results = await sender.send(self._lease.envelope, batch, self._lease.content)
            self.outcomes.update((rid, at_host(outcome, decision.host)) for rid, outcome in results.items())
            self._tell_delivered(sender.dcid, results)
            refused = [r for r in batch if is_one_too_many(results[r.rid])]
            if refused:
                taken = fewer(len(batch), [results[r.rid] for r in refused])
            waiting = [*refused, *rest]
            if any(may_go_anew(results[r.rid]) for r in batch):
                anew = [*(r for r in batch if may_go_anew(results[r.rid])), *waiting]
            if taken == 0 or not sender.healthy:
                break
        self.progress.parts()
        limits = (self._profile.messages_per_connection, sender.capabilities.max_transactions)
        self._means.sessions.give(session, min(limit for limit in limits if limit))
        return anew

    # --- limits of one address -------------------------------------------------------------------

    @property
    def _rate(self) -> RateLimit:
        """How many recipients one address may have; those of the domain are the engine's business."""
        profile = self._profile
        return RateLimit(
            profile.recipient_limit if profile.limit_per is LimitPer.ADDRESS else 0, profile.recipient_minutes
        )

    def _may_have_recipients(self, address: PeerAddress) -> bool:
        """Whether an address may have another recipient now; if not, we have to wait for it."""
        rate, pace = self._rate, self._means.pace
        if not rate.recipients or pace.allowance(address, rate):
            return True
        self.crowded.append(LimitReached(address, lambda: pace.allowance(address, rate), "recipients"))
        return False

    def _most_recipients(self, servers: int | None, taken: int | None, address: PeerAddress) -> int | None:
        """The most recipients of one transaction, None for no limit: the server's own limit, as said or as shown, or less by ours."""
        ours = self._means.pace.allowance(address, self._rate) if self._rate.recipients else 0
        return min((limit for limit in (servers, taken, ours) if limit), default=None)

    # --- what a rehearsal (`seg.check`) writes down ------------------------------------------------

    async def _find_route(self) -> Route:
        return await self._means.router.route(self._lease.domain, self._lease.via)

    def _decided(self, host: MXHost, decision: Decision) -> None:
        """Each decision, as it is made."""

    # --- what comes of it ------------------------------------------------------------------------

    @property
    def _over(self) -> bool:
        """Whether no other host is to be tried in this attempt."""
        return self._tampered or self.progress.given_up is not None

    def _remaining(self) -> list[Recipient]:
        """The recipients that another host may still serve: those without an outcome, and those refused for now.

        A recipient whose fate is in doubt (the connection broke behind the final dot) isn't tried twice in an attempt.
        """
        if self._over:
            return []
        return [r for r in self._lease.recipients if _another_host_may_help(self.outcomes.get(r.rid))]

    def _conclude(self, outcome: Outcome) -> None:
        """Every recipient without an outcome gets this one."""
        for rid in self._lease.rids:
            self.outcomes.setdefault(rid, outcome)

    def _delayed(self, error: Temporary) -> Delayed:
        """What holds for those whom no host has answered, with the hosts that TLS policy kept them from."""
        refusals = tuple(HostRefusal(host, cause) for host, cause in self._refusals.items())
        return Delayed(error, error.dcid, refusals=refusals[:MOST_REFUSALS])

    def _session_failed(self, decision: Decision, address: PeerAddress, error: Temporary) -> None:
        """No session came about at an address."""
        if local_fault(error) is not None:
            self.progress.ours = True
        elif isinstance(error, PolicyViolation):
            self._refusals[decision.host] = error.verdict.cause or CauseKind.OTHER
            self._alert(decision, mismatches_of(error.verdict))
        elif isinstance(error, Tampered) and decision.requirement.tls is not TLSLevel.NEVER:
            self._tampered = True  # whoever is in between may be so on the way to the next host, too
            if decision.requirement.tls is TLSLevel.MUST:
                self._refusals[decision.host] = CauseKind.TLS_FAILED
            self._alert(decision, error.text)
        self._address_failed(decision, address, error)

    def _address_failed(self, decision: Decision, address: PeerAddress, error: Temporary) -> None:
        self._obstacle = without_traces(error)
        verdict = error.verdict if isinstance(error, PolicyViolation) else None
        if verdict is not None:
            self._explain(decision, verdict.reason, verdict)
            return
        result = PolicyResult.REFUSED if isinstance(error, PolicyRefusal) else PolicyResult.NOT_REACHED
        self._explain(decision, f"not reached: {error.text}", result=result, cause=error.cause)

    def _host_refused(self, decision: Decision) -> None:
        text = f"{decision.host} may not be used for {decision.domain}: {decision.refusal}"
        cause = self._refusals[decision.host] = decision.cause or CauseKind.PROVIDER_REFUSED
        self._obstacle = PolicyRefusal(decision.enhanced, text, cause=cause)
        self._alert(decision, decision.refusal)
        refused_by = decision.opinions[-1].provider if decision.opinions else ""
        if refused_by == MTA_STS:
            self._sink.emit(STSFailed(decision.domain, decision.host, decision.refusal))
        elif refused_by == DANE:
            self._sink.emit(DANEFailed(decision.domain, decision.host, decision.refusal))
        self._explain(decision, f"refused: {decision.refusal}", cause=cause)

    def _tell_success(self, decision: Decision, verdict: Verdict) -> None:
        matched = {who for who, _ in verdict.matched}
        if DANE in matched:
            self._sink.emit(DANESucceeded(decision.domain, decision.host, verdict.trusted))
        if MTA_STS in matched:
            self._sink.emit(STSSucceeded(decision.domain))
        for observed in verdict.observed:
            self._tell_observed(decision.domain, decision.host, observed)
        self._explain(decision, _with_observed(verdict), verdict)

    def _tell_observed(self, domain: str, host: str, observed: ObservedResult) -> None:
        """How the session fared against a policy that isn't enforced."""
        text = "; ".join(dict.fromkeys((observed.text, *observed.details)))
        self._sink.emit(PolicyObserved(domain, host, observed.provider, observed.ok, text, observed.cause))
        if observed.ok:
            return
        if observed.provider == MTA_STS:
            self._sink.emit(STSFailed(domain, host, text, enforced=False))
        elif observed.provider == DANE:
            self._sink.emit(DANEFailed(domain, host, text, enforced=False))
        exemption = self._profile.exemption
        if exemption is not None and observed.relaxed:
            used = ExemptionUsed(domain, host, observed.provider, text, exemption.end, exemption.reason)
            self._sink.emit(used)

    def _tell_failure(self, decision: Decision, verdict: Verdict) -> None:
        text = mismatches_of(verdict)
        if MTA_STS in verdict.failed:
            self._sink.emit(STSFailed(decision.domain, decision.host, text))
        if DANE in verdict.failed:
            self._sink.emit(DANEFailed(decision.domain, decision.host, text))

    def _alert(self, decision: Decision, text: str) -> None:
        if self._profile.tls_alert:
            self._means.alert(decision.domain, decision.host, text)

    def _tell_delivered(self, dcid: int, results: dict[int, Outcome]) -> None:
        """One event for each reply; usually all recipients share one."""
        by_reply: dict[str, list[int]] = {}
        for rid, outcome in results.items():
            if isinstance(outcome, Delivered):
                by_reply.setdefault(outcome.reply, []).append(rid)
        told = ToldReplies()
        for reply, rids in by_reply.items():
            lease, reply = self._lease, told.text(reply)
            self._sink.emit(RecipientsDelivered(dcid, lease.mid, tuple(rids), reply, lease.domain))

    def _explain(
        self,
        decision: Decision,
        outcome: str,
        verdict: Verdict | None = None,
        result: PolicyResult = PolicyResult.REFUSED,
        cause: CauseKind | None = None,
    ) -> None:
        by = ""
        if verdict is not None:
            result, cause, by = verdict.result, verdict.cause, verdict.verified_by
        opinions = tuple((opinion.provider, opinion.text) for opinion in decision.opinions)
        if self._profile.exemption is not None:
            outcome = f"{outcome}; {self._profile.exemption}"
        self._sink.emit(
            PolicyExplained(self._lease.mid, decision.domain, decision.host, opinions, outcome, result, by, cause)
        )


def unverified(host: str) -> PolicyRefusal:
    """The sender demands TLS with a verified server at every hop (RFC 8689 §4.2.1), and nothing verified this one."""
    text = f"{host} isn't verified by DANE, MTA-STS or the TLS option, as the sender demands (REQUIRETLS)"
    return PolicyRefusal("4.7.30", text, cause=CauseKind.REQUIRETLS_UNVERIFIED)


def _another_host_may_help(outcome: Outcome | None) -> bool:
    return outcome is None or (isinstance(outcome, Delayed) and not outcome.in_doubt)


def _with_observed(verdict: Verdict) -> str:
    """The verdict in words, with what an observed policy would have said."""
    notes = [f"{o.provider} observed: {'passed' if o.ok else 'failed, ' + o.text}" for o in verdict.observed]
    return f"{verdict.reason} ({'; '.join(notes)})" if notes else verdict.reason
