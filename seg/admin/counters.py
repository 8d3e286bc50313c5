"""What has happened since the start, counted from events."""

from __future__ import annotations

from zope.interface import implementer

from seg.events.base import Event, IEventSink
from seg.events.delivery import DeliveryConnected, DeliveryTLSDeferred, PolicyObserved, RecipientsDelivered
from seg.events.policy import DANESucceeded, STSSucceeded
from seg.events.queue import RecipientBounced, RecipientDelayed
from seg.events.receive import ConnectionAccepted, FilterAnswered, FilterAway, MessageReceived


@implementer(IEventSink)
class EventCounters:
    """Counts the events that an operator asks for first. Listens on the event bus."""

    debug = False

    def __init__(self) -> None:
        self.connections_in = 0
        self.connections_out = 0
        self.messages_received = 0
        self.recipients_delivered = 0
        self.recipients_delayed = 0  # events: one recipient may be delayed many times
        self.recipients_bounced = 0
        self.tls_verified: dict[str, int] = {"mta-sts": 0, "dane": 0}
        self.policy_refusals = 0
        self.policy_observed: dict[str, dict[str, int]] = {}  # provider -> passed, failed: nothing of it was enforced
        self.filters: dict[str, dict[str, int]] = {}  # filter -> how often it gave which answer, or none ("away")
        self._count = {
            ConnectionAccepted: self._connected_in,
            DeliveryConnected: self._connected_out,
            MessageReceived: self._received,
            FilterAnswered: self._filter_answered,
            FilterAway: self._filter_away,
            RecipientsDelivered: self._delivered,
            RecipientDelayed: self._delayed,
            RecipientBounced: self._bounced,
            STSSucceeded: self._sts_verified,
            DANESucceeded: self._dane_verified,
            DeliveryTLSDeferred: self._refused,
            PolicyObserved: self._observed,
        }

    @property
    def kinds(self) -> tuple[type[Event], ...]:
        """The classes of events that are told to it."""
        return tuple(self._count)

    def emit(self, event: Event) -> None:
        """Count one event."""
        count = self._count.get(type(event))
        if count is not None:
            count(event)

    def as_dict(self) -> dict[str, object]:
        """All counters by name."""
        return {
            "connections_in": self.connections_in,
            "connections_out": self.connections_out,
            "messages_received": self.messages_received,
            "recipients_delivered": self.recipients_delivered,
            "recipients_delayed": self.recipients_delayed,
            "recipients_bounced": self.recipients_bounced,
            "verified_by_mta_sts": self.tls_verified["mta-sts"],
            "verified_by_dane": self.tls_verified["dane"],
            "policy_refusals": self.policy_refusals,
            "policy_observed": {provider: dict(counts) for provider, counts in self.policy_observed.items()},
            "filters": {name: dict(counts) for name, counts in self.filters.items()},
        }

    def _connected_in(self, event: Event) -> None:
        self.connections_in += 1

    def _connected_out(self, event: Event) -> None:
        self.connections_out += 1

    def _received(self, event: Event) -> None:
        assert isinstance(event, MessageReceived)
        self.messages_received += not event.own

    def _filter_answered(self, event: Event) -> None:
        assert isinstance(event, FilterAnswered)
        self._count_filter(event.name, event.answer)

    def _filter_away(self, event: Event) -> None:
        assert isinstance(event, FilterAway)
        self._count_filter(event.name, "away")

    def _count_filter(self, name: str, answer: str) -> None:
        counts = self.filters.setdefault(name, {})
        counts[answer] = counts.get(answer, 0) + 1

    def _delivered(self, event: Event) -> None:
        assert isinstance(event, RecipientsDelivered)
        self.recipients_delivered += len(event.rids)

    def _delayed(self, event: Event) -> None:
        self.recipients_delayed += 1

    def _bounced(self, event: Event) -> None:
        self.recipients_bounced += 1

    def _sts_verified(self, event: Event) -> None:
        self.tls_verified["mta-sts"] += 1

    def _dane_verified(self, event: Event) -> None:
        self.tls_verified["dane"] += 1

    def _refused(self, event: Event) -> None:
        self.policy_refusals += 1

    def _observed(self, event: Event) -> None:
        assert isinstance(event, PolicyObserved)
        counts = self.policy_observed.setdefault(event.provider, {"passed": 0, "failed": 0})
        counts["passed" if event.ok else "failed"] += 1
