"""The few things the queue asks of the file system. All of it blocks: threads only."""

from __future__ import annotations

import errno
import os
import stat

_NEW_FILE = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC
_READ = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK  # neither a symlink nor a pipe may stop the scan
_COPY_SIZE = 1024 * 1024


class Disk:
    """The real file system. Everything raises `OSError`."""

    def make_folders(self, paths: list[str]) -> None:
        """Make these folders, and their parents, where they don't exist."""
        for path in paths:
            os.makedirs(path, mode=0o700, exist_ok=True)

    def write(self, path: str, data: bytes) -> None:
        """Make (or empty) a file and write it; not durable before `sync`."""
        self._write(os.open(path, _NEW_FILE, 0o600), data)

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
            folder = os.path.dirname(new)
            if os.path.isdir(folder):
                raise
            os.mkdir(folder, 0o700)
            self._sync(os.path.dirname(folder))
            os.rename(old, new)

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

    def read(self, path: str, limit: int) -> tuple[bytes, int]:
        """The first `limit` octets of a regular file, and its size."""
        fd = os.open(path, _READ)
        try:
            status = os.fstat(fd)
            if not stat.S_ISREG(status.st_mode):
                raise OSError(errno.EINVAL, "not a regular file", path)
            return os.read(fd, limit), status.st_size
        finally:
            os.close(fd)

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
