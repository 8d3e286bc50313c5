"""Closed log files made small, off the reactor's thread."""

from __future__ import annotations

import gzip
import os
import shutil
from pathlib import Path
from typing import BinaryIO

from seg.common.files import NewFile, write_beside

SUFFIX = ".gz"


def compress_closed(folder: Path, pattern: str) -> list[Path]:
    """Compress every file that fits and isn't compressed yet; those made. Blocks.

    The small file bears the time of the large one, which goes when it is complete on disk: a crash in between leaves the large one.

    :raises OSError: the disk fails; what was made of the small file is gone then, as it would take the room on a full one.
    """
    made = []
    for path in sorted(folder.glob(pattern)):
        if path.suffix == SUFFIX:
            continue
        small = path.with_name(path.name + SUFFIX)
        _compressed(path, small).put()
        path.unlink()
        made.append(small)
    return made


def _compressed(path: Path, small: Path) -> NewFile:
    """The file made small, with the permissions and the time of the large one."""
    status = path.stat()

    def fill(target: BinaryIO) -> None:
        os.fchmod(target.fileno(), status.st_mode & 0o777)
        with path.open("rb") as source, gzip.GzipFile("", "wb", fileobj=target, mtime=status.st_mtime) as file:
            shutil.copyfileobj(source, file, 1024 * 1024)
        target.flush()
        os.utime(target.fileno(), ns=(status.st_atime_ns, status.st_mtime_ns))

    return write_beside(small, fill, part=path.with_name(f".{path.name}.new"))
