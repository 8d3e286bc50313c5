"""Room on the disk that is kept for bad times: given up so that what is known can be written down on a full disk."""

from __future__ import annotations

import os
from collections.abc import Sequence

from seg.queue.commit import SpoolOperation
from seg.queue.disk import Disk
from seg.queue.paths import SpoolPaths

RESERVE = "reserve"  # its name in the spool
RESERVE_SIZE = 1024 * 1024  # octets


class KeepReserve(SpoolOperation):
    """Make the reserve if it isn't there."""

    def __init__(self, folders: SpoolPaths) -> None:
        self._path = f"{folders.root}/{RESERVE}"
        self._tmp = f"{folders.tmp}/{RESERVE}"
        self._root = folders.root
        self._there = False

    def write(self, disk: Disk) -> None:
        """Write it; random octets, as a file system may store anything else in less room."""
        self._there = disk.exists(self._path)
        if not self._there:
            disk.write(self._tmp, os.urandom(RESERVE_SIZE))

    def sync(self, disk: Disk) -> None:
        """Have the room given to it."""
        if not self._there:
            disk.sync(self._tmp)

    def publish(self, disk: Disk) -> Sequence[str]:
        """Give it its name."""
        if self._there:
            return ()
        disk.rename(self._tmp, self._path)
        return (self._root,)

    def undo(self, disk: Disk) -> None:
        """A part of it helps nobody."""
        disk.unlink(self._tmp)


class GiveUpReserve(SpoolOperation):
    """Let others have the room."""

    def __init__(self, folders: SpoolPaths) -> None:
        self._path = f"{folders.root}/{RESERVE}"

    def publish(self, disk: Disk) -> Sequence[str]:
        """Remove it; needn't be durable."""
        disk.unlink(self._path)
        return ()
