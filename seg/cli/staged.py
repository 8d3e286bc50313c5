"""The configuration as an operator is about to change it: what is stated by now, and the edits that go to the gateway."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

import click

from seg.cli.changes import stage
from seg.cli.client import GatewayClient

Edit = dict[str, Any]


class StagedEdits:
    """Reads the configuration with the operator's changes, and stages more of them."""

    def __init__(self, gateway: GatewayClient) -> None:
        self._gateway = gateway
        self._found: dict[str, Any] | None = None

    def data(self, file: str) -> dict[str, Any]:
        """What one of the two files says by now."""
        if self._found is None:
            self._found = self._gateway.get("/v1/configuration")
        return tomllib.loads(self._found[file])

    def table(self, file: str, name: str) -> dict[str, Any]:
        """One table of a file, {} when it isn't there."""
        found = self.data(file).get(name, {})
        return found if isinstance(found, dict) else {}

    def entries(self, file: str, name: str) -> list[dict[str, Any]]:
        """One array of tables of a file."""
        found = self.data(file).get(name, [])
        return found if isinstance(found, list) else []

    def check(self, kind: str, domain: str) -> dict[str, Any]:
        """What a check of a domain finds (`seg.check`).

        :raises GatewayError: it can't be made.
        """
        found: dict[str, Any] = self._gateway.post("/v1/checks", kind=kind, domain=domain)
        return found

    def stage(self, edits: Sequence[Edit], as_json: bool = False) -> None:
        """Stage, and show what is staged by now."""
        self._found = None
        stage(self._gateway, list(edits), as_json)


def put(file: str, path: Sequence[str | int], value: Any) -> Edit:
    """An edit that sets a key or a table."""
    return {"file": file, "path": list(path), "value": _plain(value)}


def remove(file: str, path: Sequence[str | int]) -> Edit:
    """An edit that removes one."""
    return {"file": file, "path": list(path), "value": None}


def changed(
    file: str,
    table: Sequence[str],
    values: Mapping[str, Any],
    reset: Sequence[str],
    stated: Mapping[str, Any],
    unset: str,
) -> list[Edit]:
    """The edits that set some keys of a table, and take others off it.

    :param reset: names of the latter, with hyphens or underscores.
    :param stated: what the table has.
    :param unset: what is said of a key that can't be taken off, as it isn't there.
    :raises click.UsageError: there is such a key.
    """
    names = [name.replace("-", "_") for name in reset]
    for name in names:
        if name not in stated:
            raise click.UsageError(f"{name} {unset}; set are {', '.join(stated) or 'none'}")
    puts = [put(file, (*table, name), value) for name, value in values.items()]
    return puts + [remove(file, (*table, name)) for name in names]


def _plain(value: Any) -> Any:
    """A value as JSON has it; dates as the API wants them."""
    if isinstance(value, date):
        return {"$toml": value.isoformat()}
    if isinstance(value, dict):
        return {name: _plain(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(inner) for inner in value]
    return value
