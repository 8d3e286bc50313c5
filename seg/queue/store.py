"""The spool as the queue uses it: its paths, who carries out changes of it, and whether it can be written."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable

from twisted.internet.interfaces import IReactorTime
from twisted.python.failure import Failure

from seg.events.base import IEventSink
from seg.mail.ids import IMessageIds
from seg.queue.commit import ISpoolExecutor
from seg.queue.durable import RetryingCommitter
from seg.queue.health import SpoolHealth, WatchedCommits
from seg.queue.paths import SpoolPaths

NO_IDS = OSError(errno.ENOSPC, "no message ids can be reserved")


class SpoolStore:
    """A spool folder with all that writes it. One process at a time.

    :ivar executor: does the work on the disk, started and stopped with the queue.
    :ivar commits: the same; what fails is looked into.
    :ivar durable: changes that must happen, tried again until they have.
    :ivar health: whether the spool can be written.
    :ivar on_unreadable: called with the error when a message of the queue can't be read.
    :param path: made when it doesn't exist.
    :param ids: of messages; reserved on the same disk.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        executor: ISpoolExecutor,
        ids: IMessageIds,
        sink: IEventSink,
        clock: IReactorTime,
    ) -> None:
        self.paths = SpoolPaths(os.fspath(path))
        self.executor = executor
        self.health = SpoolHealth(executor, self.paths, sink, clock)
        self.commits = WatchedCommits(executor, self.health, self._could_not_read)
        self.durable = RetryingCommitter(self.commits, sink, clock, self.health.give_up_reserve)
        self.on_unreadable: Callable[[OSError], object] = lambda error: None
        self._ids = ids
        self.health.on_recovery(self._recovered)

    def refusal(self) -> OSError | None:
        """What of the disk forbids to take new mail; None: nothing."""
        if self.health.blocked is None and self._ids.unreserved:
            self.health.failed(Failure(NO_IDS))
            return NO_IDS
        return self.health.blocked

    def _recovered(self) -> None:
        """The disk can be written again."""
        if self._ids.unreserved:
            self._ids.reserve()
        self.durable.retry_now()

    def _could_not_read(self, error: OSError) -> None:
        self.on_unreadable(error)
