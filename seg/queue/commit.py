"""Group commit: a thread makes many changes of the spool durable together.

Changes wait in a list while the disk is busy; the thread takes what has gathered (up to `BATCH`), writes all
files, makes each durable, puts all of them under their names, makes each folder durable once, and only then
reports, all in one go. Nothing is reported before it would survive a power failure.
"""

from __future__ import annotations

import errno
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from functools import partial
from itertools import islice
from typing import ClassVar, Protocol, TypeVar, cast

from twisted.internet.defer import Deferred, fail
from twisted.internet.interfaces import IReactorFromThreads, IReactorTime
from twisted.python.failure import Failure
from twisted.python.threadpool import ThreadPool

from seg.common.spread import SpreadCalls
from seg.common.threads import in_pool, start_thread
from seg.queue.disk import Disk

BATCH = 256  # outcomes made durable together, at most; never together with others, whose syncs they would wait for
OTHERS = 32  # of those that aren't outcomes: an outcome that comes meanwhile waits for these
TOLD = 20  # changes whose outcome is told in one turn of the reactor: a reply to a client each, or less
READERS = 4
MEMORY_WAIT = 0.1  # seconds after which the commit thread tries again what it had no memory for

T = TypeVar("T")


class SpoolOperation:
    """Something to be made durable. The thread calls the steps in order; each may raise `OSError`, which
    fails this change alone. A step of all changes in a batch is done before the next step of any.

    :cvar takes_room: it is a part of a message that comes in.
    :cvar outcome: it writes down what has happened already: never behind messages that come in.
    """

    takes_room: ClassVar[bool] = False
    outcome: ClassVar[bool] = False

    def write(self, disk: Disk) -> None:
        """Write files in tmp/."""

    def sync(self, disk: Disk) -> None:
        """Make those files durable."""

    def publish(self, disk: Disk) -> Sequence[str]:
        """Rename or unlink; the folders to be made durable."""
        return ()

    def undo(self, disk: Disk) -> None:
        """Leave nothing behind after a step failed."""


class ISpoolCommits(Protocol):
    """What the queue needs of whoever does its disk work."""

    def submit(self, change: SpoolOperation) -> Deferred[None]:
        """Fires when the change is durable; fails with `OSError` when it isn't and won't be. Kept in
        order."""
        ...

    def read(self, work: Callable[[Disk], T]) -> Deferred[T]:
        """Run something that only reads, beside the commits and in no order."""
        ...


class ISpoolExecutor(ISpoolCommits, Protocol):
    """Who does it. The double is `tests.queue.doubles.InlineCommitter`."""

    def start(self) -> None:
        """Begin to work."""
        ...

    def stop(self) -> Deferred[None]:
        """Fires when all that was submitted has been done; later changes fail with `OSError`."""
        ...


_Waiting = tuple[SpoolOperation, Deferred[None]]


def commit_batch(disk: Disk, batch: Sequence[SpoolOperation]) -> list[BaseException | None]:
    """Make these changes durable; for each what went wrong, or None."""
    try:
        disk.check_root()
    except (OSError, MemoryError) as error:
        return [error] * len(batch)
    errors: list[BaseException | None] = [None] * len(batch)
    folders: dict[str, list[int]] = {}
    # Whatever goes wrong with one, its owner hears of it; the others go on.
    for number, change in enumerate(batch):
        try:
            change.write(disk)
        except Exception as error:  # noqa: BLE001
            errors[number] = error
    for number, change in enumerate(batch):
        try:
            if errors[number] is None:
                change.sync(disk)
        except Exception as error:  # noqa: BLE001
            errors[number] = error
    for number, change in enumerate(batch):
        try:
            if errors[number] is None:
                for folder in change.publish(disk):
                    folders.setdefault(folder, []).append(number)
        except Exception as error:  # noqa: BLE001
            errors[number] = error
    for folder, numbers in folders.items():
        try:
            disk.sync_folder(folder)
        except Exception as error:  # noqa: BLE001  as above
            for number in numbers:
                errors[number] = errors[number] or error
    for number, change in enumerate(batch):
        if errors[number] is not None:
            _undo(disk, change)
    return errors


def _undo(disk: Disk, change: SpoolOperation) -> None:
    try:
        change.undo(disk)
    except (OSError, MemoryError):
        return  # the error that led here is reported; what stays in tmp/ is removed at the next start


class _CommitThread:
    """The thread, with the changes that wait for it: outcomes and the others, each kept in order.

    What has happened to messages and what comes in take turns, the latter a few at a time: an outcome that waits for as many syncs as there
    are messages that come in is forgotten by a kill in between, and what it tells of is done again. A message is stored before anything can
    happen to it, so no order is lost by that. (A second thread would do without the wait, but three threads contend for the interpreter
    with each call to the system: 20 more of these for a message, and 7 % of its CPU time.)
    """

    def __init__(self, reactor: IReactorFromThreads, disk: Disk) -> None:
        self._reactor = reactor
        self._telling = SpreadCalls(cast(IReactorTime, reactor), TOLD)
        self._disk = disk
        self._outcomes: deque[_Waiting] = deque()
        self._others: deque[_Waiting] = deque()
        self._changed = threading.Condition()
        self._had_outcomes = False  # the last batch was of outcomes: now it is the others' turn
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name="spool-commit", daemon=True)
        self.stopped: Deferred[None] = Deferred()
        self.start = partial(start_thread, self._thread)

    def submit(self, change: SpoolOperation) -> Deferred[None]:
        """See `ISpoolCommits.submit`."""
        done: Deferred[None] = Deferred()
        with self._changed:
            (self._outcomes if change.outcome else self._others).append((change, done))
            self._changed.notify()
        return done

    def stop(self) -> None:
        """End when all has been done; then `stopped` fires."""
        with self._changed:
            self._stopping = True
            self._changed.notify()

    def _run(self) -> None:
        while batch := _patiently(self._next_batch):
            try:
                errors = commit_batch(self._disk, [change for change, _ in batch])
            except MemoryError as error:  # outside of the steps of any one
                errors = [error]
            _patiently(partial(self._reactor.callFromThread, self._report, batch, errors))
        _patiently(partial(self._reactor.callFromThread, self._end))

    def _end(self) -> None:
        self._telling.fire((self.stopped,))

    def _next_batch(self) -> list[_Waiting]:
        """Wait for work; an empty list means stop."""
        with self._changed:
            while not (self._outcomes or self._others or self._stopping):
                self._changed.wait()
            if self._outcomes and not (self._others and self._had_outcomes):
                waiting, most = self._outcomes, BATCH
            else:
                waiting, most = self._others, OTHERS
            self._had_outcomes = waiting is self._outcomes
            batch = list(islice(waiting, most))
            for _ in batch:  # only now that they are in the list: memory may run out
                waiting.popleft()
            return batch

    def _report(self, batch: list[_Waiting], errors: list[BaseException | None]) -> None:
        if len(errors) < len(batch):
            errors = errors * len(batch)
        results = [(done, error) for (_, done), error in zip(batch, errors, strict=True)]
        try:
            self._telling.each(_tell, results)
        except MemoryError:  # nobody may wait for ever
            for result in results:
                _tell(result)


def _tell(result: tuple[Deferred[None], BaseException | None]) -> None:
    done, error = result
    if done.called:
        return  # told already, when memory ran out in the middle
    if error is None:
        done.callback(None)
    else:
        done.errback(Failure(error))


def _patiently(work: Callable[[], T]) -> T:
    """Do it, again and again while there is no memory: the thread must not end by that, as the queue would stand still for ever."""
    while True:
        try:
            return work()
        except MemoryError:
            time.sleep(MEMORY_WAIT)


class GroupCommitter:
    """The commit thread, and a few threads that read."""

    def __init__(self, reactor: IReactorFromThreads, disk: Disk | None = None) -> None:
        self._reactor = reactor
        self._disk = disk or Disk()
        self._commits = _CommitThread(reactor, self._disk)
        self._readers = ThreadPool(0, READERS, "spool-readers")
        self._started = False
        self._stopping = False
        self._stopped: Deferred[None] = Deferred()

    def start(self) -> None:
        """Start the threads.

        :raises NoThread: the system gives none.
        """
        self._commits.start()
        self._started = True
        self._readers.start()

    def submit(self, change: SpoolOperation) -> Deferred[None]:
        """See `ISpoolCommits.submit`."""
        if self._stopping:
            return fail(OSError(errno.ESHUTDOWN, "the queue is stopping"))
        return self._commits.submit(change)

    def read(self, work: Callable[[Disk], T]) -> Deferred[T]:
        """See `ISpoolCommits.read`."""
        if self._stopping:
            return fail(OSError(errno.ESHUTDOWN, "the queue is stopping"))
        return in_pool(self._reactor, self._readers, work, self._disk)

    def stop(self) -> Deferred[None]:
        """See `ISpoolExecutor.stop`."""
        if not self._stopping:
            self._stopping = True
            if self._started:
                self._commits.stop()
                self._commits.stopped.addCallback(self._all_done)
            else:
                self._stopped.callback(None)
        return self._stopped

    def _all_done(self, _: object) -> None:
        self._readers.stop()
        self._stopped.callback(None)
