"""What each operator has changed and not committed. It outlasts a restart; nobody else sees it take effect."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterable, Mapping
from datetime import date, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

import attrs

from seg.change.edits import Edit, File, apply_edits
from seg.change.texts import Texts, texts_from
from seg.files import replace_file

SUFFIX = ".json"
_TOML = "$toml"  # a value that JSON hasn't: {"$toml": "2026-12-31"}


@attrs.frozen
class Staged:
    """One operator's changes."""

    by: str
    since: float  # POSIX seconds
    base: Texts  # what they were made on
    edits: tuple[Edit, ...] = ()
    whole: Texts | None = None  # a whole configuration (of a rollback), on which the edits are made

    def texts(self) -> Texts:
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
        """The changes of an operator, None when there are none (or what was kept can't be read).

        :raises OSError: the disk fails.
        """
        try:
            raw = json.loads(self._path(by).read_bytes())
            whole = raw["whole"]
            return Staged(
                by,
                raw["since"],
                texts_from(raw["base"]),
                tuple(edit_from(edit) for edit in raw["edits"]),
                texts_from(whole) if whole else None,
            )
        except FileNotFoundError:
            return None
        except (ValueError, KeyError, TypeError):
            return None

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
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
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
