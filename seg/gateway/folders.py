"""The folders below ``var``: made at the start, and kept for this gateway alone."""

from __future__ import annotations

from pathlib import Path

from seg.common.errors import ConfigurationError
from seg.common.lock import FolderLocks
from seg.config.paths import drop_path, var_path
from seg.config.schema import Settings
from seg.config.trust import fault_of, of_caller
from seg.events.base import IEventSink
from seg.events.gateway import Fault

FOLDERS = (("spool", 0o700), ("log", 0o750), ("run", 0o700), ("cache", 0o750))  # below var, with their permissions


def have_folders(settings: Settings, locks: FolderLocks, sink: IEventSink) -> None:
    """Make the folders, and see to it that no other gateway works in them: nothing in them is read or written before. Blocks.

    :raises ConfigurationError: another user, or another gateway, has them.
    :raises OSError: they can't be made.
    """
    var, dropped = var_path(settings), drop_path(settings) / "taken"
    _check_owner(var, sink)
    for name, mode in FOLDERS:
        (var / name).mkdir(mode=mode, parents=True, exist_ok=True)
    locks.take((var, *(var / name for name, _ in FOLDERS), *((dropped,) if dropped.is_dir() else ())))


def _check_owner(var: Path, sink: IEventSink) -> None:
    """Nobody else's folder is taken for ours; one that others can write is told of.

    :raises ConfigurationError: it belongs to another user.
    """
    if not var.exists():
        var.mkdir(mode=0o751, parents=True)
    status, trusted = var.stat(), of_caller()
    fault = fault_of(status, trusted)
    if status.st_uid not in trusted.users:
        raise ConfigurationError((f"{var} {fault}: the gateway's user must own it",))
    if fault:
        sink.emit(Fault(f"{var} {fault}: seg check-install tells what to mend"))
