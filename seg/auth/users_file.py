"""The users file on disk: read, and changed so that at any instant it is the old one or the new one. All of it blocks."""

from __future__ import annotations

import fcntl
import os
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from seg.common.files import read_regular, replace_file

MODE = 0o600
_MOST = 64 * 1024 * 1024  # octets


def read_text(path: Path) -> str:
    """The text of the file; octets that aren't UTF-8 are kept as lone surrogates, which no user name can have.

    :raises OSError: it isn't there, or can't be read.
    """
    try:
        return read_regular(path, _MOST).decode("utf-8", "surrogateescape")
    except ValueError as error:
        raise OSError(str(error)) from None


def change(path: Path, edit: Callable[[str], str]) -> None:
    """Replace the file's text by ``edit(text)``; "" when there is no file yet. Two at a time wait for each other.

    What root changes stays readable for its owner: the file keeps its owner, a new one gets the folder's.

    :raises OSError: it can't be written; nothing is changed then. What `edit` raises leaves the file alone as well.
    """
    path = path.resolve()  # behind a symbolic link the file is replaced, not the link
    with _locked(path.parent) as folder:
        try:
            old, owner = read_text(path), path.stat()
        except FileNotFoundError:
            old, owner = "", os.fstat(folder)
        new = edit(old)
        replace_file(path, new.encode("utf-8", "surrogateescape"), MODE, owner)


def too_open(path: Path) -> bool:
    """Whether others than the owner may read the file."""
    return bool(stat.S_IMODE(path.stat().st_mode) & 0o077)


@contextmanager
def _locked(folder: Path) -> Iterator[int]:
    """The folder's lock, for as long as the context lasts. A lock on the file itself would go with it when it is replaced."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield descriptor
    finally:
        os.close(descriptor)
