"""How much happens at present: events in an hour, as the last 1, 5 and 15 minutes would make it."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable

from zope.interface import implementer

from seg.events.base import Event, IEventSink
from seg.events.delivery import DeliveryConnected, RecipientsDelivered
from seg.events.queue import RecipientBounced, RecipientDelayed
from seg.events.receive import ConnectionAccepted, MessageReceived, RecipientAccepted

STEP = 5  # seconds that are counted together
WINDOWS = (1, 5, 15)  # minutes
COUNTED: dict[type[Event], str] = {
    ConnectionAccepted: "connections_in",
    DeliveryConnected: "connections_out",
    MessageReceived: "messages_received",
    RecipientAccepted: "recipients_received",
    RecipientsDelivered: "recipients_delivered",
    RecipientDelayed: "recipients_delayed",
    RecipientBounced: "recipients_bounced",
}


@implementer(IEventSink)
class EventRates:
    """Counts events in steps of a few seconds, for as long as the longest window. Listens on the event bus."""

    debug = False

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._steps: deque[tuple[int, Counter[str]]] = deque(maxlen=WINDOWS[-1] * 60 // STEP + 1)

    def emit(self, event: Event) -> None:
        """Count one event."""
        name = COUNTED.get(type(event))
        if name is None or (isinstance(event, MessageReceived) and event.own):
            return
        step = self._step()
        if not self._steps or self._steps[-1][0] != step:
            self._steps.append((step, Counter()))
        self._steps[-1][1][name] += len(event.rids) if isinstance(event, RecipientsDelivered) else 1

    def per_hour(self) -> dict[str, dict[str, int]]:
        """Of each name, by window in minutes: 100 in one minute are 6000 (1), 1200 (5) and 400 (15) an hour."""
        step = self._step()
        found: dict[str, dict[str, int]] = {name: {} for name in COUNTED.values()}
        for minutes in WINDOWS:
            first = step - minutes * 60 // STEP
            total: Counter[str] = Counter()
            for number, counted in self._steps:
                if number > first:
                    total.update(counted)
            for name in COUNTED.values():
                found[name][str(minutes)] = round(total[name] * 60 / minutes)
        return found

    def _step(self) -> int:
        return int(self._now() // STEP)
