"""Asks a part of the admin API as a client would, without HTTP."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any, Protocol

from jsonschema import Draft202012Validator

from seg.admin import openapi
from seg.admin.http import RouteTable
from seg.common.json_schema import plain


@cache
def description() -> dict[str, Any]:
    """The OpenAPI document."""
    return openapi.description()


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
    """The JSON that is answered; it is as the OpenAPI document says.

    :raises APIError: it is refused.
    """
    table = RouteTable()
    part.add_to(table)
    served, parameters = table.find(method, path)
    answer = plain(await served.answer({**(query or {}), **parameters}, body or {}, by))
    described = description()
    (content,) = described["paths"][served.route.path][method.lower()]["responses"]["200"]["content"].values()
    Draft202012Validator({**content["schema"], "components": described["components"]}).validate(answer)
    return answer
