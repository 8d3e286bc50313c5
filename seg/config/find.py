"""Where the configuration files are."""

from __future__ import annotations

import enum
from importlib.resources import files
from pathlib import Path

import attrs

from seg.common.errors import ConfigurationError
from seg.config.trust import Trusted, distrust, gateway_user, of_caller

SETTINGS = "seg.toml"
DESTINATIONS = "destinations.toml"


class ConfigurationOrigin(enum.StrEnum):
    """How the files were found; the value is what the log says."""

    NAMED = "named"
    HERE = "working directory"
    SYSTEM = "system"
    SHIPPED = "built in"


@attrs.frozen
class ConfigurationFiles:
    """The two files of one configuration; they always stand in one folder."""

    settings: Path
    destinations: Path
    origin: ConfigurationOrigin
    notice: str = ""  # which file was passed over, and why: a line for whoever asked


def find_configuration(
    explicit: str | None = None, *, here: Path = Path(), system: Path = Path("/etc/seg")
) -> ConfigurationFiles:
    """The file named, else ``./etc/seg.toml``, else ``/etc/seg/seg.toml``, else the defaults shipped.

    A program is started in folders of other people: ``./etc/seg.toml`` counts only if it and both its folders belong to root or the
    caller, and nobody else can write them.

    :param explicit: path of a ``seg.toml`` (or of its folder); it is taken as it stands, so that a slip in it is found when it is
        loaded and never answered by other files.
    :raises ConfigurationError: the system's file can be written by others than root, the caller and the gateway's user.
    """
    if explicit:
        named = Path(explicit)
        if named.is_dir():
            return _in_folder(named, ConfigurationOrigin.NAMED)
        return ConfigurationFiles(named, named.parent / DESTINATIONS, ConfigurationOrigin.NAMED)
    notice = ""
    # A dangling link or a file that can't be read is there all the same: loading it tells what is wrong.
    local, shared = here / "etc" / SETTINGS, system / SETTINGS
    if local.is_symlink() or local.exists():
        fault = _fault(local, of_caller(), 2)
        if not fault:
            return _in_folder(local.parent, ConfigurationOrigin.HERE)
        notice = f"{fault}: not used; name it with --config"
    if shared.is_symlink() or shared.exists():
        if fault := _fault(shared, of_caller(*gateway_user()), 1):
            raise ConfigurationError(
                (f"{fault}: not used (seg check-install tells what to mend); name it with --config",)
            )
        return _in_folder(system, ConfigurationOrigin.SYSTEM, notice)
    return _in_folder(shipped_folder(), ConfigurationOrigin.SHIPPED, notice)


def _fault(file: Path, trusted: Trusted, folders: int) -> str:
    """Why neither the file nor its sibling is to be obeyed."""
    return distrust(file, trusted, folders) or distrust(file.with_name(DESTINATIONS), trusted, folders)


def shipped_folder() -> Path:
    """The folder of the default files: ``seg/etc`` in an installed package, the project's ``etc`` in a
    checkout."""
    package = Path(str(files("seg")))
    installed = package / "etc"
    return installed if (installed / SETTINGS).exists() else package.parent / "etc"


def _in_folder(folder: Path, origin: ConfigurationOrigin, notice: str = "") -> ConfigurationFiles:
    return ConfigurationFiles(folder / SETTINGS, folder / DESTINATIONS, origin, notice)
