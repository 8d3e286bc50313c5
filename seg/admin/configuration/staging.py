"""What each operator has changed and not committed. It outlasts a restart; nobody else sees it take effect."""

from __future__ import annotations

import json
import math
import tomllib
from collections.abc import Iterable, Mapping
from datetime import date, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

import attrs

from seg.admin.configuration.edits import Edit, File, apply_edits
from seg.admin.configuration.texts import ConfigurationTexts, texts_from
from seg.common.errors import ConfigurationError
from seg.common.files import (
    StateContent,
    StateDamaged,
    StateUnreadable,
    make_private,
    put_aside,
    read_state_file,
    replace_file,
)

SUFFIX = ".json"
LARGEST = 256 * 1024 * 1024  # octets of a file: four texts at the most, with escapes, and edits
_TOML = "$toml"  # a value that JSON hasn't: {"$toml": "2026-12-31"}


class DamagedChanges(ConfigurationError):
    """What an operator staged can't be made out any more."""


@attrs.frozen
class Staged:
    """One operator's changes."""

    by: str
    since: float  # POSIX seconds
    base: ConfigurationTexts  # what they were made on
    edits: tuple[Edit, ...] = ()
    whole: ConfigurationTexts | None = None  # a whole configuration (of a rollback), on which the edits are made

    def texts(self) -> ConfigurationTexts:
        """The files as they would be. Takes its time with large files.

        :raises EditError: an edit can't be made.
        """
        made = self.whole or self.base
        for file in File:
            edits = [edit for edit in self.edits if edit.file is file]
            if edits:
                made = made.with_text(file, apply_edits(made.of(file), edits))
        return made


class StagingArea:
    """The staged changes of all operators, as files. All of it blocks."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def load(self, by: str) -> Staged | None:
        """The changes of an operator, None when there are none.

        :raises OSError: the disk fails.
        :raises DamagedChanges: what was kept can't be made out; it is put aside, so that the next call finds none.
        """
        path = self._path(by)
        found = read_state_file(path, lambda data: _decoded(by, data), LARGEST)
        if isinstance(found, StateUnreadable):
            raise OSError(f"{path}: {found.reason}")
        if isinstance(found, StateDamaged):
            raise DamagedChanges(
                (f"the changes that {by} staged are lost: {path} is damaged ({found.reason}); {put_aside(path)}",)
            )
        return found.value if isinstance(found, StateContent) else None

    def save(self, staged: Staged) -> None:
        """Keep them.

        :raises OSError: the disk fails.
        """
        raw = {
            "since": staged.since,
            "base": attrs.asdict(staged.base),
            "edits": [edit_as_json(edit) for edit in staged.edits],
            "whole": attrs.asdict(staged.whole) if staged.whole else None,
        }
        make_private(self._folder)
        replace_file(self._path(staged.by), json.dumps(raw).encode())

    def drop(self, by: str) -> None:
        """Forget them.

        :raises OSError: the disk fails.
        """
        self._path(by).unlink(missing_ok=True)

    def operators(self) -> list[str]:
        """Who has any."""
        if not self._folder.is_dir():
            return []
        return sorted(unquote(path.stem) for path in self._folder.glob(f"*{SUFFIX}"))

    def _path(self, by: str) -> Path:
        return self._folder / (quote(by, safe="").replace(".", "%2E") + SUFFIX)


def _decoded(by: str, data: bytes) -> Staged:
    """:raises ValueError: it isn't what `StagingArea.save` writes (and the other errors that `read_state_file` knows)."""
    raw = json.loads(data)
    since, whole = raw["since"], raw["whole"]
    if not isinstance(since, int | float) or not math.isfinite(since):
        raise ValueError("a time that isn't one")
    edits = tuple(edit_from(edit) for edit in raw["edits"])
    return Staged(by, float(since), texts_from(raw["base"]), edits, texts_from(whole) if whole else None)


def edit_as_json(edit: Edit) -> dict[str, Any]:
    """An edit as the API and the files have it."""
    return {"file": edit.file.value, "path": list(edit.path), "value": _to_json(edit.value)}


def edit_from(raw: object) -> Edit:
    """An edit as the API and the files have it: file, path, value (null removes).

    :raises ValueError: it isn't one.
    """
    if not isinstance(raw, Mapping) or not {"file", "path"} <= raw.keys() <= {"file", "path", "value"}:
        raise ValueError("an edit has file, path and value (null to remove)")
    path = raw["path"]
    if not isinstance(path, list) or not path or not all(_is_key(part) for part in path):
        raise ValueError("path must be a list of names")
    try:
        file = File(raw["file"])
    except ValueError:
        raise ValueError(f"file must be one of {', '.join(File)}") from None
    return Edit(file, tuple(path), _from_json(raw.get("value")))


def _is_key(part: object) -> bool:
    return (isinstance(part, str) and part.isprintable() and 0 < len(part) <= 300) or type(part) is int


def _to_json(value: Any) -> Any:
    if isinstance(value, datetime | date):
        return {_TOML: value.isoformat()}
    if isinstance(value, Mapping):
        return {name: _to_json(inner) for name, inner in value.items()}
    if isinstance(value, Iterable) and not isinstance(value, str):
        return [_to_json(inner) for inner in value]
    return value


def _from_json(value: Any) -> Any:
    if isinstance(value, Mapping):
        if value.keys() == {_TOML}:
            return _moment(value[_TOML])
        return {str(name): _from_json(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [_from_json(inner) for inner in value]
    return value


def _moment(text: object) -> Any:
    try:
        found = tomllib.loads(f"value = {text}")["value"]
    except (tomllib.TOMLDecodeError, KeyError):
        found = None
    if not isinstance(found, date):
        raise ValueError("a $toml value is a date of TOML such as 2026-12-31")
    return found
