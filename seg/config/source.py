"""A TOML file as values, with the line of every key at hand for messages.

`tomllib` reads the values but tells no positions, and no library at hand does. So a file that turns out to
have faults is read a second time, statement by statement and by `tomllib` again, only to learn on which line
each key stands. What a statement is shows in its brackets and line ends, outside strings and comments.
"""

from __future__ import annotations

import re
import tomllib
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import attrs

from seg.common.errors import ConfigurationError
from seg.common.files import read_regular
from seg.config.toml_cure import last_line, toml_cure, without_names

KeyPath = tuple[str | int, ...]  # ("receive", "max_recipients"), ("listener", 0, "port")

LARGEST = 64 * 1024 * 1024  # octets of a file

_AT = re.compile(r" \(at (?:line (\d+), column (\d+)|end of document)\)$")
# What may hold a line end, a bracket or a #, and these themselves (TOML 1.0.0: comments, strings).
TOKEN = re.compile(
    r"""
      (?P<comment> \#[^\n]*)
    | (?P<string> \"{3} (?:\\.|[^\\])*? \"{3,5} | '{3}.*?'{3,5} | \"(?:\\.|[^"\\\n])*\" | '[^'\n]*')
    | (?P<open> [\[{]) | (?P<close> [\]}]) | (?P<end> \n)
    """,
    re.VERBOSE | re.DOTALL,
)


@attrs.frozen
class Document:
    """One parsed file."""

    name: str  # as shown in messages
    text: str = attrs.field(repr=False)  # it may hold passwords
    data: Mapping[str, Any] = attrs.field(repr=False)


def read_document(path: Path) -> Document:
    """Read and parse a file.

    :raises ConfigurationError: missing, a folder, unreadable, not UTF-8, or not TOML (with the line).
    """
    try:
        raw = read_regular(path, LARGEST)
    except FileNotFoundError:
        raise ConfigurationError((f"{path}: no such file; seg setup writes a first configuration",)) from None
    except ValueError as error:
        reason = "is a folder, not a file" if path.is_dir() else f"can't be read: {error}"
        raise ConfigurationError((f"{path}: {reason}",)) from None
    except OSError as error:
        raise ConfigurationError((f"{path}: can't be read: {error.strerror or error}",)) from None
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise ConfigurationError(
            (f"{path}:{line}: not UTF-8 text (octet 0x{raw[error.start]:02x}); save it as UTF-8",)
        ) from None
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
        line = int(at.group(1)) if at and at.group(1) else last_line(text)
        column = f", column {at.group(2)}" if at and at.group(2) else ""
        fault = without_names(_lowered(_AT.sub("", message)))
        lines = text.split("\n")
        cure = toml_cure(lines[line - 1] if line <= len(lines) else "", int(at.group(2)) if column and at else 0)
        raise ConfigurationError((f"{name}:{line}: not valid TOML: {fault}{column}{cure}",)) from None
    except RecursionError:
        raise ConfigurationError((f"{name}: not valid TOML: nested too deeply",)) from None


def _lowered(text: str) -> str:
    return text[:1].lower() + text[1:]


@attrs.frozen
class Statement:
    """A table header, or a ``key = value``, with the comment behind it."""

    line: int  # from 1
    start: int  # offset in the text
    text: str


def statements(text: str) -> Iterator[Statement]:
    """The statements of a valid TOML text, a value over several lines as one. Linear in the text's length."""
    depth, begin, line = 0, 0, 1
    for token in TOKEN.finditer(f"{text}\n"):
        kind = token.lastgroup
        if kind == "open":
            depth += 1
        elif kind == "close":
            depth -= 1
        elif kind == "end" and not depth:
            found = text[begin : token.start()]
            bare = found.strip()
            if bare and not bare.startswith("#"):
                yield Statement(line, begin, found.rstrip("\r"))
            begin = token.end()
            line += found.count("\n") + 1


def line_index(text: str) -> dict[KeyPath, int]:
    """The line (from 1) on which each table and key of a valid TOML text first stands."""
    index: dict[KeyPath, int] = {}
    seen: Counter[KeyPath] = Counter()
    table: KeyPath = ()
    for statement in statements(text):
        parsed = tomllib.loads(statement.text)
        if statement.text.lstrip().startswith("["):
            table = table_path(parsed, seen)
            for end in range(1, len(table) + 1):
                index.setdefault(table[:end], statement.line)
        else:
            _note(index, table, parsed, statement.line)
    return index


def table_path(parsed: Mapping[str, Any], seen: Counter[KeyPath]) -> KeyPath:
    """The path that a header opens; an element of an array of tables is named by its number.

    :param seen: how many elements each array has had so far; a new one is counted.
    """
    path: KeyPath = ()
    inner: Any = parsed
    while isinstance(inner, dict) and inner:
        if path in seen:  # a table within the array's newest element
            path += (seen[path] - 1,)
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
