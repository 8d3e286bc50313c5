"""What root changes for the gateway is changed with the rights of those that the configuration belongs to, and no others."""

from __future__ import annotations

import os
import pwd
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def as_owner_of(folder: Path) -> Iterator[None]:
    """Root is the owner of `folder` for so long; for anybody else, and where root owns it, nothing changes.

    Whoever owns the configuration says where users, tokens and certificates are: root must not write where that owner couldn't.

    :raises OSError: there is no such folder.
    """
    status = folder.stat()
    with as_user(status.st_uid, status.st_gid):
        yield


@contextmanager
def as_user(user: int, own_group: int) -> Iterator[None]:
    """Root is this user for so long; for anybody else, and where the user is root, nothing changes."""
    if os.geteuid() != 0 or user == 0:
        yield
        return
    group, groups = os.getegid(), os.getgroups()
    os.setgroups(_groups_of(user, own_group))
    os.setegid(own_group)
    os.seteuid(user)
    try:
        yield
    finally:
        os.seteuid(0)
        os.setegid(group)
        os.setgroups(groups)


def _groups_of(user: int, group: int) -> list[int]:
    try:
        return os.getgrouplist(pwd.getpwuid(user).pw_name, group)
    except KeyError:
        return [group]
