"""Keys set and removed in the text of a configuration file; comments, order and everything else stay as they are. Pure.

A path names a key from the top: ``("destination", "example.com", "tls")``. In an array of tables the entry is named by its
``name`` (``("listener", "relay", "port")``) or its number.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable, Mapping, MutableMapping, Sequence
from datetime import date, datetime
from typing import Any

import attrs
import tomlkit
from tomlkit.exceptions import TOMLKitError
from tomlkit.items import AoT, Array, InlineTable, Item, Table

from seg.config.source import KeyPath, line_index

# Tables whose entries are an array in the file, each with a name of its own.
# (what an entry without one is called: the default of the schema).
NAMED_ARRAYS = {
    "listener": "relay",
    "sender_group": "RELAYLIST",
    "filter": "filter",
    "log_subscription": "",
}


MOST_PLACED = 100  # new keys of one change that are put at their best place; more go behind the others of their table


class File(enum.StrEnum):
    """One of the two files."""

    SETTINGS = "settings"
    DESTINATIONS = "destinations"


class EditError(ValueError):
    """An edit that can't be made; the message says which key, and why."""


@attrs.frozen
class Edit:
    """One key set to a value, or removed.

    :param value: None removes the key, or the whole table that it names; a mapping replaces a table.
    """

    file: File
    path: KeyPath
    value: Any = attrs.field(default=None, repr=False)  # it may be a password

    @property
    def key(self) -> str:
        """The path as it is shown: ``destination."example.com".tls``."""
        return ".".join(_shown(part) for part in self.path)


def apply_edits(text: str, edits: Iterable[Edit]) -> str:
    """The text with these edits made, one after the other.

    :raises EditError: one can't be made; none is then.
    """
    try:
        document = tomlkit.parse(text)
    except TOMLKitError as error:
        raise EditError(f"the file isn't valid TOML: {error}") from None
    batch: dict[KeyPath, Edit] = {}  # tables to come or to go, at once: thousands of them may
    for count, edit in enumerate(edits):
        if not edit.path:
            raise EditError("an edit names no key")
        if batch and not _goes_with(batch, edit):
            document, batch = _carried_out(document, list(batch.values())), {}
        for step in _steps(document, edit):
            if len(step.path) == 2 and (
                step.value is None or (isinstance(step.value, dict) and _is_new(document, step))
            ):
                batch[step.path] = step
            elif step.value is None:
                _remove(document, step)
            elif count < MOST_PLACED and _is_new(document, step):
                document = _with_new(document, [step])
            else:
                _set(document, step)
    return tomlkit.dumps(_carried_out(document, list(batch.values())))


def _goes_with(batch: Mapping[KeyPath, Edit], edit: Edit) -> bool:
    """Whether an edit can wait for the others: it does the same to another entry of the same table."""
    first = next(iter(batch.values()))
    if len(edit.path) != 2 or edit.path[0] != first.path[0] or (edit.value is None) != (first.value is None):
        return False
    return (edit.value is None or isinstance(edit.value, dict)) and edit.path not in batch


def _carried_out(document: tomlkit.TOMLDocument, batch: Sequence[Edit]) -> tomlkit.TOMLDocument:
    if not batch:
        return document
    if batch[0].value is None:
        return tomlkit.parse(_without_tables(tomlkit.dumps(document), batch))
    return _with_new(document, batch)


def _steps(document: tomlkit.TOMLDocument, edit: Edit) -> list[Edit]:
    """A table that takes the place of another changes it key by key, so that its comments stay."""
    old = value_at(document, edit.path)
    if not (isinstance(edit.value, dict) and len(edit.path) == 2 and isinstance(old, Mapping)):
        return [edit]
    gone = [
        attrs.evolve(edit, path=(*edit.path, name), value=None)
        for name in old
        if name not in edit.value and name != "name"
    ]
    changed = [
        attrs.evolve(edit, path=(*edit.path, name), value=value)
        for name, value in edit.value.items()
        if old.get(name) != value
    ]
    return gone + changed


def _is_new(document: tomlkit.TOMLDocument, edit: Edit) -> bool:
    """Whether an edit adds something whose place in the file is ours to choose."""
    if len(edit.path) == 1 or value_at(document, edit.path) is not None:
        return False
    return value_at(document, edit.path[:-1]) is None or len(edit.path) <= 3


def _with_new(document: tomlkit.TOMLDocument, edits: Sequence[Edit]) -> tomlkit.TOMLDocument:
    """The document with something new at the place of our choice; where the text is too unusual for that, anywhere."""
    text = tomlkit.dumps(document)
    try:
        made = tomlkit.parse(
            _with_tables(text, edits)
            if isinstance(edits[0].value, dict) and len(edits[0].path) == 2
            else _with_key(text, edits[0])
        )
        if isinstance(edits[0].value, dict) or value_at(made, edits[0].path) == edits[0].value:
            return made
    except TOMLKitError:
        pass
    for edit in edits:
        _set(document, edit)
    return document


def _with_tables(text: str, edits: Sequence[Edit]) -> str:
    """The text with new tables of one kind behind those there are, or at the end."""
    lines = text.splitlines(keepends=True)
    entries = [line for path, line in line_index(text).items() if len(path) == 2 and path[0] == edits[0].path[0]]
    place = _end_of_table(lines, max(entries)) if entries else len(lines)
    before, behind = "".join(lines[:place]).rstrip(), "".join(lines[place:])
    behind = f"\n{behind}" if behind else ""
    tables = "\n".join(_rendered(edit) for edit in edits)
    return f"{before}\n\n{tables}{behind}".lstrip()


def _rendered(edit: Edit) -> str:
    """A table as text of its own."""
    fresh = tomlkit.document()
    _set(fresh, edit)
    return tomlkit.dumps(fresh).strip() + "\n"


def _with_key(text: str, edit: Edit) -> str:
    """The text with a new key in its table: behind its commented default if there is one, else behind the other keys."""
    header = line_index(text).get(_written(text, edit.path[:-1]))
    if header is None:
        return f"{text.rstrip()}\n\n{_rendered(edit)}".lstrip()
    name, lines = str(edit.path[-1]), text.splitlines(keepends=True)
    fresh = tomlkit.document()
    fresh[name] = _item(edit.value, edit)
    end = _end_of_table(lines, header)
    places = [number + 1 for number in range(header, end) if lines[number].startswith(f"# {name} =")]
    while not places and end > header and (not lines[end - 1].strip() or lines[end - 1].startswith("#")):
        end -= 1
    lines.insert(places[0] if places else end, tomlkit.dumps(fresh))
    return "".join(lines)


def _without_tables(text: str, edits: Sequence[Edit]) -> str:
    """The text without some tables, or entries of an array of tables, and without what is below them.

    :raises EditError: one isn't there.
    """
    document = tomlkit.parse(text)
    missing = [edit.key for edit in edits if value_at(document, edit.path) is None]
    if missing:
        raise EditError(f"{', '.join(missing)} isn't there")
    lines, gone = text.splitlines(keepends=True), {_written_in(document, edit.path): edit for edit in edits}
    headers: dict[int, KeyPath] = {}
    for found, line in line_index(text).items():
        if found[:2] in gone and lines[line - 1].lstrip().startswith("["):
            headers.setdefault(line, found[:2])
    for header in sorted(headers, reverse=True):
        del lines[header - 1 : _end_of_table(lines, header)]
    left = tomlkit.parse("".join(lines))
    for path in gone.keys() - set(headers.values()):  # a key, or a table in one line
        _remove(left, gone[path])
    return tomlkit.dumps(left)


def _end_of_table(lines: Sequence[str], header: int) -> int:
    """Where the table whose header is in this line (from 1) ends; the comment on top of the next one is the next one's."""
    end = header
    while end < len(lines) and not lines[end].startswith("["):
        end += 1
    if end == len(lines):
        return end
    while end > header and lines[end - 1].startswith("#"):
        end -= 1
    return end


def _written(text: str, path: KeyPath) -> KeyPath:
    """A path as `line_index` has it: entries of arrays by number."""
    return _written_in(tomlkit.parse(text), path) if len(path) == 2 and path[0] in NAMED_ARRAYS else path


def _written_in(document: tomlkit.TOMLDocument, path: KeyPath) -> KeyPath:
    if len(path) != 2 or path[0] not in NAMED_ARRAYS:
        return path
    number = _position(document.get(str(path[0]), []), path)
    return path if number is None else (path[0], number)


def _position(entries: Sequence[Any], path: KeyPath) -> int | None:
    """The number of the entry that a path names."""
    default = NAMED_ARRAYS.get(str(path[0]), "")
    for number, entry in enumerate(entries):
        if path[1] in (number, entry.get("name", default)):
            return number
    return None


def value_at(data: Any, path: KeyPath) -> Any:
    """What stands at a path in parsed data, None where nothing does. An empty path is the whole."""
    for depth, part in enumerate(path):
        if isinstance(data, list):
            number = _position(data, path[:2]) if depth == 1 else None
            data = None if number is None else data[number]
        else:
            data = data.get(part) if isinstance(data, Mapping) else None
        if data is None:
            return None
    return data


def _set(document: tomlkit.TOMLDocument, edit: Edit) -> None:
    if len(edit.path) == 2 and edit.path[0] in NAMED_ARRAYS and edit.path[0] not in document:
        array = tomlkit.aot()
        array.append(_table(attrs.evolve(edit, value={"name": edit.path[1], **edit.value})))
        document[str(edit.path[0])] = array
        return
    container = _container(document, edit, make=True)
    name = edit.path[-1]
    assert container is not None  # it was made
    if len(edit.path) == 1 and isinstance(edit.value, list) and str(name) in NAMED_ARRAYS:
        raise EditError(f"{edit.key}: set its entries one by one")
    old = container.get(name)
    if isinstance(edit.value, dict) and not (len(edit.path) > 2 or isinstance(old, InlineTable)):
        container[name] = _table(edit)
        return
    new = _item(edit.value, edit)
    if isinstance(old, Item):
        new.trivia.comment_ws, new.trivia.comment = old.trivia.comment_ws, old.trivia.comment
    container[name] = new


def _remove(document: tomlkit.TOMLDocument, edit: Edit) -> None:
    container, name = _container(document, edit, make=False), edit.path[-1]
    if container is None or name not in container:
        raise EditError(f"{edit.key} isn't there")
    del container[name]


def _container(document: tomlkit.TOMLDocument, edit: Edit, make: bool) -> Any:
    """What holds the last key of a path; None when it isn't there and isn't to be made."""
    inner: Any = document
    for depth, part in enumerate(edit.path[:-1]):
        if isinstance(inner, AoT):
            number = _position(inner, edit.path)
            if number is None and make:
                raise EditError(f"{edit.key}: there is no {_shown(part)}")
            inner = None if number is None else inner[number]
        else:
            if part not in inner:
                if not make:
                    return None
                named = depth == 0 and part in NAMED_ARRAYS
                inner[part] = tomlkit.aot() if named else tomlkit.table(is_super_table=_is_super(edit.path, depth))
            inner = inner[part]
        if inner is None:
            return None
        if not isinstance(inner, Table | InlineTable | AoT | MutableMapping):
            raise EditError(f"{edit.key}: {_shown(part)} is a value and holds no keys")
    return inner


def _is_super(path: KeyPath, depth: int) -> bool:
    """Whether a new table is only the way to others: [destination] of [destination."example.com"]."""
    return depth == 0 and path[0] in ("destination", "route", "bounce_profile")


def _table(edit: Edit) -> Table:
    """A table of its own, with its keys."""
    table = tomlkit.table()
    for name, value in edit.value.items():
        table[name] = _item(value, edit)
    return table


def _item(value: Any, edit: Edit) -> Any:
    """A value as TOML writes it; long arrays a line for each element."""
    if isinstance(value, dict):
        inline = tomlkit.inline_table()
        inline.update({name: _item(inner, edit) for name, inner in value.items()})
        return inline
    if isinstance(value, Sequence) and not isinstance(value, str):
        array: Array = tomlkit.array()
        array.extend(_item(inner, edit) for inner in value)
        return array.multiline(len(value) > 3)
    if isinstance(value, str | bool | int | float | date | datetime):
        return tomlkit.item(value)
    raise EditError(f"{edit.key}: {type(value).__name__} is no value of a configuration")


def _shown(part: str | int) -> str:
    text = str(part)
    return text if text.replace("_", "").replace("-", "").isalnum() and text.isascii() else f'"{text}"'
