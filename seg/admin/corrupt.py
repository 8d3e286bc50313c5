"""What the queue has put aside, over the API."""

from __future__ import annotations

from typing import Any

import attrs

from seg.admin.http import APIError, RouteTable
from seg.admin.wire import operations
from seg.admin.wire.messages import (
    ActOnCorrupt,
    CorruptAnswer,
    CorruptDoneAnswer,
    CorruptFileAnswer,
    CorruptFileInFullAnswer,
    ShowCorrupt,
)
from seg.admin.wire.route import NoParameters
from seg.queue.interfaces import CorruptFile, ICorruptFiles, NotRestoredError

SHOWN = 20  # recipients of a file in a list


class CorruptRoutes:
    """Lists, shows, restores and deletes it."""

    def __init__(self, corrupt: ICorruptFiles) -> None:
        self._corrupt = corrupt

    def add_to(self, table: RouteTable) -> None:
        """Serve them."""
        table.add(operations.LIST_CORRUPT, self.files)
        table.add(operations.SHOW_CORRUPT, self.file)
        table.add(operations.ACT_ON_CORRUPT, self.act)

    async def files(self, asked: NoParameters, by: str) -> CorruptAnswer:
        """All that lies in corrupt/."""
        total, files = await self._list()
        return CorruptAnswer(total, tuple(CorruptFileAnswer(**_facts(each)) for each in files))

    async def file(self, asked: ShowCorrupt, by: str) -> CorruptFileInFullAnswer:
        """One of them with its beginning."""
        try:
            found = await self._corrupt.show(asked.name)
        except OSError as error:
            raise APIError(500, f"{asked.name} can't be read: {error.strerror or error}") from None
        if found is None:
            raise APIError(404, f"there is no {asked.name!r} in corrupt/ (seg queue corrupt list shows what is)")
        return CorruptFileInFullAnswer(**_facts(found[0]), head=found[1].decode("utf-8", "backslashreplace"))

    async def act(self, asked: ActOnCorrupt, by: str) -> CorruptDoneAnswer:
        """Restore or delete."""
        act = self._restore if asked.action == "restore" else self._delete
        done: list[str] = []
        refused: dict[str, str] = {}
        for name in await self._names(asked.action) if asked.all else asked.names:
            if reason := await act(name, by):
                refused[name] = reason
            else:
                done.append(name)
        return CorruptDoneAnswer(done, refused)

    async def _list(self) -> tuple[int, tuple[CorruptFile, ...]]:
        try:
            return await self._corrupt.list()
        except OSError as error:
            raise APIError(500, f"corrupt/ can't be read: {error.strerror or error}") from None

    async def _names(self, action: str) -> list[str]:
        """All; to be restored, the messages only: each brings its envelope along."""
        _, files = await self._list()
        return [each.name for each in files if action == "delete" or each.kind == "message"]

    async def _restore(self, name: str, by: str) -> str:
        try:
            await self._corrupt.restore(name, by)
        except NotRestoredError as error:
            return str(error)
        except OSError as error:
            return error.strerror or str(error)
        return ""

    async def _delete(self, name: str, by: str) -> str:
        try:
            return "" if await self._corrupt.delete(name, by) else "there is no such file"
        except OSError as error:
            return error.strerror or str(error)


def _facts(file: CorruptFile) -> dict[str, Any]:
    return attrs.asdict(file) | {"recipients": file.recipients[:SHOWN], "waiting": len(file.recipients)}
