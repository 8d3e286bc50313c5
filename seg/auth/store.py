"""The users as the gateway knows them: read when they are first asked for, and again when the file has changed."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from pathlib import Path

import attrs

from seg.auth.interfaces import CheckUnavailable
from seg.auth.reloading_file import FileFormat, ReloadingFile, Unreadable
from seg.auth.users import Users, parse_users
from seg.common.threads import InThread
from seg.events.base import IEventSink

LOOK_AGAIN = 1.0  # seconds between two looks at the file


class UserStore:
    """Users by name.

    :param in_thread: runs a function in a thread.
    :param seconds: the present time.
    """

    def __init__(self, path: Path, in_thread: InThread, sink: IEventSink, seconds: Callable[[], float]) -> None:
        kind = FileFormat("users file", self._parse, "nobody can log in", "seg user add")
        self._file = ReloadingFile(path, kind, in_thread, sink, seconds, LOOK_AGAIN)
        self._own_key = secrets.token_bytes(32)

    async def users(self) -> Users:
        """The users that there are now.

        :raises CheckUnavailable: the file is there and can't be read; what it said before doesn't count any more.
        """
        try:
            return await self._file.contents()
        except Unreadable as error:
            raise CheckUnavailable(str(error)) from None

    def _parse(self, text: str) -> Users:
        users = parse_users(text)
        return attrs.evolve(users, decoy_key=users.decoy_key or self._own_key)
