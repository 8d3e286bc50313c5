"""Files that are replaced as a whole: at any instant there is the old one or the new one; and whether one has changed. All of it blocks."""

from __future__ import annotations

import os
from pathlib import Path

OWN = 0o600  # for the gateway's user only
Mark = tuple[int, int, int]  # modification time in ns, size, inode: any change of a file changes it
NO_FILE: Mark = (0, 0, 0)


def mark_of(path: Path) -> Mark:
    """What tells a file from the one that was read before.

    :raises OSError: it isn't there, or can't be looked at.
    """
    status = path.stat()
    return status.st_mtime_ns, status.st_size, status.st_ino


def replace_file(path: Path, data: bytes, mode: int = OWN) -> None:
    """Write a file beside its place, make it durable, and put it there.

    :param mode: permissions of a new file, less the umask.
    :raises OSError: it can't be written; the old one stays.
    """
    part = path.with_suffix(".new")
    with open(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, mode), "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    part.replace(path)


def sync_folder(folder: Path) -> None:
    """Make the names in a folder durable.

    :raises OSError: it can't be opened, or the disk fails.
    """
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
