"""Files that are replaced and read as a whole: at any instant there is the old one or the new one. All of it blocks."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO, Generic, TypeVar

import attrs

OWN = 0o600  # for the gateway's user only
LARGEST_STATE = 16 * 1024 * 1024  # octets of a state file; a larger one is damage
DAMAGED_SUFFIX = ".damaged"
MOST_ASIDE = 10  # damaged files of one name that are kept aside; after that the last of them is replaced
FileSignature = tuple[int, int, int]  # modification time in ns, size, inode: any change of a file changes it
NO_FILE: FileSignature = (0, 0, 0)
# Neither a pipe nor a device may stop the reader, and opening must not take control of a terminal.
_READ = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY
# These say that something else stands where the file should be; all other errors may pass by themselves.
_WRONG_KIND = frozenset({errno.ELOOP, errno.ENOTDIR, errno.EISDIR, errno.ENXIO, errno.ENODEV})

T = TypeVar("T")


def signature_of(path: Path) -> FileSignature:
    """What tells a file from the one that was read before.

    :raises OSError: it isn't there, or can't be looked at.
    """
    status = path.stat()
    return status.st_mtime_ns, status.st_size, status.st_ino


@attrs.frozen
class NewFile:
    """A file that is complete and durable, and only waits to be put in its place."""

    part: Path  # what it is called until then
    path: Path

    def put(self) -> None:
        """Put it there; the name is durable after `sync_folder`.

        :raises OSError: it can't be: what was there stays, and nothing else is left behind.
        """
        try:
            self.part.replace(self.path)
        except OSError:
            self.discard()
            raise

    def discard(self) -> None:
        """It isn't wanted. Never raises."""
        with contextlib.suppress(OSError):
            self.part.unlink(missing_ok=True)


def write_beside(
    path: Path,
    fill: Callable[[BinaryIO], object],
    mode: int = OWN,
    owner: os.stat_result | None = None,
    part: Path | None = None,
) -> NewFile:
    """Write a file beside its place, and make it durable there.

    :param fill: writes the content.
    :param mode: permissions of the new file, less the umask.
    :param owner: whose it becomes, where we may give it away; the mode holds whatever the umask is then.
    :param part: what it is called until it is put in its place; the path with ``.new`` unless given.
    :raises OSError: it can't be written; nothing is left behind, whatever `fill` raises.
    """
    new = NewFile(path.with_suffix(".new") if part is None else part, path)
    new.part.unlink(missing_ok=True)  # a crash left it; whatever it is, it isn't followed or written into
    descriptor = os.open(new.part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
    try:
        with open(descriptor, "wb") as file:
            if owner is not None:
                _give(descriptor, owner, mode)
            fill(file)
            file.flush()
            os.fsync(descriptor)
    except BaseException:
        new.discard()  # on a full disk it would keep what others need
        raise
    return new


def _give(descriptor: int, owner: os.stat_result, mode: int) -> None:
    if os.geteuid() == 0:
        os.fchown(descriptor, owner.st_uid, owner.st_gid)
    os.fchmod(descriptor, mode)


def replace_file(path: Path, data: bytes, mode: int = OWN, owner: os.stat_result | None = None) -> None:
    """Write a file beside its place, make it durable, put it there, and make its name durable. One writer at a time for each path.

    :param mode: permissions of a new file, less the umask.
    :param owner: as for `write_beside`.
    :raises OSError: it can't be written: the old one stays. When only the folder can't be made durable, the new one is there but
        may be the old one again after a loss of power.
    """
    write_beside(path, lambda file: file.write(data), mode, owner).put()
    sync_folder(path.parent)


def make_private(folder: Path) -> None:
    """Make a folder for the gateway's user only, and the one around it if it isn't there either.

    :raises OSError: it can't be made.
    """
    folder.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    folder.mkdir(mode=0o700, exist_ok=True)


def sync_folder(folder: Path) -> None:
    """Make the names in a folder durable.

    :raises OSError: it can't be opened, or the disk fails.
    """
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@attrs.frozen
class StateContent(Generic[T]):
    """The file is whole: what it says."""

    value: T


@attrs.frozen
class StateAbsent:
    """There is no such file, and nothing in its place."""


@attrs.frozen
class StateDamaged:
    """Something is there, but not what should be: wrong content, too large, a folder, a pipe, a link to nowhere. It won't mend itself:
    keep it aside (`keep_aside`), and keep to what was in force."""

    reason: str


@attrs.frozen
class StateUnreadable:
    """The system fails (EIO, EACCES, EMFILE, ESTALE, ...): nothing is known of the content. Leave the file alone, keep to what was in
    force, and try again."""

    reason: str


StateFile = StateContent[T] | StateAbsent | StateDamaged | StateUnreadable


def read_state_file(path: Path, parse: Callable[[bytes], T], limit: int = LARGEST_STATE) -> StateFile[T]:
    """Read a file of state as far as it may be trusted. Never raises for what stands there, never waits for a pipe or a device, and never
    reads more than `limit` octets.

    :param parse: makes sense of the content; what it raises (`ValueError`, `KeyError`, `TypeError`, `AttributeError`, `RecursionError`)
        means that the file is damaged.
    """
    try:
        data = read_regular(path, limit)
    except FileNotFoundError:
        return StateDamaged("a link to a file that isn't there") if os.path.islink(path) else StateAbsent()
    except OSError as error:
        reason = error.strerror or str(error)
        return StateDamaged(reason) if error.errno in _WRONG_KIND else StateUnreadable(reason)
    except ValueError as error:
        return StateDamaged(str(error))
    try:
        return StateContent(parse(data))
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        return StateDamaged(f"{'its content' if data else 'it is empty, and'} can't be understood ({_named(error)})")


def _named(error: Exception) -> str:
    """An error in words; the repr of one that concerns an encoding would hold the content."""
    return f"{type(error).__name__}: {error}"[:200]


def keep_aside(path: Path) -> Path:
    """Rename a damaged file (or whatever stands in its place) to ``<name>.damaged``, so that a good one can be written and nothing is lost.

    :return: its new path.
    :raises OSError: it can't be renamed.
    """
    names = [path.name + DAMAGED_SUFFIX + (f".{number}" if number else "") for number in range(MOST_ASIDE)]
    targets = [path.with_name(name) for name in names]
    free = [target for target in targets if not os.path.lexists(target)]
    if not free:
        free = [target for target in targets if target.is_symlink() or not target.is_dir()][-1:] or targets[-1:]
        free[0].unlink()
    target = free[0]
    path.rename(target)
    return target


def put_aside(path: Path) -> str:
    """The same as `keep_aside`, in words: what became of the damaged file. Never raises."""
    try:
        return f"it is kept as {keep_aside(path).name}"
    except OSError as error:
        return f"it can't be renamed ({error.strerror or error})"


def read_regular(path: Path, limit: int) -> bytes:
    """The content of a regular file. Never waits for a pipe or a device.

    :raises OSError: the system can't read it.
    :raises ValueError: it is something else, or larger than `limit`.
    """
    descriptor = os.open(path, _READ)
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise ValueError("not a regular file")
        if status.st_size > limit:
            raise ValueError(f"{status.st_size} octets, more than the {limit} that it may have")
        data = b""
        while len(data) <= limit and (piece := os.read(descriptor, limit + 1 - len(data))):
            data += piece
        if len(data) > limit:  # it grew meanwhile
            raise ValueError(f"more than the {limit} octets that it may have")
        return data
    finally:
        os.close(descriptor)
