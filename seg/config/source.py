"""A TOML file as values, with the line of every key at hand for messages.

`tomllib` reads the values but tells no positions, and no library at hand does. So a file that turns out to
have faults is read a second time, statement by statement and by `tomllib` again, only to learn on which line
each key stands.
"""

from __future__ import annotations

import re
import tomllib
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import attrs

from seg.errors import ConfigurationError

KeyPath = tuple[str | int, ...]  # ("receive", "max_recipients"), ("listener", 0, "port")

_AT = re.compile(r" \(at (?:line (\d+), column (\d+)|end of document)\)$")
_MAY_END_VALUE = re.compile(r"[]}]|\"\"\"|'''")


@attrs.frozen
class Document:
    """One parsed file."""

    name: str  # as shown in messages
    text: str
    data: Mapping[str, Any]


def read_document(path: Path) -> Document:
    """Read and parse a file.

    :raises ConfigurationError: missing, a folder, unreadable, not UTF-8, or not TOML (with the line).
    """
    try:
        raw = path.read_bytes()
    except FileNotFoundError:
        raise ConfigurationError((f"{path}: no such file",)) from None
    except IsADirectoryError:
        raise ConfigurationError((f"{path}: is a folder, not a file",)) from None
    except OSError as error:
        raise ConfigurationError((f"{path}: can't be read: {error.strerror or error}",)) from None
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise ConfigurationError((f"{path}:{line}: not UTF-8 text (octet 0x{raw[error.start]:02x})",)) from None
    return parse_document(text.removeprefix("\ufeff"), str(path))


def parse_document(text: str, name: str) -> Document:
    """Parse TOML text; `name` stands for the file in messages.

    :raises ConfigurationError: not TOML (with the line).
    """
    try:
        return Document(name, text, tomllib.loads(text))
    except tomllib.TOMLDecodeError as error:
        message = str(error)
        at = _AT.search(message)
        line = at.group(1) if at and at.group(1) else str(text.count("\n") + 1)
        column = f", column {at.group(2)}" if at and at.group(2) else ""
        fault = _AT.sub("", message)
        raise ConfigurationError((f"{name}:{line}: not valid TOML: {_lowered(fault)}{column}",)) from None
    except RecursionError:
        raise ConfigurationError((f"{name}: not valid TOML: nested too deeply",)) from None


def _lowered(text: str) -> str:
    return text[:1].lower() + text[1:]


def line_index(text: str) -> dict[KeyPath, int]:
    """The line (from 1) on which each table and key of a valid TOML text first stands."""
    index: dict[KeyPath, int] = {}
    seen: Counter[KeyPath] = Counter()
    table: KeyPath = ()
    for number, statement in _statements(text):
        parsed = tomllib.loads(statement)
        if statement.lstrip().startswith("["):
            table = _table_path(parsed, seen)
            for end in range(1, len(table) + 1):
                index.setdefault(table[:end], number)
        else:
            _note(index, table, parsed, number)
    return index


def _statements(text: str) -> Iterator[tuple[int, str]]:
    """Table headers and ``key = value`` statements with the line each starts on.

    A value may go over several lines; it ends on the first line up to which the statement parses.
    """
    pending: list[str] = []
    start = 0
    for number, line in enumerate(text.replace("\r\n", "\n").split("\n"), 1):
        if not pending:
            bare = line.strip()
            if not bare or bare.startswith("#"):
                continue
            start = number
        elif not _MAY_END_VALUE.search(line):
            pending.append(line)
            continue
        pending.append(line)
        statement = "\n".join(pending)
        try:
            tomllib.loads(statement)
        except tomllib.TOMLDecodeError:
            continue
        yield start, statement
        pending = []


def _table_path(parsed: Mapping[str, Any], seen: Counter[KeyPath]) -> KeyPath:
    """The path that a header opens; an element of an array of tables ends in its number."""
    path: KeyPath = ()
    inner: Any = parsed
    while isinstance(inner, dict) and inner:
        name, inner = next(iter(inner.items()))
        path += (name,)
    if isinstance(inner, list):
        seen[path] += 1
        path += (seen[path] - 1,)
    return path


def _note(index: dict[KeyPath, int], path: KeyPath, value: Any, line: int) -> None:
    """Enter every key and element within `value` under the statement's line."""
    if isinstance(value, dict):
        inner: Iterator[tuple[str | int, Any]] = iter(value.items())
    elif isinstance(value, list):
        inner = iter(enumerate(value))
    else:
        return
    for name, item in inner:
        index.setdefault((*path, name), line)
        _note(index, (*path, name), item, line)
