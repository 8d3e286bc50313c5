"""Room on the disk that is kept for policies that are fetched while it is full, so that a restart doesn't forget them.

It is kept as files of some blocks each. One is written over in its place, which takes no room, and then given the name of the policy's file: so
it doesn't matter who else writes to the disk, nor whether it has room for another file.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable
from pathlib import Path

from seg.common.files import NewFile, sync_folder
from seg.policy.mtasts.entry import CachedPolicy, clear_place, encode_entry, file_name

SPARES = 32  # files: that many policies can be written down on a full disk
SPARE_SIZE = 16384  # octets of each: a policy with some 150 hosts
_NAMES = tuple(f"spare-{number:02}" for number in range(SPARES))
_LOST_AT_MOST = 3  # files given up for one policy, where a file system needs room to write one over, or for a name


class PolicyReserve:
    """The files that are kept; all of it blocks.

    :param folder: of the policies' files; the reserve is beside it, on the same disk.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.place = folder.with_name(f"{folder.name}.reserve")

    def fill(self) -> None:
        """Make what is lacking of it. It needn't outlast a loss of power: it is made again then.

        :raises OSError: there is no room, or the disk doesn't let us.
        """
        for folder in (self._folder, self.place):
            folder.mkdir(mode=0o750, parents=True, exist_ok=True)
        for name in _NAMES:
            path = self.place / name
            if _is_spare(path):
                continue
            clear_place(path)
            path.unlink(missing_ok=True)
            # Random octets, as a file system may store anything else in less room.
            try:
                path.write_bytes(os.urandom(SPARE_SIZE))
            except OSError:
                path.unlink(missing_ok=True)  # a part of it helps nobody
                raise

    def write(self, entries: Iterable[CachedPolicy]) -> list[str]:
        """Write entries into files of the reserve, which become theirs; the domains of those that are on disk now. Never raises."""
        done = []
        for entry in entries:
            with contextlib.suppress(OSError):
                if self._write(entry):
                    done.append(entry.domain)
        return done

    def _write(self, entry: CachedPolicy) -> bool:
        data, path = encode_entry(entry), self._folder / file_name(entry.domain)
        if len(data) > SPARE_SIZE:
            return False
        spares = [spare for spare in (self.place / name for name in _NAMES) if _is_spare(spare)]
        clear_place(path)
        for spare in spares[:_LOST_AT_MOST]:
            try:
                _overwrite(spare, data)
                NewFile(spare, path).put()
            except OSError:
                spare.unlink(missing_ok=True)  # its room may be what the next one needs
            else:
                sync_folder(self._folder)
                return True
        return False


def _is_spare(path: Path) -> bool:
    return path.is_file() and not path.is_symlink() and path.stat().st_size == SPARE_SIZE


def _overwrite(path: Path, data: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    with open(descriptor, "wb", buffering=0) as file:
        written = 0
        while written < len(data):
            written += file.write(data[written:])
        file.truncate(len(data))
        os.fsync(file.fileno())
