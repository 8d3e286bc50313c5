"""Faults of a configuration file, collected until all are known."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

from seg.common.errors import ConfigurationError
from seg.config.source import Document, KeyPath, line_index


class Problems:
    """Collects the faults of one file; each becomes one line that names file, line and key."""

    def __init__(self, document: Document) -> None:
        self._document = document
        self._found: list[tuple[KeyPath, str, str]] = []

    def add(self, where: KeyPath, text: str, label: str | None = None) -> None:
        """Note a fault at a key; `label` replaces the name made of the path."""
        self._found.append((where, place(where) if label is None else label, text))

    def below(self, where: KeyPath) -> bool:
        """Whether a fault was found at or below a place."""
        return any(path[: len(where)] == where for path, _, _ in self._found)

    def check(self) -> None:
        """
        :raises ConfigurationError: with every fault, in the order of lines, if there are any.
        """
        if not self._found:
            return
        index = line_index(self._document.text)
        lines = [(_line(index, path), label, text) for path, label, text in self._found]
        lines.sort(key=lambda found: found[0])
        raise ConfigurationError(
            tuple(
                f"{self._document.name}{f':{line}' if line else ''}: "
                + _one_line(f"{label}{': ' if label else ''}{text}")
                for line, label, text in lines
            )
        )


class SettingError(ConfigurationError):
    """What a key asks for can't be had.

    :param where: the key, in the file that the raiser is concerned with.
    """

    def __init__(self, where: KeyPath, text: str) -> None:
        super().__init__((f"{place(where)}: {text}",))
        self.where = where
        self.text = text


def placed(error: ConfigurationError, document: Document) -> ConfigurationError:
    """The same error with file and line, if it names a key of this file."""
    if not isinstance(error, SettingError):
        return error
    problems = Problems(document)
    problems.add(error.where, error.text)
    try:
        problems.check()
    except ConfigurationError as told:
        return told
    return error


def _one_line(text: str) -> str:
    """The text with everything escaped that could break its line: names of keys may hold any character."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)


def _line(index: dict[KeyPath, int], where: KeyPath) -> int:
    """The line of a key, else that of the nearest thing around it, else 0."""
    while where and where not in index:
        where = where[:-1]
    return index.get(where, 0)


def place(where: KeyPath) -> str:
    """A path as people write it: ``[destination."example.com"] tls``, ``[[listener]] port``."""
    if not where:
        return ""
    array = len(where) > 1 and isinstance(where[1], int)
    depth = 2 if array or where[0] in ("destination", "route", "bounce_profile", "auth_profile") else 1
    names = [where[0]] if array else list(where[:depth])
    table = ".".join(_quoted(str(name)) for name in names)
    rest = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in where[depth:])
    return (f"[[{table}]]" if array else f"[{table}]") + (f" {rest.removeprefix('.')}" if rest else "")


def _quoted(name: str) -> str:
    """A key as TOML writes it."""
    bare = name.isascii() and name.replace("-", "").replace("_", "").isalnum()
    return name if bare else '"' + name.replace("\\", "\\\\").replace('"', '\\"') + '"'


def meant(word: str, choices: Iterable[str]) -> str:
    """``; did you mean x?``, or nothing when no choice is near."""
    alike = {choice.lower().replace("-", "_"): choice for choice in choices}
    near = [alike[found] for found in difflib.get_close_matches(word.lower().replace("-", "_"), alike, n=1, cutoff=0.6)]
    return f"; did you mean {near[0]}?" if near else ""


def offered(word: str, choices: Iterable[str]) -> str:
    """What stands behind "there is no x": what was probably meant, and all that there are (those most like `word` first, if any is like it)."""
    known = tuple(choices)
    if near := meant(word, known):
        return f"{near} There are {', '.join(nearest_first(word, known))}"
    return f"; there are {', '.join(known) or 'none'}"


def nearest_first(word: str, choices: Iterable[str]) -> list[str]:
    """All choices, those most like `word` first."""
    return sorted(choices, key=lambda choice: -difflib.SequenceMatcher(None, word.lower(), choice).ratio())
