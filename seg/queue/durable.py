"""Changes that must happen: tried again until the disk takes them."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater

from seg.events.base import IEventSink
from seg.events.gateway import Fault, Notice
from seg.events.memory import note
from seg.queue.commit import ISpoolCommits, SpoolOperation

NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT})
FIRST_WAIT = 1.0  # seconds
LONGEST_WAIT = 60.0


class RetryingCommitter:
    """Carries out changes whose outcome is known already (mail was sent or refused), so that giving up isn't
    possible.

    While the disk is full the outcome stays in memory and in force: nothing is sent twice by this process.
    One Fault says so, however many changes wait, and one Notice says that it is over.

    :param no_room: called when a change fails for lack of room: the reserve may be given up.
    """

    def __init__(
        self,
        commits: ISpoolCommits,
        sink: IEventSink,
        clock: IReactorTime,
        no_room: Callable[[], object] = lambda: None,
    ) -> None:
        self._commits = commits
        self._sink = sink
        self._clock = clock
        self._no_room = no_room
        self._pauses: set[Deferred[None]] = set()
        self._failing = 0
        self._stopped = False

    async def carry_out(
        self, make: Callable[[], SpoolOperation | None], on_failure: Callable[[OSError], object] = lambda error: None
    ) -> None:
        """Return when the change is durable. It is made anew for each try; None: not needed any more.

        :param on_failure: called whenever a try fails, and another one will follow.

        :raises OSError: only after `stop`.
        """
        wait = FIRST_WAIT
        failed = False
        try:
            while True:
                try:
                    if (change := make()) is None:
                        return
                    await self._commits.submit(change)
                    return
                except (OSError, MemoryError) as memory_or_disk:
                    if self._stopped:
                        raise
                    note(memory_or_disk)
                    error = _as_os_error(memory_or_disk)
                    if error.errno in NO_ROOM:
                        self._no_room()
                    if not failed:
                        failed = True
                        self._report(error)
                    on_failure(error)
                await self._pause(wait)
                wait = min(2 * wait, LONGEST_WAIT)
        finally:
            if failed:
                self._recovered()

    def retry_now(self) -> None:
        """Try again what failed: the disk can be written again."""
        for pause in list(self._pauses):
            pause.cancel()

    def stop(self) -> None:
        """Try once more at once, then give up: what can't be written is known to be done, but will be done
        again."""
        self._stopped = True
        self.retry_now()

    def _report(self, error: OSError) -> None:
        self._failing += 1
        if self._failing == 1:
            self._sink.emit(
                Fault(f"the queue can't be written, outcomes are kept in memory and written later: {error}")
            )

    def _recovered(self) -> None:
        self._failing -= 1
        if not self._failing and not self._stopped:
            self._sink.emit(Notice("the queue can be written again; nothing was lost"))

    async def _pause(self, wait: float) -> None:
        pause = deferLater(self._clock, wait, lambda: None)
        self._pauses.add(pause)
        pause.addErrback(lambda _: None)  # cancelled by `stop`
        try:
            await pause
        finally:
            self._pauses.discard(pause)


def _as_os_error(error: OSError | MemoryError) -> OSError:
    return error if isinstance(error, OSError) else OSError(errno.ENOMEM, os.strerror(errno.ENOMEM))
