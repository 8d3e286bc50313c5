"""What an operator may ask of the queue and do to it."""

from __future__ import annotations

import enum
from bisect import bisect_right
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable, Iterator, Mapping
from functools import wraps
from time import thread_time
from typing import Any, Concatenate, ParamSpec, TypeVar

import attrs
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater

from seg.common.clock import as_posix
from seg.events.base import IEventSink
from seg.events.gateway import OperatorActed
from seg.events.queue import MessageHeld, MessageReleased
from seg.mail.causes import CauseKind
from seg.mail.envelope import Envelope, Recipient, RecipientState
from seg.mail.errors import Permanent
from seg.mail.outcome import Bounced, Outcome
from seg.queue.index import QueueCounts
from seg.queue.index_entry import IndexEntry
from seg.queue.loading import Loading
from seg.queue.queue import Queue

HEAD = 1024  # octets of the content that `show` gives
TURN = 0.005  # seconds of work before the reactor gets its turn
AT_LEAST = 20  # messages looked at in one turn


class MessageState(enum.StrEnum):
    """What a queued message is waiting for."""

    ACTIVE = "active"  # being tried
    DUE = "due"  # will be tried as soon as its destination's limits allow
    WAITING = "waiting"  # for its next try
    HELD = "held"  # by an operator
    BOUNCING = "bouncing"  # its failure report is being written


@attrs.frozen
class MessageSummary:
    """One line of a listing of the queue."""

    mid: int
    size: int  # octets
    arrived: float  # POSIX seconds
    sender: str  # "" is the null reverse-path
    recipients: tuple[str, ...]  # addresses that wait for a delivery or a report
    domains: tuple[str, ...]  # theirs, each once
    state: MessageState
    attempts: int  # the most of any recipient
    due: float  # POSIX seconds of the next try; 0.0: at once
    error: str  # the last failure, one line
    expires: float  # POSIX seconds at which it is returned
    causes: tuple[CauseKind, ...] = ()  # why TLS policy keeps recipients of it waiting


@attrs.frozen
class MessageDetails:
    """One message in full."""

    listing: MessageSummary
    envelope: Envelope
    head: bytes  # the first octets of the content


@attrs.frozen
class HeldByPolicy:
    """What TLS policy keeps waiting of one message."""

    mid: int
    recipients: tuple[Recipient, ...]  # each with its `policy`; times in POSIX seconds
    held: bool  # by an operator besides
    expires: float  # POSIX seconds at which it is returned


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
        """The queue in numbers; cheap enough to be asked every second."""
        counts = self._index.counts()
        return attrs.evolve(counts, unread=self._loading.unread, corrupt=self._loading.corrupt)

    def destinations(self) -> Mapping[str, int]:
        """Recipients that wait for a delivery or a report, by destination."""
        return self._index.by_domain

    def causes(self) -> Mapping[CauseKind, int]:
        """Messages that TLS policy keeps waiting, by cause; one with several counts for each."""
        return self._index.by_cause

    def unwritten(self, mid: int) -> str:
        """Why what is known of a message isn't written down yet: it is in force, but a restart would not know of it. "" = it is, or
        there is no such message."""
        entry = self._index.get(mid)
        return "" if entry is None else entry.unusual.unwritten

    def pause(self) -> Deferred[None]:
        """Fires in the reactor's next turn."""
        return deferLater(self._clock, 0)

    async def in_turns(self, items: Iterable[T]) -> AsyncIterator[T]:
        """The items; others get their turn in between: an order over many messages goes in slices."""
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
        """All queued messages from the first one above `after`."""
        mids = self._index.mids()
        return mids[bisect_right(mids, after) :]

    def listing(self, mid: int, mention: str = "", held: bool = False) -> MessageSummary | None:
        """One message; None when it isn't queued, waits for nothing, or surely doesn't mention an address or domain (in
        lower case and A-labels), or isn't held although that is asked for."""
        entry = self._index.get(mid)
        if entry is None or not entry.waiting or (held and not entry.held) or not entry.may_mention(mention):
            return None
        return self._listing(entry, entry.envelope)

    def policy_held(self) -> list[int]:
        """The messages of which TLS policy keeps recipients waiting, oldest first."""
        return self._index.policy_held()

    def held_by_policy(self, mid: int) -> HeldByPolicy | None:
        """What TLS policy keeps of a message; None when there is nothing."""
        entry = self._index.get(mid)
        if entry is None or not entry.unusual.causes:
            return None
        envelope = self.queue.in_posix(entry.envelope)
        waiting = tuple(
            r for r in envelope.recipients if r.state is RecipientState.PENDING and r.policy and r.policy.refusals
        )
        return HeldByPolicy(mid, waiting, entry.held, as_posix(self._clock, entry.expires))

    async def show(self, mid: int) -> MessageDetails | None:
        """One message with the beginning of its content; None when it isn't queued.

        :raises OSError: the spool file can't be read.
        """
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
        """Try it no more until released, restarts included. What is being tried just now is completed. False:
        there is no such message, or it is held already."""
        entry = self._index.get(mid)
        if entry is None or entry.held or not entry.waiting:
            return False
        await self._set_held(entry, True)
        self._sink.emit(MessageHeld(mid, by))
        return True

    @answered
    async def release_hold(self, mid: int, by: str) -> bool:
        """Go on with a held message, which is due at once if its time has come. Its lifetime, if over, is
        extended for one try. False: there is no such message, or it isn't held."""
        entry = self._index.get(mid)
        if entry is None or not entry.held:
            return False
        entry.expires = self.queue.extended_expiry(entry.envelope)
        await self._set_held(entry, False)
        self._sink.emit(MessageReleased(mid, by))
        return True

    @answered
    async def delete(self, mid: int, by: str) -> bool:
        """Drop what is pending; nobody is told. What is being tried just now is completed first, and the rest
        dropped then. False: there is no such message."""
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
        """Return to its sender what is pending and isn't being tried just now. False: there is nothing of it."""
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
        """Make recipients due now: of one message (its MID), of one destination (its domain), or all ("").
        The number of recipients that needn't wait any more. Held messages stay held."""
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
        """Send what is pending, or of it what is for a destination, to this host instead of its own route, restarts included, and now;
        "" is back to its own route. What is being tried just now is completed first. False: nothing of it waits."""
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
