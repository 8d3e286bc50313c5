"""The whole vocabulary of the mail log: every class of events with its lines, in one table."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import attrs

from seg.events.base import DebugEvent, Event
from seg.events.receive import MessageReceived
from seg.maillog import lines_delivery, lines_dns, lines_gateway, lines_policy, lines_queue, lines_receive
from seg.maillog.log_table import Level, LogEntry, LogLine

# By the words of a subscription's `events` (`seg.config.subscriptions.KINDS_OF_EVENTS`).
KINDS: Mapping[str, tuple[LogEntry, ...]] = MappingProxyType(
    {
        "gateway": lines_gateway.ENTRIES,
        "receive": lines_receive.ENTRIES,
        "queue": lines_queue.ENTRIES,
        "delivery": lines_delivery.ENTRIES,
        "policy": lines_policy.ENTRIES,
        "dns": lines_dns.ENTRIES,
    }
)

AREAS: tuple[tuple[str, tuple[LogEntry, ...]], ...] = (
    ("The gateway", KINDS["gateway"]),
    ("Injection", KINDS["receive"]),
    ("The queue", KINDS["queue"]),
    ("Delivery", KINDS["delivery"]),
    ("TLS policy", KINDS["policy"]),
    ("DNS", KINDS["dns"]),
)

LINES: Mapping[type[Event], LogEntry] = MappingProxyType(
    {entry.event: entry for _, entries in AREAS for entry in entries}
)


def without_details(event: MessageReceived) -> MessageReceived:
    """The event without what its sender may not want in a log."""
    return attrs.evolve(event, message_id="", subject="") if event.message_id or event.subject else event


def render_unknown(event: Event) -> tuple[LogLine, ...]:
    """The line of a class that isn't in the table (a third party's provider may have its own): never lost."""
    return ((Level.DEBUG if isinstance(event, DebugEvent) else Level.INFO, repr(event)),)


def render(event: Event) -> tuple[LogLine, ...]:
    """The lines of one event, the texts not yet cleaned."""
    entry = LINES.get(type(event))
    return entry.render(event) if entry else render_unknown(event)
