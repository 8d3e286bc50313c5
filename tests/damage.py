"""What may happen to a file: every damage that a table of tests does to every file of the gateway."""

from __future__ import annotations

import os
import shutil
import socket
from collections.abc import Callable
from pathlib import Path

SPARSE = 200 * 1024 * 1024  # octets


def bare(path: Path) -> Path:
    """The place of a file or folder, with nothing in it."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    path.unlink(missing_ok=True)
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


def _text(text: str) -> Callable[[Path], object]:
    return lambda path: bare(path).write_text(text)


def _sparse(path: Path) -> None:
    with bare(path).open("wb") as file:
        file.truncate(SPARSE)


def _socket(path: Path) -> None:
    bound = socket.socket(socket.AF_UNIX)
    before = Path.cwd()
    os.chdir(bare(path).parent)  # a socket's path is short
    try:
        bound.bind(path.name)
    finally:
        os.chdir(before)
        bound.close()


def _full_folder(path: Path) -> None:
    bare(path).mkdir()
    (path / "something").write_text("in it")


DAMAGES: dict[str, Callable[[Path], object]] = {
    "empty": _text(""),
    "random octets": lambda path: bare(path).write_bytes(bytes(range(128, 256)) * 300 + os.urandom(5000)),
    "half": lambda path: (
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2]) if path.is_file() else _text("{")(path)
    ),
    "a list": _text("[]\n"),
    "a number": _text("1\n"),
    "null": _text("null\n"),
    "a text": _text('"x"\n'),
    "an object": _text("{}\n"),
    "wrong types": _text('{"domains": "ALL", "listeners": {"a": 1}, "since": "x", "lifetime": [], "texts": 1}\n'),
    "nested deeply": _text("[" * 200_000),
    "a folder": lambda path: bare(path).mkdir(),
    "a full folder": _full_folder,
    "a dangling link": lambda path: bare(path).symlink_to(path.parent / "nowhere"),
    "a link to itself": lambda path: bare(path).symlink_to(path),
    "an endless device": lambda path: bare(path).symlink_to("/dev/zero"),
    "sparse and huge": _sparse,
    "a FIFO": lambda path: os.mkfifo(bare(path)),
    "a socket": _socket,
}
