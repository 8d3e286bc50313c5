"""The durable queue: all messages that got their 250, in memory and on disk.

Rules that hold at any instant: the 250 of a message comes after its file is durable; a recipient leaves the
queue only by a delivery, a durable failure report, or an operator's command; memory is never behind what has
happened.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from itertools import count

import attrs
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from zope.interface import implementer

from seg.common.bounded import BoundedMap
from seg.common.clock import ahead, as_posix
from seg.config.schema import QueueSettings
from seg.events.base import Event, IEventSink
from seg.events.memory import note
from seg.events.queue import MessageFinished, RecipientsDeleted, RecipientsPending
from seg.mail.envelope import Envelope
from seg.mail.ids import IMessageIds
from seg.mail.outcome import Outcome
from seg.queue import settlement as rules
from seg.queue.answers import CommandAnswers
from seg.queue.background import BackgroundWork
from seg.queue.codec import StoredEnvelope, encode
from seg.queue.commit import SpoolOperation
from seg.queue.content import FileContent, MemoryContent
from seg.queue.health import NewMailCommits
from seg.queue.index import QueueIndex
from seg.queue.index_entry import IndexEntry
from seg.queue.interfaces import IContent, IMessageWriter, IQueue, IReportComposer, Lease
from seg.queue.notification import SenderNotification
from seg.queue.operations import RemoveMessage, RewriteEnvelope
from seg.queue.patience import WAIT, patiently
from seg.queue.reports import ReportWriter
from seg.queue.rewrites import FEW, SharedRewrites
from seg.queue.room import Room
from seg.queue.schedule import Moment, Schedules, clamped, shifted
from seg.queue.settlements import SharedSettlements
from seg.queue.store import SpoolStore
from seg.queue.writer import MessageWriter, NewMail

MOST_SHIFTED = (
    16  # envelopes of messages to many that are kept with times in POSIX seconds, while the system's clock differs
)


@implementer(IQueue)
class Queue:
    """The only one that changes index and files together. Memory changes first and counts; the files follow, however long that takes.

    Times in the index are those of the queue's clock, which is never set (`seg.common.clock`); those in files and events are POSIX
    seconds.

    :ivar store: the files.
    :ivar index: what is known of each message; to be changed by the queue alone.
    :ivar room: how much memory that may take.
    :param composer: writes reports.
    :param clock: the reactor.
    :param readdress: what becomes of the envelope of each new message, reports among them, before it is stored.
    """

    def __init__(
        self,
        store: SpoolStore,
        schedules: Schedules,
        composer: IReportComposer,
        ids: IMessageIds,
        sink: IEventSink,
        clock: IReactorTime,
        readdress: Callable[[Envelope], Envelope] = lambda envelope: envelope,
    ) -> None:
        self.store = store
        self.index = QueueIndex(clock, self._expired, self._overdue)
        self.room = Room(self.index, sink, clock)
        self.background = BackgroundWork(sink)
        self.answers = CommandAnswers(self.background, clock)
        self.saving: Counter[int] = Counter()  # settlements that aren't durable yet, by MID
        self._settings = schedules.general.settings
        self._schedules = schedules
        self._sink = sink
        self._clock = clock
        self._new_mail = NewMail(
            store.paths, NewMailCommits(store.commits, self.refusal), self, readdress, self._settings.memory
        )
        reports = ReportWriter(composer, store, sink, lambda: self._settings.max_report_size, readdress)
        self.notification = SenderNotification(self, reports, schedules, ids, clock)
        self._serials = count()
        self._rewrites = SharedRewrites(clock)
        self._settlements = SharedSettlements(clock)
        self._shifted: BoundedMap[int, tuple[Envelope, float, Envelope]] = BoundedMap(MOST_SHIFTED)  # see `in_posix`

    def use(self, settings: QueueSettings) -> None:
        """Keep as much in memory, and quote as much in reports, as these settings say."""
        self._settings = settings
        self._new_mail.memory = settings.memory

    def stop(self) -> list[Deferred[None]]:
        """Give out and wake nothing more; what is still under way. Leases have to be back by now."""
        self.room.stop()
        self.index.stop()
        self.notification.stop()
        self.store.durable.stop()
        return self.background.under_way()

    # --- coming in --------------------------------------------------------------------------------

    def refusal(self) -> OSError | None:
        """See `IQueue.refusal`."""
        return self.store.refusal() or self.room.refusal()

    def begin(self, mid: int, before_due: Callable[[], Deferred[None]] | None = None) -> IMessageWriter:
        """See `IQueue.begin`."""
        return MessageWriter(mid, self._new_mail, before_due)

    def enter(self, envelope: Envelope, content: bytes | None) -> None:
        """A message is durable in new/: in the index from now on, but not due before `make_due`. It gets its 250, so that it has to be
        tried: what memory runs out for now is done in a second."""
        try:
            self._add(envelope, content)
        except MemoryError as error:
            note(error)
            self._clock.callLater(WAIT, self._enter_late, envelope)

    def make_due(self, envelope: Envelope) -> None:
        """A message that was entered is due."""
        entry = self.index.get(envelope.mid)
        if entry is None:
            return  # it is entered late, and due then
        try:
            self.index.plan(entry, entry.envelope)
        except MemoryError as error:
            note(error)
            self._clock.callLater(WAIT, self.make_due, envelope)

    def _enter_late(self, envelope: Envelope) -> None:
        if self.index.get(envelope.mid) is None:
            self.enter(envelope, None)
        self.make_due(envelope)

    def _add(self, envelope: Envelope, content: bytes | None) -> IndexEntry:
        envelope = self._steady(envelope)
        return self.index.add(envelope, self._schedules.expiry(envelope), self._schedules.warning(envelope), content)

    # --- found at the start -----------------------------------------------------------------------

    def moment(self) -> Moment:
        """Now, for those that are restored together."""
        now = self._clock.seconds()
        return Moment(now, now + self._grace())

    def restore(self, stored: StoredEnvelope, moment: Moment) -> None:
        """A message found at the start. One whose lifetime ended meanwhile gets a last try before it is
        returned."""
        envelope = clamped(self._steady(stored.envelope), self._schedules, moment.now)
        if not envelope.pending:
            # Its last state became durable, its removal didn't.
            paths, mid = self.store.paths, envelope.mid
            self.background.spawn(self.store.durable.carry_out(lambda: RemoveMessage(paths, mid)))
            return
        expires, warn = self._schedules.expiry(envelope), self._schedules.warning(envelope)  # its turn comes first
        entry = self.index.add(envelope, max(expires, moment.grace), max(warn, moment.grace))
        self.index.plan(entry, envelope, moment.now)
        if stored.failures or stored.relayed:
            entry.note(attrs.evolve(entry.unusual, failures=stored.failures, relayed=stored.relayed))

    def restore_damaged(self, stored: StoredEnvelope, rewrite: bool, moment: Moment) -> None:
        """A message of which a part is lost: held from now on, also after a restart.

        :param rewrite: its envelope may be written anew.
        """
        self.restore(stored, moment)
        entry = self.index.get(stored.envelope.mid)
        if entry is not None and rewrite:
            self.background.spawn(self.save(entry))

    def replace_envelope(self, entry: IndexEntry, stored: StoredEnvelope) -> None:
        """The true envelope of a message that was held for the loss of it; the file has it already."""
        self.index.change(entry, stored.envelope)
        entry.note(attrs.evolve(entry.unusual, failures=stored.failures))
        entry.expires = self.extended_expiry(stored.envelope)
        self.index.plan(entry, stored.envelope)

    def extended_expiry(self, envelope: Envelope) -> float:
        """When a message expires that couldn't be tried so far, by a hold or because the gateway was down."""
        return max(self._schedules.expiry(envelope), self._clock.seconds() + self._grace())

    def _grace(self) -> float:
        """Seconds that a message gets which couldn't be tried so far."""
        general = self._schedules.general.settings
        return min(general.max_retry, general.lifetime)

    # --- given out and back -----------------------------------------------------------------------

    def subscribe(self, on_ready: Callable[[str], None]) -> None:
        """See `IQueue.subscribe`."""
        self.index.subscribe(on_ready)

    def lease(self, domain: str, most: int = 0) -> Lease | None:
        """See `IQueue.lease`."""
        found = self.index.lease(domain, most)
        if found is None:
            return None
        entry, envelope, recipients = found
        return Lease(self.in_posix(envelope), domain, recipients, self.content_of(entry, envelope))

    def settle(self, lease: Lease, outcomes: dict[int, Outcome]) -> Deferred[None]:
        """See `IQueue.settle`. A lease that has been handed back already changes nothing."""
        return Deferred.fromCoroutine(patiently(self._clock, partial(self._settle_lease, lease, outcomes)))

    async def _settle_lease(self, lease: Lease, outcomes: Mapping[int, Outcome]) -> None:
        entry = self.index.get(lease.mid)
        if entry is not None:
            out = entry.leased.intersection(lease.rids)
            await self.apply(entry, out, {rid: outcome for rid, outcome in outcomes.items() if rid in out})

    def release(self, lease: Lease) -> None:
        """See `IQueue.release`."""
        entry = self.index.get(lease.mid)
        if entry is None:
            return
        self.index.return_lease(entry, lease.rids)
        if entry.unusual.deleted_by and not entry.leased:
            self.background.spawn(self.delete(entry, entry.unusual.deleted_by))

    # --- outcomes ---------------------------------------------------------------------------------

    async def apply(self, entry: IndexEntry, rids: Iterable[int], outcomes: Mapping[int, Outcome]) -> None:
        """Record how these recipients fared; returns when that is durable, failure reports included."""
        if entry.waiting > FEW:
            together = partial(self._settle_together, entry)
            await self._settlements.settle(entry.mid, entry.waiting, rids, outcomes, together)
        else:
            await self._settle_together(entry, rids, outcomes)

    async def _settle_together(self, entry: IndexEntry, rids: Iterable[int], outcomes: Mapping[int, Outcome]) -> None:
        deleted_by = entry.unusual.deleted_by
        if deleted_by:  # what failed needn't be reported or tried again
            outcomes = {rid: o for rid, o in outcomes.items() if not isinstance(o, rules.FAILED)}
        settlement = rules.settle(entry.envelope, outcomes, self._schedules, self._clock.seconds())
        envelope = self.notification.assign(settlement.envelope, settlement.failures)
        if settlement.changed:
            self.index.change(entry, envelope)
            if settlement.failures or settlement.relayed:
                known = entry.unusual
                failures, relayed = {**known.failures, **settlement.failures}, {**known.relayed, **settlement.relayed}
                entry.note(attrs.evolve(known, failures=failures, relayed=relayed))
        for event in settlement.events:
            self._sink.emit(self._shown(event))
        self.index.return_lease(entry, rids)
        if deleted_by and not entry.leased:
            await self.delete(entry, deleted_by)
            return
        if entry.content is not None and entry.waiting and rules.all_tried(envelope):
            self.index.drop_cached_content(entry)
        if settlement.changed:
            await self._save_settled(entry)
        if settlement.to_be_told or entry.mid in self.notification:
            await self.notification.settled(entry, settlement.delays)

    async def _save_settled(self, entry: IndexEntry) -> None:
        """Make what was settled durable. What another destination's settlement changed meanwhile may not be, when this returns."""
        self.saving[entry.mid] += 1
        try:
            await self.save(entry)
        finally:
            self.saving[entry.mid] -= 1
            if not self.saving[entry.mid]:
                del self.saving[entry.mid]

    async def delete(self, entry: IndexEntry, by: str) -> None:
        """Drop what is pending, by an operator's command; the message isn't leased."""
        envelope, rids = rules.deleted(entry.envelope)
        entry.note(attrs.evolve(entry.unusual, deleted_by=""))
        self.index.change(entry, envelope)
        if rids:
            self._sink.emit(RecipientsDeleted(entry.mid, rids, by))
        await self.save(entry)
        await self.notification.tell_in_time(entry)

    def _expired(self, entry: IndexEntry) -> None:
        """The lifetime of a message is over: what isn't being tried just now is returned."""
        outcomes = rules.expire(entry.envelope, entry.leased, self._clock.seconds())
        if outcomes:
            self.background.spawn(self.apply(entry, (), outcomes))

    def _overdue(self, entry: IndexEntry) -> None:
        self.notification.overdue(entry)

    # --- files ------------------------------------------------------------------------------------

    async def save(self, entry: IndexEntry) -> None:
        """Make the present state durable: the envelope, or that nothing is left to do."""
        if entry.unusual.relayed and not entry.waiting:
            await self.notification.tell_relayed(entry)
        if entry.waiting:
            await self._rewrites.write(entry.mid, entry.waiting, partial(self._write, entry))
            if entry.unusual.unwritten:
                entry.note(attrs.evolve(entry.unusual, unwritten=""))
        if not entry.waiting:  # or not any more: another lease may have come back meanwhile
            await self._finish(entry)

    async def _write(self, entry: IndexEntry) -> None:
        await self.store.durable.carry_out(partial(self._rewrite, entry), partial(self.answers.not_written, entry))

    def _rewrite(self, entry: IndexEntry) -> SpoolOperation | None:
        if not entry.waiting:
            return None
        line = encode(self.in_posix(entry.envelope), entry.unusual.failures, entry.unusual.relayed)
        return RewriteEnvelope(self.store.paths, entry.mid, next(self._serials), line)

    async def _finish(self, entry: IndexEntry) -> None:
        await self.store.durable.carry_out(
            partial(RemoveMessage, self.store.paths, entry.mid), partial(self.answers.not_written, entry)
        )
        if self.index.get(entry.mid) is entry:
            self.notification.forget(entry.mid)
            self.index.remove(entry)
            self._sink.emit(MessageFinished(entry.mid))

    def content(self, mid: int) -> IContent | None:
        """The content of a queued message; None when it isn't queued."""
        entry = self.index.get(mid)
        return None if entry is None else self.content_of(entry, entry.envelope)

    def content_of(self, entry: IndexEntry, envelope: Envelope) -> IContent:
        """The content of a message, from memory while it is kept there."""
        if entry.content is not None:
            return MemoryContent(entry.content)
        return FileContent(self.store.paths, entry.mid, envelope.size, self.store.commits)

    # --- times ------------------------------------------------------------------------------------

    def _steady(self, envelope: Envelope) -> Envelope:
        """An envelope with the times of a file as the queue's clock counts them."""
        return shifted(envelope, -ahead(self._clock))

    def in_posix(self, envelope: Envelope) -> Envelope:
        """An envelope of the index with times in POSIX seconds, as files and people want them; of a message to many one for all of its
        leases, as each of a thousand destinations has one."""
        seconds = ahead(self._clock)
        if not seconds or len(envelope.recipients) <= FEW:
            return shifted(envelope, seconds)
        known = self._shifted.get(envelope.mid)
        if known is None or known[0] is not envelope or known[1] != seconds:
            known = self._shifted[envelope.mid] = envelope, seconds, shifted(envelope, seconds)
        return known[2]

    def _shown(self, event: Event) -> Event:
        if isinstance(event, RecipientsPending):
            return attrs.evolve(event, until=as_posix(self._clock, event.until))
        return event
