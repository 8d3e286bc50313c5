"""A configuration file's text without its secrets, however they are spelled. Pure.

What is secret is said by the schema; a key that isn't in it may be one that somebody meant. It is looked for in the parsed statements, never
in the text: a key may be quoted or dotted, a value go over several lines or stand in an inline table.
"""

from __future__ import annotations

import re
import tomllib
from collections import Counter
from collections.abc import Iterator, Mapping, MutableMapping, MutableSequence
from functools import lru_cache
from typing import Any, get_args, get_origin

import tomlkit
from tomlkit.exceptions import TOMLKitError

from seg.common.errors import ConfigurationError
from seg.config.destinations import AuthProfile, Profile
from seg.config.destinations_file import EXEMPTION_KEYS
from seg.config.routes_file import HOP_KEYS, ROUTE_KEYS
from seg.config.schema import QueueSettings
from seg.config.settings_file import section_types
from seg.config.source import TOKEN, KeyPath, statements, table_path
from seg.config.values import specs
from seg.config.words import secret_words

MARK = "***"
CHANGED = "*** (changed)"
_NAMED = (
    "destination",
    "route",
    "bounce_profile",
    "auth_profile",
)  # tables whose keys are names of an operator's choice
NOT_SHOWN = "# not shown, as it may hold passwords: the file has faults\n"
MOST_SOUGHT = 100  # secrets that are sought in comments too; beyond that no comment is shown
SHORTEST_SOUGHT = 4  # characters; a shorter one stands in many words

_URL = re.compile(r"://[^/@\s:\[]*:[^/@\s]+@")  # user:password in a URL, wherever it stands
_ESCAPE = re.compile(r"\\[uU]")  # nobody writes that in a comment, unless a key is commented out


@lru_cache
def _open_names() -> frozenset[str]:
    """The names of all other keys."""
    known = frozenset(spec.name for spec in _all_specs() if not spec.secret)
    return known | {*ROUTE_KEYS, *HOP_KEYS, *EXEMPTION_KEYS, "exemption"}


@lru_cache
def _mappings() -> frozenset[str]:
    """The names of the keys whose value is a table with names of an operator's choice."""
    return frozenset(spec.name for spec in _all_specs() if get_origin(spec.kind) in (dict, Mapping))


def _all_specs() -> Iterator[Any]:
    sections = [get_args(kind)[0] if get_origin(kind) is tuple else kind for kind in section_types().values()]
    for section in (*sections, Profile, QueueSettings, AuthProfile):
        yield from specs(section).values()


def secrets_in(text: str) -> dict[KeyPath, Any]:
    """Every secret of a file with its place.

    :raises ConfigurationError: it isn't TOML.
    """
    try:
        return dict(_secrets(tomllib.loads(text), ()))
    except (tomllib.TOMLDecodeError, RecursionError):
        raise ConfigurationError(("not valid TOML",)) from None


def _secrets(value: Any, path: KeyPath) -> Iterator[tuple[KeyPath, Any]]:
    """What is secret at or below a place; an empty text is none."""
    if _is_secret(path, value):
        if value != "":
            yield path, value
    elif isinstance(value, str):
        if _URL.search(value):
            yield path, value
    elif isinstance(value, Mapping):
        for name, inner in value.items():
            yield from _secrets(inner, (*path, name))
    elif isinstance(value, list):
        for number, inner in enumerate(value):
            yield from _secrets(inner, (*path, number))


def _is_secret(path: KeyPath, value: Any) -> bool:
    """Whether a place is that of a secret, or of a key that nobody knows: it may be a slip of the pen.

    The names of sections aren't keys, nor are names of an operator's choice: ``[auth_profile.proxy]``.
    """
    if not path or not isinstance(path[-1], str) or path[-1] in _open_names():
        return False
    if len(path) > 1 and path[-2] in _mappings():
        return False
    return not (isinstance(value, Mapping | list) and (len(path) == 1 or (len(path) == 2 and path[0] in _NAMED)))


def masked(text: str, before: Mapping[KeyPath, Any] | None = None) -> str:
    """A file's text with a mark in the place of each secret. Of a text that isn't TOML nothing is shown.

    :param before: the secrets of an older text: one that differs from the older one gets a mark that says so.
    """
    try:
        found = secrets_in(text)
        shown = _without(text, found, before or {}) if found else text
        if found and any(value not in (MARK, CHANGED) for value in secrets_in(shown).values()):
            return NOT_SHOWN
        return _comments_masked(shown, found)
    except (ConfigurationError, TOMLKitError, ValueError, RecursionError):
        return NOT_SHOWN


def masked_pair(old: str, new: str) -> tuple[str, str]:
    """Two texts of one file as they are compared: without secrets, and with a mark at each that changed."""
    try:
        before = secrets_in(old)
    except ConfigurationError:
        before = {}
    return masked(old), masked(new, before)


def _without(text: str, found: Mapping[KeyPath, Any], before: Mapping[KeyPath, Any]) -> str:
    """The text with every statement that holds a secret written anew."""
    marks = {path: CHANGED if before.get(path, value) != value else MARK for path, value in found.items()}
    parts: list[str] = []
    end = 0
    table: KeyPath = ()
    seen: Counter[KeyPath] = Counter()
    for statement in statements(text):
        parsed = tomllib.loads(statement.text)
        if statement.text.lstrip().startswith("["):
            table = table_path(parsed, seen)
            if any(table[:length] in marks for length in range(1, len(table) + 1)):
                raise ValueError("a table stands where a secret should")
        elif inner := {path: marks[(*table, *path)] for path in _places(parsed, ()) if (*table, *path) in marks}:
            parts += [text[end : statement.start], _rewritten(statement.text, inner)]
            end = statement.start + len(statement.text)
    return "".join((*parts, text[end:]))


def _places(value: Any, path: KeyPath) -> Iterator[KeyPath]:
    """Every place in parsed data."""
    if path:
        yield path
    if isinstance(value, Mapping):
        for name, inner in value.items():
            yield from _places(inner, (*path, name))
    elif isinstance(value, list):
        for number, inner in enumerate(value):
            yield from _places(inner, (*path, number))


def _rewritten(statement: str, marks: Mapping[KeyPath, str]) -> str:
    """One statement with marks at these places; comments in it and behind it may tell an older secret."""
    document = tomlkit.parse(statement)
    for path, mark in marks.items():
        inner: Any = document
        for part in path[:-1]:
            inner = inner[part]
        if not isinstance(inner, MutableMapping | MutableSequence):
            raise ValueError
        inner[path[-1]] = mark  # type: ignore[index]
    return TOKEN.sub(lambda token: f"# {MARK}" if token["comment"] else token[0], tomlkit.dumps(document))


def _comments_masked(text: str, found: Mapping[KeyPath, Any]) -> str:
    """The text with the comments changed that show a secret: one in force, or a key that is commented out."""
    if "#" not in text:
        return text
    words = {str(value) for value in found.values() if len(str(value)) >= SHORTEST_SOUGHT}
    sought = re.compile("|".join(map(re.escape, words))) if 0 < len(words) <= MOST_SOUGHT else None
    all_hidden = len(words) > MOST_SOUGHT

    def shown(token: re.Match[str]) -> str:
        comment = token["comment"]
        if not comment:
            return token[0]
        if (
            all_hidden
            or _URL.search(comment)
            or _ESCAPE.search(comment)
            or (sought is not None and sought.search(comment))
        ):
            return f"# {MARK}"
        return _assignment().sub(rf"\1{MARK}", comment)

    return TOKEN.sub(shown, text)


@lru_cache
def _assignment() -> re.Pattern[str]:
    """A secret key with a value that isn't empty, in a comment."""
    names = "|".join(sorted(secret_words()))
    return re.compile(rf"(?i)((?:{names})[\"']?\s*[=:]\s*)(?!\"\"(?!\")|''(?!')|\s*$)\S.*")
