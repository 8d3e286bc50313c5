"""Putting a message into the drop folder. Used by programs of any user; blocks."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterable
from pathlib import Path
from typing import BinaryIO

from seg.common import files
from seg.maildrop.drop_envelope import DropEnvelope

UNFINISHED = "."  # a name that begins so is still being written
MODE = 0o640  # the gateway reads it by the group of the folder, whose set-group-id bit passes it on


def drop(folder: Path, note: DropEnvelope, content: Iterable[bytes]) -> str:
    """Hand a message in; when this returns it is durable. Returns the name of its file.

    :param content: its octets; lines may end in LF or CRLF.
    :raises OSError: it can't be written; nothing is left behind. Whatever `content` raises leaves nothing behind either.
    """
    name = secrets.token_hex(16)  # unguessable: who may write into the folder may not list it

    def fill(file: BinaryIO) -> None:
        os.fchmod(file.fileno(), MODE)  # whatever the umask is
        file.write(note.encode())
        file.writelines(content)

    files.write_beside(folder / name, fill, MODE, part=folder / f"{UNFINISHED}{name}").put()
    sync_folder(folder)
    return name


def sync_folder(folder: Path) -> None:
    """Make names durable. A folder that may not be listed (our users') can't be opened: then the whole file system is asked."""
    try:
        files.sync_folder(folder)
    except PermissionError:
        os.sync()
