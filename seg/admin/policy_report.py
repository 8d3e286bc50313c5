"""What would have failed if every policy were enforced: sessions held against a policy that is only watched, by domain, cause and day.

In memory, since the start of the gateway: at most `MOST_DOMAINS` domains (those that failed longest ago are forgotten) with `DAYS` days each.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

import attrs

from seg.admin.http import RouteTable
from seg.admin.names import asked_domain
from seg.admin.wire import operations
from seg.admin.wire.destinations import DAYS, FailingCause, FailingDomain, GetPolicyReport, PolicyReportAnswer
from seg.common.bounded import BoundedMap
from seg.events.base import Event
from seg.events.delivery import PolicyObserved
from seg.mail.causes import CauseKind

MOST_DOMAINS = 5000
MOST_POLICIES = 20  # (provider, cause) of one domain; more are left out
LONGEST_TEXT = 300  # characters kept of what failed
DAY = 86400.0

Policy = tuple[str, CauseKind]  # provider and cause


@attrs.define
class Failing:
    """One cause at one domain."""

    days: Counter[int] = attrs.field(factory=Counter)  # sessions, by days since 1970
    last: float = 0.0  # POSIX seconds
    host: str = ""  # of the last one
    text: str = ""

    def note(self, now: float, host: str, text: str) -> None:
        """One more session."""
        today = int(now // DAY)
        self.days[today] += 1
        for day in [day for day in self.days if day <= today - DAYS]:
            del self.days[day]
        self.last, self.host, self.text = now, host, text[:LONGEST_TEXT]

    def count(self, since: int) -> int:
        """The sessions from a day on."""
        return sum(number for day, number in self.days.items() if day >= since)


class PolicyReport:
    """Its `handlers` hear of such sessions.

    :param now: POSIX seconds.
    """

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._since = now()
        self._domains: BoundedMap[str, dict[Policy, Failing]] = BoundedMap(MOST_DOMAINS)
        self.handlers: Mapping[type[Event], Callable[[Any], object]] = {PolicyObserved: self._observed}

    def _observed(self, event: PolicyObserved) -> None:
        """Note a session that a policy would have refused."""
        if event.ok:
            return
        found = self._domains.renew(event.domain, dict)
        policy = (event.provider, event.cause or CauseKind.OTHER)
        if policy in found or len(found) < MOST_POLICIES:
            found.setdefault(policy, Failing()).note(self._now(), event.host, event.text)

    def add_to(self, table: RouteTable) -> None:
        """Serve it."""
        table.add(operations.GET_POLICY_REPORT, self.report)

    async def report(self, asked: GetPolicyReport, by: str) -> PolicyReportAnswer:
        """A domain a row."""
        now = self._now()
        only = asked_domain(asked.domain, self._domains.__contains__) if asked.domain else ""
        first = int(now // DAY) - max(asked.days, 1) + 1
        rows = [
            row
            for domain, found in self._domains.items()
            if only in ("", domain) and (row := _row(domain, found, first)) is not None
        ]
        rows.sort(key=lambda row: (-row.sessions, row.domain))
        return PolicyReportAnswer(now, max(self._since, first * DAY), len(rows), rows[: asked.limit])


def _row(domain: str, found: dict[Policy, Failing], first: int) -> FailingDomain | None:
    """What a domain would have lost from a day on; None: nothing."""
    causes = [
        FailingCause(provider, cause, cause.text, count, failing.last, failing.host, failing.text)
        for (provider, cause), failing in found.items()
        if (count := failing.count(first))
    ]
    if not causes:
        return None
    causes.sort(key=lambda each: (-each.sessions, each.cause))
    sessions = sum(each.sessions for each in causes)
    return FailingDomain(domain, sessions, max(failing.last for failing in found.values()), tuple(causes))
