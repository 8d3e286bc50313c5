"""Doubles for the disk work: a committer without threads, and a disk that remembers, fails or loses power on
demand."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from typing import TypeVar

from twisted.internet.defer import Deferred, fail, succeed

from seg.queue.commit import SpoolOperation, commit_batch
from seg.queue.disk import Disk

T = TypeVar("T")


class PowerLoss(BaseException):
    """The machine is gone: only `InlineCommitter` catches this, and does and says nothing any more."""


class RecordingDisk(Disk):
    """The real disk, with a list of what was asked of it.

    :ivar steps: (operation, path) in order; paths below the root only.
    :ivar fails: says for an (operation, path) which error number it is to fail with, or 0.
    :ivar steps_left: so many changing operations still work, the next one is a `PowerLoss`.
    """

    def __init__(self, root: str) -> None:
        super().__init__()
        self._top = root
        self.steps: list[tuple[str, str]] = []
        self.fails: Callable[[str, str], int] = lambda operation, path: 0
        self.steps_left: int | None = None

    def _step(self, operation: str, path: str) -> None:
        whole, path = path, os.path.relpath(path, self._top)
        if self.steps_left is not None:
            if not self.steps_left:
                raise PowerLoss(operation)
            self.steps_left -= 1
        self.steps.append((operation, path))
        if number := self.fails(operation, path):
            raise OSError(number, os.strerror(number), whole)

    def write(self, path: str, data: bytes) -> None:
        """See `Disk.write`."""
        self._step("write", path)
        super().write(path, data)

    def append(self, path: str, data: bytes) -> None:
        """See `Disk.append`."""
        self._step("append", path)
        super().append(path, data)

    def overwrite(self, path: str, data: bytes) -> None:
        """See `Disk.overwrite`."""
        self._step("overwrite", path)
        super().overwrite(path, data)

    def sync(self, path: str) -> None:
        """See `Disk.sync`. The machine that holds the double keeps its power: nothing is really synced."""
        self._step("fsync", path)

    def sync_folder(self, path: str) -> None:
        """See `Disk.sync_folder`."""
        self._step("fsync folder", path)

    def rename(self, old: str, new: str) -> None:
        """See `Disk.rename`."""
        self._step("rename", new)
        super().rename(old, new)

    def unlink(self, path: str) -> bool:
        """See `Disk.unlink`."""
        self._step("unlink", path)
        return super().unlink(path)

    def link(self, old: str, new: str) -> None:
        """See `Disk.link`."""
        self._step("link", new)
        super().link(old, new)

    def replace(self, path: str, data: bytes) -> None:
        """See `Disk.replace`."""
        self._step("replace", path)
        super().replace(path, data)

    def read(self, path: str, limit: int) -> tuple[bytes, int]:
        """See `Disk.read`; reading isn't a step, but may fail."""
        self._look("read", path)
        return super().read(path, limit)

    def names(self, path: str) -> list[tuple[str, bool]]:
        """See `Disk.names`; as `read`."""
        self._look("list", path)
        return super().names(path)

    def _look(self, operation: str, path: str) -> None:
        if number := self.fails(operation, os.path.relpath(path, self._top)):
            raise OSError(number, os.strerror(number), path)  # the whole path


class InlineCommitter:
    """Does everything at once in the caller's thread.

    :ivar waiting: while `paused`, the changes submitted; `resume` carries them out as one batch.
    :ivar dead: power was lost; nothing that was submitted is ever answered.
    """

    def __init__(self, disk: Disk | None = None) -> None:
        self.disk = disk or Disk()
        self.paused = False
        self.stopped = False
        self.dead = False
        self.waiting: list[tuple[SpoolOperation, Deferred[None]]] = []

    def submit(self, change: SpoolOperation) -> Deferred[None]:
        """See `seg.queue.commit.ISpoolCommits.submit`."""
        if self.stopped:
            return fail(OSError(errno.ESHUTDOWN, "the queue is stopping"))
        done: Deferred[None] = Deferred()
        self.waiting.append((change, done))
        if not self.paused:
            self.resume()
        return done

    def resume(self) -> None:
        """Carry out what waits."""
        self.paused = False
        if self.dead:
            return
        batch, self.waiting = self.waiting, []
        try:
            errors = commit_batch(self.disk, [change for change, _ in batch])
        except PowerLoss:
            self.dead = True
            return
        for (_, done), error in zip(batch, errors, strict=True):
            if error is None:
                done.callback(None)
            else:
                done.errback(error)

    def read(self, work: Callable[[Disk], T]) -> Deferred[T]:
        """See `seg.queue.commit.ISpoolCommits.read`."""
        try:
            return succeed(work(self.disk))
        except PowerLoss:
            self.dead = True
            return Deferred()
        except OSError as error:
            return fail(error)

    def start(self) -> None:
        """See `seg.queue.commit.ISpoolExecutor.start`."""

    def stop(self) -> Deferred[None]:
        """See `seg.queue.commit.ISpoolExecutor.stop`."""
        self.resume()
        self.stopped = True
        return succeed(None)
