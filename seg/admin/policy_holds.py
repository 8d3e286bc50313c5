"""What TLS policy keeps waiting, over the API: a domain a row."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import attrs

from seg.admin.http import APIRequest, RouteTable
from seg.admin.names import asked_domain
from seg.mail.causes import CauseKind
from seg.mail.envelope import MOST_REFUSALS, Recipient
from seg.queue.commands import HeldByPolicy
from seg.queue.spool import Spool

MOST_DOMAINS = 1000  # in one answer
AT_ONCE = 200  # messages looked at before the reactor gets its turn


@attrs.define
class DomainHold:
    """One domain of which TLS policy keeps mail waiting."""

    domain: str
    since: float  # POSIX seconds
    causes: Counter[CauseKind] = attrs.field(factory=Counter)  # recipients by cause
    hosts: dict[str, CauseKind] = attrs.field(factory=dict)
    messages: int = 0
    recipients: int = 0
    next: float | None = None  # POSIX seconds of the next try; None: all of it is held by an operator besides
    returned: float = 0.0  # POSIX seconds at which the first of it is returned to its sender

    def add(self, message: HeldByPolicy, recipients: list[Recipient]) -> None:
        """Count what waits of one message."""
        self.messages += 1
        self.recipients += len(recipients)
        self.returned = min(self.returned or message.expires, message.expires)
        for recipient in recipients:
            if recipient.policy is None:
                continue
            self.since = min(self.since, recipient.policy.since)
            self.causes.update({refusal.cause for refusal in recipient.policy.refusals})
            for refusal in recipient.policy.refusals:
                if refusal.host in self.hosts or len(self.hosts) < MOST_REFUSALS:
                    self.hosts[refusal.host] = refusal.cause
            if not message.held:
                self.next = recipient.due if self.next is None else min(self.next, recipient.due)

    def facts(self) -> dict[str, Any]:
        """The row as JSON; the most frequent cause first."""
        causes = sorted(self.causes, key=lambda cause: (-self.causes[cause], cause))
        return {
            "domain": self.domain,
            "since": self.since,
            "causes": [
                {"cause": cause, "text": cause.text, "recipients": self.causes[cause], "remedy": cause.remedy}
                for cause in causes
            ],
            "hosts": [{"host": host, "cause": cause} for host, cause in self.hosts.items()],
            "messages": self.messages,
            "recipients": self.recipients,
            "next": self.next,
            "returned": self.returned,
        }


class DomainHolds:
    """The rows, as messages are counted."""

    def __init__(self) -> None:
        self._rows: dict[str, DomainHold] = {}

    def add(self, message: HeldByPolicy, only: str = "") -> None:
        """Count one message.

        :param only: no other domain than this.
        """
        by_domain: dict[str, list[Recipient]] = {}
        for recipient in message.recipients:
            if only in ("", recipient.domain):
                by_domain.setdefault(recipient.domain, []).append(recipient)
        for domain, recipients in by_domain.items():
            row = self._rows.get(domain)
            if row is None:
                row = self._rows[domain] = DomainHold(domain, float("inf"))
            row.add(message, recipients)

    def rows(self) -> list[DomainHold]:
        """Those that have waited longest first."""
        return sorted(self._rows.values(), key=lambda row: (row.since, row.domain))


class PolicyHoldsAPI:
    """Serves the path below."""

    def __init__(self, queue: Spool, now: Callable[[], float]) -> None:
        self._queue = queue
        self._now = now

    def add_to(self, table: RouteTable) -> None:
        """Take the path."""
        table.add("GET", "/v1/held-by-policy", self.held)

    async def held(self, call: APIRequest) -> object:
        """What TLS policy keeps waiting; query: domain, limit."""
        limit, domain = call.number("limit", 100, MOST_DOMAINS), call.query.get("domain", "")
        if domain:
            domain = asked_domain(domain, self._queue.destinations().__contains__)
        holds = DomainHolds()
        for number, mid in enumerate(self._queue.policy_held(), 1):
            if not number % AT_ONCE:
                await self._queue.pause()
            message = self._queue.held_by_policy(mid)
            if message is not None:
                holds.add(message, domain)
        rows = holds.rows()
        return {"at": self._now(), "total": len(rows), "domains": [row.facts() for row in rows[:limit]]}
