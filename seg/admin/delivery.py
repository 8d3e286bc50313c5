"""Deliveries over the API: how destinations fare, why a message waits, what is suspended, and the caches."""

from __future__ import annotations

import base64
from collections.abc import Callable
from heapq import nsmallest
from typing import Any, Protocol

import attrs

from seg.admin.destination_statistics import DestinationRecord, DestinationStatistics
from seg.admin.http import APIError, APIRequest, RouteTable
from seg.admin.names import asked_domain, asked_pattern
from seg.admin.policies import MOST_POLICIES, page_of, policy_of
from seg.admin.suspension import ALL, Suspension
from seg.admin.turns import in_turns
from seg.config.destinations import Destinations
from seg.config.problems import offered
from seg.dns.answer import DNSFailure
from seg.dns.interfaces import IResolver
from seg.events.base import IEventSink
from seg.events.gateway import OperatorActed
from seg.mail.envelope import RecipientState
from seg.mail.errors import LocalFault
from seg.policy.mtasts.cache import PolicyCache
from seg.policy.mtasts.fetch import policy_host
from seg.queue.spool import Spool

MOST_HOSTS = 1000  # in one answer
AT_ONCE = 500  # destinations looked at before the reactor may get its turn
MOST_CONTENT = 1024 * 1024  # octets in one answer
SORTS = {
    "active_rcpts": "active",
    "conn_out": "connections",
    "deliv_recip": "delivered",
    "hard_bounced": "hard_bounced",
    "soft_bounced": "soft_bounced",
}


class DeliveryGauges(Protocol):
    """What the API has done by the running gateway."""

    def listener_names(self) -> tuple[str, ...]:
        """The listeners."""

    def clients(self) -> list[tuple[str, str, int]]:
        """(listener, address, connections) of each client."""

    def limited(self, domain: str) -> str:
        """Which limit a destination has reached, in words; "" when none holds it back."""

    def suspension_changed(self) -> None:
        """Work by what is suspended now."""

    def flush_dns(self, name: str | None) -> int:
        """Forget answers of the DNS; how many."""

    @property
    def resolver(self) -> IResolver:
        """The DNS."""

    @property
    def policies(self) -> PolicyCache:
        """The MTA-STS policies known."""

    async def flush_policies(self, domain: str | None) -> int:
        """Forget a policy, or all, and that its fetch failed of late; how many policies there were."""


class DeliveryAPI:
    """Serves the paths below."""

    def __init__(
        self,
        queue: Spool,
        statistics: DestinationStatistics,
        suspension: Suspension,
        gateway: DeliveryGauges,
        destinations: Callable[[], Destinations],
        sink: IEventSink,
        now: Callable[[], float],
    ) -> None:
        self._queue = queue
        self._statistics = statistics
        self._suspension = suspension
        self._gateway = gateway
        self._destinations = destinations
        self._sink = sink
        self._now = now

    def add_to(self, table: RouteTable) -> None:
        """Take the paths."""
        table.add("GET", "/v1/hosts", self.hosts)
        table.add("GET", "/v1/host", self.host)
        table.add("GET", "/v1/clients", self.clients)
        table.add("GET", "/v1/suspension", self.suspended)
        table.add("POST", "/v1/suspension", self.suspend)
        table.add("GET", "/v1/messages/{mid}/why", self.why)
        table.add("GET", "/v1/messages/{mid}/content", self.content)
        table.add("POST", "/v1/dns/flush", self.flush_dns)
        table.add("GET", "/v1/policies", self.policies)
        table.add("POST", "/v1/policies/flush", self.flush_policies)

    # --- destinations ------------------------------------------------------------------------------

    async def hosts(self, call: APIRequest) -> object:
        """Destinations; query: sort (one of `SORTS`), limit."""
        sort = call.query.get("sort", "active_rcpts")
        if sort not in SORTS:
            raise APIError(400, f"sort must be one of {', '.join(SORTS)}, not {sort!r}")
        limit = call.number("limit", 20, MOST_HOSTS)
        active, connections = self._queue.destinations(), self._statistics.connections()
        known = {record.domain: record for record in self._statistics.hosts()}
        names = [*known.keys(), *(name for name in active if name not in known)]
        rows: list[dict[str, Any]] = []
        async for start in in_turns(range(0, len(names), AT_ONCE)):  # a stranger may choose how many there are
            rows += [
                self._row(known.get(name) or DestinationRecord(name), active.get(name, 0), connections.get(name, 0))
                for name in names[start : start + AT_ONCE]
            ]
            rows = nsmallest(limit, rows, key=lambda row: (-row[SORTS[sort]], row["domain"]))
        return {"at": self._now(), "sort": sort, "total": len(names), "hosts": rows}

    def _row(self, record: DestinationRecord, active: int, connections: int) -> dict[str, Any]:
        return {
            "domain": record.domain,
            "state": _state(record),
            "suspended": self._suspension.now.delivery(record.domain),
            "active": active,
            "connections": connections,
            "delivered": record.delivered,
            "soft_bounced": record.soft_bounced,
            "hard_bounced": record.hard_bounced,
        }

    async def host(self, call: APIRequest) -> object:
        """One destination; query: domain."""
        domain = asked_domain(call.query.get("domain"), lambda name: self._statistics.host(name) is not None)
        record = self._statistics.host(domain) or DestinationRecord(domain)
        active = self._queue.destinations().get(domain, 0)
        return {
            "at": self._now(),
            **self._row(record, active, self._statistics.connections().get(domain, 0)),
            "refused_by_policy": record.refused_by_policy,
            "last_activity": record.last_activity,
            "last_5xx": record.last_5xx,
            "last_5xx_at": record.last_5xx_at,
            "last_failure": record.last_failure,
            "last_failure_at": record.last_failure_at,
            "mx": await self._mx(domain),
        }

    async def _mx(self, domain: str) -> dict[str, Any]:
        """Its MX records as the cache or the resolver has them."""
        try:
            answer = await self._gateway.resolver.query(domain, "MX")
        except (DNSFailure, LocalFault) as failure:
            return {"records": [], "secure": False, "ttl": None, "failure": str(failure)}
        records: Any = answer.records
        found = [{"preference": each.preference, "host": str(each.exchange).rstrip(".")} for each in records]
        found.sort(key=lambda each: (each["preference"], each["host"]))
        return {"records": found, "secure": answer.secure, "ttl": answer.ttl, "failure": ""}

    async def clients(self, call: APIRequest) -> object:
        """Who is connected."""
        rows = [{"listener": n, "address": a, "connections": c} for n, a, c in self._gateway.clients()]
        return {"at": self._now(), "clients": rows}

    # --- one message -------------------------------------------------------------------------------

    async def why(self, call: APIRequest) -> object:
        """Why a message hasn't gone yet."""
        shown = await self._queue.show(call.mid)
        if shown is None:
            raise APIError(404, f"MID {call.mid} isn't in the queue (seg findevent --mid {call.mid} tells its story)")
        listing, envelope = shown.listing, shown.envelope
        places = []
        for domain in listing.domains:
            waiting = [r for r in envelope.recipients if r.domain == domain and r.state is RecipientState.PENDING]
            record = self._statistics.host(domain)
            profile = self._destinations().profile(domain)
            places.append(
                {
                    "domain": domain,
                    "state": _state(record) if record else "unknown",
                    "suspended": self._suspension.now.delivery(domain),
                    "limited": self._gateway.limited(domain),
                    "entry": profile.name,
                    "recipients": [attrs.asdict(r) | {"notify": None} async for r in in_turns(waiting)],
                    "next": min((r.due for r in waiting), default=0.0),
                    "hosts": [attrs.asdict(each) for each in self._statistics.explanations(call.mid, domain)],
                }
            )
        return {
            "at": self._now(),
            "mid": call.mid,
            "state": str(listing.state),
            "sender": listing.sender,
            "size": listing.size,
            "arrived": listing.arrived,
            "expires": listing.expires,
            "requiretls": envelope.requiretls,
            "paused": self._suspension.facts()["paused"],
            "destinations": places,
        }

    async def content(self, call: APIRequest) -> object:
        """The octets of a message in base64; query: offset, limit."""
        content = self._queue.content(call.mid)
        if content is None:
            raise APIError(404, f"MID {call.mid} isn't in the queue")
        offset, limit = call.number("offset", 0, 2**40), call.number("limit", MOST_CONTENT, MOST_CONTENT)
        try:
            pieces, position = [], 0
            async for chunk in content.chunks():
                begin, end = max(0, offset - position), offset + limit - position
                if end <= 0:
                    break
                pieces.append(chunk[begin:end])
                position += len(chunk)
        except OSError as error:
            raise APIError(500, f"MID {call.mid} can't be read: {error.strerror or error}") from None
        data = b"".join(pieces)
        return {"size": content.size, "offset": offset, "data": base64.b64encode(data).decode("ascii")}

    # --- suspension --------------------------------------------------------------------------------

    async def suspended(self, call: APIRequest) -> object:
        """What is suspended."""
        return self._suspension.facts()

    async def suspend(self, call: APIRequest) -> object:
        """Suspend and resume; body: suspend, resume, suspend_listeners, resume_listeners (lists; ALL for all)."""
        keys = ("suspend", "resume", "suspend_listeners", "resume_listeners")
        given = {key: _texts(call.body, key) for key in keys if key in call.body}
        if not given or set(call.body) - set(keys):
            raise APIError(400, f"name at least one of {', '.join(keys)}, a list each, and nothing else")
        names = self._gateway.listener_names()
        for key in ("suspend_listeners", "resume_listeners"):
            unknown = [name for name in given.get(key, ()) if name != ALL and name not in names]
            if unknown:
                raise APIError(404, f"there is no listener {unknown[0]}{offered(unknown[0], names)}")
            if ALL in given.get(key, ()):
                given[key] = list(names)
        self._names_of_domains(given)
        self._suspension.change(**given)
        self._gateway.suspension_changed()
        said = "; ".join(f"{key.replace('_', ' ')} {', '.join(values)}" for key, values in given.items())
        self._sink.emit(OperatorActed(call.by, said))
        return await self.suspended(call)

    def _names_of_domains(self, given: dict[str, list[str]]) -> None:
        """Check them, and put them as they are looked up.

        :raises APIError: 400, no domain has such a name; 409, something wider would still hold back what is to be resumed.
        """
        now = self._suspension.now
        for key in given.keys() & {"suspend", "resume"}:
            given[key] = [ALL if name == ALL else asked_pattern(name, now.domains.__contains__) for name in given[key]]
        resumed = frozenset(given.get("resume", ()))
        if ALL in resumed:
            return
        if ALL in now.domains and "resume" in given:
            raise APIError(
                409, "all deliveries are suspended: resume them all (seg resumedel), then suspend those that shall wait"
            )
        for name in sorted(resumed - now.domains):
            if wider := now.by(name):
                raise APIError(409, f"{name} is suspended by {wider}: resume that, then suspend those that shall wait")

    # --- caches ------------------------------------------------------------------------------------

    async def flush_dns(self, call: APIRequest) -> object:
        """Forget answers; body: name (all without one)."""
        name = call.body.get("name")
        if name is not None and not isinstance(name, str):
            raise APIError(400, "name must be a text")
        count = self._gateway.flush_dns(asked_domain(name) if name else None)
        self._sink.emit(OperatorActed(call.by, f"dnsflush {name or 'all'}"))
        return {"flushed": count}

    async def policies(self, call: APIRequest) -> object:
        """The MTA-STS policies known; query: domain, or limit, after (only those behind this domain: the next page)."""
        asked, cache = call.query.get("domain"), self._gateway.policies
        if asked is None:
            return await page_of(cache, call.number("limit", 100, MOST_POLICIES), call.query.get("after", ""))
        domain = asked_domain(asked)
        shown = [policy_of(entry) for entry in await cache.read([domain])]
        if not shown:
            raise APIError(404, f"no MTA-STS policy of {domain} is known (seg stsverify {domain} looks for one)")
        return {"total": len(shown), "policies": shown, "next": ""}

    async def flush_policies(self, call: APIRequest) -> object:
        """Forget policies, and what keeps them from being fetched anew at once; body: domain, or all (true)."""
        domain = call.body.get("domain")
        if isinstance(domain, str):
            wanted = asked_domain(domain)
            for name in (f"_mta-sts.{wanted}", policy_host(wanted)):  # a name that didn't exist may by now
                self._gateway.flush_dns(name)
            count = await self._gateway.flush_policies(wanted)
        elif call.body.get("all") is True:
            count = await self._gateway.flush_policies(None)
        else:
            raise APIError(400, "name a domain (a text), or all (true)")
        self._sink.emit(OperatorActed(call.by, f"policyflush {domain or 'all'}"))
        return {"flushed": count}


def _state(record: DestinationRecord) -> str:
    return {True: "up", False: "down", None: "unknown"}[record.up]


def _texts(body: Any, key: str) -> list[str]:
    values = body[key]
    if not isinstance(values, list) or not all(isinstance(value, str) and value for value in values):
        raise APIError(400, f"{key} must be a list of names")
    return values
