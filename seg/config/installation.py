"""Whether the files of an installation belong to the right users and can be read and written by no others. Blocks; reads no content
but that of the two configuration files."""

from __future__ import annotations

import os
import pwd
import shlex
import stat
from collections.abc import Iterator
from pathlib import Path

import attrs

from seg.common.errors import ConfigurationError
from seg.config.destinations import Destinations
from seg.config.find import ConfigurationFiles
from seg.config.paths import drop_path, socket_path, tokens_path, users_path, var_path
from seg.config.schema import Settings
from seg.config.secrets import secrets_in
from seg.config.source import read_document
from seg.config.trust import ROOT, gateway_user, user_name

PUBLIC, SHARED, PRIVATE = 0o755, 0o750, 0o700  # the most that a file or folder may allow
DROP = 0o3733
_READ, _ENTER = 0o4, 0o1
SYSTEM = (
    Path("/etc/systemd/system/seg.service"),
    Path("/etc/systemd/system/seg.socket"),
    Path("/etc/tmpfiles.d/seg.conf"),
    Path("/etc/sysusers.d/seg.conf"),
)


@attrs.frozen
class ExpectedFile:
    """How a file or folder ought to be."""

    path: Path
    owners: tuple[int, ...]  # user numbers; the first is the one it is given to
    most: int  # permissions that may be set
    least: int = 0  # permissions that have to be
    reader: int = ROOT  # user number of the gateway, which has to be able to read it; root can read all


@attrs.frozen
class Wrong:
    """One that isn't so."""

    path: str
    problem: str
    mend: str  # the command


def owner_of_gateway(settings: Settings) -> int:
    """The user that the gateway runs as: the owner of its folder, else the packages' user, else root."""
    try:
        return var_path(settings).stat().st_uid
    except OSError:
        return (*gateway_user(), ROOT)[0]


def wanted(
    files: ConfigurationFiles, settings: Settings, destinations: Destinations, user: int
) -> Iterator[ExpectedFile]:
    """Every file and folder whose owner and permissions matter."""
    either = (user, ROOT)
    yield ExpectedFile(files.settings.parent, either, PUBLIC)
    for file in (files.settings, files.destinations):
        yield ExpectedFile(file, either, 0o640 if _has_secrets(file) else 0o644, reader=user)
    for file in (users_path(settings, files.settings), tokens_path(settings, files.settings)):
        yield ExpectedFile(file, (user,), 0o600)
    for certificate, key in _certificates(settings, destinations):
        if certificate:
            yield ExpectedFile(Path(certificate), either, 0o644 if key else 0o640, reader=user)
        if key:
            yield ExpectedFile(Path(key), either, 0o640, reader=user)
    for profile in destinations.auth_profiles.values():
        if profile.password_file:
            yield ExpectedFile(Path(profile.password_file), either, 0o640, reader=user)
    var = var_path(settings)
    yield ExpectedFile(var, (user,), PUBLIC)
    for name, most in (("spool", PRIVATE), ("changes", PRIVATE), ("run", PRIVATE), ("log", SHARED), ("cache", SHARED)):
        yield ExpectedFile(var / name, (user,), most)
    for name in ("suspended.json", "totals.json"):
        yield ExpectedFile(var / name, (user,), 0o640)
    if socket_path(settings).parent != var / "run":
        yield ExpectedFile(socket_path(settings).parent, either, PUBLIC)
    yield ExpectedFile(socket_path(settings), (user,), int(settings.control.mode, 8))
    yield ExpectedFile(drop_path(settings), (user,), DROP, 0o3000)
    for path in SYSTEM:
        yield ExpectedFile(path, (ROOT,), 0o644)


def _certificates(settings: Settings, destinations: Destinations) -> Iterator[tuple[str, str]]:
    """Each certificate with its key; "" where it is in the same file."""
    found = {(settings.control.certificate, settings.control.key)}
    found |= {(listener.certificate, listener.key) for listener in settings.listener}
    found |= {(profile.certificate, profile.key) for profile in (destinations.default, *destinations.profiles.values())}
    return iter(sorted(found))


def _has_secrets(file: Path) -> bool:
    try:
        return bool(secrets_in(read_document(file).text))
    except ConfigurationError:
        return True  # the safe side


def wrong(each: ExpectedFile) -> Iterator[Wrong]:
    """What is wrong with one; nothing if it isn't there."""
    try:
        status = each.path.stat()
    except OSError:
        return
    path = shlex.quote(str(each.path))
    if status.st_uid not in each.owners:
        owners = " or ".join(user_name(number) for number in each.owners)
        problem = f"belongs to {user_name(status.st_uid)}, and ought to belong to {owners}"
        yield Wrong(str(each.path), problem, f"chown {user_name(each.owners[0])} {path}")
    mode = stat.S_IMODE(status.st_mode)
    most = each.most | (
        stat.S_ISGID if stat.S_ISDIR(status.st_mode) else 0
    )  # of a folder that only says whose group files get
    right = (mode & most) | each.least
    if mode != right:
        problem = f"has mode {mode:04o}: {_said(mode & ~most)}" if mode & ~most else f"has mode {mode:04o}"
        yield Wrong(str(each.path), problem, f"chmod {right:04o} {path}")
    yield from _unreadable(each, status)


def _unreadable(each: ExpectedFile, status: os.stat_result) -> Iterator[Wrong]:
    """Where the gateway can't read what it has to."""
    if each.reader == ROOT or status.st_uid not in each.owners:  # another owner has been named already
        return
    name = user_name(each.reader)
    closed = next(
        (folder for folder in each.path.resolve().parents if not _may(folder.stat(), each.reader, _ENTER)), None
    )
    if closed is not None:
        mend = "seg certconfig import (of a certificate), or another folder"
        yield Wrong(str(each.path), f"can't be read by {name}, who may not enter {closed}", mend)
    elif not _may(status, each.reader, _READ):
        yield Wrong(str(each.path), f"can't be read by {name}", f"chown {name} {shlex.quote(str(each.path))}")


def _may(status: os.stat_result, user: int, right: int) -> bool:
    """Whether a user who isn't root may read (4) or enter (1), as far as the mode says."""
    if status.st_uid == user:
        return bool(status.st_mode >> 6 & right)
    if status.st_gid in _groups(user):
        return bool(status.st_mode >> 3 & right)
    return bool(status.st_mode & right)


def _groups(user: int) -> list[int]:
    try:
        entry = pwd.getpwuid(user)
    except KeyError:
        return []
    return os.getgrouplist(entry.pw_name, entry.pw_gid)


def _said(too_much: int) -> str:
    """What should not be allowed, in words."""
    words = [
        word
        for bits, word in (
            (0o002, "others can write it"),
            (0o005, "others can read it"),
            (0o020, "its group can write it"),
            (0o050, "its group can read it"),
        )
        if too_much & bits
    ]
    return ", ".join(words) or "it allows too much"


def look_at(files: ConfigurationFiles, settings: Settings, destinations: Destinations) -> list[Wrong]:
    """All that is wrong."""
    user = owner_of_gateway(settings)
    seen: dict[Path, ExpectedFile] = {}
    for each in wanted(files, settings, destinations, user):
        seen.setdefault(Path(os.path.abspath(each.path)), each)
    return [found for each in seen.values() for found in wrong(each)]
