"""The users of this machine, as far as its system knows them."""

from __future__ import annotations

import os
import pwd

from seg.local.table import ALWAYS


def is_user(name: str) -> bool:
    """Whether somebody on this machine has the name, or is to be reached by it everywhere."""
    if name.lower() in ALWAYS:
        return True
    try:
        pwd.getpwnam(name)
    except (KeyError, ValueError):
        return False
    return True


def who_runs_this() -> tuple[str, str]:
    """Name and full name of the user."""
    try:
        entry = pwd.getpwuid(os.getuid())
    except KeyError:
        return f"uid{os.getuid()}", ""
    return entry.pw_name, entry.pw_gecos.partition(",")[0]
