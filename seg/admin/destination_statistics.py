"""How each destination fares, and what was decided for each waiting message: gathered from events, bounded in memory."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import attrs

from seg.common.bounded import BoundedMap
from seg.common.endpoint import host_endpoint
from seg.events.base import Event
from seg.events.delivery import (
    DeliveryClosed,
    DeliveryConnectFailed,
    DeliveryStarted,
    PolicyExplained,
    RecipientsDelivered,
)
from seg.events.queue import RecipientBounced, RecipientDelayed
from seg.mail.address import domain_of
from seg.mail.causes import CauseKind, PolicyResult
from seg.mail.errors import DeliveryError

MOST_HOSTS = 20_000  # destinations; those heard of longest ago are forgotten
MOST_EXPLANATIONS = 20_000  # (message, destination)
REMEMBERED = 7 * 86400.0  # seconds for which a destination that nothing is heard of is kept
LONGEST_TEXT = 300  # characters kept of what a server, a policy or a decision says
HOSTS_OF_ONE = 10  # hosts whose decision is kept for one message at one destination


@attrs.define
class DestinationRecord:
    """One destination since the start."""

    domain: str
    up: bool | None = None  # None: unknown
    delivered: int = 0  # recipients
    soft_bounced: int = 0  # events
    hard_bounced: int = 0  # recipients
    last_activity: float = 0.0
    last_5xx: str = ""
    last_5xx_at: float = 0.0
    last_failure: str = ""  # of a connection, or a delay
    last_failure_at: float = 0.0
    refused_by_policy: int = 0


@attrs.frozen
class Explanation:
    """What was decided for one host."""

    at: float
    host: str
    opinions: tuple[tuple[str, str], ...]
    outcome: str
    result: PolicyResult
    cause: CauseKind | None  # why nothing was sent


class DestinationStatistics:
    """Its `handlers` hear of events.

    :param now: POSIX seconds.
    """

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._hosts: BoundedMap[str, DestinationRecord] = BoundedMap(MOST_HOSTS)
        self._explained: BoundedMap[tuple[int, str], dict[str, Explanation]] = BoundedMap(MOST_EXPLANATIONS)
        self._under_way: dict[int, str] = {}  # delivery connection -> destination of its last transaction
        self.handlers: Mapping[type[Event], Callable[[Any], object]] = {
            PolicyExplained: self._was_explained,
            DeliveryStarted: self._started,
            DeliveryClosed: lambda e: self._under_way.pop(e.dcid, None),
            RecipientsDelivered: self._delivered,
            RecipientDelayed: self._delayed,
            RecipientBounced: self._bounced,
            DeliveryConnectFailed: self._not_reached,
        }

    def host(self, domain: str) -> DestinationRecord | None:
        """What is known of a destination."""
        return self._hosts.get(domain)

    def hosts(self) -> list[DestinationRecord]:
        """All that is known."""
        return list(self._hosts.values())

    def connections(self) -> dict[str, int]:
        """Connections open now, by the destination of their last transaction."""
        found: dict[str, int] = {}
        for domain in self._under_way.values():
            found[domain] = found.get(domain, 0) + 1
        return found

    def explanations(self, mid: int, domain: str) -> list[Explanation]:
        """What was last decided for each host of a destination, for this message."""
        return list(self._explained.get((mid, domain), {}).values())

    def _record(self, domain: str) -> DestinationRecord:
        record = self._hosts.use(domain)
        if record is None:
            record = self._hosts[domain] = DestinationRecord(domain)
            self._forget()
        record.last_activity = self._now()
        return record

    def _forget(self) -> None:
        """What a destination costs that isn't heard of any more goes to zero; the first in the table was heard of longest ago."""
        oldest = self._now() - REMEMBERED
        for _ in range(2):  # two for each that comes
            first = next(iter(self._hosts.values()))
            if not first.last_activity or first.last_activity > oldest:
                return
            del self._hosts[first.domain]

    def _was_explained(self, event: PolicyExplained) -> None:
        found = self._explained.renew((event.mid, event.domain), dict)
        if len(found) < HOSTS_OF_ONE or event.host in found:
            opinions = tuple((name, text[:LONGEST_TEXT]) for name, text in event.opinions)
            found[event.host] = Explanation(
                self._now(), event.host, opinions, event.outcome[:LONGEST_TEXT], event.result, event.cause
            )
        if event.result is PolicyResult.REFUSED:
            self._record(event.domain).refused_by_policy += 1

    def _started(self, event: DeliveryStarted) -> None:
        self._under_way[event.dcid] = event.domain

    def _delivered(self, event: RecipientsDelivered) -> None:
        record = self._record(event.domain)
        record.up = True
        record.delivered += len(event.rids)
        self._explained.pop((event.mid, event.domain), None)

    def _delayed(self, event: RecipientDelayed) -> None:
        record = self._record(domain_of(event.address))
        record.soft_bounced += 1
        record.last_failure, record.last_failure_at = _told(event.error), record.last_activity
        if event.error.code or event.error.remote:
            record.up = True  # it answers

    def _bounced(self, event: RecipientBounced) -> None:
        record = self._record(domain_of(event.address))
        record.hard_bounced += 1
        if event.error.code:
            record.up = True
            record.last_5xx, record.last_5xx_at = _told(event.error), record.last_activity
        self._explained.pop((event.mid, record.domain), None)

    def _not_reached(self, event: DeliveryConnectFailed) -> None:
        record = self._record(event.domain)
        record.up = False
        text = f"{host_endpoint(event.host, event.address, event.port)}: {event.details}"[:LONGEST_TEXT]
        record.last_failure, record.last_failure_at = text, record.last_activity


def _told(error: DeliveryError) -> str:
    """An error as far as it is kept: a server chooses how long its text is."""
    return str(error)[:LONGEST_TEXT]
