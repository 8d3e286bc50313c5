"""The changes that the queue makes to its files, as the commit thread carries them out."""

from __future__ import annotations

import os
from collections.abc import Sequence

from seg.queue.commit import SpoolOperation
from seg.queue.disk import Disk
from seg.queue.paths import SpoolPaths

RESERVE = "reserve"  # the name of the reserve in the spool: room on the disk for bad times, when what is known has to be written down
RESERVE_SIZE = 1024 * 1024  # octets
PROBE = b"This file only tries whether the disk can be written.\n" * 64


class StoreMessage(SpoolOperation):
    """A message that is whole in memory: into tmp/, then under its name in new/.

    :param suffix: keeps apart what is written of one message in several ways: the file in tmp/ is this change's alone.
    """

    takes_room = True

    def __init__(self, paths: SpoolPaths, mid: int, line: bytes, content: bytes, suffix: str = "") -> None:
        place = paths.message(mid)
        self._tmp = place.tmp + suffix
        self._target, self._folder = place.new, place.new_folder
        self._data = line + content

    def write(self, disk: Disk) -> None:
        """Write envelope and content."""
        disk.write(self._tmp, self._data)

    def sync(self, disk: Disk) -> None:
        """Make the file durable."""
        disk.sync(self._tmp)

    def publish(self, disk: Disk) -> Sequence[str]:
        """Give it its name."""
        disk.rename(self._tmp, self._target)
        return (self._folder,)

    def undo(self, disk: Disk) -> None:
        """The client hears 452 and will come again: nothing of this try may stay."""
        _remove(disk, self._tmp, self._target)


class StreamedFile:
    """A large message in tmp/ while it arrives. Room for its envelope is kept in front: the recipients are
    known by then, but the size isn't. Used by the commit thread only, in the order of the changes that share
    it."""

    ROOM = 2048  # octets

    def __init__(self, paths: SpoolPaths, mid: int, suffix: str = "") -> None:
        self.path = paths.message(mid).tmp + suffix
        self.error: Exception | None = None
        self.begun = False


class AppendChunk(SpoolOperation):
    """A piece of a large message. Not durable on its own."""

    takes_room = True

    def __init__(self, file: StreamedFile, data: bytes) -> None:
        self._file = file
        self._data = data

    def write(self, disk: Disk) -> None:
        """Append; after a failure nothing more of this message is written."""
        if self._file.error:
            raise self._file.error
        try:
            if not self._file.begun:
                self._file.begun = True
                disk.write(self._file.path, b" " * StreamedFile.ROOM)
            disk.append(self._file.path, self._data)
        except Exception as error:  # whatever it is: a piece is missing, so that the message can't be stored
            self._file.error = error
            raise


class Barrier(SpoolOperation):
    """Done when all pieces of a large message have been written, so that it can be read."""

    def __init__(self, file: StreamedFile) -> None:
        self._file = file

    def write(self, disk: Disk) -> None:
        """The changes before it have been carried out: they are kept in order."""
        if self._file.error:
            raise self._file.error


class FinishStreamedMessage(SpoolOperation):
    """The end of a large message: its envelope into the room kept for it, then as `StoreMessage`.

    The file is copied when the envelope doesn't fit, so that a person finds the same format everywhere.
    """

    takes_room = True

    def __init__(self, paths: SpoolPaths, mid: int, file: StreamedFile, line: bytes) -> None:
        self._file = file
        self._line = line
        self._tmp = file.path
        place = paths.message(mid)
        self._target, self._folder = place.new, place.new_folder

    def write(self, disk: Disk) -> None:
        """Write the envelope, padded with spaces, which JSON allows."""
        if self._file.error:
            raise self._file.error
        if len(self._line) <= StreamedFile.ROOM:
            disk.overwrite(self._file.path, self._line[:-1].ljust(StreamedFile.ROOM - 1) + b"\n")
        else:
            self._tmp = self._file.path + ".whole"
            disk.copy_behind(self._line, self._file.path, StreamedFile.ROOM, self._tmp)

    def sync(self, disk: Disk) -> None:
        """Make the file durable."""
        disk.sync(self._tmp)

    def publish(self, disk: Disk) -> Sequence[str]:
        """Give it its name."""
        disk.rename(self._tmp, self._target)
        if self._tmp != self._file.path:
            disk.unlink(self._file.path)
        return (self._folder,)

    def undo(self, disk: Disk) -> None:
        """Nothing of it may stay."""
        _remove(disk, self._tmp, self._file.path, self._target)


class DiscardFile(SpoolOperation):
    """A large message that won't be completed."""

    def __init__(self, file: StreamedFile) -> None:
        self._file = file

    def publish(self, disk: Disk) -> Sequence[str]:
        """Remove it; needn't be durable, as the next start empties tmp/."""
        disk.unlink(self._file.path)
        return ()


class RewriteEnvelope(SpoolOperation):
    """The present envelope of a message beside it in cur/, where the message goes too if it is still in new/.

    :param serial: keeps two changes of one message in the same batch apart.
    """

    outcome = True

    def __init__(self, paths: SpoolPaths, mid: int, serial: int, line: bytes) -> None:
        self._place = place = paths.message(mid)
        self._tmp = f"{place.tmp}.env.{serial}"
        self._line = line

    def write(self, disk: Disk) -> None:
        """Write the line."""
        disk.write(self._tmp, self._line)

    def sync(self, disk: Disk) -> None:
        """Make the file durable."""
        disk.sync(self._tmp)

    def publish(self, disk: Disk) -> Sequence[str]:
        """The envelope first: the scan takes it into account wherever the message lies, so that a stop in
        between does no harm."""
        place = self._place
        disk.rename(self._tmp, place.envelope)
        if not disk.exists(place.new):
            return (place.cur_folder,)
        disk.rename(place.new, place.cur)
        return (place.cur_folder, place.new_folder)

    def undo(self, disk: Disk) -> None:
        """Only the half-written one goes; the last good one stays."""
        _remove(disk, self._tmp)


class RemoveMessage(SpoolOperation):
    """A message of which nothing is left to do.

    The content goes first: an envelope alone can't be delivered, but a message without its envelope would be
    sent again.
    """

    outcome = True

    def __init__(self, paths: SpoolPaths, mid: int) -> None:
        self._place = paths.message(mid)

    def publish(self, disk: Disk) -> Sequence[str]:
        """Unlink whatever there is. Nothing there counts as done only in the spool's own folder."""
        place = self._place
        changed = []
        if disk.unlink(place.new):
            changed.append(place.new_folder)
        in_cur = disk.unlink(place.cur)
        if disk.unlink(place.envelope) or in_cur:
            changed.append(place.cur_folder)
        if not changed:
            disk.check_root()
        return changed


class KeepReserve(SpoolOperation):
    """Make the reserve if it isn't there."""

    def __init__(self, paths: SpoolPaths) -> None:
        self._path = f"{paths.root}/{RESERVE}"
        self._tmp = f"{paths.tmp}/{RESERVE}"
        self._root = paths.root
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

    def __init__(self, paths: SpoolPaths) -> None:
        self._path = f"{paths.root}/{RESERVE}"

    def publish(self, disk: Disk) -> Sequence[str]:
        """Remove it; needn't be durable."""
        disk.unlink(self._path)
        return ()


class WriteProbe(SpoolOperation):
    """Writes, syncs, renames and removes a small file, in tmp/ and by folders where something failed. Missing folders are made."""

    def __init__(self, paths: SpoolPaths, others: Sequence[str]) -> None:
        self._paths = paths
        self._others = others
        self._tmp = f"{paths.tmp}/probe"
        self.failed: list[str] = []  # the other folders that can't be written still
        self.error: OSError | None = None  # of the last of them

    def write(self, disk: Disk) -> None:
        """Write it."""
        disk.make_folders([self._paths.tmp, self._paths.new, self._paths.cur, self._paths.corrupt])
        disk.write(self._tmp, PROBE)

    def sync(self, disk: Disk) -> None:
        """Make it durable."""
        disk.sync(self._tmp)

    def publish(self, disk: Disk) -> Sequence[str]:
        """Move it through the other folders."""
        place = self._tmp
        for folder in self._others:
            target = f"{folder}/.probe"
            try:
                disk.rename(place, target)
                place = target
                disk.sync_folder(folder)
            except OSError as error:
                self.failed.append(folder)
                self.error = error
        disk.unlink(place)
        return (self._paths.tmp,)

    def undo(self, disk: Disk) -> None:
        """Nothing of it stays."""
        disk.unlink(self._tmp)


def _remove(disk: Disk, *paths: str) -> None:
    for path in paths:
        disk.unlink(path)
