"""Doubles of the interfaces of each room: they keep everything in memory and show what they were told."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from types import ModuleType
from typing import Any, Protocol, TypeVar

import attrs
from twisted.internet.defer import Deferred, succeed
from twisted.internet.task import Clock
from zope.interface import implementer

from seg.common.clock import SteadyClock
from seg.events.base import Event, IEventSink
from seg.events.bus import EventBus
from seg.mail.envelope import Envelope, RecipientState
from seg.mail.ids import IMessageIds
from seg.mail.outcome import Bounced, Delivered, Outcome
from seg.queue.interfaces import IContent, IMessageWriter, IQueue, Lease
from seg.smtp.dot_stuffing import CleanLines, NULInContent

E = TypeVar("E", bound=Event)
T = TypeVar("T")


class TurningClock(Clock):
    """Like a reactor: what is asked for now comes in the next turn."""

    def turn(self) -> None:
        """One turn."""
        for call in [call for call in self.getDelayedCalls() if call.getTime() <= self.seconds()]:
            if call.active():
                self.calls.remove(call)
                call.called = 1
                call.func(*call.args, **call.kw)


class SettableClock(Clock):
    """A clock of tests with a system's clock beside it that can be set: ``advance`` moves both, `set_by` only that one."""

    def __init__(self, now: float = 1_800_000_000.0) -> None:
        super().__init__()
        self.off = now
        self.seconds = SteadyClock(super().seconds, lambda: self.rightNow + self.off)  # type: ignore[method-assign]

    def set_by(self, seconds: float) -> None:
        """Somebody sets the system's clock."""
        self.off += seconds


@implementer(IEventSink)
class RecordingSink:
    """Keeps the events in the order in which they came."""

    def __init__(self, debug: bool = True) -> None:
        self.debug = debug
        self.events: list[Event] = []

    def emit(self, event: Event) -> None:
        """Keep the event."""
        self.events.append(event)

    def of(self, kind: type[E]) -> list[E]:
        """The events of one class."""
        return [event for event in self.events if isinstance(event, kind)]


@implementer(IMessageIds)
class CountingCounters:
    """Counts 1, 2, 3 (each id by itself)."""

    unreserved = False

    def reserve(self) -> None:
        """Nothing to reserve."""

    def __init__(self, start: int = 1) -> None:
        self._mid = itertools.count(start)
        self._icid = itertools.count(start)
        self._dcid = itertools.count(start)

    def next_mid(self) -> int:
        """The next MID."""
        return next(self._mid)

    def next_icid(self) -> int:
        """The next ICID."""
        return next(self._icid)

    def next_dcid(self) -> int:
        """The next DCID."""
        return next(self._dcid)


@implementer(IContent)
class MemoryContent:
    """Content held as one piece."""

    def __init__(self, data: bytes, piece: int = 65536) -> None:
        self.data = data
        self.size = len(data)
        self._piece = piece

    async def chunks(self) -> AsyncIterator[bytes]:
        """The content in pieces."""
        for start in range(0, len(self.data), self._piece):
            yield self.data[start : start + self._piece]

    async def head(self, limit: int) -> bytes:
        """The first octets."""
        return self.data[:limit]


@attrs.define
class MemoryMessage:
    """A message in a `MemoryQueue`, and how its recipients have fared."""

    envelope: Envelope
    content: bytes
    outcomes: dict[int, Outcome] = attrs.field(factory=dict)  # RID -> the last outcome
    leased: set[int] = attrs.field(factory=set)


@implementer(IMessageWriter)
class MemoryWriter:
    """Collects what is written; commits at once, by hand, or not at all, as its queue says."""

    backpressure = None

    def __init__(self, queue: MemoryQueue, mid: int, before_due: Callable[[], Deferred[None]] | None = None) -> None:
        self.mid = mid
        self.before_due = before_due
        self.data = b""
        self.size = 0
        self._lines = CleanLines()
        self.committed = False
        self.aborted = False
        self._queue = queue

    def write(self, data: bytes) -> None:
        """Append."""
        if self._queue.write_error is not None:
            raise self._queue.write_error
        clean = self._lines.feed(data)
        if self._lines.nul:
            raise NULInContent
        self._take(clean)

    def _take(self, data: bytes) -> None:
        self.data += data
        self.size += len(data)

    def commit(self, envelope: Envelope) -> Deferred[None]:
        """Make it a message of the queue, when the queue's mode says so."""
        if envelope.mid != self.mid:
            raise ValueError(f"envelope of MID {envelope.mid} for the content of MID {self.mid}")
        self._take(self._lines.finish())
        self.committed = True
        durable: Deferred[None] = Deferred()
        if self.before_due is not None:
            before = self.before_due
            durable.addCallback(lambda _: before())
        durable.addCallback(lambda _: self._queue.add(envelope, self.data))
        if self._queue.by_hand:
            self._queue.commits.append(durable)
        elif self._queue.commit_error is not None:
            durable.errback(self._queue.commit_error)
        else:
            durable.callback(None)
        return durable

    async def content(self) -> MemoryContent:
        """What was written."""
        self._take(self._lines.finish())
        return MemoryContent(self.data)

    def sibling(self) -> MemoryWriter:
        """Another one, among the queue's writers as well."""
        return self._queue.begin(self.mid, self.before_due)

    def abort(self) -> None:
        """Forget it."""
        self.aborted = True


@implementer(IQueue)
class MemoryQueue:
    """A queue in memory. Recipients of a domain are due until an outcome other than `Delayed` is settled."""

    def __init__(self) -> None:
        self.messages: dict[int, MemoryMessage] = {}
        self.writers: list[MemoryWriter] = []
        self.by_hand = False  # commits wait in `commits` until the test fires them
        self.commits: list[Deferred[None]] = []
        self.commit_error: OSError | MemoryError | None = None  # every commit fails with it
        self.write_error: OSError | MemoryError | None = None  # every write fails with it
        self.refused: OSError | None = None  # new mail is, for this reason
        self.released: list[Lease] = []
        self._listeners: list[Callable[[str], None]] = []

    def begin(self, mid: int, before_due: Callable[[], Deferred[None]] | None = None) -> MemoryWriter:
        """Start a message."""
        writer = MemoryWriter(self, mid, before_due)
        self.writers.append(writer)
        return writer

    def refusal(self) -> OSError | None:
        """As the test says."""
        return self.refused

    def add(self, envelope: Envelope, content: bytes) -> None:
        """Put a message that is whole and due."""
        self.messages[envelope.mid] = MemoryMessage(envelope, content)
        for domain in dict.fromkeys(recipient.domain for recipient in envelope.pending):
            for on_ready in self._listeners:
                on_ready(domain)

    def subscribe(self, on_ready: Callable[[str], None]) -> None:
        """Tell of due work, also of what there is now."""
        self._listeners.append(on_ready)
        for message in self.messages.values():
            for domain in dict.fromkeys(recipient.domain for recipient in message.envelope.pending):
                on_ready(domain)

    def lease(self, domain: str, most: int = 0) -> Lease | None:
        """The due recipients of the oldest message for the domain."""
        for message in self.messages.values():
            due = tuple(
                recipient
                for recipient in message.envelope.pending
                if recipient.domain == domain and recipient.rid not in message.leased | message.outcomes.keys()
            )
            due = due[:most] if most else due
            if due:
                message.leased.update(recipient.rid for recipient in due)
                return Lease(message.envelope, domain, due, MemoryContent(message.content))
        return None

    def settle(self, lease: Lease, outcomes: dict[int, Outcome]) -> Deferred[None]:
        """Keep the outcomes; delayed recipients wait until `retry`."""
        message = self.messages[lease.mid]
        message.leased.difference_update(lease.rids)
        message.outcomes.update(outcomes)
        states = {
            rid: RecipientState.DELIVERED if isinstance(outcome, Delivered) else RecipientState.BOUNCED
            for rid, outcome in outcomes.items()
            if isinstance(outcome, Delivered | Bounced)
        }
        recipients = tuple(
            attrs.evolve(recipient, state=states.get(recipient.rid, recipient.state))
            for recipient in message.envelope.recipients
        )
        message.envelope = attrs.evolve(message.envelope, recipients=recipients)
        return succeed(None)

    def release(self, lease: Lease) -> None:
        """Make the recipients due again."""
        self.released.append(lease)
        self.messages[lease.mid].leased.difference_update(lease.rids)

    def retry(self) -> None:
        """Make every delayed recipient due again."""
        for message in self.messages.values():
            waiting = {recipient.rid for recipient in message.envelope.pending}
            for rid in waiting & message.outcomes.keys():
                del message.outcomes[rid]
            for domain in dict.fromkeys(recipient.domain for recipient in message.envelope.pending):
                for on_ready in self._listeners:
                    on_ready(domain)


def named_in(module: ModuleType, base: type[T]) -> Iterator[type[T]]:
    """The classes below `base` that a module names. (``base.__subclasses__()`` may hold one twice: of an attrs class with slots the one that
    it was made of stays there until the garbage is collected.)"""
    for found in vars(module).values():
        if isinstance(found, type) and issubclass(found, base) and found is not base:
            yield found


class Hearing(Protocol):
    """What hears events of some classes."""

    @property
    def handlers(self) -> Mapping[type[Event], Callable[[Any], object]]:
        """Who is called with events of which class."""


def tell(part: Hearing, *events: Event) -> None:
    """Let it hear of events, as from the bus."""
    bus = EventBus()
    bus.subscribe(part.handlers)
    for event in events:
        bus.emit(event)
