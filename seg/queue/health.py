"""Whether the spool can be written: found out by changes that fail, and by itself, without any traffic."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from typing import TypeVar

from twisted.internet.defer import Deferred, fail
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.python.failure import Failure

from seg.events.base import IEventSink
from seg.events.conditions import Condition
from seg.events.gateway import ConditionKind
from seg.queue.commit import ISpoolCommits, SpoolOperation
from seg.queue.disk import Disk
from seg.queue.operations import RESERVE_SIZE, GiveUpReserve, KeepReserve, WriteProbe
from seg.queue.paths import FOLDER_NAMES, SpoolPaths

PROBE_EVERY = 2.0  # seconds between two tries while the spool can't be written
LOOK_EVERY = 5.0  # seconds between two looks at a spool that can
MOST_FOLDERS = 64  # folders that are tried at a time

T = TypeVar("T")


class SpoolHealth:
    """Tells while the spool can't be written (Condition DISK), and tries every two seconds until it can.

    :ivar blocked: what is wrong with the disk as a whole; None: new mail can be tried.
    """

    def __init__(self, commits: ISpoolCommits, paths: SpoolPaths, sink: IEventSink, clock: IReactorTime) -> None:
        self._commits = commits
        self._paths = paths
        self._clock = clock
        self._condition = Condition(sink, ConditionKind.DISK)
        self._suspects: dict[str, None] = {}  # folders in which something failed
        self._probing = False
        self._timer: IDelayedCall | None = None
        self._stopped = False
        self._on_recovery: list[Callable[[], object]] = []
        self._reserve_given_up = False
        self.blocked: OSError | None = None

    def give_up_reserve(self) -> None:
        """There is no room for what is known: let it have the reserve. It is made again before new mail is taken."""
        if not self._reserve_given_up:
            self._reserve_given_up = True
            self._commits.submit(GiveUpReserve(self._paths)).addErrback(lambda _: None)  # it is on the same disk

    def on_recovery(self, call: Callable[[], object]) -> None:
        """Call this whenever the spool has come to be writable again."""
        self._on_recovery.append(call)

    def start(self) -> None:
        """Begin to look; make the reserve."""
        self._commits.submit(KeepReserve(self._paths)).addErrback(self.failed)
        self._later(LOOK_EVERY)

    def stop(self) -> None:
        """Look and try no more."""
        self._stopped = True
        if self._timer is not None and self._timer.active():
            self._timer.cancel()

    def failed(self, failure: Failure) -> None:
        """A change failed: see what is wrong with the disk."""
        error = failure.value
        if not isinstance(error, OSError) or error.errno == errno.ESHUTDOWN:
            return
        paths = [path for path in (error.filename, error.filename2) if isinstance(path, str)]
        for folder in (*paths, *map(os.path.dirname, paths)):
            hashed = os.path.basename(folder) in FOLDER_NAMES
            below = os.path.dirname(folder) in (self._paths.new, self._paths.cur)
            if hashed and below and len(self._suspects) < MOST_FOLDERS:
                self._suspects[folder] = None
        if self.blocked is None and not (self._condition.active and self._timer is not None):
            self._probe()

    # --- trying -----------------------------------------------------------------------------------

    def _probe(self) -> None:
        if self._probing or self._stopped:
            return
        self._probing = True
        probe = WriteProbe(self._paths, list(self._suspects))
        trying = self._commits.submit(probe)
        trying.addCallback(lambda _: self._keep_reserve())
        trying.addCallbacks(self._tried, self._could_not, callbackArgs=(probe,))

    def _keep_reserve(self) -> Deferred[None]:
        return self._commits.submit(KeepReserve(self._paths))

    def _tried(self, _: None, probe: WriteProbe) -> None:
        """The disk as a whole can be written."""
        self._probing = False
        blocked, self.blocked = self.blocked, None
        self._reserve_given_up = False
        self._suspects = dict.fromkeys(probe.failed)
        if probe.error is not None:
            self._condition.begin(f"parts of the spool can't be written: {_said(probe.error)}")
        else:
            self._condition.end("the spool can be written again")
        if blocked is not None or probe.error is None:
            for call in self._on_recovery:
                call()
        self._later(PROBE_EVERY if probe.error is not None else LOOK_EVERY)

    def _could_not(self, failure: Failure) -> None:
        self._probing = False
        error = failure.value
        if self._stopped or not isinstance(error, OSError) or error.errno == errno.ESHUTDOWN:
            return
        self.blocked = error
        self._condition.begin(
            f"the spool can't be written ({_said(error)}): new mail is refused, what is known is kept in memory and written later"
        )
        self._later(PROBE_EVERY)

    def _later(self, wait: float) -> None:
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
        if not self._stopped:
            self._timer = self._clock.callLater(wait, self._time_has_come)

    def _time_has_come(self) -> None:
        self._timer = None
        if self._condition.active or self._suspects:
            self._probe()
            return
        self._commits.read(self._looks_well).addCallbacks(self._looked, lambda failure: self._looked(False))

    def _looks_well(self, disk: Disk) -> bool:
        """In a thread: whether there is nothing that a change would fail by."""
        disk.check_root()
        paths = self._paths
        there = all(map(os.path.isdir, (paths.tmp, paths.new, paths.cur, paths.corrupt)))
        return there and disk.free(paths.root) >= RESERVE_SIZE

    def _looked(self, well: bool) -> None:
        if well:
            self._later(LOOK_EVERY)
        else:
            self._probe()


class WatchedCommits:
    """The commits, with others told of what fails (`seg.queue.commit.ISpoolCommits`).

    :param not_read: called with the errors of reading.
    """

    def __init__(self, commits: ISpoolCommits, health: SpoolHealth, not_read: Callable[[OSError], object]) -> None:
        self._commits = commits
        self._health = health
        self._not_read = not_read

    def submit(self, change: SpoolOperation) -> Deferred[None]:
        """See `ISpoolCommits.submit`."""
        return self._commits.submit(change).addErrback(self._failed)

    def read(self, work: Callable[[Disk], T]) -> Deferred[T]:
        """See `ISpoolCommits.read`."""
        reading = self._commits.read(work)
        reading.addErrback(self._could_not_read)
        return reading

    def _failed(self, failure: Failure) -> Failure:
        self._health.failed(failure)
        return failure

    def _could_not_read(self, failure: Failure) -> Failure:
        if isinstance(failure.value, OSError):
            self._not_read(failure.value)
        return failure


class NewMailCommits:
    """The commits of messages that come in: refused at once while the disk as a whole can't be written, so that what room there is
    serves what is known already.

    :param refused: says what forbids to take new mail, None: nothing.
    """

    def __init__(self, commits: ISpoolCommits, refused: Callable[[], OSError | None]) -> None:
        self._commits = commits
        self.read = commits.read
        self._refused = refused

    def submit(self, change: SpoolOperation) -> Deferred[None]:
        """See `ISpoolCommits.submit`."""
        error = self._refused() if change.takes_room else None
        return self._commits.submit(change) if error is None else fail(error)


def _said(error: OSError) -> str:
    return error.strerror or str(error)
