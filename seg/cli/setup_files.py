"""The files of ``seg setup`` on disk: each as a whole, none lost, secrets for the owner only. All of it blocks."""

from __future__ import annotations

import os
import pwd
from collections.abc import Sequence
from pathlib import Path

import attrs

from seg.cli.rights import as_owner_of
from seg.cli.setup_plan import Planned
from seg.common.files import replace_file
from seg.config.trust import gateway_user

SYSTEM = Path("/etc/seg")
OLD = ".old"


class FileExists(Exception):
    """A file is there already, and may not be replaced; nothing was written."""


@attrs.frozen
class Written:
    """One file that was put into its place."""

    path: Path
    kept: str = ""  # where the old one is; "" = there was none


def default_folder() -> Path:
    """Where a configuration goes by itself: a gateway's user without root, as in a container, owns that of the system."""
    return SYSTEM if os.geteuid() == 0 or os.access(SYSTEM, os.W_OK) else Path("etc")


def existing(files: Sequence[Planned]) -> list[Path]:
    """Those that are there already with another content."""
    return [file.path for file in files if os.path.lexists(file.path) and not _same(file)]


def _same(file: Planned) -> bool:
    try:
        return file.path.is_file() and file.path.read_bytes() == file.data
    except OSError:
        return False


def write_all(
    folder: Path, files: Sequence[Planned], user: tuple[str, str] | None, replace: bool, force: bool
) -> list[Written]:
    """Put all of them into their places, those that the others name first; root writes as the owner of the folder.

    :param user: name and password of a user of submission to be added.
    :param force: a user of that name gets the password.
    :raises FileExists: one is there, and that isn't allowed.
    :raises OSError: one can't be written; those before it are complete.
    """
    there = existing(files)
    if there and not replace:
        raise FileExists(f"{there[0]} is there already")
    _make(folder)
    written: list[Written] = []
    with as_owner_of(folder):
        before = os.umask(0o022)
        try:
            if user is not None:
                written.append(_add_user(folder / "users", user, force))
            for file in files:
                written.append(_put(file))
        finally:
            os.umask(before)
    return written


def owner_of(folder: Path) -> tuple[int, int]:
    """User and group of a folder of configuration, or whom it would be given to: the one of the system belongs to the gateway's user."""
    if folder.is_dir():
        status = folder.stat()
        return status.st_uid, status.st_gid
    users = gateway_user()
    if os.geteuid() == 0 and users and folder.parent == Path("/etc"):
        return users[0], pwd.getpwuid(users[0]).pw_gid
    return os.geteuid(), os.getegid()


def _make(folder: Path) -> None:
    if folder.is_dir():
        return
    owner = owner_of(folder)
    folder.mkdir(mode=0o755, parents=True)
    if os.geteuid() == 0:
        os.chown(folder, *owner)


def _put(file: Planned) -> Written:
    file.path.parent.mkdir(mode=0o750, exist_ok=True)
    kept = ""
    if os.path.lexists(file.path) and not _same(file):
        kept = f"{file.path}{OLD}"
        os.replace(file.path, kept)
    replace_file(file.path, file.data, file.mode)
    return Written(file.path, kept)


def _add_user(path: Path, user: tuple[str, str], force: bool) -> Written:
    from seg.auth.users import new_user, parse_users, with_user
    from seg.auth.users_file import change

    made = new_user(*user, scram=True)

    def edit(text: str) -> str:
        if user[0] in parse_users(text).by_name and not force:
            raise FileExists(f"the user {user[0]} in {path} is there already")
        return with_user(text, made)

    change(path, edit)
    return Written(path)
