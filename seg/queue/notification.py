"""What the sender of a message is told, and when: of failures (`seg.queue.reports`), of delays, and of those handed on.

What there is to be told is gathered (`seg.queue.gathering`), so that he gets few reports however many destinations a message has.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterable, Mapping
from typing import Protocol

import attrs
from twisted.internet.interfaces import IReactorTime

from seg.common.clock import as_posix
from seg.mail.envelope import Envelope, RecipientState
from seg.mail.errors import Permanent
from seg.mail.ids import IMessageIds
from seg.mail.outcome import Bounced, DSNAction, Outcome
from seg.queue import settlement as rules
from seg.queue.background import BackgroundWork
from seg.queue.gathering import Gathering
from seg.queue.index import QueueIndex
from seg.queue.index_entry import IndexEntry
from seg.queue.interfaces import IContent
from seg.queue.reports import ReportWriter
from seg.queue.schedule import Schedules


class NotifyingQueue(Protocol):
    """What it needs of the queue (`seg.queue.queue.Queue`)."""

    index: QueueIndex
    background: BackgroundWork
    saving: Counter[int]  # settlements that aren't durable yet, by MID

    def enter(self, envelope: Envelope, content: bytes | None) -> None:
        """A report is durable in new/."""

    def make_due(self, envelope: Envelope) -> None:
        """It is due."""

    async def save(self, entry: IndexEntry) -> None:
        """Make the present state durable."""

    def content_of(self, entry: IndexEntry, envelope: Envelope) -> IContent:
        """The content of a message."""

    def in_posix(self, envelope: Envelope) -> Envelope:
        """An envelope of the index with times in POSIX seconds."""


class SenderNotification:
    """Tells senders.

    :param ids: gives reports their MIDs.
    """

    def __init__(
        self, queue: NotifyingQueue, reports: ReportWriter, schedules: Schedules, ids: IMessageIds, clock: IReactorTime
    ) -> None:
        self._queue = queue
        self._index = queue.index
        self._reports = reports
        self._schedules = schedules
        self._ids = ids
        self._clock = clock
        self._gathering = Gathering(clock, self._ripe)

    def __contains__(self, mid: int) -> bool:
        """Whether something waits to be told of a message."""
        return mid in self._gathering

    def stop(self) -> None:
        """Tell nothing more; what waits stands in the envelopes."""
        self._gathering.stop()

    def forget(self, mid: int) -> None:
        """A message is finished."""
        self._gathering.take(mid)

    # --- what there is to be told -----------------------------------------------------------------

    def assign(self, envelope: Envelope, failures: Mapping[int, Bounced]) -> Envelope:
        """The envelope with the MIDs of the reports that will tell of these failures: one for each kind of report that waits."""
        if not failures:
            return envelope
        for key, rids in self._by_kind(envelope, failures).items():
            reports = self._gathering.of(envelope.mid).reports
            if key not in reports:
                reports[key] = self._ids.next_mid()
            envelope = rules.assign_report(envelope, rids, reports[key])
        return envelope

    async def settled(self, entry: IndexEntry, delays: Mapping[int, Outcome]) -> None:
        """Something was settled of which the sender is to be told, these delays with it."""
        if delays:
            self._gathering.of(entry.mid).delays.update(delays)
        await self.tell_in_time(entry)

    def overdue(self, entry: IndexEntry) -> None:
        """The sender may have to be told that some of a message still waits for its turn, as its destination is suspended or at its limits.
        Of what fails when it is tried he hears when that is settled."""
        now = self._clock.seconds()
        waits, entry.warn = rules.delay_warnings(entry.envelope, entry.leased, self._schedules, now)
        if waits:
            self._queue.background.spawn(self.settled(entry, waits))

    def resume(self, mids: Iterable[int], present: Mapping[int, Envelope]) -> None:
        """Go on with failure reports that were under way.

        :param mids: messages restored in which a recipient is in state BOUNCING.
        :param present: the reports that are in the spool but not restored, by MID.
        """
        for mid in mids:
            entry = self._index.get(mid)
            if entry is None:
                continue
            envelope = entry.envelope
            unfinished = (r.report for r in envelope.recipients if r.state is RecipientState.BOUNCING)
            for report in sorted(set(unfinished)):
                written = self._index.get(report)  # where the message could be read later than its report
                known = written.envelope if written else present.get(report)
                self._queue.background.spawn(self._tell_failures(entry, report, known))

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

    # --- when -------------------------------------------------------------------------------------

    async def tell_in_time(self, entry: IndexEntry) -> None:
        """Tell what waits to be told of a message now, if nothing of it is left to be tried, else when it has waited long enough."""
        if self._index.get(entry.mid) is not entry:
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
        entry = self._index.get(mid)
        if entry is None:
            self._gathering.take(mid)
        else:
            self._queue.background.spawn(self._tell_gathered(entry))

    # --- telling ----------------------------------------------------------------------------------

    async def _tell_gathered(self, entry: IndexEntry) -> None:
        """Write the reports on what was gathered."""
        gathered = self._gathering.take(entry.mid)
        if gathered is None and not entry.unusual.relayed:
            return
        if entry.mid in self._queue.saving:  # each failure is durable before a report tells of it
            await self._queue.save(entry)
        if entry.unusual.relayed:
            await self.tell_relayed(entry)
            if gathered is None or not gathered.reports:
                await self._queue.save(entry)
        if gathered is None:
            return
        for report in gathered.reports.values():
            await self._tell_failures(entry, report, None)
        if gathered.delays and self._index.get(entry.mid) is entry:
            await self._tell_delays(entry, gathered.delays)

    async def tell_relayed(self, entry: IndexEntry) -> None:
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
            self._index.change(entry, envelope)
            await self._queue.save(entry)
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
        mid = self._ids.next_mid()
        until = as_posix(self._clock, self._schedules.expiry(envelope))
        content = self._queue.content_of(entry, envelope)
        made = await self._reports.write(action, self._queue.in_posix(envelope), fared, content, mid, until)
        if made is not None:
            report, text = made
            self._queue.enter(report, text)
            self._reports.emit_events(entry.mid, report)
            self._queue.make_due(report)

    async def _tell_failures(self, entry: IndexEntry, report: int, written: Envelope | None) -> None:
        """Steps 2 to 4 of `seg.queue.reports` for the recipients that `report` tells of; from 3 when it is
        written."""
        envelope = entry.envelope
        failures = self._failures(entry, envelope, report)
        text: bytes | None = None
        if written is None:
            content = self._queue.content_of(entry, envelope)
            posix = self._queue.in_posix(envelope)
            made = await self._reports.write(DSNAction.FAILED, posix, failures, content, report)
            if made is not None:
                written, text = made
        self._index.change(entry, rules.mark_reported(entry.envelope, report))
        left = {rid: bounced for rid, bounced in entry.unusual.failures.items() if rid not in failures}
        entry.note(attrs.evolve(entry.unusual, failures=left))
        if written is not None:
            self._reports.emit_events(entry.mid, written)
        await self._queue.save(entry)
        if written is not None and self._index.get(written.mid) is None:
            self._queue.enter(written, text)
            self._queue.make_due(written)

    @staticmethod
    def _failures(entry: IndexEntry, envelope: Envelope, report: int) -> dict[int, Bounced]:
        return {
            r.rid: entry.unusual.failures.get(r.rid) or Bounced(Permanent("5.0.0", r.error))
            for r in envelope.recipients
            if r.report == report
        }
