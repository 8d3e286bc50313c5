"""Relative paths in the configuration: they never depend on the folder that a program was started in.

A file is looked for from the folder of ``seg.toml``. ``var`` stands beside a folder that is called ``etc`` (``./etc/seg.toml`` keeps
``./var``), else within the folder of ``seg.toml``. The configuration built in has its ``var`` in the working directory.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, TypeVar

import attrs

from seg.config.destinations import Destinations
from seg.config.find import shipped_folder
from seg.config.schema import Settings

T = TypeVar("T")

_OF_LISTENERS = ("certificate", "key", "more_certificates", "client_certificates")
_OF_SECTIONS = {"tls": ("ca_file", "extra_ca_file"), "auth": ("users",), "control": ("tokens", "certificate", "key")}


def var_base(file: Path) -> Path:
    """The folder that a relative ``var`` (and socket) of a ``seg.toml`` starts from."""
    folder = file.absolute().parent
    if folder == shipped_folder().absolute():
        return Path().absolute()
    return folder.parent if folder.name == "etc" else folder


def whole_settings(settings: Settings, file: Path) -> Settings:
    """The settings of a ``seg.toml`` with whole paths."""
    folder, base = file.absolute().parent, var_base(file)
    sections: dict[str, Any] = {
        name: _whole(getattr(settings, name), keys, folder) for name, keys in _OF_SECTIONS.items()
    }
    return attrs.evolve(
        settings,
        gateway=_whole(settings.gateway, ("var",), base),
        listener=tuple(_whole(each, _OF_LISTENERS, folder) for each in settings.listener),
        **{**sections, "control": _whole(sections["control"], ("socket",), base)},
    )


def whole_destinations(destinations: Destinations, file: Path) -> Destinations:
    """The same of a ``destinations.toml``."""
    folder, keys = file.absolute().parent, ("certificate", "key")
    return attrs.evolve(
        destinations,
        default=_whole(destinations.default, keys, folder),
        profiles={name: _whole(each, keys, folder) for name, each in destinations.profiles.items()},
        auth_profiles={
            name: _whole(each, ("password_file",), folder) for name, each in destinations.auth_profiles.items()
        },
    )


def _whole(section: T, keys: tuple[str, ...], folder: Path) -> T:
    """A section whose relative paths start from a folder; the same object where nothing changes."""
    changes: dict[str, Any] = {}
    for key in keys:
        value = getattr(section, key)
        if isinstance(value, tuple):
            made: Any = tuple(str(folder / each) if each else each for each in value)
        else:
            made = str(folder / value) if value else value
        if made != value:
            changes[key] = made
    return attrs.evolve(section, **changes) if changes else section  # type: ignore[misc]
