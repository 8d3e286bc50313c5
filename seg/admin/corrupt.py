"""What the queue has put aside, over the API."""

from __future__ import annotations

from typing import Any

import attrs

from seg.admin.http import APIError, APIRequest, RouteTable
from seg.queue.corrupt import CorruptFiles, NotRestoredError

SHOWN = 20  # recipients of a file in a list


class CorruptAPI:
    """Serves the paths below."""

    def __init__(self, corrupt: CorruptFiles) -> None:
        self._corrupt = corrupt

    def add_to(self, table: RouteTable) -> None:
        """Take the paths."""
        table.add("GET", "/v1/corrupt", self.files)
        table.add("GET", "/v1/corrupt/file", self.file)
        table.add("POST", "/v1/corrupt", self.act)

    async def files(self, call: APIRequest) -> object:
        """All that lies in corrupt/."""
        try:
            total, files = await self._corrupt.list()
        except OSError as error:
            raise APIError(500, f"corrupt/ can't be read: {error.strerror or error}") from None
        return {"total": total, "files": [_facts(each) for each in files]}

    async def file(self, call: APIRequest) -> object:
        """One of them with its beginning; query: name."""
        name = call.query.get("name", "")
        try:
            found = await self._corrupt.show(name)
        except OSError as error:
            raise APIError(500, f"{name} can't be read: {error.strerror or error}") from None
        if found is None:
            raise APIError(404, f"there is no {name!r} in corrupt/ (seg queue corrupt list shows what is)")
        return {**_facts(found[0]), "head": found[1].decode("utf-8", "backslashreplace")}

    async def act(self, call: APIRequest) -> object:
        """Restore or delete; body: action, and names (a list) or all (true)."""
        action, names = call.body.get("action"), call.body.get("names")
        if action not in ("restore", "delete"):
            raise APIError(400, f"action must be one of restore, delete, not {action!r}")
        if call.body.get("all") is True:
            names = await self._names(action)
        elif not isinstance(names, list) or not names or not all(isinstance(name, str) for name in names):
            raise APIError(400, "name files by names (a list of texts), or by all (true)")
        done: list[str] = []
        refused: dict[str, str] = {}
        for name in names:
            reason = await (self._restore(name, call.by) if action == "restore" else self._delete(name, call.by))
            if reason:
                refused[name] = reason
            else:
                done.append(name)
        return {"done": done, "refused": refused}

    async def _names(self, action: str) -> list[str]:
        """All; to be restored, the messages only: each brings its envelope along."""
        try:
            _, files = await self._corrupt.list()
        except OSError as error:
            raise APIError(500, f"corrupt/ can't be read: {error.strerror or error}") from None
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


def _facts(file: Any) -> dict[str, Any]:
    return attrs.asdict(file) | {"recipients": list(file.recipients[:SHOWN]), "waiting": len(file.recipients)}
