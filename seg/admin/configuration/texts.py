"""The two files of the configuration as texts: read, checked, compared, and written so that each is the old or the new one."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import attrs

from seg.admin.configuration.edits import File
from seg.admin.configuration.usable import faults
from seg.common.errors import ConfigurationError
from seg.common.files import NewFile, sync_folder, write_beside
from seg.config.destinations import Destinations
from seg.config.find import ConfigurationFiles, ConfigurationOrigin
from seg.config.load import parse_destinations, parse_settings
from seg.config.problems import Problems, meant, placed
from seg.config.relative import whole_destinations, whole_settings
from seg.config.schema import Settings
from seg.config.secrets import masked, masked_pair
from seg.config.source import Document, KeyPath, read_document

NAMES = {File.SETTINGS: "seg.toml", File.DESTINATIONS: "destinations.toml"}


@attrs.frozen
class ConfigurationTexts:
    """Both files."""

    settings: str = attrs.field(repr=False)
    destinations: str = attrs.field(repr=False)

    def of(self, file: File) -> str:
        """The text of one file."""
        return self.settings if file is File.SETTINGS else self.destinations

    def with_text(self, file: File, text: str) -> ConfigurationTexts:
        """With another text of one file."""
        return attrs.evolve(self, **{file.value: text})

    def changed(self, other: ConfigurationTexts) -> tuple[File, ...]:
        """The files that differ."""
        return tuple(file for file in File if self.of(file) != other.of(file))


@attrs.frozen
class Configuration:
    """What both files say."""

    settings: Settings
    destinations: Destinations


def read_texts(files: ConfigurationFiles) -> ConfigurationTexts:
    """Both files as they are on disk. Blocks.

    :raises ConfigurationError: one can't be read.
    """
    return ConfigurationTexts(read_document(files.settings).text, read_document(files.destinations).text)


def parsed(texts: ConfigurationTexts, files: ConfigurationFiles) -> Configuration:
    """What the texts say, with whole paths. Takes its time with many entries.

    :raises ConfigurationError: every fault of both, as file, line and key.
    """
    problems: list[str] = []
    try:
        settings = parse_settings(texts.settings, str(files.settings))
    except ConfigurationError as error:
        problems += error.problems
    try:
        destinations = parse_destinations(texts.destinations, str(files.destinations))
    except ConfigurationError as error:
        problems += error.problems
    if problems:
        raise ConfigurationError(tuple(problems))
    _raise_placed(_between(settings, destinations), texts, files)
    return Configuration(whole_settings(settings, files.settings), whole_destinations(destinations, files.destinations))


def check(
    texts: ConfigurationTexts, files: ConfigurationFiles, in_force: Configuration | None = None, at_start: bool = False
) -> Configuration:
    """As `parsed`, and whether what the texts name can be used: files, ports, addresses, plugins. Blocks.

    :param in_force: what the running gateway goes by: what of it stays as it is isn't tried.
    :param at_start: a certificate out of date keeps no gateway down then.
    :raises ConfigurationError: every fault of the texts; when there are none, of what they name.
    """
    whole = parsed(texts, files)
    before = (in_force.settings, in_force.destinations) if in_force else None
    folder = files.settings.absolute().parent
    _raise_placed(faults(whole.settings, whole.destinations, folder, before, at_start), texts, files)
    return whole


def _between(settings: Settings, destinations: Destinations) -> Iterator[tuple[File, KeyPath, str]]:
    """What one file says of the other and isn't so."""
    for number, listener in enumerate(settings.listener):
        name, known = listener.bounce_profile, destinations.bounce_profiles
        if name and name not in known:
            problem = f'there is no [bounce_profile."{name}"] in {NAMES[File.DESTINATIONS]}{meant(name, known)}'
            yield File.SETTINGS, ("listener", number, "bounce_profile"), problem


def _raise_placed(
    faults_found: Iterable[tuple[File, KeyPath, str]], texts: ConfigurationTexts, files: ConfigurationFiles
) -> None:
    """
    :raises ConfigurationError: with file and line of each, if there are any.
    """
    found, problems = list(faults_found), list[str]()
    for file in File:
        mine = [(where, text) for which, where, text in found if which is file]
        if not mine:
            continue
        collected = Problems(_document(texts, files, file))
        for where, text in mine:
            collected.add(where, text)
        try:
            collected.check()
        except ConfigurationError as error:
            problems += error.problems
    if problems:
        raise ConfigurationError(tuple(problems))


def located(error: ConfigurationError, texts: ConfigurationTexts, files: ConfigurationFiles) -> ConfigurationError:
    """An error of whoever puts the settings to work, with file and line as far as it names a key."""
    return placed(error, _document(texts, files, File.SETTINGS))


def _document(texts: ConfigurationTexts, files: ConfigurationFiles, file: File) -> Document:
    path = files.settings if file is File.SETTINGS else files.destinations
    return Document(str(path), texts.of(file), {})


def difference(old: ConfigurationTexts, new: ConfigurationTexts) -> str:
    """A unified diff of both files, "" when nothing differs. Passwords are left out; one that changed is marked."""
    parts: list[str] = []
    for file in old.changed(new):
        before, after = (text.splitlines() for text in masked_pair(old.of(file), new.of(file)))
        parts += difflib.unified_diff(before, after, f"{NAMES[file]} (in use)", NAMES[file], lineterm="")
    return "\n".join(parts)


def without_secrets(texts: ConfigurationTexts) -> ConfigurationTexts:
    """Both files as they may be shown."""
    return ConfigurationTexts(masked(texts.settings), masked(texts.destinations))


def write_texts(files: ConfigurationFiles, old: ConfigurationTexts, new: ConfigurationTexts) -> None:
    """Put the new texts in the place of the old ones. Blocks.

    Both are complete on disk before either is put in its place; if the second can't be, the first is put back.

    :raises ConfigurationError: they can't be written; nothing is changed then.
    """
    places = {File.SETTINGS: files.settings.resolve(), File.DESTINATIONS: files.destinations.resolve()}
    parts: dict[File, NewFile] = {}
    put: list[File] = []
    try:
        for file in old.changed(new):
            parts[file] = _write_beside(places[file], new.of(file))
        for file, part in parts.items():
            part.put()
            put.append(file)
        for folder in {places[file].parent for file in parts}:
            sync_folder(folder)
    except OSError as error:
        for file in put:
            _write_beside(places[file], old.of(file)).put()
        for part in parts.values():
            part.discard()
        raise ConfigurationError((_cannot_write(error, files),)) from error


def _cannot_write(error: OSError, files: ConfigurationFiles) -> str:
    advice = (
        "; it is the one built in: copy the folder to ./etc or /etc/seg and start the gateway with it"
        if files.origin is ConfigurationOrigin.SHIPPED
        else f"; the user of the gateway must be able to write in {files.settings.parent}"
    )
    return f"the configuration can't be written ({error.strerror or error}: {error.filename or files.settings}){advice}"


def _write_beside(place: Path, text: str) -> NewFile:
    """The text in a new file, with the permissions and, as far as may be, the owner of the old one."""
    status, data = place.stat(), text.encode("utf-8")
    part = place.with_name(f".{place.name}.new")
    return write_beside(place, lambda file: file.write(data), status.st_mode & 0o777, status, part)


def texts_from(raw: Mapping[str, str]) -> ConfigurationTexts:
    """Texts as they were kept (`attrs.asdict`).

    :raises ValueError: they aren't (or `KeyError`, `TypeError`).
    """
    texts = ConfigurationTexts(raw["settings"], raw["destinations"])
    if not isinstance(texts.settings, str) or not isinstance(texts.destinations, str):
        raise ValueError("a text isn't one")
    return texts
