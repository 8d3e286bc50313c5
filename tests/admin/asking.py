"""Asks a part of the admin API as a client would, without HTTP."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from seg.admin.http import RouteTable
from seg.common.json_schema import plain


class Routes(Protocol):
    """A part of the API."""

    def add_to(self, table: RouteTable) -> None:
        """Serve it."""


async def ask(
    part: Routes,
    method: str,
    path: str,
    query: Mapping[str, str] | None = None,
    body: Mapping[str, Any] | None = None,
    by: str = "root",
) -> Any:
    """The JSON that is answered.

    :raises APIError: it is refused.
    """
    table = RouteTable()
    part.add_to(table)
    served, parameters = table.find(method, path)
    return plain(await served.answer({**(query or {}), **parameters}, body or {}, by))
