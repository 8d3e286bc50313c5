"""Closed log files made small, off the reactor's thread."""

from __future__ import annotations

import gzip
import os
import shutil
from pathlib import Path

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
        part = path.with_name(f".{path.name}.new")
        try:
            _compress(path, part)
        except OSError:
            part.unlink(missing_ok=True)
            raise
        part.replace(small)
        path.unlink()
        made.append(small)
    return made


def _compress(path: Path, part: Path) -> None:
    status = path.stat()
    with path.open("rb") as source, part.open("wb") as target:
        os.fchmod(target.fileno(), status.st_mode & 0o777)
        with gzip.GzipFile(filename="", mode="wb", fileobj=target, mtime=status.st_mtime) as file:
            shutil.copyfileobj(source, file, 1024 * 1024)
        target.flush()
        os.fsync(target.fileno())
    os.utime(part, ns=(status.st_atime_ns, status.st_mtime_ns))
