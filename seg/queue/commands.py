"""What an operator may ask of the queue and do to it."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable, Iterator, Mapping
from functools import wraps
from time import thread_time
from typing import Any, Concatenate, ParamSpec, TypeVar

import attrs
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater
from zope.interface import implementer

from seg.common.clock import as_posix
from seg.events.base import IEventSink
from seg.events.gateway import OperatorActed
from seg.events.queue import MessageHeld, MessageReleased
from seg.mail.causes import CauseKind
from seg.mail.envelope import Envelope, Recipient, RecipientState
from seg.mail.errors import Permanent
from seg.mail.outcome import Bounced, Outcome
from seg.queue.index_entry import IndexEntry
from seg.queue.interfaces import (
    HeldByPolicy,
    IContent,
    IQueueCommands,
    MessageDetails,
    MessageState,
    MessageSummary,
    QueueCounts,
)
from seg.queue.loading import Loading
from seg.queue.queue import Queue

HEAD = 1024  # octets of the content that `show` gives
TURN = 0.005  # seconds of work before the reactor gets its turn
AT_LEAST = 20  # messages looked at in one turn


P = ParamSpec("P")
T = TypeVar("T")


def answered(
    command: Callable[Concatenate[QueueCommands, int, P], Coroutine[Deferred[Any], Any, bool]],
) -> Callable[Concatenate[QueueCommands, int, P], Deferred[bool]]:
    """A command on a message, which answers when what it did is durable; or True as soon as that is in force, if it can't be written
    down for now (see `QueueCommands.unwritten`)."""

    @wraps(command)
    def wrapper(self: QueueCommands, mid: int, /, *args: P.args, **kwargs: P.kwargs) -> Deferred[bool]:
        entry = self.queue.index.get(mid)
        said: list[bool] = []
        work = Deferred.fromCoroutine(command(self, mid, *args, **kwargs)).addCallback(said.append)
        if entry is None or work.called:
            return work.addCallback(lambda _: said[0])
        return self.queue.answers.in_force(entry, work).addCallback(lambda _: said[0] if said else True)

    return wrapper


@implementer(IQueueCommands)
class QueueCommands:
    """Questions about queued messages, and commands on them.

    :ivar queue: the queue itself.
    """

    def __init__(self, queue: Queue, loading: Loading, sink: IEventSink, clock: IReactorTime) -> None:
        self.queue = queue
        self._index = queue.index
        self._loading = loading
        self._sink = sink
        self._clock = clock

    # --- questions --------------------------------------------------------------------------------

    def counts(self) -> QueueCounts:
        """See `IQueueCommands.counts`."""
        counts = self._index.counts()
        return attrs.evolve(counts, unread=self._loading.unread, corrupt=self._loading.corrupt)

    def destinations(self) -> Mapping[str, int]:
        """See `IQueueCommands.destinations`."""
        return self._index.by_domain

    def causes(self) -> Mapping[CauseKind, int]:
        """See `IQueueCommands.causes`."""
        return self._index.by_cause

    def unwritten(self, mid: int) -> str:
        """See `IQueueCommands.unwritten`."""
        entry = self._index.get(mid)
        return "" if entry is None else entry.unusual.unwritten

    def pause(self) -> Deferred[None]:
        """See `IQueueCommands.pause`."""
        return deferLater(self._clock, 0)

    async def in_turns(self, items: Iterable[T]) -> AsyncIterator[T]:
        """See `IQueueCommands.in_turns`."""
        begun = thread_time()
        for number, item in enumerate(items, 1):
            yield item
            if not number % AT_LEAST and thread_time() - begun > TURN:
                await self.pause()
                begun = thread_time()

    def messages(self, after: int = 0) -> Iterator[MessageSummary]:
        """All queued messages by MID, from the first one above `after`. Takes them as it goes, so that a long
        listing can be made in pieces; messages that leave the queue meanwhile are passed over."""
        for mid in self.mids(after):
            listing = self.listing(mid)
            if listing is not None:
                yield listing

    def mids(self, after: int = 0) -> list[int]:
        """See `IQueueCommands.mids`."""
        mids = self._index.mids()
        return mids[bisect_right(mids, after) :]

    def listing(self, mid: int, mention: str = "", held: bool = False) -> MessageSummary | None:
        """See `IQueueCommands.listing`."""
        entry = self._index.get(mid)
        if entry is None or not entry.waiting or (held and not entry.held) or not entry.may_mention(mention):
            return None
        return self._listing(entry, entry.envelope)

    def policy_held(self) -> list[int]:
        """See `IQueueCommands.policy_held`."""
        return self._index.policy_held()

    def held_by_policy(self, mid: int) -> HeldByPolicy | None:
        """See `IQueueCommands.held_by_policy`."""
        entry = self._index.get(mid)
        if entry is None or not entry.unusual.causes:
            return None
        envelope = self.queue.in_posix(entry.envelope)
        waiting = tuple(
            r for r in envelope.recipients if r.state is RecipientState.PENDING and r.policy and r.policy.refusals
        )
        return HeldByPolicy(mid, waiting, entry.held, as_posix(self._clock, entry.expires))

    def content(self, mid: int) -> IContent | None:
        """See `IQueueCommands.content`."""
        return self.queue.content(mid)

    async def show(self, mid: int) -> MessageDetails | None:
        """See `IQueueCommands.show`."""
        entry = self._index.get(mid)
        if entry is None:
            return None
        envelope = entry.envelope
        listing = self._listing(entry, envelope)
        head = await self.queue.content_of(entry, envelope).head(HEAD)
        return MessageDetails(listing, self.queue.in_posix(envelope), head)

    # --- commands ---------------------------------------------------------------------------------

    @answered
    async def hold(self, mid: int, by: str) -> bool:
        """See `IQueueCommands.hold`."""
        entry = self._index.get(mid)
        if entry is None or entry.held or not entry.waiting:
            return False
        await self._set_held(entry, True)
        self._sink.emit(MessageHeld(mid, by))
        return True

    @answered
    async def release_hold(self, mid: int, by: str) -> bool:
        """See `IQueueCommands.release_hold`."""
        entry = self._index.get(mid)
        if entry is None or not entry.held:
            return False
        entry.expires = self.queue.extended_expiry(entry.envelope)
        await self._set_held(entry, False)
        self._sink.emit(MessageReleased(mid, by))
        return True

    @answered
    async def delete(self, mid: int, by: str) -> bool:
        """See `IQueueCommands.delete`."""
        entry = self._index.get(mid)
        if entry is None:
            return False
        if entry.leased:
            entry.note(attrs.evolve(entry.unusual, deleted_by=by))
        else:
            await self.queue.delete(entry, by)
        return True

    @answered
    async def bounce(self, mid: int, by: str) -> bool:
        """See `IQueueCommands.bounce`."""
        entry = self._index.get(mid)
        if entry is None:
            return False
        error = Permanent("5.0.0", "Returned by the administrator of the mail gateway")
        outcomes: dict[int, Outcome] = {
            r.rid: Bounced(error)
            for r in entry.envelope.recipients
            if r.state is RecipientState.PENDING and r.rid not in entry.leased
        }
        if not outcomes:
            return False
        self._sink.emit(OperatorActed(by, f"bounce MID {mid}"))
        await self.queue.apply(entry, (), outcomes)
        return True

    async def retry(self, target: int | str = "") -> int:
        """See `IQueueCommands.retry`."""
        if isinstance(target, int):
            entry = self._index.get(target)
            return self._index.make_due(entry) if entry else 0
        hurried = 0
        async for mid in self.in_turns(self._index.mids()):
            entry = self._index.get(mid)
            if entry is not None:
                hurried += self._index.make_due(entry, target)
        return hurried

    @answered
    async def redirect(self, mid: int, via: str, by: str, domain: str = "") -> bool:
        """See `IQueueCommands.redirect`."""
        entry = self._index.get(mid)
        if entry is None:
            return False
        envelope = entry.envelope
        waiting = [
            r for r in envelope.recipients if r.state is RecipientState.PENDING and (not domain or r.domain == domain)
        ]
        changed = {r.rid: attrs.evolve(r, via=via) for r in waiting if r.via != via}
        if changed:
            recipients = tuple(changed.get(r.rid, r) for r in envelope.recipients)
            self._index.change(entry, attrs.evolve(envelope, recipients=recipients))
            self._index.make_due(entry, domain)
            where = f"to {via}" if via else "back to its own route"
            self._sink.emit(OperatorActed(by, f"redirect MID {mid} {where}" + (f", only {domain}" if domain else "")))
            await self.queue.save(entry)
        return bool(waiting)

    async def _set_held(self, entry: IndexEntry, held: bool) -> None:
        envelope = attrs.evolve(entry.envelope, held=held, damage=entry.envelope.damage if held else "")
        self._index.change(entry, envelope)
        self._index.plan(entry, envelope)
        await self.queue.save(entry)

    def _listing(self, entry: IndexEntry, envelope: Envelope) -> MessageSummary:
        pending = envelope.pending
        waiting = [r for r in pending if r.state is RecipientState.PENDING]
        last = max(pending, key=lambda r: r.attempts)
        due = min((r.due for r in waiting), default=0.0)
        return MessageSummary(
            mid=entry.mid,
            size=envelope.size,
            arrived=as_posix(self._clock, envelope.arrived),
            sender=envelope.reverse_path,
            recipients=tuple(r.address for r in pending),
            domains=tuple(dict.fromkeys(r.domain for r in pending)),
            state=self._state(entry, waiting, due),
            attempts=last.attempts,
            due=as_posix(self._clock, due) if due else 0.0,
            error=last.error,
            expires=as_posix(self._clock, entry.expires),
            causes=tuple(sorted(entry.unusual.causes)),
        )

    def _state(self, entry: IndexEntry, waiting: list[Recipient], due: float) -> MessageState:
        if entry.leased:
            return MessageState.ACTIVE
        if entry.held:
            return MessageState.HELD
        if not waiting:
            return MessageState.BOUNCING
        return MessageState.DUE if due <= self._clock.seconds() else MessageState.WAITING
