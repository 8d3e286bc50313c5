"""One attempt: the due recipients of one message at one destination, from route to outcome.

This is the algorithm of the product, from top to bottom: find the hosts, decide for each how it must be reached, open a
session that satisfies the decision or leave the host alone, send, and keep what each recipient got.
"""

from __future__ import annotations

from functools import partial

import attrs
from twisted.internet.defer import CancelledError

from seg.common.errors import without_traces
from seg.deliver.attempt_record import AttemptRecord
from seg.deliver.connection_limits import LimitReached
from seg.deliver.connections import ConnectionOpener
from seg.deliver.fall_through import open_or_fall_through
from seg.deliver.interfaces import IRouter
from seg.deliver.observer import IAttemptObserver
from seg.deliver.plan import AttemptPlan
from seg.deliver.policy_violation import refused_host, unverified
from seg.deliver.transmit import ITransmit
from seg.mail.errors import LocalFault, Permanent, Temporary
from seg.mail.hosts import MXHost, PeerAddress, Route, RouteKind
from seg.mail.outcome import Delivered
from seg.policy.chain import DomainPolicies, PolicyChain, every_refused_by
from seg.policy.judge import NOBODY
from seg.policy.requirement import Decision, DomainQuestion
from seg.policy.sources import MTA_STS
from seg.queue.interfaces import Lease

MOST_ANEW = 3  # connections to one address in an attempt, where what was kept from earlier can't serve


@attrs.frozen
class AttemptServices:
    """What every attempt uses."""

    router: IRouter
    policies: PolicyChain
    opener: ConnectionOpener
    transmit: ITransmit


class Attempt(AttemptRecord):
    """One attempt for one lease."""

    def __init__(self, lease: Lease, plan: AttemptPlan, services: AttemptServices, observer: IAttemptObserver) -> None:
        super().__init__(lease, plan, observer)
        self._services = services
        self._outbound = plan.by_mx

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
            self.fill(self.delayed(self.progress.given_up))

    async def _serve(self) -> None:
        lease = self.lease
        try:
            route = await self._services.router.route(lease.domain, lease.via)
        except (Permanent, Temporary, LocalFault) as error:
            return self.route_failed(error)
        self.observer.route_found(route)
        if route.kind is RouteKind.DISCARD:  # who asked for success hears that it was relayed to nobody
            self.connected = True  # nothing stands in the way of the next
            return self.fill(Delivered(0, "discarded by the SMTP route /dev/null"))
        if route.kind is RouteKind.SMTP_ROUTE:
            self._outbound = self.plan.by_route
        decisions = await self._try_hosts(route, reread=False)
        if every_refused_by(decisions, MTA_STS):  # the policy may have changed: look once more (RFC 8461 §5.1)
            await self._try_hosts(route, reread=True)
        if len(self.outcomes) < len(lease.recipients) and not (self.crowded and self.remaining()):
            self.fill(self.delayed())  # else all are served, or due again when there is room
        return None

    async def _try_hosts(self, route: Route, reread: bool) -> list[Decision]:
        """Host by host in order of preference, until no recipient is left to serve."""
        lease, profile = self.lease, self.plan.profile
        question = DomainQuestion(lease.domain, profile, route, reread, lease.envelope.tls_optional, lease.mid)
        policies = self._services.policies.open(question)
        decisions: list[Decision] = []
        full: int | None = None  # preference of the hosts that have all the connections they may have
        for host in route.hosts[: self.plan.max_hosts]:
            if not self.remaining() or (full is not None and host.preference > full):
                break  # a host that is busy with us is no reason to go to its substitute
            self.progress.asks()
            decision = await policies.decide(host)
            decisions.append(decision)
            self.observer.decided(host, decision)
            self.refusals.pop(host.name, None)  # of an earlier look
            if decision.usable:
                await self._try_addresses(policies, decision, host)
                full = host.preference if self.crowded else None
            else:
                self.failed(decision, refused_host(decision))
                self.observer.host_refused(decision)
        return decisions

    async def _try_addresses(self, policies: DomainPolicies, decision: Decision, host: MXHost) -> None:
        """Address by address, until a session comes about; what the server then says is the host's word."""
        for address in host.addresses:
            if not self.addresses_left or self.over:
                break
            reached = self._services.transmit.limit(self.plan, address)
            if reached is not None:
                self.crowded.append(reached)
                continue
            self.addresses_left -= 1
            try:
                return await self._try_address(policies, decision, host, address)
            except LimitReached as limit:
                self.addresses_left += 1
                self.crowded.append(without_traces(limit))
            except Temporary as error:
                self.address_failed(decision, address, error)
        return None

    async def _try_address(self, policies: DomainPolicies, decision: Decision, host: MXHost, at: PeerAddress) -> None:
        """Try one address, and at once on a new connection what one kept from earlier couldn't serve.

        :raises LimitReached: it has all the connections that it may have.
        :raises Temporary: no session came about.
        """
        opener, waiting = self._services.opener, self.remaining()
        for number in range(MOST_ANEW):
            for recipient in waiting if number else ():
                self.outcomes.pop(recipient.rid, None)
            opened = opener.open_anew if number else opener.open
            wanted = partial(opened, host=host, address=at, outgoing=self._outbound, progress=self.progress)
            used, connection = await open_or_fall_through(policies, decision, host, wanted, self.observer)
            self.connected = True
            if self.lease.envelope.requiretls and connection.verdict.by == NOBODY:
                self.progress.parts()
                opener.give(connection, self.plan.profile.messages_per_connection)
                self.address_failed(used, at, unverified(used.host))
                break
            self.observer.connected(used, connection)
            waiting = await self._services.transmit.send(self, used.host, connection, waiting)
            if not waiting or self.over:
                break
