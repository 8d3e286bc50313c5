"""What TLS policy keeps waiting, over the API: a domain a row."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import attrs

from seg.admin.http import RouteTable
from seg.admin.names import asked_domain
from seg.admin.wire import operations
from seg.admin.wire.messages import HeldByPolicyAnswer, HeldDomain, HoldCause, ListHeldByPolicy, RefusedHost
from seg.mail.causes import CauseKind
from seg.mail.envelope import MOST_REFUSALS, Recipient
from seg.queue.interfaces import HeldByPolicy, IQueueCommands


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

    def facts(self) -> HeldDomain:
        """The row for the API; the most frequent cause first."""
        causes = sorted(self.causes, key=lambda cause: (-self.causes[cause], cause))
        return HeldDomain(
            domain=self.domain,
            since=self.since,
            causes=tuple(HoldCause(cause, cause.text, self.causes[cause], cause.remedy) for cause in causes),
            hosts=tuple(RefusedHost(host, cause) for host, cause in self.hosts.items()),
            messages=self.messages,
            recipients=self.recipients,
            next=self.next,
            returned=self.returned,
        )


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


class PolicyHoldRoutes:
    """Answers what waits.

    :param now: POSIX seconds.
    """

    def __init__(self, commands: IQueueCommands, now: Callable[[], float]) -> None:
        self._commands = commands
        self._now = now

    def add_to(self, table: RouteTable) -> None:
        """Serve it."""
        table.add(operations.LIST_HELD_BY_POLICY, self.held)

    async def held(self, asked: ListHeldByPolicy, by: str) -> HeldByPolicyAnswer:
        """What TLS policy keeps waiting."""
        domain = asked_domain(asked.domain, self._commands.destinations().__contains__) if asked.domain else ""
        holds = DomainHolds()
        async for mid in self._commands.in_turns(self._commands.policy_held()):
            message = self._commands.held_by_policy(mid)
            if message is not None:
                holds.add(message, domain)
        rows = holds.rows()
        return HeldByPolicyAnswer(self._now(), len(rows), tuple(row.facts() for row in rows[: asked.limit]))
