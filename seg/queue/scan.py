"""Reading the spool: every message found is taken up, held because a part of it is lost, or put aside when nothing can be made of it.

Only content can be wrong. An error of the system (EIO, EMFILE, EACCES, ...) says nothing of the file: it stays where it is, and is to
be tried again. Blocks: threads only.
"""

from __future__ import annotations

import heapq
import os
from array import array
from collections.abc import Iterable, Iterator
from contextlib import suppress
from typing import NamedTuple

import attrs

from seg.mail.envelope import Envelope
from seg.queue.codec import MAX_LINE, SpoolFileError, StoredEnvelope, decode
from seg.queue.disk import Disk, NotAMessageError
from seg.queue.paths import ENVELOPE_SUFFIX, FOLDER_NAMES, SpoolPaths, folder_name, mid_of

BATCH = 200
_FIRST_READ = 4096  # octets that hold nearly every envelope
# Where a message's file and its envelope's were found. A listing is kept as `MID << 4 | these`: 8 octets a message, not 300.
_MESSAGE_IN_CUR, _MESSAGE_IN_NEW, _ENVELOPE_IN_CUR, _ENVELOPE_IN_NEW = 1, 2, 4, 8
_MESSAGE = _MESSAGE_IN_CUR | _MESSAGE_IN_NEW
_ENVELOPE = _ENVELOPE_IN_CUR | _ENVELOPE_IN_NEW
MISSING = "the file of its present envelope is missing"


class SpoolFile(NamedTuple):
    """A message file."""

    mid: int
    path: str
    envelope: str  # path of its .env, "" = none
    tried: bool = False  # it lies in cur/, where each message has an .env


@attrs.frozen
class UnreadableFile:
    """Something that was put into corrupt/ (`moved_to` "" when even that failed)."""

    path: str
    moved_to: str
    reason: str


@attrs.frozen
class Damaged:
    """A message of which a part is lost; what is known of its envelope says so, and that it is held."""

    stored: StoredEnvelope
    lost: str = ""  # path of the damaged envelope file, "" = there is none
    kept: bool = True  # it has a second name in corrupt/, if it is there: it may be replaced


@attrs.frozen
class Unread:
    """The system can't read this message, or this folder, now."""

    path: str
    reason: str
    place: SpoolFile | None = None  # of a message
    queued: bool = False  # it has been taken up before


ScanResult = StoredEnvelope | Damaged | UnreadableFile | Unread


class SpoolScan:
    """Readings of the spool: `prepare` once, then `next_batch` until it returns an empty list; `again` for what couldn't be read."""

    def __init__(self, paths: SpoolPaths) -> None:
        self._paths = paths
        self._places: Iterator[int] = iter(())  # MIDs with where their files are, in the order of the MIDs
        self.leftovers = 0  # envelopes of finished messages that were removed

    def prepare(self, disk: Disk) -> list[UnreadableFile | Unread]:
        """Make the folders, empty tmp/, list all messages. What doesn't belong there is put aside."""
        paths = self._paths
        disk.make_folders([paths.tmp, paths.new, paths.cur, paths.corrupt])
        disk.adopt(paths.root)
        found: list[UnreadableFile | Unread] = []
        for name, is_folder in disk.names(paths.tmp):
            path = f"{paths.tmp}/{name}"
            if is_folder:
                found.append(self._put_aside(disk, path, "a folder where there should be none"))
                continue
            with suppress(OSError):  # the next start tries again
                disk.unlink(path)  # never got its 250
        self._list_all(disk, found)
        return found

    def again(self, disk: Disk) -> list[UnreadableFile | Unread]:
        """List all messages anew, as some folder couldn't be listed; the caller passes over those that it has.

        :raises OSError: the spool is away.
        """
        disk.check_root()
        found: list[UnreadableFile | Unread] = []
        self._list_all(disk, found)
        return found

    def next_batch(self, disk: Disk) -> list[ScanResult]:
        """What became of the next messages, oldest first; empty at the end."""
        batch: list[ScanResult] = []
        for listed in self._places:
            batch += self.read(disk, self._place(listed))
            if len(batch) >= BATCH:
                break
        return batch

    def read(self, disk: Disk, place: SpoolFile) -> list[ScanResult]:
        """What became of one message; nothing if it isn't there any more."""
        try:
            return [self._read(disk, place)]
        except (SpoolFileError, NotAMessageError) as error:
            reason = why(error)
            moved: list[ScanResult] = [self._put_aside(disk, place.path, reason)]
            if place.envelope:
                moved.append(self._put_aside(disk, place.envelope, "the message beside it can't be read"))
            return moved
        except FileNotFoundError:
            if place.envelope and disk.exists(place.path):  # the envelope has gone since it was listed
                return self.read(disk, place._replace(envelope="", tried=True))
            return []
        except OSError as error:
            return [Unread(place.path, error.strerror or str(error), place)]

    def readable(self, disk: Disk, unread: Unread) -> bool:
        """Whether the system can read it now; also when it isn't there any more."""
        try:
            if unread.place is None:
                disk.names(unread.path)
            else:
                for path in filter(None, (unread.place.path, unread.place.envelope)):
                    disk.read(path, 1)
        except (FileNotFoundError, NotADirectoryError, NotAMessageError):
            return True
        except OSError:
            return False
        return True

    # --- listing ----------------------------------------------------------------------------------

    def _list_all(self, disk: Disk, found: list[UnreadableFile | Unread]) -> None:
        cur, new = self._paths.cur, self._paths.new
        there = {parent: self._subfolders(disk, parent, found) for parent in (cur, new)}
        leftovers: list[int] = []
        listings: list[array[int]] = []
        for folder in sorted(there[cur] | there[new]):
            known: dict[int, int] = {}
            for parent, kinds in (
                (cur, (_MESSAGE_IN_CUR, _ENVELOPE_IN_CUR)),
                (new, (_MESSAGE_IN_NEW, _ENVELOPE_IN_NEW)),
            ):
                if folder in there[parent]:
                    path = f"{parent}/{folder}"
                    self._sort(disk, path, self._names(disk, path, found), kinds, known, found)
            listed = sorted(mid << 4 | where for mid, where in known.items())
            listings.append(array("Q", [each for each in listed if each & _MESSAGE]))
            leftovers += [each for each in listed if not each & _MESSAGE]
        if not any(isinstance(each, Unread) for each in found):  # else their messages may be in such a folder
            self._remove_leftovers(disk, leftovers)
        self._places = heapq.merge(*listings)

    def _subfolders(self, disk: Disk, parent: str, found: list[UnreadableFile | Unread]) -> set[str]:
        folders = set()
        for name, is_folder in self._names(disk, parent, found):
            if is_folder and name in FOLDER_NAMES:
                folders.add(name)
            else:
                found.append(self._put_aside(disk, f"{parent}/{name}", "doesn't belong here"))
        return folders

    def _place(self, listed: int) -> SpoolFile:
        """What a listing's number says."""
        mid, tried = listed >> 4, bool(listed & _MESSAGE_IN_CUR)
        place = self._paths.message(mid)
        envelope = ""
        if listed & _ENVELOPE:
            envelope = place.envelope if listed & _ENVELOPE_IN_CUR else place.new + ENVELOPE_SUFFIX
        return SpoolFile(mid, place.cur if tried else place.new, envelope, tried)

    @staticmethod
    def _names(disk: Disk, folder: str, found: list[UnreadableFile | Unread]) -> list[tuple[str, bool]]:
        try:
            return disk.names(folder)
        except FileNotFoundError:
            return []
        except OSError as error:
            found.append(Unread(folder, error.strerror or str(error)))
            return []

    def _sort(
        self,
        disk: Disk,
        folder: str,
        names: Iterable[tuple[str, bool]],
        kinds: tuple[int, int],
        known: dict[int, int],
        found: list[UnreadableFile | Unread],
    ) -> None:
        """Tell messages, envelopes, and what isn't either.

        :param kinds: what stands for a message and an envelope found here.
        :param known: what was found of each MID.
        """
        own = os.path.basename(folder)
        message, envelope = kinds
        for name, is_folder in names:
            mid = None if is_folder else mid_of(name.removesuffix(ENVELOPE_SUFFIX))
            kind, same = (envelope, _ENVELOPE) if name.endswith(ENVELOPE_SUFFIX) else (message, _MESSAGE)
            if mid is None or folder_name(mid) != own:
                found.append(self._put_aside(disk, f"{folder}/{name}", "doesn't belong here"))
            elif known.get(mid, 0) & same:
                found.append(self._put_aside(disk, f"{folder}/{name}", f"a second file of MID {mid}"))
            else:
                known[mid] = known.get(mid, 0) | kind

    def _remove_leftovers(self, disk: Disk, listed: Iterable[int]) -> None:
        """A message that is finished goes first, then its envelope: a stop in between leaves the envelope, which is removed now."""
        for each in listed:
            with suppress(OSError):  # the next start tries again
                self.leftovers += disk.unlink(self._place(each).envelope)

    # --- reading ----------------------------------------------------------------------------------

    def _read(self, disk: Disk, place: SpoolFile) -> StoredEnvelope | Damaged:
        found = read_message(disk, place)
        if isinstance(found, Damaged) and found.lost:
            return attrs.evolve(found, kept=self._keep(disk, found.lost))
        return found

    def _keep(self, disk: Disk, path: str) -> bool:
        """Give a damaged envelope a second name in corrupt/, so that it can be replaced."""
        try:
            disk.link(path, self._free(disk, path))
        except OSError:
            return False  # it stays as it is; the message is held all the same
        return True

    def _put_aside(self, disk: Disk, path: str, reason: str) -> UnreadableFile:
        free = self._free(disk, path)
        try:
            disk.rename(path, free)
        except OSError as error:
            return UnreadableFile(path, "", f"{reason}; and it can't be moved: {error}")
        return UnreadableFile(path, free, reason)

    def _free(self, disk: Disk, path: str) -> str:
        """A name in corrupt/ that nothing has."""
        target = f"{self._paths.corrupt}/{os.path.relpath(path, self._paths.root).replace('/', '-')}"
        number, free = 0, target
        while disk.exists(free):
            number += 1
            free = f"{target}.{number}"
        return free


def read_message(disk: Disk, place: SpoolFile) -> StoredEnvelope | Damaged:
    """A message's present envelope; or, where that is lost, what else is known of it.

    :raises SpoolFileError: nothing can be made of it.
    :raises NotAMessageError: nor is it a file.
    :raises OSError: the system can't read it.
    """
    content = _Content(disk, place)
    if not place.envelope:
        stored = content.first()
        return Damaged(_held(stored, MISSING)) if place.tried else stored
    try:
        stored = decode(disk.read(place.envelope, MAX_LINE)[0])
        content.check_mid(stored.envelope)
    except (SpoolFileError, NotAMessageError) as error:
        damage = f"its present envelope can't be read ({why(error)})"
        return Damaged(_held(content.first(), damage), place.envelope)
    if content.fits(stored.envelope):
        return stored
    try:
        held = _held(content.first(), "its present envelope is that of another size")
    except SpoolFileError as error:
        if content.has_line or not content.may_hold(stored.envelope):
            raise
        return Damaged(_held(stored, f"the first line of its file is lost ({error})", sure=True))
    return Damaged(held, place.envelope)


class _Content:
    """A message's own file: its first line, and how long the rest is."""

    def __init__(self, disk: Disk, place: SpoolFile) -> None:
        data, length = disk.read(place.path, _FIRST_READ)
        end = data.find(b"\n") + 1
        if not end and length > len(data):
            data, length = disk.read(place.path, MAX_LINE)
            end = data.find(b"\n") + 1
        self._mid = place.mid
        self._line = data[:end]
        self._length = length

    @property
    def has_line(self) -> bool:
        """Whether the first line is an envelope at all."""
        try:
            decode(self._line)
        except SpoolFileError:
            return False
        return True

    def first(self) -> StoredEnvelope:
        """What the first line says.

        :raises SpoolFileError: it is no envelope, or not this message's.
        """
        if not self._line:
            raise SpoolFileError("the envelope line isn't complete" if self._length else "the file is empty")
        stored = decode(self._line)
        self.check_mid(stored.envelope)
        if not self.fits(stored.envelope):
            size = self._length - len(self._line)
            raise SpoolFileError(f"{size} octets of content, {stored.envelope.size} expected")
        return stored

    def check_mid(self, envelope: Envelope) -> None:
        """:raises SpoolFileError: it is the envelope of another message."""
        if envelope.mid != self._mid:
            raise SpoolFileError(f"the envelope is that of MID {envelope.mid}")

    def fits(self, envelope: Envelope) -> bool:
        """Whether the file is as long as an envelope says: a truncated one can't be delivered."""
        return envelope.size == self._length - len(self._line)

    def may_hold(self, envelope: Envelope) -> bool:
        """Whether the content that an envelope tells of can be there, behind a first line that is lost."""
        return self._length > envelope.size


def why(error: SpoolFileError | NotAMessageError) -> str:
    """What is wrong with a file."""
    return str(error.strerror) if isinstance(error, OSError) else str(error)


def _held(stored: StoredEnvelope, damage: str, sure: bool = False) -> StoredEnvelope:
    """Held, for this reason.

    :param sure: its envelope is the present one; else it may have been delivered to some of its recipients.
    """
    error = f"held: {damage}" + ("" if sure else "; it may have been delivered already")
    envelope = stored.envelope
    recipients = tuple(attrs.evolve(recipient, error=error) for recipient in envelope.recipients)
    held = attrs.evolve(envelope, recipients=recipients, held=True, damage=damage)
    return StoredEnvelope(held, stored.failures, stored.relayed)
