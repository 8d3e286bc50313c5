"""From an outcome to the files: what becomes of the recipients of a message once they were tried, expired or
deleted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Coroutine, Hashable, Iterable, Mapping
from functools import partial
from itertools import count
from typing import Any

import attrs
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from seg.common.clock import ahead, as_posix
from seg.events.base import Event, IEventSink
from seg.events.gateway import Fault
from seg.events.queue import MessageFinished, RecipientsDeleted, RecipientsPending
from seg.mail.envelope import Envelope, RecipientState
from seg.mail.errors import Permanent
from seg.mail.ids import IMessageIds
from seg.mail.outcome import Bounced, DSNAction, Outcome
from seg.queue import settlement as rules
from seg.queue.codec import StoredEnvelope, encode
from seg.queue.commit import ISpoolExecutor, SpoolOperation
from seg.queue.content import FileContent, MemoryContent
from seg.queue.durable import RetryingCommitter
from seg.queue.gathering import Gathering
from seg.queue.index import QueueIndex
from seg.queue.index_entry import IndexEntry
from seg.queue.interfaces import IContent
from seg.queue.operations import RemoveMessage, RewriteEnvelope
from seg.queue.paths import SpoolPaths
from seg.queue.reports import ReportWriter
from seg.queue.rewrites import FEW, SharedRewrites
from seg.queue.schedule import Moment, Schedules, clamped, shifted
from seg.queue.settlements import SharedSettlements

ANSWER_WITHIN = 3.0  # seconds; then an operator hears that what he wants is in force, though it isn't written down yet


class QueueState:
    """Keeps memory and files in step. Memory changes first and counts; the files follow, however long that
    takes.

    Times in the index are those of the queue's clock, which is never set (`seg.common.clock`); those in files and events are POSIX
    seconds.
    """

    log = Logger()

    def __init__(
        self,
        folders: SpoolPaths,
        schedules: Schedules,
        reports: ReportWriter,
        durable: RetryingCommitter,
        commits: ISpoolExecutor,
        counters: IMessageIds,
        sink: IEventSink,
        clock: IReactorTime,
    ) -> None:
        self.folders = folders
        self.index = QueueIndex(clock, self._expired, self._overdue)
        self._schedules = schedules
        self._reports = reports
        self._durable = durable
        self._commits = commits
        self._counters = counters
        self._sink = sink
        self._clock = clock
        self._serials = count()
        self._gathering = Gathering(clock, self._ripe)
        self._rewrites = SharedRewrites(clock)
        self._settlements = SharedSettlements(clock)
        self._saving: Counter[int] = Counter()  # settlements that aren't durable yet, by MID
        self._tasks: set[Deferred[None]] = set()
        self._waiting: dict[int, list[Callable[[], None]]] = {}  # for an answer that it is in force, by MID
        self._stopped = False

    # --- taking up --------------------------------------------------------------------------------

    def accept(self, envelope: Envelope, content: bytes | None) -> None:
        """A message is durable in new/: due from now on."""
        envelope = self._steady(envelope)
        entry = self.index.add(envelope, self._schedules.expiry(envelope), self._schedules.warning(envelope), content)
        self.index.plan(entry, envelope)

    def moment(self) -> Moment:
        """Now, for those that are taken up together."""
        now = self._clock.seconds()
        return Moment(now, now + self._grace())

    def restore(self, stored: StoredEnvelope, moment: Moment) -> None:
        """A message found at the start. One whose lifetime ended meanwhile gets a last try before it is
        returned."""
        envelope = clamped(self._steady(stored.envelope), self._schedules, moment.now)
        if not envelope.pending:
            # Its last state became durable, its removal didn't.
            self._spawn(self._durable.carry_out(lambda: RemoveMessage(self.folders, envelope.mid)))
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
            self._spawn(self.save(entry))

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

    def resume_reports(self, mids: Iterable[int], present: Mapping[int, Envelope]) -> None:
        """Go on with failure reports that were under way.

        :param mids: messages taken up in which a recipient is in state BOUNCING.
        :param present: the reports that are in the spool but not taken up, by MID.
        """
        for mid in mids:
            entry = self.index.get(mid)
            if entry is None:
                continue
            envelope = entry.envelope
            unfinished = (r.report for r in envelope.recipients if r.state is RecipientState.BOUNCING)
            for report in sorted(set(unfinished)):
                written = self.index.get(report)  # where the message could be read later than its report
                self._spawn(self._tell(entry, report, written.envelope if written else present.get(report)))

    def content(self, entry: IndexEntry, envelope: Envelope) -> IContent:
        """The content of a message, from memory while it is kept there."""
        if entry.content is not None:
            return MemoryContent(entry.content)
        return FileContent(self.folders, entry.mid, envelope.size, self._commits)

    # --- times ------------------------------------------------------------------------------------

    def _steady(self, envelope: Envelope) -> Envelope:
        """An envelope with the times of a file as the queue's clock counts them."""
        return shifted(envelope, -ahead(self._clock))

    def in_posix(self, envelope: Envelope) -> Envelope:
        """An envelope of the index with times in POSIX seconds, as files and people want them."""
        return shifted(envelope, ahead(self._clock))

    def _shown(self, event: Event) -> Event:
        if isinstance(event, RecipientsPending):
            return attrs.evolve(event, until=as_posix(self._clock, event.until))
        return event

    # --- settling ---------------------------------------------------------------------------------

    async def settle(self, entry: IndexEntry, rids: Iterable[int], outcomes: Mapping[int, Outcome]) -> None:
        """Record how these recipients fared; returns when that is durable, failure reports included."""
        if entry.waiting > FEW:
            await self._settlements.settle(
                entry.mid, entry.waiting, rids, outcomes, partial(self._settle_together, entry)
            )
        else:
            await self._settle_together(entry, rids, outcomes)

    async def _settle_together(self, entry: IndexEntry, rids: Iterable[int], outcomes: Mapping[int, Outcome]) -> None:
        deleted_by = entry.unusual.deleted_by
        if deleted_by:  # what failed needn't be reported or tried again
            outcomes = {rid: o for rid, o in outcomes.items() if not isinstance(o, rules.FAILED)}
        settlement = rules.settle(entry.envelope, outcomes, self._schedules, self._clock.seconds())
        envelope = self._allotted(settlement.envelope, settlement.failures)
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
        if not any(r.state is RecipientState.PENDING and not r.attempts for r in envelope.recipients):
            self.index.drop_cached_content(entry)
        if settlement.changed:
            await self._save_settled(entry)
        if settlement.delays:
            self._gathering.of(entry.mid).delays.update(settlement.delays)
        if settlement.failures or settlement.relayed or settlement.delays or entry.mid in self._gathering:
            await self._tell_in_time(entry)

    async def _save_settled(self, entry: IndexEntry) -> None:
        """Make what was settled durable. What another destination's settlement changed meanwhile may not be, when this returns."""
        self._saving[entry.mid] += 1
        try:
            await self.save(entry)
        finally:
            self._saving[entry.mid] -= 1
            if not self._saving[entry.mid]:
                del self._saving[entry.mid]

    def _allotted(self, envelope: Envelope, failures: Mapping[int, Bounced]) -> Envelope:
        """The envelope with the MIDs of the reports that will tell of these failures: one for each kind of report that waits."""
        for key, rids in self._by_kind(envelope, failures).items():
            reports = self._gathering.of(envelope.mid).reports
            if key not in reports:
                reports[key] = self._counters.next_mid()
            envelope = rules.assign_report(envelope, rids, reports[key])
        return envelope

    def _by_kind(self, envelope: Envelope, rids: Iterable[int]) -> dict[Hashable, list[int]]:
        """Recipients in groups that one report can tell of: what their bounce profiles say of reports is the same."""
        wanted = frozenset(rids)
        groups: dict[Hashable, list[int]] = {}
        for r in envelope.recipients:
            if r.rid in wanted:
                own = self._schedules.of(r.domain, envelope.bounce_profile).settings
                key = (own.report_languages, own.report_note, own.double_bounces, own.max_report_size)
                groups.setdefault(key, []).append(r.rid)
        return groups

    def release(self, mid: int, rids: Iterable[int]) -> None:
        """Recipients come back untried."""
        entry = self.index.get(mid)
        if entry is None:
            return
        self.index.return_lease(entry, rids)
        if entry.unusual.deleted_by and not entry.leased:
            self._spawn(self.delete(entry, entry.unusual.deleted_by))

    async def delete(self, entry: IndexEntry, by: str) -> None:
        """Drop what is pending, by an operator's command; the message isn't leased."""
        envelope, rids = rules.deleted(entry.envelope)
        entry.note(attrs.evolve(entry.unusual, deleted_by=""))
        self.index.change(entry, envelope)
        if rids:
            self._sink.emit(RecipientsDeleted(entry.mid, rids, by))
        await self.save(entry)
        await self._tell_in_time(entry)

    async def save(self, entry: IndexEntry) -> None:
        """Make the present state durable: the envelope, or that nothing is left to do."""
        if not entry.waiting:
            await self._tell_relayed(entry)
        if entry.waiting:
            await self._rewrites.write(entry.mid, entry.waiting, partial(self._write, entry))
            if entry.unusual.unwritten:
                entry.note(attrs.evolve(entry.unusual, unwritten=""))
        if not entry.waiting:  # or not any more: another lease may have come back meanwhile
            await self._finish(entry)

    async def _write(self, entry: IndexEntry) -> None:
        await self._durable.carry_out(lambda: self._rewrite(entry), partial(self._not_written, entry))

    def _rewrite(self, entry: IndexEntry) -> SpoolOperation | None:
        if not entry.waiting:
            return None
        line = encode(self.in_posix(entry.envelope), entry.unusual.failures, entry.unusual.relayed)
        return RewriteEnvelope(self.folders, entry.mid, next(self._serials), line)

    async def _finish(self, entry: IndexEntry) -> None:
        await self._durable.carry_out(lambda: RemoveMessage(self.folders, entry.mid), partial(self._not_written, entry))
        if self.index.get(entry.mid) is entry:
            self._gathering.take(entry.mid)
            self.index.remove(entry)
            self._sink.emit(MessageFinished(entry.mid))

    # --- on a disk that fails ---------------------------------------------------------------------

    def in_force(self, entry: IndexEntry, work: Deferred[None]) -> Deferred[None]:
        """Fires when this work on a message is done, or as soon as it is known that its present state can't be written down for now:
        it is in force all the same, and `UnusualFacts.unwritten` says why. The work goes on."""
        answer: Deferred[None] = Deferred()

        def fire(result: object = None) -> None:
            if late.active():
                late.cancel()
            waiting = self._waiting.get(entry.mid, [])
            if fire in waiting:
                waiting.remove(fire)
                if not waiting:
                    del self._waiting[entry.mid]
            if not answer.called:
                answer.callback(None)

        def too_late() -> None:
            if not entry.unusual.unwritten:
                entry.note(attrs.evolve(entry.unusual, unwritten="the disk takes its time"))
            fire()

        late = self._clock.callLater(ANSWER_WITHIN, too_late)
        self._waiting.setdefault(entry.mid, []).append(fire)
        work.addErrback(self._broke_off)
        work.addBoth(fire)
        if entry.unusual.unwritten:
            fire()
        return answer

    def _not_written(self, entry: IndexEntry, error: OSError) -> None:
        entry.note(attrs.evolve(entry.unusual, unwritten=error.strerror or str(error)))
        for fire in list(self._waiting.get(entry.mid, ())):
            fire()

    # --- reports ----------------------------------------------------------------------------------

    async def _tell_in_time(self, entry: IndexEntry) -> None:
        """Tell what waits to be told of a message now, if nothing of it is left to be tried, else when it has waited long enough."""
        if self.index.get(entry.mid) is not entry:
            return  # it is finished, and all is told
        if any(r.state is RecipientState.PENDING for r in entry.envelope.recipients):
            self._gathering.wait(entry.mid, self._told_before(entry))
        else:
            await self._tell_gathered(entry)

    def _told_before(self, entry: IndexEntry) -> int:
        """How many reports there were on a message."""
        waiting = self._gathering.of(entry.mid).reports.values()
        reports = {r.report for r in entry.envelope.recipients if r.report and r.report not in waiting}
        told = len(reports) + entry.unusual.notices
        if told < 2:  # as nearly always: what sets them apart needn't be looked for
            return told
        return told // max(len(self._by_kind(entry.envelope, (r.rid for r in entry.envelope.recipients))), 1)

    def _ripe(self, mid: int) -> None:
        entry = self.index.get(mid)
        if entry is None:
            self._gathering.take(mid)
        else:
            self._spawn(self._tell_gathered(entry))

    async def _tell_gathered(self, entry: IndexEntry) -> None:
        """Write the reports on what was gathered."""
        gathered = self._gathering.take(entry.mid)
        if gathered is None and not entry.unusual.relayed:
            return
        if entry.mid in self._saving:  # each failure is durable before a report tells of it
            await self.save(entry)
        if entry.unusual.relayed:
            await self._tell_relayed(entry)
            if gathered is None or not gathered.reports:
                await self.save(entry)
        if gathered is None:
            return
        for report in gathered.reports.values():
            await self._tell(entry, report, None)
        if gathered.delays and self.index.get(entry.mid) is entry:
            await self._tell_delays(entry, gathered.delays)

    async def _tell_relayed(self, entry: IndexEntry) -> None:
        """Of a success before the message may go, so that a stop in between repeats it rather than loses it."""
        relayed = entry.unusual.relayed
        if not relayed:
            return
        entry.note(attrs.evolve(entry.unusual, relayed={}))
        await self._notify(entry, DSNAction.RELAYED, relayed)

    async def _tell_delays(self, entry: IndexEntry, delays: Mapping[int, Outcome]) -> None:
        """Of delays, and with them of all others that wait as long: of a delay once that is written down, so that a stop in between
        loses it rather than repeats it."""
        envelope, waits = rules.delayed(entry.envelope, entry.leased, self._schedules, self._clock.seconds())
        if waits:
            self.index.change(entry, envelope)
            await self.save(entry)
            await self._notify(
                entry, DSNAction.DELAYED, {rid: delays.get(rid, outcome) for rid, outcome in waits.items()}
            )

    async def _notify(self, entry: IndexEntry, action: DSNAction, fared: Mapping[int, Outcome]) -> None:
        """Reports on what isn't a failure."""
        for rids in self._by_kind(entry.envelope, fared).values():
            entry.note(attrs.evolve(entry.unusual, notices=entry.unusual.notices + 1))
            await self._notify_one(entry, action, {rid: fared[rid] for rid in rids})

    async def _notify_one(self, entry: IndexEntry, action: DSNAction, fared: Mapping[int, Outcome]) -> None:
        envelope = entry.envelope
        mid = self._counters.next_mid()
        until = as_posix(self._clock, self._schedules.expiry(envelope))
        content = self.content(entry, envelope)
        report = await self._reports.compose(action, self.in_posix(envelope), fared, content, mid, until)
        if report is not None:
            self._reports.emit_events(entry.mid, report[0])
            self.accept(*report)

    # --- failing ----------------------------------------------------------------------------------

    async def _tell(self, entry: IndexEntry, report: int, written: Envelope | None) -> None:
        """Steps 2 to 4 of `seg.queue.reports` for the recipients that `report` tells of; from 3 when it is
        written."""
        envelope = entry.envelope
        failures = self._failures(entry, envelope, report)
        text: bytes | None = None
        if written is None:
            content = self.content(entry, envelope)
            made = await self._reports.write(self.in_posix(envelope), failures, content, report)
            if made is not None:
                written, text = made
        self.index.change(entry, rules.mark_reported(entry.envelope, report))
        left = {rid: bounced for rid, bounced in entry.unusual.failures.items() if rid not in failures}
        entry.note(attrs.evolve(entry.unusual, failures=left))
        if written is not None:
            self._reports.emit_events(entry.mid, written)
        await self.save(entry)
        if written is not None and self.index.get(written.mid) is None:
            self.accept(written, text)

    @staticmethod
    def _failures(entry: IndexEntry, envelope: Envelope, report: int) -> dict[int, Bounced]:
        return {
            r.rid: entry.unusual.failures.get(r.rid) or Bounced(Permanent("5.0.0", r.error))
            for r in envelope.recipients
            if r.report == report
        }

    def _expired(self, entry: IndexEntry) -> None:
        """The lifetime of a message is over: what isn't being tried just now is returned."""
        outcomes = rules.expire(entry.envelope, entry.leased, self._clock.seconds())
        if outcomes:
            self._spawn(self.settle(entry, (), outcomes))

    def _overdue(self, entry: IndexEntry) -> None:
        """The sender may have to be told that some of a message still waits for its turn, as its destination is suspended or at its limits.
        Of what fails when it is tried he hears by `settle`."""
        now = self._clock.seconds()
        waits, entry.warn = rules.delay_warnings(entry.envelope, entry.leased, self._schedules, now)
        if waits:
            self._gathering.of(entry.mid).delays.update(waits)
            self._spawn(self._tell_in_time(entry))

    # --- background -------------------------------------------------------------------------------

    def _spawn(self, work: Coroutine[Deferred[Any], Any, None]) -> None:
        task: Deferred[None] = Deferred.fromCoroutine(work)
        self._tasks.add(task)
        task.addBoth(self._done, task)

    def _done(self, result: object, task: Deferred[None]) -> None:
        self._tasks.discard(task)
        if isinstance(result, Failure):
            self._broke_off(result)

    def _broke_off(self, failure: Failure) -> None:
        self.log.failure("work on the queue broke off", failure)
        self._sink.emit(Fault(f"work on the queue broke off: {failure.getErrorMessage()}"))

    def stop(self) -> list[Deferred[None]]:
        """Give out and wake nothing more; what is still under way."""
        self.index.stop()
        self._gathering.stop()
        self._durable.stop()
        return list(self._tasks)
