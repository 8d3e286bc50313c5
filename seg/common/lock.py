"""Locks on folders that only one gateway may work in. The kernel releases them when the process ends, however it ends."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import socket
from collections.abc import Iterable
from pathlib import Path

from seg.common.errors import ConfigurationError

NAME = "gateway.lock"


class FolderLocks:
    """The locks of one process: a file in each folder, locked by flock(2).

    The file says who holds it, for people only. No process number decides anything, so that a killed gateway's lock is free
    and that of one in another container isn't. A fork keeps the locks (``twistd`` without ``-n``). The file belongs to its owner alone:
    nobody else can open it, and hold it. A folder that belongs to its owner alone (the spool) is locked itself besides, as somebody may remove
    the file.
    """

    def __init__(self) -> None:
        self._descriptors: list[int] = []

    def take(self, folders: Iterable[Path]) -> None:
        """Lock these folders, all or none; they are there. Links to one folder are one folder.

        :raises ConfigurationError: another process has one.
        :raises OSError: one can't be locked at all.
        """
        try:
            for folder in {os.path.realpath(folder): folder for folder in folders}.values():
                self._descriptors += _lock(folder)
        except BaseException:
            self.release()
            raise

    def release(self) -> None:
        """Let another one work."""
        while self._descriptors:
            os.close(self._descriptors.pop())


def _lock(folder: Path) -> list[int]:
    path = folder / NAME
    descriptors = [os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)]
    try:
        fcntl.flock(descriptors[0], fcntl.LOCK_EX | fcntl.LOCK_NB)
        if not folder.stat().st_mode & 0o077:
            descriptors.append(os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC))
            _lock_itself(descriptors[1])
    except BlockingIOError:
        holder = os.pread(descriptors[0], 200, 0).decode("ascii", "replace").strip() or "another process"
        _close(descriptors)
        raise ConfigurationError((f"{folder} is locked by {holder}: is another gateway running?",)) from None
    except OSError as error:
        _close(descriptors)
        raise OSError(error.errno, f"can't be locked: {error.strerror}", str(path)) from error
    with contextlib.suppress(OSError):  # a full disk: the lock holds without it
        os.ftruncate(descriptors[0], 0)
        os.pwrite(descriptors[0], f"process {os.getpid()} on {socket.gethostname()}\n".encode("ascii", "replace"), 0)
    return descriptors


def _lock_itself(descriptor: int) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno == errno.EWOULDBLOCK:
            raise  # else: a file system that locks no folders (NFS)


def _close(descriptors: Iterable[int]) -> None:
    for descriptor in descriptors:
        os.close(descriptor)
