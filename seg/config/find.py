"""Where the configuration files are."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

import attrs

SETTINGS = "seg.toml"
DESTINATIONS = "destinations.toml"


@attrs.frozen
class ConfigurationFiles:
    """The two files of one configuration; they always stand in one folder."""

    settings: Path
    destinations: Path
    origin: str  # how they were found, for the log: "named", "working directory", "system", "built in"


def find_configuration(
    explicit: str | None = None, *, here: Path = Path(), system: Path = Path("/etc/seg")
) -> ConfigurationFiles:
    """The file named, else ``./etc/seg.toml``, else ``/etc/seg/seg.toml``, else the defaults shipped.

    :param explicit: path of a ``seg.toml`` (or of its folder); it is taken as it stands, so that a slip in it
    is
        found when it is loaded and never answered by other files.
    """
    if explicit:
        named = Path(explicit)
        if named.is_dir():
            return _in_folder(named, "named")
        return ConfigurationFiles(named, named.parent / DESTINATIONS, "named")
    for folder, origin in ((here / "etc", "working directory"), (system, "system")):
        # A dangling link or a file that can't be read is there all the same: loading it tells what is wrong.
        if (folder / SETTINGS).is_symlink() or (folder / SETTINGS).exists():
            return _in_folder(folder, origin)
    return _in_folder(shipped_folder(), "built in")


def shipped_folder() -> Path:
    """The folder of the default files: ``seg/etc`` in an installed package, the project's ``etc`` in a
    checkout."""
    package = Path(str(files("seg")))
    installed = package / "etc"
    return installed if (installed / SETTINGS).exists() else package.parent / "etc"


def _in_folder(folder: Path, origin: str) -> ConfigurationFiles:
    return ConfigurationFiles(folder / SETTINGS, folder / DESTINATIONS, origin)
