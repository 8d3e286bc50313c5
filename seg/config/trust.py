"""Whose files may be obeyed: those of root, of whoever asks, and of the gateway's own user, if nobody else can write them. Blocks a little."""

from __future__ import annotations

import os
import pwd
import stat
from collections.abc import Iterator
from pathlib import Path

import attrs

ROOT = 0
USER = "seg"  # whom the packages run the gateway as
_GROUP_WRITE, _OTHER_WRITE = 0o020, 0o002


@attrs.frozen
class Trusted:
    """Users and groups that may be able to write a file."""

    users: frozenset[int]
    groups: frozenset[int]


def of_caller(*others: int) -> Trusted:
    """Root, whoever runs this program, and these users, each with the own group."""
    groups = {ROOT, os.getegid()}
    for user in others:
        try:
            groups.add(pwd.getpwuid(user).pw_gid)
        except KeyError:
            continue
    return Trusted(frozenset({ROOT, os.geteuid(), *others}), frozenset(groups))


def gateway_user() -> tuple[int, ...]:
    """The user that packages run the gateway as, if there is one of this name."""
    try:
        return (pwd.getpwnam(USER).pw_uid,)
    except KeyError:
        return ()


def user_name(number: int) -> str:
    """The name of a user, else the number."""
    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:
        return f"user {number}"


def fault_of(status: os.stat_result, trusted: Trusted) -> str:
    """Why a file or folder isn't to be trusted: ``belongs to bob``, ``can be written by others``; "" when it is."""
    if status.st_uid not in trusted.users:
        return f"belongs to {user_name(status.st_uid)}"
    if stat.S_ISLNK(status.st_mode):
        return ""  # the modes of links mean nothing
    if status.st_mode & _OTHER_WRITE:
        return "can be written by others"
    if status.st_mode & _GROUP_WRITE and status.st_gid not in trusted.groups:
        return "can be written by its group"
    return ""


def distrust(file: Path, trusted: Trusted, folders: int = 1) -> str:
    """Why a file isn't to be obeyed, in words that name the place; "" when it may be, or isn't there.

    :param folders: so many folders around it are looked at, as it was named and as it is once links are followed.
    """
    for place in _places(file, folders):
        try:
            fault = fault_of(place.lstat(), trusted)
        except OSError:
            continue  # nothing is read there either
        if fault:
            return f"{place} {fault}"
    return ""


def _places(file: Path, folders: int) -> Iterator[Path]:
    real = file.resolve()
    for path in (file, real):
        yield path
        for _ in range(folders):
            path = path.parent
            yield path
            yield path.resolve()
