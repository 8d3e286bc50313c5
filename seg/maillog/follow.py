"""Reads a log while it is written, over rotation, truncation and deletion, as ``tail -F`` does."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import BinaryIO

BLOCK = 65536  # octets
LONGEST_PART = 1024 * 1024  # octets of a line without end before it is given out as it is


def last_lines(path: Path, lines: int | None) -> Iterator[str]:
    """The last lines of a file, without their line ends; None: all of it. A missing file is empty.

    :raises OSError: the file can't be read.
    """
    file = _open(path)
    if file:
        with file:
            if lines is not None:
                _seek_lines(file, lines)
            part = yield from _rest(file, b"")
        if part:
            yield _text(part)


def follow(
    path: Path,
    lines: int | None = 10,
    *,
    interval: float = 0.2,
    sleep: Callable[[float], None] = time.sleep,
) -> Iterator[str]:
    """The last lines of a file, then those that come, without their line ends. Blocks; ends by Ctrl-C only.

    :param lines: how many of the present lines come first; 0 starts at the end, None with the whole file.
    :param interval: seconds between two looks at the file.
    :raises OSError: the file can't be read (a missing one is waited for).
    """
    file = _open(path)
    if file and lines is not None:
        _seek_lines(file, lines)
    part = b""
    try:
        while True:
            part = yield from _rest(file, part)
            if successor := _successor(path, file):
                # What was written between the last look and the change of files is still in the old one.
                part = yield from _rest(file, part)
                if part:
                    yield _text(part)
                if file:
                    file.close()
                file, part = successor, b""
            elif file and os.fstat(file.fileno()).st_size < file.tell():
                file.seek(0)  # emptied in place
                part = b""
            else:
                sleep(interval)
    finally:
        if file:
            file.close()


def _open(path: Path) -> BinaryIO | None:
    try:
        return path.open("rb", buffering=0)
    except FileNotFoundError:
        return None


def _successor(path: Path, file: BinaryIO | None) -> BinaryIO | None:
    """The file that stands at the path now, if it is another one."""
    try:
        there = path.stat()
    except FileNotFoundError:
        return None
    if file:
        ours = os.fstat(file.fileno())
        if (there.st_dev, there.st_ino) == (ours.st_dev, ours.st_ino):
            return None
    return _open(path)


def _rest(file: BinaryIO | None, part: bytes) -> Generator[str, None, bytes]:
    """Give out the complete lines from here to the end; return the beginning of an unfinished one."""
    while file and (block := file.read(BLOCK)):
        *whole, part = (part + block).split(b"\n")
        for line in whole:
            yield _text(line)
        if len(part) > LONGEST_PART:
            yield _text(part)
            part = b""
    return part


def _text(line: bytes) -> str:
    return line.decode("utf-8", "backslashreplace")


def _seek_lines(file: BinaryIO, lines: int) -> None:
    """Go to the start of the last so many lines, reading from the end; an unfinished last one counts."""
    position = end = file.seek(0, os.SEEK_END)
    ends = lines + 1  # ends of lines to find from behind; the wanted ones start after the last of these
    while position > 0 and lines:
        size = min(BLOCK, position)
        position -= size
        file.seek(position)
        block = file.read(size)
        if position + size == end and not block.endswith(b"\n"):
            ends -= 1
        found = len(block)
        while (found := block.rfind(b"\n", 0, found)) >= 0:
            ends -= 1
            if not ends:
                file.seek(position + found + 1)
                return
    file.seek(0 if lines else end)
