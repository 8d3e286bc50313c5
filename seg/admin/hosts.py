"""Destinations over the API: how they fare, and why a message waits for them."""

from __future__ import annotations

from collections.abc import Callable
from heapq import nsmallest
from typing import Any

import attrs

from seg.admin.destination_statistics import DestinationRecord, DestinationStatistics
from seg.admin.http import APIError, RouteTable
from seg.admin.messages import recipient_facts
from seg.admin.names import asked_domain
from seg.admin.suspension import Suspension
from seg.admin.turns import in_turns
from seg.admin.wire import operations
from seg.admin.wire.destinations import (
    HostAnswer,
    HostFacts,
    HostsAnswer,
    HostState,
    ListHosts,
    MXFacts,
    MXRecord,
    NamedDomain,
)
from seg.admin.wire.messages import ExplainedHost, NamedMessage, WaitingDestination, WhyAnswer
from seg.config.destinations import Destinations
from seg.dns.answer import DNSFailure
from seg.dns.interfaces import IResolver
from seg.mail.envelope import RecipientState
from seg.mail.errors import LocalFault
from seg.queue.interfaces import IQueueCommands, MessageDetails

AT_ONCE = 500  # destinations looked at before the reactor may get its turn
SORTS = {
    "active_rcpts": "active",
    "conn_out": "connections",
    "deliv_recip": "delivered",
    "hard_bounced": "hard_bounced",
    "soft_bounced": "soft_bounced",
}


class DestinationRoutes:
    """Answers questions on destinations.

    :param limited: which limit a destination has reached, in words; "" when none holds it back.
    :param destinations: those in force.
    :param resolver: the one in use.
    :param now: POSIX seconds.
    """

    def __init__(
        self,
        commands: IQueueCommands,
        statistics: DestinationStatistics,
        suspension: Suspension,
        limited: Callable[[str], str],
        destinations: Callable[[], Destinations],
        resolver: Callable[[], IResolver],
        now: Callable[[], float],
    ) -> None:
        self._commands = commands
        self._statistics = statistics
        self._suspension = suspension
        self._limited = limited
        self._destinations = destinations
        self._resolver = resolver
        self._now = now

    def add_to(self, table: RouteTable) -> None:
        """Serve them."""
        table.add(operations.LIST_HOSTS, self.hosts)
        table.add(operations.SHOW_HOST, self.host)
        table.add(operations.EXPLAIN_MESSAGE, self.why)

    async def hosts(self, asked: ListHosts, by: str) -> HostsAnswer:
        """Destinations, those with the most of something first."""
        active, connections = self._commands.destinations(), self._statistics.connections()
        known = {record.domain: record for record in self._statistics.hosts()}
        names = [*known.keys(), *(name for name in active if name not in known)]
        most = SORTS[asked.sort]
        rows: list[HostFacts] = []
        async for start in in_turns(range(0, len(names), AT_ONCE)):  # a stranger may choose how many there are
            rows += [
                self._row(known.get(name) or DestinationRecord(name), active.get(name, 0), connections.get(name, 0))
                for name in names[start : start + AT_ONCE]
            ]
            rows = nsmallest(asked.limit, rows, key=lambda row: (-getattr(row, most), row.domain))
        return HostsAnswer(self._now(), asked.sort, len(names), rows)

    def _row(self, record: DestinationRecord, active: int, connections: int) -> HostFacts:
        return HostFacts(
            domain=record.domain,
            state=_state(record),
            suspended=self._suspension.now.delivery(record.domain),
            active=active,
            connections=connections,
            delivered=record.delivered,
            soft_bounced=record.soft_bounced,
            hard_bounced=record.hard_bounced,
        )

    async def host(self, asked: NamedDomain, by: str) -> HostAnswer:
        """One destination."""
        domain = asked_domain(asked.domain, lambda name: self._statistics.host(name) is not None)
        record = self._statistics.host(domain) or DestinationRecord(domain)
        row = self._row(
            record, self._commands.destinations().get(domain, 0), self._statistics.connections().get(domain, 0)
        )
        return HostAnswer(
            at=self._now(),
            **attrs.asdict(row),
            refused_by_policy=record.refused_by_policy,
            last_activity=record.last_activity,
            last_5xx=record.last_5xx,
            last_5xx_at=record.last_5xx_at,
            last_failure=record.last_failure,
            last_failure_at=record.last_failure_at,
            mx=await self._mx(domain),
        )

    async def _mx(self, domain: str) -> MXFacts:
        """Its MX records as the cache or the resolver has them."""
        try:
            answer = await self._resolver().query(domain, "MX")
        except (DNSFailure, LocalFault) as failure:
            return MXFacts((), False, None, str(failure))
        records: Any = answer.records
        found = [MXRecord(each.preference, str(each.exchange).rstrip(".")) for each in records]
        found.sort(key=lambda each: (each.preference, each.host))
        return MXFacts(tuple(found), answer.secure, answer.ttl, "")

    async def why(self, asked: NamedMessage, by: str) -> WhyAnswer:
        """Why a message hasn't gone yet."""
        shown = await self._commands.show(asked.mid)
        if shown is None:
            raise APIError(404, f"MID {asked.mid} isn't in the queue (seg findevent --mid {asked.mid} tells its story)")
        listing = shown.listing
        return WhyAnswer(
            at=self._now(),
            mid=asked.mid,
            state=listing.state,
            sender=listing.sender,
            size=listing.size,
            arrived=listing.arrived,
            expires=listing.expires,
            requiretls=shown.envelope.requiretls,
            destinations=[await self._waiting(shown, domain) for domain in listing.domains],
            paused=self._suspension.facts().paused,
        )

    async def _waiting(self, shown: MessageDetails, domain: str) -> WaitingDestination:
        """What waits for one destination of a message."""
        pending = [r for r in shown.envelope.recipients if r.domain == domain and r.state is RecipientState.PENDING]
        record = self._statistics.host(domain)
        explained = self._statistics.explanations(shown.envelope.mid, domain)
        return WaitingDestination(
            domain=domain,
            state=_state(record) if record else "unknown",
            suspended=self._suspension.now.delivery(domain),
            limited=self._limited(domain),
            entry=self._destinations().profile(domain).name,
            recipients=[attrs.evolve(recipient_facts(r), notify=None) async for r in in_turns(pending)],
            next=min((r.due for r in pending), default=0.0),
            hosts=[
                ExplainedHost(each.at, each.host, each.outcome, each.opinions, each.result, each.cause)
                for each in explained
            ],
        )


def _state(record: DestinationRecord) -> HostState:
    return "unknown" if record.up is None else "up" if record.up else "down"
