"""A disk that remembers every operation, so that what a kill or a loss of power leaves can be made from any moment of a run."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import attrs

from tests.queue.doubles import RecordingDisk


@attrs.frozen
class Operation:
    """One change of the file system; `folder_sync` makes all names before it durable, as a journal does."""

    name: str
    path: str  # below the root
    data: bytes = b""
    target: str = ""


@attrs.define
class _File:
    content: bytes = b""
    durable: bytes | None = None  # what a loss of power leaves; None: an empty file at best


class JournalDisk(RecordingDisk):
    """The real disk with a log of its operations.

    :ivar log: the operations in order.
    """

    def __init__(self, root: str) -> None:
        super().__init__(root)
        self.log: list[Operation] = []

    def _note(self, name: str, path: str, data: bytes = b"", target: str = "") -> None:
        target = os.path.relpath(target, self._top) if target else ""
        self.log.append(Operation(name, os.path.relpath(path, self._top), data, target))

    def write(self, path: str, data: bytes) -> None:
        """See `Disk.write`."""
        super().write(path, data)
        self._note("write", path, data)

    def append(self, path: str, data: bytes) -> None:
        """See `Disk.append`."""
        super().append(path, data)
        self._note("append", path, data)

    def overwrite(self, path: str, data: bytes) -> None:
        """See `Disk.overwrite`."""
        super().overwrite(path, data)
        self._note("overwrite", path, data)

    def sync(self, path: str) -> None:
        """See `Disk.sync`."""
        super().sync(path)
        self._note("sync", path)

    def sync_folder(self, path: str) -> None:
        """See `Disk.sync_folder`."""
        super().sync_folder(path)
        self._note("folder_sync", path)

    def rename(self, old: str, new: str) -> None:
        """See `Disk.rename`."""
        super().rename(old, new)
        self._note("rename", old, target=new)

    def link(self, old: str, new: str) -> None:
        """See `Disk.link`."""
        super().link(old, new)
        self._note("link", old, target=new)

    def unlink(self, path: str) -> bool:
        """See `Disk.unlink`."""
        there = super().unlink(path)
        if there:
            self._note("unlink", path)
        return there

    def replace(self, path: str, data: bytes) -> None:
        """See `Disk.replace`."""
        super().replace(path, data)
        self._note("replace", path, data)


def durable_names(log: list[Operation]) -> int:
    """How many of these operations' names survive a loss of power for sure."""
    synced = [n for n, operation in enumerate(log, 1) if operation.name in ("folder_sync", "replace")]
    return synced[-1] if synced else 0


def rebuild(log: list[Operation], names: int, power_lost: bool, base: Path, target: Path) -> None:
    """Make the folder as it is after these operations, of which the names of the first `names` have come to the disk.

    :param power_lost: what wasn't synced of a file's content is lost.
    :param base: the folder before the first operation.
    """
    files: dict[str, _File] = {
        str(path.relative_to(base)): _File(path.read_bytes(), path.read_bytes())
        for path in base.rglob("*")
        if path.is_file()
    }
    at_cut = dict(files)
    for number, operation in enumerate(log, 1):
        _carry_out(operation, files)
        if number == names:
            at_cut = dict(files)
    shutil.rmtree(target, ignore_errors=True)
    for name in ("tmp", "new", "cur", "corrupt"):
        (target / name).mkdir(parents=True)
    for name, file in at_cut.items():
        path = target / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes((file.durable or b"") if power_lost else file.content)


def _carry_out(operation: Operation, files: dict[str, _File]) -> None:
    path = operation.path
    if operation.name == "write":
        files[path] = _File(operation.data)
    elif operation.name == "append":
        files[path].content += operation.data
    elif operation.name == "overwrite":
        files[path].content = operation.data + files[path].content[len(operation.data) :]
    elif operation.name == "sync":
        files[path].durable = files[path].content
    elif operation.name == "rename":
        files[operation.target] = files.pop(path)
    elif operation.name == "link":
        files[operation.target] = files[path]
    elif operation.name == "unlink":
        del files[path]
    elif operation.name == "replace":
        files[path] = _File(operation.data, operation.data)
