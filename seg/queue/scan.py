"""Reading the spool at the start: every message found is taken up or, when it can't be read, put aside.
Blocks: threads only."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import NamedTuple

import attrs

from seg.queue.disk import Disk
from seg.queue.files import (
    ENVELOPE_SUFFIX,
    FOLDER_NAMES,
    MAX_LINE,
    Folders,
    SpoolFileError,
    Stored,
    decode,
    folder_name,
    mid_of,
)

BATCH = 200
_FIRST_READ = 4096  # octets that hold nearly every envelope


class Place(NamedTuple):
    """A message file."""

    mid: int
    path: str
    envelope: str  # path of its .env, "" = none


@attrs.frozen
class Aside:
    """Something that was put into corrupt/ (`moved_to` "" when even that failed)."""

    path: str
    moved_to: str
    reason: str


class Scan:
    """One reading of the spool: `prepare` once, then `next_batch` until it returns an empty list."""

    def __init__(self, folders: Folders) -> None:
        self._folders = folders
        self._places: Iterator[Place] = iter(())

    def prepare(self, disk: Disk) -> list[Aside]:
        """Make the folders, empty tmp/, list all messages. What doesn't belong there is put aside."""
        folders = self._folders
        disk.make_folders([folders.tmp, folders.new, folders.cur, folders.corrupt])
        asides: list[Aside] = []
        for name, is_folder in disk.names(folders.tmp):
            path = f"{folders.tmp}/{name}"
            if is_folder:
                asides.append(self._put_aside(disk, path, "a folder where there should be none"))
                continue
            try:
                disk.unlink(path)  # never got its 250
            except OSError as error:
                asides.append(self._put_aside(disk, path, f"can't be removed: {error}"))
        self._places = iter(sorted(self._list(disk, asides)))
        return asides

    def next_batch(self, disk: Disk) -> list[Stored | Aside]:
        """What became of the next messages, oldest first; empty at the end."""
        batch: list[Stored | Aside] = []
        for place in self._places:
            try:
                batch.append(_read(disk, place))
            except (SpoolFileError, OSError) as error:
                batch.append(self._put_aside(disk, place.path, str(error)))
                if place.envelope:
                    batch.append(self._put_aside(disk, place.envelope, "the message beside it can't be read"))
            if len(batch) >= BATCH:
                break
        return batch

    def _list(self, disk: Disk, asides: list[Aside]) -> list[Place]:
        messages: dict[int, str] = {}
        envelopes: dict[int, str] = {}
        for parent in (self._folders.cur, self._folders.new):
            for folder, is_folder in disk.names(parent):
                if not is_folder or folder not in FOLDER_NAMES:
                    asides.append(self._put_aside(disk, f"{parent}/{folder}", "doesn't belong here"))
                    continue
                try:
                    names = disk.names(f"{parent}/{folder}")
                except OSError as error:
                    asides.append(self._put_aside(disk, f"{parent}/{folder}", f"can't be listed: {error}"))
                    continue
                for name, is_inner in names:
                    path = f"{parent}/{folder}/{name}"
                    mid = None if is_inner else mid_of(name.removesuffix(ENVELOPE_SUFFIX))
                    found = envelopes if name.endswith(ENVELOPE_SUFFIX) else messages
                    if mid is None or folder_name(mid) != folder:
                        asides.append(self._put_aside(disk, path, "doesn't belong here"))
                    elif mid in found:
                        asides.append(self._put_aside(disk, path, f"a second file of MID {mid}"))
                    else:
                        found[mid] = path
        for mid in envelopes.keys() - messages.keys():
            asides.append(self._put_aside(disk, envelopes.pop(mid), "no message beside this envelope"))
        return [Place(mid, path, envelopes.get(mid, "")) for mid, path in messages.items()]

    def _put_aside(self, disk: Disk, path: str, reason: str) -> Aside:
        target = f"{self._folders.corrupt}/{os.path.relpath(path, self._folders.root).replace('/', '-')}"
        number, free = 0, target
        while disk.exists(free):
            number += 1
            free = f"{target}.{number}"
        try:
            disk.rename(path, free)
        except OSError as error:
            return Aside(path, "", f"{reason}; and it can't be moved: {error}")
        return Aside(path, free, reason)


def _read(disk: Disk, place: Place) -> Stored:
    """The message's present envelope. The file must be as long as that says: a truncated one can't be
    delivered."""
    data, length = disk.read(place.path, _FIRST_READ)
    end = data.find(b"\n") + 1
    if not end and length > len(data):
        data, length = disk.read(place.path, MAX_LINE)
        end = data.find(b"\n") + 1
    if not end:
        raise SpoolFileError("the envelope line isn't complete" if length else "the file is empty")
    if place.envelope:
        stored = decode(disk.read(place.envelope, MAX_LINE)[0])
    else:
        stored = decode(data[:end])
    envelope = stored.envelope
    if envelope.mid != place.mid:
        raise SpoolFileError(f"the envelope is that of MID {envelope.mid}")
    if envelope.size != length - end:
        raise SpoolFileError(f"{length - end} octets of content, {envelope.size} expected")
    return stored
