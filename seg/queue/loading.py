"""Taking up what the spool holds: at the start, and later what couldn't be read then."""

from __future__ import annotations

import gc
import os
from collections.abc import Iterator
from itertools import islice

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from seg.events.base import IEventSink
from seg.events.conditions import Condition
from seg.events.gateway import ConditionKind, Notice
from seg.events.queue import MessageDamaged, QueueScanned, SpoolFileCorrupt
from seg.mail.envelope import Envelope, RecipientState
from seg.queue.codec import StoredEnvelope
from seg.queue.disk import Disk, NotAMessageError
from seg.queue.paths import mid_of
from seg.queue.queue import Queue
from seg.queue.scan import Damaged, ScanResult, SpoolFile, SpoolScan, Unread, UnreadableFile
from seg.queue.schedule import Moment

LOOK_EVERY = 10.0  # seconds between two looks whether one of the unread files can be read again
ALL_EVERY = 6  # looks after which all of them are read again, whatever that one says
AT_ONCE = 200
FREEZE_EVERY = 10_000  # messages
MOST_UNREAD = 10_000  # files of queued messages that are told of


class Loading:
    """Reads the spool in batches, in threads.

    What the system can't read stays where it is: one file of it is looked at every ten seconds, and all are read again as soon as that
    one can be read, or every minute.

    :ivar corrupt: files in corrupt/.
    """

    log = Logger()

    def __init__(self, queue: Queue, sink: IEventSink, clock: IReactorTime) -> None:
        self._queue = queue
        self._index = queue.index
        self._paths = queue.store.paths
        self._commits = queue.store.executor  # what can't be read is told of here
        self._sink = sink
        self._clock = clock
        self._scan = SpoolScan(self._paths)
        self._unread: dict[str, Unread] = {}  # by path
        self._reports: set[int] = set()  # allotted to messages whose failure isn't settled yet: not due before that
        self._present: dict[int, Envelope] = {}
        self._bouncing: list[int] = []  # messages taken up whose failure isn't settled yet
        self._looks = 0
        self._timer: IDelayedCall | None = None
        self._telling: IDelayedCall | None = None
        self._stopped = False
        self._reading = Condition(sink, ConditionKind.DISK_READ)
        self._aside = Condition(sink, ConditionKind.UNREADABLE)
        self._damaged = Condition(sink, ConditionKind.DAMAGED)
        self.corrupt = 0

    @property
    def unread(self) -> int:
        """Files and folders that can't be read for now."""
        return len(self._unread)

    async def start(self) -> None:
        """Take up all messages.

        :raises OSError: the spool's folders can't be made or listed.
        """
        began = self._clock.seconds()
        corrupt, messages = await self._take_all(await self._commits.read(self._scan.prepare))
        self._resume_reports()
        if self._scan.leftovers:
            self._sink.emit(Notice(f"Queue scan: removed what {self._scan.leftovers} finished messages had left"))
        await self.count_corrupt()
        self._index.damage_changed = self._damage_changed
        self._tell_damage()
        self._sink.emit(QueueScanned(messages, corrupt, self._clock.seconds() - began))

    def stop(self) -> None:
        """Look no more."""
        self._stopped = True
        for timer in (self._timer, self._telling):
            if timer is not None and timer.active():
                timer.cancel()

    async def _take_all(self, first: list[UnreadableFile | Unread]) -> tuple[int, int]:
        """Take up what the scan has listed; (files put aside, messages)."""
        corrupt = messages = 0
        batch: list[ScanResult] = list(first)
        frozen = 0
        while True:
            moment = self._queue.moment()
            for found in batch:
                messages += self._take(found, moment)
                corrupt += isinstance(found, UnreadableFile)
            if messages - frozen >= FREEZE_EVERY:
                _freeze()
                frozen = messages
            batch = await self._commits.read(self._scan.next_batch)
            if not batch:
                break
        self._tell_unread()
        return corrupt, messages

    def _resume_reports(self) -> None:
        self._queue.notification.resume(self._bouncing, self._present)
        self._reports, self._present, self._bouncing = set(), {}, []

    def _take(self, found: ScanResult, moment: Moment) -> bool:
        """One thing found; whether it is a message that is queued by it."""
        if isinstance(found, UnreadableFile):
            self._sink.emit(SpoolFileCorrupt(found.path, found.moved_to, found.reason))
        elif isinstance(found, Unread):
            self._unread[found.path] = found
        else:
            return self.take_message(found, moment)
        return False

    def take_message(self, found: StoredEnvelope | Damaged, moment: Moment | None = None) -> bool:
        """A message; whether it is queued by it.

        :param moment: when many are taken up at once: now.
        """
        moment = moment or self._queue.moment()
        stored = found.stored if isinstance(found, Damaged) else found
        envelope = stored.envelope
        if self._index.get(envelope.mid) is not None:
            return False  # read a second time, or a report that was written again meanwhile
        if envelope.mid in self._reports:  # a report's MID is higher than that of what it tells of
            self._present[envelope.mid] = envelope
            return True
        if isinstance(found, Damaged):
            self._queue.restore_damaged(stored, found.kept, moment)
            self._sink.emit(MessageDamaged(envelope.mid, envelope.damage))
        else:
            self._queue.restore(stored, moment)
        if reports := _reports_under_way(stored):
            self._bouncing.append(envelope.mid)
            if not isinstance(found, Damaged):
                self._reports |= reports
        return True

    # --- what can't be read -----------------------------------------------------------------------

    def _tell_unread(self) -> None:
        if not self._unread:
            self._reading.end("all spool files can be read again")
            return
        first = self._unread[min(self._unread)]
        what = "1 spool file" if len(self._unread) == 1 else f"{len(self._unread)} spool files"
        self._reading.begin(
            f"{what} can't be read, e.g. {first.path} ({first.reason}): tried again every minute, and nothing is lost"
        )
        if self._timer is None and not self._stopped:
            self._timer = self._clock.callLater(LOOK_EVERY, self._look)

    def _look(self) -> None:
        self._timer = None
        Deferred.fromCoroutine(self._read_again()).addErrback(self._broke_off).addBoth(lambda _: self._tell_unread())

    def _broke_off(self, failure: Failure) -> None:
        if not failure.check(OSError):
            self.log.failure("reading the spool again broke off", failure)

    async def _read_again(self) -> None:
        """Read all again, if one can be read or a minute has passed.

        :raises OSError: the spool is away.
        """
        self._looks += 1
        first = next(iter(self._unread.values()))
        if self._looks % ALL_EVERY and not await self._commits.read(lambda disk: self._scan.readable(disk, first)):
            self._unread[first.path] = self._unread.pop(first.path)  # another one's turn
            return
        if any(unread.place is None for unread in self._unread.values()):  # a folder
            found = await self._commits.read(self._scan.again)
            self._unread = {path: unread for path, unread in self._unread.items() if unread.queued}
            await self._take_all(found)
        else:
            places = iter(list(self._unread.values()))
            while some := list(islice(places, AT_ONCE)):
                for each in await self._commits.read(lambda disk, some=some: list(self._read(disk, some))):  # type: ignore[misc]
                    self._take(each, self._queue.moment())
        self._resume_reports()
        await self.count_corrupt()

    def _read(self, disk: Disk, some: list[Unread]) -> Iterator[ScanResult]:
        """These messages again, in a thread."""
        disk.check_root()
        for unread in some:
            assert unread.place is not None
            self._unread.pop(unread.path, None)
            if not unread.queued:
                yield from self._scan.read(disk, unread.place)
            elif not self._scan.readable(disk, unread):
                yield unread

    def could_not_read(self, error: OSError) -> None:
        """A message of the queue couldn't be read, to be delivered say."""
        path = error.filename
        mid = mid_of(os.path.basename(path)) if isinstance(path, str) else None
        if mid is None or isinstance(error, FileNotFoundError | NotAMessageError) or len(self._unread) >= MOST_UNREAD:
            return
        self._unread.setdefault(path, Unread(path, error.strerror or str(error), SpoolFile(mid, path, ""), queued=True))
        self._tell_unread()

    # --- what is aside, or damaged ----------------------------------------------------------------

    async def count_corrupt(self) -> None:
        """See what lies in corrupt/."""
        try:
            names = await self._commits.read(lambda disk: disk.names(self._paths.corrupt))
        except OSError:
            return  # it is told of what can't be read
        self.corrupt = len(names)
        if self.corrupt:
            what = "1 file that isn't" if self.corrupt == 1 else f"{self.corrupt} files that aren't"
            self._aside.begin(f"the spool's folder corrupt/ has {what} delivered: seg queue corrupt list")
        else:
            self._aside.end("nothing is left in the spool's folder corrupt/")

    def _damage_changed(self) -> None:
        """Told of once a second at most: an operator may act on many."""
        if self._telling is None and not self._stopped:
            self._telling = self._clock.callLater(1.0, self._tell_damage)

    def _tell_damage(self) -> None:
        self._telling = None
        count = self._index.counts().damaged
        if count:
            what = "1 message is" if count == 1 else f"{count} messages are"
            self._damaged.begin(f"{what} held, as a part of the spool's files is lost: seg queue list --held")
        else:
            self._damaged.end("no message is held for damage any more")


def _reports_under_way(stored: StoredEnvelope) -> set[int]:
    return {r.report for r in stored.envelope.recipients if r.state is RecipientState.BOUNCING}


def _freeze() -> None:
    """Spare the garbage collector's full rounds what is there by now: it would walk through all entries again and again, and the reactor
    would stand still for a second in a queue of a million. Entries go without it, as nothing in them leads back to them."""
    gc.collect(1)
    gc.freeze()
