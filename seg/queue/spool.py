"""The durable queue: everything in this room put together behind `IQueue`.

Rules that hold at any instant: the 250 of a message comes after its file is durable; a recipient leaves the
queue only by a delivery, a durable failure report, or an operator's command; memory is never behind what has
happened.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Coroutine, Iterator, Mapping
from typing import Any

import attrs
from twisted.internet.defer import Deferred, DeferredList
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater
from twisted.python.failure import Failure
from zope.interface import implementer

from seg.config.schema import QueueSettings
from seg.events.base import IEventSink
from seg.mail.causes import CauseKind
from seg.mail.envelope import Envelope
from seg.mail.ids import IMessageIds
from seg.mail.outcome import Outcome
from seg.queue.commands import HeldByPolicy, MessageDetails, MessageSummary, QueueCommands
from seg.queue.commit import ISpoolExecutor
from seg.queue.corrupt import CorruptFiles
from seg.queue.durable import RetryingCommitter
from seg.queue.health import NewMailCommits, SpoolHealth, WatchedCommits
from seg.queue.index import QueueCounts
from seg.queue.interfaces import IContent, IMessageWriter, IQueue, IReportComposer, Lease
from seg.queue.loading import Loading
from seg.queue.paths import SpoolPaths
from seg.queue.patience import Acceptance, patiently
from seg.queue.reports import ReportWriter
from seg.queue.room import Room
from seg.queue.schedule import Schedule, Schedules
from seg.queue.state import QueueState
from seg.queue.writer import MessageWriter

NO_IDS = OSError(errno.ENOSPC, "no message ids can be reserved")


@implementer(IQueue)
class Spool:
    """All messages that got their 250, until they are delivered or returned.

    :ivar corrupt: what was put aside, for operators.
    :param path: the spool folder; made when it doesn't exist. One process at a time.
    :param reactor: the clock; POSIX seconds.
    :param committer: does all disk work; started and stopped with the spool.
    :param random: a number from 0 up to 1, for the retry schedule.
    :param settings_of: the settings for a domain and a listener's bounce profile, where some have their own schedule.
    :param room: octets of memory that the entries may take, else new mail is refused; 0: any number.
    :param readdress: what becomes of the envelope of each new message, reports among them, before it is stored.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        settings: QueueSettings,
        composer: IReportComposer,
        counters: IMessageIds,
        sink: IEventSink,
        reactor: IReactorTime,
        committer: ISpoolExecutor,
        random: Callable[[], float],
        settings_of: Callable[[str, str], QueueSettings] | None = None,
        readdress: Callable[[Envelope], Envelope] = lambda envelope: envelope,
        room: int = 0,
    ) -> None:
        self._folders = SpoolPaths(os.fspath(path))
        self._settings = settings
        self._sink = sink
        self._clock = reactor
        self._counters = counters
        self._health = SpoolHealth(committer, self._folders, sink, reactor)
        commits = self._commits = WatchedCommits(committer, self._health, self._could_not_read)
        self._new_mail = NewMailCommits(commits, self.refusal)
        durable = self._durable = RetryingCommitter(commits, sink, reactor, self._health.give_up_reserve)
        self._readdress = readdress
        reports = ReportWriter(
            composer, self._folders, durable, sink, lambda: self._settings.max_report_size, readdress
        )
        schedules = Schedules(Schedule(settings, random), settings_of)
        self._custody = QueueState(self._folders, schedules, reports, durable, commits, counters, sink, reactor)
        self._index = self._custody.index
        self._accept = Acceptance(self._custody, reactor)
        self._room = Room(room, self._index, sink, reactor)
        self._operators = QueueCommands(self._custody, sink, reactor)
        self._loading = Loading(self._folders, self._custody, committer, sink, reactor)
        self.corrupt = CorruptFiles(self._folders, self._custody, self._loading, commits, sink)
        self._health.on_recovery(self._recovered)

    def use(self, settings: QueueSettings) -> None:
        """Keep as much in memory, and quote as much in reports, as these settings say."""
        self._settings = settings

    # --- start and stop ---------------------------------------------------------------------------

    def start(self) -> Deferred[None]:
        """Read the spool, in a thread and in batches; fires when all messages are taken up. Only then call
        `begin`.

        Fails with `OSError` when the folders can't be made or listed. A file that can't be read never stops
        the start, nor does a disk that can't be written: new mail is refused then.
        """
        return Deferred.fromCoroutine(self._start())

    async def _start(self) -> None:
        self._commits.start()
        await self._loading.start()
        self._health.start()

    def stop(self) -> Deferred[None]:
        """Fires when all that is known has been written down. Leases have to be back by then."""
        self._health.stop()
        self._room.stop()
        self._loading.stop()
        under_way = self._custody.stop()
        return DeferredList(under_way, consumeErrors=True).addCallback(lambda _: self._commits.stop())

    # --- the disk ---------------------------------------------------------------------------------

    def refusal(self) -> OSError | None:
        """See `IQueue.refusal`."""
        if self._health.blocked is None and self._counters.unreserved:
            self._health.failed(Failure(NO_IDS))
            return NO_IDS
        return self._health.blocked or self._room.refusal()

    def _recovered(self) -> None:
        """The disk can be written again."""
        if self._counters.unreserved:
            self._counters.reserve()
        self._durable.retry_now()

    def _could_not_read(self, error: OSError) -> None:
        self._loading.could_not_read(error)

    # --- IQueue -----------------------------------------------------------------------------------

    def begin(self, mid: int) -> IMessageWriter:
        """See `IQueue.begin`. The writer is a `seg.queue.writer.MessageWriter` (with its `backpressure`)."""
        return MessageWriter(
            mid, self._folders, self._settings.memory, self._new_mail, self._accept, readdress=self._readdress
        )

    def begin_held_back(self, mid: int, first: Callable[[], Deferred[None]]) -> IMessageWriter:
        """As `begin`; but what has become durable isn't due until ``first()`` has fired: what the message was made of is gone
        then, so that a restart can't find both. If it fails, so does the commit, and the message is due after a restart."""
        return MessageWriter(
            mid,
            self._folders,
            self._settings.memory,
            self._new_mail,
            self._accept,
            first=first,
            readdress=self._readdress,
        )

    def subscribe(self, on_ready: Callable[[str], None]) -> None:
        """See `IQueue.subscribe`."""
        self._index.subscribe(on_ready)

    def lease(self, domain: str, most: int = 0) -> Lease | None:
        """See `IQueue.lease`."""
        found = self._index.lease(domain, most)
        if found is None:
            return None
        entry, envelope, recipients = found
        return Lease(self._custody.in_posix(envelope), domain, recipients, self._custody.content(entry, envelope))

    def settle(self, lease: Lease, outcomes: dict[int, Outcome]) -> Deferred[None]:
        """See `IQueue.settle`. A lease that has been handed back already changes nothing."""
        return Deferred.fromCoroutine(patiently(self._clock, lambda: self._settle(lease, outcomes)))

    async def _settle(self, lease: Lease, outcomes: Mapping[int, Outcome]) -> None:
        entry = self._index.get(lease.mid)
        if entry is not None:
            out = entry.leased.intersection(lease.rids)
            known = {rid: outcome for rid, outcome in outcomes.items() if rid in out}
            await self._custody.settle(entry, out, known)

    def release(self, lease: Lease) -> None:
        """See `IQueue.release`."""
        self._custody.release(lease.mid, lease.rids)

    # --- operators --------------------------------------------------------------------------------

    def counts(self) -> QueueCounts:
        """The queue in numbers; cheap enough to be asked every second."""
        counts = self._index.counts()
        return attrs.evolve(counts, unread=self._loading.unread, corrupt=self._loading.corrupt)

    def unwritten(self, mid: int) -> str:
        """Why what is known of a message isn't written down yet: it is in force, but a restart would not know of it. "" = it is, or
        there is no such message."""
        entry = self._index.get(mid)
        return "" if entry is None else entry.unusual.unwritten

    def destinations(self) -> Mapping[str, int]:
        """Recipients that wait for a delivery or a report, by destination."""
        return self._index.by_domain

    def _command(self, mid: int, command: Coroutine[Deferred[Any], Any, bool]) -> Deferred[bool]:
        """What a command says; True as soon as it is in force if it can't be written down for now (see `unwritten`)."""
        entry = self._index.get(mid)
        said: list[bool] = []
        work = Deferred.fromCoroutine(command).addCallback(said.append)
        if entry is None or work.called:
            return work.addCallback(lambda _: said[0])
        return self._custody.in_force(entry, work).addCallback(lambda _: said[0] if said else True)

    def bounce(self, mid: int, by: str) -> Deferred[bool]:
        """See `QueueCommands.bounce`."""
        return self._command(mid, self._operators.bounce(mid, by))

    def content(self, mid: int) -> IContent | None:
        """The content of a queued message; None when it isn't queued."""
        entry = self._index.get(mid)
        return None if entry is None else self._custody.content(entry, entry.envelope)

    def messages(self, after: int = 0) -> Iterator[MessageSummary]:
        """See `QueueCommands.messages`."""
        return self._operators.messages(after)

    def mids(self, after: int = 0) -> list[int]:
        """See `QueueCommands.mids`."""
        return self._operators.mids(after)

    def listing(self, mid: int, mention: str = "", held: bool = False) -> MessageSummary | None:
        """See `QueueCommands.listing`."""
        return self._operators.listing(mid, mention, held)

    def causes(self) -> Mapping[CauseKind, int]:
        """Messages that TLS policy keeps waiting, by cause; one with several counts for each."""
        return self._index.by_cause

    def policy_held(self) -> list[int]:
        """See `QueueCommands.policy_held`."""
        return self._operators.policy_held()

    def held_by_policy(self, mid: int) -> HeldByPolicy | None:
        """See `QueueCommands.held_by_policy`."""
        return self._operators.held_by_policy(mid)

    def pause(self) -> Deferred[None]:
        """Fires in the reactor's next turn: whoever goes through many messages lets others in between."""
        return deferLater(self._clock, 0)

    def show(self, mid: int) -> Deferred[MessageDetails | None]:
        """See `QueueCommands.show`."""
        return Deferred.fromCoroutine(self._operators.show(mid))

    def hold(self, mid: int, by: str) -> Deferred[bool]:
        """See `QueueCommands.hold`."""
        return self._command(mid, self._operators.hold(mid, by))

    def release_hold(self, mid: int, by: str) -> Deferred[bool]:
        """See `QueueCommands.release_hold`."""
        return self._command(mid, self._operators.release_hold(mid, by))

    def delete(self, mid: int, by: str) -> Deferred[bool]:
        """See `QueueCommands.delete`."""
        return self._command(mid, self._operators.delete(mid, by))

    def redirect(self, mid: int, via: str, by: str, domain: str = "") -> Deferred[bool]:
        """See `QueueCommands.redirect`."""
        return self._command(mid, self._operators.redirect(mid, via, by, domain))

    def retry(self, target: int | str = "") -> Deferred[int]:
        """See `QueueCommands.retry`."""
        return Deferred.fromCoroutine(self._operators.retry(target))
