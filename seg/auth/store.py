"""The users as the gateway knows them: read when they are first asked for, and again when the file has changed."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from pathlib import Path
from typing import Any

import attrs
from twisted.internet.defer import Deferred, DeferredLock

from seg.auth.seams import CheckUnavailable
from seg.auth.users import Users, parse_users
from seg.auth.users_file import read_text, too_open
from seg.events import Fault
from seg.interfaces import IEventSink

LOOK_AGAIN = 1.0  # seconds between two looks at the file

InThread = Callable[[Callable[[], Any]], "Deferred[Any]"]
Mark = tuple[int, int, int]  # modification time in ns, size, inode: any change of the file changes it
NO_FILE: Mark = (0, 0, 0)


@attrs.frozen
class Look:
    """What one look at the file found."""

    mark: Mark
    users: Users | None  # None: it hasn't changed
    faults: tuple[str, ...] = ()


class UserStore:
    """Users by name. The file is touched in threads only.

    :param in_thread: runs a function in a thread.
    :param seconds: the present time.
    """

    def __init__(self, path: Path, in_thread: InThread, sink: IEventSink, seconds: Callable[[], float]) -> None:
        self._path = path
        self._in_thread = in_thread
        self._sink = sink
        self._seconds = seconds
        self._looking = DeferredLock()
        self._looked: float | None = None  # when; None: never
        self._mark: Mark | None = None
        self._users: Users | None = None
        self._fault = ""  # why the file can't be read, as told
        self._own_key = secrets.token_bytes(32)

    async def users(self) -> Users:
        """The users that there are now.

        :raises CheckUnavailable: the file is there and can't be read; what it said before doesn't count any more.
        """
        if self._due():
            await self._looking.run(self._look)
        if self._users is None:
            raise CheckUnavailable(self._fault)
        return self._users

    def _due(self) -> bool:
        return self._looked is None or not 0 <= self._seconds() - self._looked < LOOK_AGAIN

    def _look(self) -> Deferred[None] | None:
        if not self._due():  # somebody else looked, while we waited for our turn
            return None
        looked: Deferred[Look] = self._in_thread(lambda: look(self._path, self._mark))
        return looked.addCallbacks(self._found, lambda failure: self._unreadable(failure.trap(OSError), failure.value))

    def _found(self, found: Look) -> None:
        self._looked = self._seconds()
        self._mark, self._fault = found.mark, ""
        if found.users is not None:
            key = found.users.decoy_key or self._own_key
            self._users = attrs.evolve(found.users, decoy_key=key)
        for fault in found.faults:
            self._sink.emit(Fault(f"users file {self._path}: {fault}"))

    def _unreadable(self, _: object, error: OSError) -> None:
        self._looked = self._seconds()
        self._mark = self._users = None
        fault = f"users file {self._path}: it can't be read ({error.strerror or error})"
        if fault != self._fault:
            self._sink.emit(Fault(f"{fault}; nobody can log in until it can be"))
        self._fault = fault


def look(path: Path, known: Mark | None) -> Look:
    """Read the file if it isn't as it was. Blocks.

    :raises OSError: it is there and can't be read.
    """
    try:
        status = path.stat()
        mark = (status.st_mtime_ns, status.st_size, status.st_ino)
        if mark == known:
            return Look(mark, None)
        users = parse_users(read_text(path))
        faults = tuple(f"{fault}; the line is passed over" for fault in users.faults)
        if too_open(path):
            faults = ("others than its owner may read it (chmod 600)", *faults)
        return Look(mark, users, faults)
    except FileNotFoundError:
        fault = "it isn't there, so nobody can log in (seg user add)"
        return Look(NO_FILE, Users(), (fault,)) if known != NO_FILE else Look(NO_FILE, None)
