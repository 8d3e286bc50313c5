"""The languages that reports are written in: files ``reports/<language>.toml`` beside the configuration, else those shipped."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path
from string import Formatter
from typing import Any

import attrs

from seg.common.files import read_regular
from seg.config.find import shipped_folder

FOLDER = "reports"
ENGLISH = "en"
_NAME = re.compile(r"[a-z]{2,3}(-[A-Za-z0-9]{2,8})*")  # RFC 5646, as far as files go
_LONGEST_FILE = 262144  # octets

# Every text that a file must have, and the names that may stand in braces there.
_TEXTS: Mapping[str, Mapping[str, frozenset[str]]] = {
    "subject": dict.fromkeys(("failed", "delayed", "relayed"), frozenset()),
    "opening": {
        "system": frozenset({"hostname"}),
        "one": frozenset(),
        "many": frozenset({"count"}),
        "failed": frozenset({"recipients"}),
        "delayed": frozenset({"recipients", "until"}),
        "relayed": frozenset({"recipients"}),
    },
    "label": {
        "reason": frozenset({"text", "status"}),
        "reason_so_far": frozenset({"text", "status"}),
        "server_said": frozenset({"text"}),
        "host_said": frozenset({"text", "host"}),
        "what_to_do": frozenset({"text"}),
        "what_it_means": frozenset({"text"}),
        "same": frozenset({"count"}),
        "rest": frozenset({"count"}),
        "left_out": frozenset({"count"}),
    },
    "tls": {"advice": frozenset()},
}
# What a file may lack, as those written for an earlier version do: these are used.
_DEFAULTS: Mapping[tuple[str, str], str] = {
    ("label", "same"): "The same: +{count}.",
    ("label", "rest"): "+{count}:",
    ("label", "left_out"): "+{count}",
}


class LanguageError(ValueError):
    """The file of a language can't be used; `problems` holds a line for each fault."""

    def __init__(self, problems: tuple[str, ...]) -> None:
        super().__init__("; ".join(problems))
        self.problems = problems


@attrs.frozen
class StatusTexts:
    """What is said of some status codes (RFC 3463)."""

    codes: tuple[str, ...]  # "5.1.2", or the beginning of some: "5.1."
    meaning: str
    advice: str


@attrs.frozen
class Language:
    """All texts of one language."""

    name: str
    width: int  # characters in a line
    texts: Mapping[str, Mapping[str, str]]
    statuses: tuple[StatusTexts, ...]

    def text(self, table: str, key: str, **values: object) -> str:
        """A text with its names filled in."""
        return self.texts[table][key].format(**values)

    def status(self, enhanced: str) -> StatusTexts:
        """What is said of a permanent status."""
        return next(status for status in self.statuses if enhanced.startswith(status.codes))


def parse_language(text: str, file: str) -> Language:
    """The language in a file's text.

    :param file: its name, for messages.
    :raises LanguageError: with every fault.
    """
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise LanguageError((f"{file}: not valid TOML: {error}",)) from None
    problems: list[str] = []
    texts = {
        table: {key: _text(data, table, key, names, file, problems) for key, names in keys.items()}
        for table, keys in _TEXTS.items()
    }
    statuses = _statuses(data.get("status"), file, problems)
    width, name = data.get("width", 72), data.get("language", "")
    if not isinstance(width, int) or not 20 <= width <= 76:
        problems.append(f"{file}: width wants a number from 20 to 76")
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        problems.append(f'{file}: language wants a tag such as "en" (RFC 5646)')
    if problems:
        raise LanguageError(tuple(problems))
    return Language(name, width, texts, statuses)


def _text(data: Mapping[str, Any], table: str, key: str, names: frozenset[str], file: str, problems: list[str]) -> str:
    found = data.get(table)
    text = found.get(key, _DEFAULTS.get((table, key))) if isinstance(found, dict) else None
    if not isinstance(text, str) or not text.strip() or not text.isprintable():
        problems.append(f"{file}: [{table}] {key}: wants a text in one line")
        return ""
    try:
        used = {name for _, name, _, _ in Formatter().parse(text) if name is not None}
    except ValueError as error:
        problems.append(f"{file}: [{table}] {key}: {error}; a brace is written {{{{ or }}}}")
        return ""
    for name in sorted(used - names):
        known = ", ".join(f"{{{each}}}" for each in sorted(names)) or "nothing"
        problems.append(f"{file}: [{table}] {key}: {{{name}}} isn't filled in there; what is: {known}")
    return text


def _statuses(raw: Any, file: str, problems: list[str]) -> tuple[StatusTexts, ...]:
    found: list[StatusTexts] = []
    for number, entry in enumerate(raw if isinstance(raw, list) else [], 1):
        codes, meaning, advice = (entry.get(key) for key in ("codes", "meaning", "advice"))
        good = isinstance(codes, list) and codes and all(isinstance(c, str) and c.startswith("5.") for c in codes)
        if not good or not all(isinstance(t, str) and t.strip() and t.isprintable() for t in (meaning, advice)):
            problems.append(f'{file}: [[status]] number {number}: wants codes = ["5.1."], meaning and advice')
            continue
        found.append(StatusTexts(tuple(codes), meaning, advice))
    if not any("5." in status.codes for status in found):
        problems.append(f'{file}: the last [[status]] must have codes = ["5."], for all others')
    return tuple(found)


def available(folder: Path | None = None) -> list[str]:
    """The languages that there are files for: in the operator's folder, and those shipped."""
    folders = [shipped_folder() / FOLDER] + ([folder] if folder is not None else [])
    return sorted({path.stem for place in folders if place.is_dir() for path in place.glob("*.toml")})


class Languages:
    """Languages by name; each file is read once.

    :param folder: the operator's own files, which go before those shipped.
    :param complain: is told of a file that can't be used; the one shipped, or English, takes its place.
    """

    def __init__(self, folder: Path | None, complain: Callable[[str], object]) -> None:
        self._folder = folder
        self._complain = complain
        self._known: dict[str, Language] = {}

    def load(self, names: tuple[str, ...]) -> None:
        """Read the files of these languages now (blocks), so that a report needs none later."""
        for name in (*names, ENGLISH):
            self.get(name)

    def get(self, name: str) -> Language:
        """A language; another one where there is none of this name."""
        known = self._known.get(name)
        if known is None:
            known = self._known[name] = self._read(name)
        return known

    def _read(self, name: str) -> Language:
        places = [self._folder / f"{name}.toml"] if self._folder is not None else []
        for path in [*places, shipped_folder() / FOLDER / f"{name}.toml"]:
            try:
                return parse_language(read_regular(path, _LONGEST_FILE).decode("utf-8"), str(path))
            except FileNotFoundError:
                continue
            except LanguageError as error:
                for problem in error.problems:
                    self._complain(f"{problem}; the file isn't used")
            except (OSError, ValueError) as error:
                self._complain(f"{path} can't be read ({error}); it isn't used")
        if name == ENGLISH:
            raise FileNotFoundError(f"{FOLDER}/{ENGLISH}.toml")
        known = ", ".join(available(self._folder))
        self._complain(f"there are no reports in the language {name!r}; English is used (there are {known})")
        return self.get(ENGLISH)
