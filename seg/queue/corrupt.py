"""What was put aside in corrupt/, as operators look at it, bring it back once it is mended, or delete it."""

from __future__ import annotations

import os
import shutil
import stat

from zope.interface import implementer

from seg.events.base import IEventSink
from seg.events.gateway import OperatorActed
from seg.queue.codec import MAX_LINE, SpoolFileError, StoredEnvelope, decode
from seg.queue.disk import Disk, NotAMessageError
from seg.queue.interfaces import CorruptFile, ICorruptFiles, NotRestoredError
from seg.queue.loading import Loading
from seg.queue.paths import AsideName, aside_name, spool_id
from seg.queue.queue import Queue
from seg.queue.scan import Damaged, SpoolFile, read_message, why

HEAD = 8192  # octets that `show` gives
MOST_LISTED = 1000
READABLE = "can be read: seg queue corrupt restore"


@implementer(ICorruptFiles)
class CorruptFiles:
    """Commands on them. Disk work happens in threads."""

    def __init__(self, queue: Queue, loading: Loading, sink: IEventSink) -> None:
        self._queue = queue
        self._paths = queue.store.paths
        self._commits = queue.store.commits
        self._loading = loading
        self._sink = sink

    async def list(self) -> tuple[int, tuple[CorruptFile, ...]]:
        """How many there are, and the first of them.

        :raises OSError: the folder can't be read.
        """
        return await self._commits.read(self._list)

    async def show(self, name: str) -> tuple[CorruptFile, bytes] | None:
        """One with its first octets; None: there is no such one.

        :raises OSError: it can't be read.
        """
        return await self._commits.read(lambda disk: self._show(disk, name))

    async def delete(self, name: str, by: str) -> bool:
        """Remove it for good. False: there is no such one.

        :raises OSError: it can't be removed.
        """
        done = await self._commits.read(lambda disk: self._delete(disk, name))
        if done:
            self._sink.emit(OperatorActed(by, f"queue corrupt delete {name}"))
            await self._loading.count_corrupt()
        return done

    async def restore(self, name: str, by: str) -> None:
        """Put a file that was mended back, and take it up at once: a message with its envelope, or the envelope of a held message.

        :raises NotRestoredError: it isn't mended, or its place is taken.
        :raises OSError: it can't be read or moved.
        """
        known = aside_name(name)
        if known is None:
            raise NotRestoredError(
                "its name isn't that of a message: rename it to new-XX-NNNNNNNNNNNN, as the others are"
            )
        entry = self._queue.index.get(known.mid)
        if not known.is_envelope:
            if entry is not None:
                raise NotRestoredError(f"MID {known.mid} is in the queue")
            found = await self._commits.read(lambda disk: self._restore(disk, name, known))
            self._loading.take_message(found)
        elif entry is None or not entry.unusual.damaged or entry.leased:
            raise NotRestoredError("its message isn't held for damage; restored, a message brings its envelope along")
        else:
            stored = await self._commits.read(lambda disk: self._restore_envelope(disk, name, known))
            self._queue.replace_envelope(entry, stored)
        self._sink.emit(OperatorActed(by, f"queue corrupt restore {name}"))
        await self._loading.count_corrupt()

    # --- in threads -------------------------------------------------------------------------------

    def _list(self, disk: Disk) -> tuple[int, tuple[CorruptFile, ...]]:
        names = disk.names(self._paths.corrupt)
        return len(names), tuple(filter(None, (self._look(disk, name) for name, _ in names[:MOST_LISTED])))

    def _path(self, name: str) -> str:
        return f"{self._paths.corrupt}/{name}"

    def _there(self, name: str) -> bool:
        plain = bool(name) and "/" not in name and "\0" not in name and name not in (".", "..")
        return plain and os.path.lexists(self._path(name))

    def _look(self, disk: Disk, name: str) -> CorruptFile | None:
        try:
            status = os.lstat(self._path(name))
        except OSError:
            return None  # it has gone meanwhile
        known = aside_name(name)
        if stat.S_ISDIR(status.st_mode):
            kind, reason, stored = "folder", "a folder", None
        elif known is None:
            kind, reason, stored = "other", "its name isn't that of a message", None
        elif known.is_envelope:
            kind, (reason, stored) = "envelope", self._judge_envelope(disk, name)
        else:
            kind, (reason, stored) = "message", self._judge(disk, name, known)
        envelope = stored.envelope if stored else None
        return CorruptFile(
            name,
            known.mid if known else 0,
            kind,
            status.st_size,
            status.st_mtime,
            reason,
            envelope.reverse_path if envelope else "",
            tuple(r.address for r in envelope.recipients) if envelope else (),
        )

    def _judge_envelope(self, disk: Disk, name: str) -> tuple[str, StoredEnvelope | None]:
        try:
            return READABLE, decode(disk.read(self._path(name), MAX_LINE)[0])
        except (SpoolFileError, NotAMessageError) as error:
            return why(error), None
        except OSError as error:
            return f"can't be read now: {error.strerror}", None

    def _judge(self, disk: Disk, name: str, known: AsideName) -> tuple[str, StoredEnvelope | None]:
        try:
            found = read_message(disk, self._place(name, known))
        except (SpoolFileError, NotAMessageError) as error:
            return why(error), None
        except OSError as error:
            return f"can't be read now: {error.strerror}", None
        return (f"{READABLE} (held)", found.stored) if isinstance(found, Damaged) else (READABLE, found)

    def _place(self, name: str, known: AsideName) -> SpoolFile:
        """Where the message lies now, with the envelope that was put aside with it."""
        beside = f"{name.partition(spool_id(known.mid))[0]}{spool_id(known.mid)}.env"
        envelope = next((each for each in (beside, f"cur{beside[3:]}") if os.path.lexists(self._path(each))), "")
        return SpoolFile(known.mid, self._path(name), self._path(envelope) if envelope else "", known.place == "cur")

    def _show(self, disk: Disk, name: str) -> tuple[CorruptFile, bytes] | None:
        file = self._look(disk, name) if self._there(name) else None
        if file is None:
            return None
        head = b"" if file.kind == "folder" else self._head(disk, name)
        return file, head

    def _head(self, disk: Disk, name: str) -> bytes:
        try:
            return disk.read(self._path(name), HEAD)[0]
        except NotAMessageError:
            return b""

    def _delete(self, disk: Disk, name: str) -> bool:
        if not self._there(name):
            return False
        path = self._path(name)
        if os.path.isdir(path) and not os.path.islink(path):
            shutil.rmtree(path)
        else:
            disk.unlink(path)
        disk.sync_folder(self._paths.corrupt)
        return True

    def _restore(self, disk: Disk, name: str, known: AsideName) -> StoredEnvelope | Damaged:
        """Judge a message, then move it: itself first, as a message in cur/ without its envelope is held, and an envelope without its
        message is nothing."""
        home = self._paths.message(known.mid)
        if not self._there(name):
            raise NotRestoredError("there is no such file")
        if any(map(disk.exists, (home.new, home.cur, home.envelope))):
            raise NotRestoredError(f"there is a file of MID {known.mid} in the queue's folders")
        place = self._place(name, known)
        try:
            found = read_message(disk, place)
        except (SpoolFileError, NotAMessageError) as error:
            raise NotRestoredError(f"{why(error)}: mend it first") from None
        tried = bool(place.envelope) or known.place == "cur"
        disk.rename(place.path, home.cur if tried else home.new)
        if place.envelope and not isinstance(found, Damaged):
            disk.rename(place.envelope, home.envelope)
        disk.sync_folder(home.cur_folder if tried else home.new_folder)
        disk.sync_folder(self._paths.corrupt)
        return found

    def _restore_envelope(self, disk: Disk, name: str, known: AsideName) -> StoredEnvelope:
        home = self._paths.message(known.mid)
        message = next((path for path in (home.cur, home.new) if disk.exists(path)), "")
        if not self._there(name) or not message:
            raise NotRestoredError("there is no such file")
        try:
            found = read_message(disk, SpoolFile(known.mid, message, self._path(name), True))
        except (SpoolFileError, NotAMessageError) as error:
            raise NotRestoredError(f"{why(error)}: mend it first") from None
        if isinstance(found, Damaged):
            raise NotRestoredError(f"{found.stored.envelope.damage}: mend it first")
        disk.rename(self._path(name), home.envelope)
        disk.sync_folder(home.cur_folder)
        return found
