"""The few things the queue asks of the file system. All of it blocks: threads only."""

from __future__ import annotations

import errno
import os
import stat
from contextlib import suppress
from pathlib import Path

from seg.common.files import replace_file

_NEW_FILE = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC
_READ = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK  # neither a symlink nor a pipe may stop the scan
_COPY_SIZE = 1024 * 1024


class NotAMessageError(OSError):
    """Something else than a regular file stands in a file's place: no error of the system, it won't pass."""


class Disk:
    """The real file system. Everything raises `OSError`."""

    def __init__(self) -> None:
        self._root = ""
        self._identity: tuple[int, int] | None = None

    def adopt(self, root: str) -> None:
        """From now on this folder, and no other one of its name, is the spool (see `check_root`)."""
        status = os.stat(root)
        self._root, self._identity = root, (status.st_dev, status.st_ino)

    def check_root(self) -> None:
        """Nothing may be concluded from a missing file, and nothing written, while the spool's own folder is away: a partition that isn't
        mounted leaves an empty folder in its place.

        :raises OSError: the folder isn't there, or isn't the one that was adopted.
        """
        if self._identity is None:
            return
        status = os.stat(self._root)
        if (status.st_dev, status.st_ino) != self._identity:
            raise OSError(errno.ESTALE, "the spool folder was replaced by another one", self._root)

    def make_folders(self, paths: list[str]) -> None:
        """Make these folders, and their parents, where they don't exist."""
        for path in paths:
            os.makedirs(path, mode=0o700, exist_ok=True)

    def write(self, path: str, data: bytes) -> None:
        """Make (or empty) a file and write it; not durable before `sync`. A missing folder is made first."""
        try:
            descriptor = os.open(path, _NEW_FILE, 0o600)
        except FileNotFoundError:
            self._make_folder_of(path)
            descriptor = os.open(path, _NEW_FILE, 0o600)
        self._write(descriptor, data)

    def append(self, path: str, data: bytes) -> None:
        """Write behind the end of a file."""
        self._write(os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC), data)

    def overwrite(self, path: str, data: bytes) -> None:
        """Write over the beginning of a file."""
        self._write(os.open(path, os.O_WRONLY | os.O_CLOEXEC), data)

    def copy_behind(self, head: bytes, source: str, offset: int, target: str) -> None:
        """Make `target` from `head` and what `source` holds from `offset` on."""
        self.write(target, head)
        with open(source, "rb") as old, open(target, "ab") as new:
            old.seek(offset)
            while piece := old.read(_COPY_SIZE):
                new.write(piece)

    def sync(self, path: str) -> None:
        """Make a file's content durable."""
        self._sync(path)

    def sync_folder(self, path: str) -> None:
        """Make the names in a folder durable."""
        self._sync(path)

    def rename(self, old: str, new: str) -> None:
        """Move a file, over whatever has the new name. A missing folder is made, and made durable, first."""
        try:
            os.rename(old, new)
        except FileNotFoundError:
            self._make_folder_of(new)
            os.rename(old, new)

    def link(self, old: str, new: str) -> None:
        """Give a file a second name."""
        os.link(old, new)

    def replace(self, path: str, data: bytes) -> None:
        """Write a file of state as `seg.common.files.replace_file` does."""
        replace_file(Path(path), data)

    def unlink(self, path: str) -> bool:
        """Remove a file; False when there was none."""
        try:
            os.unlink(path)
        except FileNotFoundError:
            return False
        return True

    def exists(self, path: str) -> bool:
        """Whether anything has this name, a dangling symlink included."""
        return os.path.lexists(path)

    def names(self, path: str) -> list[tuple[str, bool]]:
        """What a folder holds, sorted by name: (name, whether it is a folder itself)."""
        with os.scandir(path) as entries:
            return sorted((entry.name, entry.is_dir(follow_symlinks=False)) for entry in entries)

    def free(self, path: str) -> int:
        """Octets that may be written; 0 too when no more files can be made."""
        status = os.statvfs(path)
        if status.f_files and not status.f_favail:
            return 0
        return status.f_bavail * status.f_frsize

    def read(self, path: str, limit: int) -> tuple[bytes, int]:
        """The first `limit` octets of a regular file, and its size.

        :raises NotAMessageError: something else is there.
        """
        try:
            fd = os.open(path, _READ)
        except OSError as error:
            if error.errno in (errno.ELOOP, errno.ENXIO):  # a symlink, a socket
                raise NotAMessageError(error.errno, "not a regular file", path) from error
            raise
        try:
            status = os.fstat(fd)
            if not stat.S_ISREG(status.st_mode):
                raise NotAMessageError(errno.EINVAL, "not a regular file", path)
            return os.read(fd, limit), status.st_size
        finally:
            os.close(fd)

    def _make_folder_of(self, path: str) -> None:
        """Make the missing folder of a file, and its parents below the root, each durable.

        :raises FileNotFoundError: the folder is there, or the root isn't.
        """
        folder = os.path.dirname(path)
        if os.path.isdir(folder):
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), path)
        parent = os.path.dirname(folder)
        if self._root and len(parent) > len(self._root) and not os.path.isdir(parent):
            self._make_folder_of(folder)
        with suppress(FileExistsError):  # another thread made it
            os.mkdir(folder, 0o700)
        self._sync(parent)

    @staticmethod
    def _sync(path: str) -> None:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)

    @staticmethod
    def _write(fd: int, data: bytes) -> None:
        try:
            rest = memoryview(data)
            while rest:  # a nearly full disk takes a part, then fails
                rest = rest[os.write(fd, rest) :]
        finally:
            os.close(fd)
