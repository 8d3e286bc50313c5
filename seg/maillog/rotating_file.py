"""One log file: appended to, rotated, and written again once what hindered it is over."""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Callable
from pathlib import Path

import attrs
from twisted.logger import Logger

from seg.maillog.timestamps import file_stamp

FUTURE = 60.0  # seconds by which a file's time may be ahead of the clock
MOST_WAITING = 4 * 1024 * 1024  # octets kept while the file can't be written


@attrs.frozen
class FileMarkers:
    """The lines that a file begins and ends with, and the one that tells of lost lines."""

    begin: Callable[[], bytes]
    end: Callable[[], bytes]
    lost: Callable[[int], bytes]


class RotatingFile:
    """A file that takes whole lines. Nothing raises: a log that can't be written must not stop mail.

    :param closed_name: name of a file that was closed, with ``{}`` for the time: ``"mail.@{}.s"``.
    :param limit: octets after which a new file is begun.
    :param keep: how many closed files stay.
    :param closed: called with the folder, and the pattern of closed files, when one more is.
    """

    _log = Logger()

    def __init__(
        self,
        path: Path,
        closed_name: str,
        limit: int,
        keep: int,
        frame: FileMarkers,
        seconds: Callable[[], float],
        closed: Callable[[Path, str], object] = lambda folder, pattern: None,
    ) -> None:
        self.path = path
        self._closed_name = closed_name
        self._limit = limit
        self._keep = keep
        self._frame = frame
        self._seconds = seconds
        self._closed = closed
        self._descriptor = -1
        self._size = 0
        self._waiting = bytearray()
        self._lost = 0
        self._torn = b""  # the part of a line that was written before the disk was full
        self.hindrance = ""  # why the file can't be written now; "" while it can

    def resize(self, limit: int, keep: int) -> None:
        """Begin a new file after so many octets, and keep so many closed ones, from the next write on."""
        self._limit = limit
        self._keep = keep

    def write(self, data: bytes) -> None:
        """Append whole lines, now or, while the file can't be written, later (as many as memory is set aside
        for)."""
        self._take(data)
        try:
            self._look()
            self._drain()
            if self._lost:
                self._waiting += self._frame.lost(self._lost)
                self._lost = 0
                self._drain()
            if self._size >= self._limit:
                self._rotate()
        except OSError as error:
            self._hinder(error)
        else:
            self.hindrance = ""

    def close(self) -> None:
        """Write what waits and the last line, and close."""
        self._take(self._frame.end())
        try:
            self._look()
            self._drain()
        except OSError as error:
            self._hinder(error)
        self._release()

    def _take(self, data: bytes) -> None:
        """Keep lines until they are written; beyond the memory set aside they are lost, and counted."""
        if len(self._waiting) + len(data) > MOST_WAITING:
            self._lost += data.count(b"\n")
        else:
            self._waiting += data

    def _look(self) -> None:
        """Have the file open that stands at the path now: somebody may have moved or deleted the one we
        had."""
        if self._descriptor >= 0:
            ours = os.fstat(self._descriptor)
            try:
                there = os.stat(self.path)
            except FileNotFoundError:
                there = None
            if there and (there.st_dev, there.st_ino) == (ours.st_dev, ours.st_ino):
                if there.st_size != self._size:
                    self._mend(there)  # it was emptied in place, or somebody else wrote to it
                self._size = there.st_size
                return
            # The lines that wait belong to the new file: the old one is read to its end by whoever moved it. If it was deleted on a full
            # disk, its room comes back only when it is closed.
            with contextlib.suppress(OSError):
                os.write(self._descriptor, b"\n" * bool(self._torn) + self._frame.end())
            self._release()
        self._open()

    def _open(self) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        # Without waiting: what stands there might be a pipe that nobody reads.
        flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NONBLOCK
        self._descriptor = os.open(self.path, flags, 0o640)
        state = os.fstat(self._descriptor)
        self._size = state.st_size
        self._mend(state, self._frame.begin())

    def _mend(self, state: os.stat_result, begin: bytes = b"") -> None:
        """Go on with a whole line: on a new one if what stands there ends within one, whoever wrote it; and a line of ours that
        doesn't go on where it was cut off is written again."""
        self._waiting[:0] = begin + self._torn
        self._torn = b""
        if stat.S_ISREG(state.st_mode) and state.st_size and os.pread(self._descriptor, 1, state.st_size - 1) != b"\n":
            self._waiting[:0] = b"\n"

    def _drain(self) -> None:
        """Write what waits; what a full disk didn't take stays."""
        while self._waiting:
            written = os.write(self._descriptor, self._waiting)
            if written < len(self._waiting):
                done = bytes(self._waiting[:written])
                self._torn = done.rpartition(b"\n")[2] if b"\n" in done else self._torn + done
            else:
                self._torn = b""
            del self._waiting[:written]
            self._size += written

    def _rotate(self) -> None:
        """Close the file under its final name; the next line begins a new one."""
        os.rename(self.path, self._free_name())
        with contextlib.suppress(OSError):  # all that waited is written, and a full disk may do without its last line
            os.write(self._descriptor, self._frame.end())
        self._release()
        folder, pattern = self.path.parent, self._closed_name.format("*")
        now = self._seconds()

        def age(path: Path) -> tuple[bool, int, str]:
            """The oldest first; a file of the future comes before all, as the clock was wrong when it was written."""
            written = path.stat()
            return written.st_mtime <= now + FUTURE, written.st_mtime_ns, path.name

        closed = sorted(folder.glob(pattern + "*"), key=age)  # compressed ones, too
        for old in closed[: -self._keep]:
            old.unlink(missing_ok=True)
        self._closed(folder, pattern)

    def _free_name(self) -> Path:
        """A name that no file has: two may be closed in one second."""
        stamp = file_stamp(self._seconds())
        path, number = self.path.with_name(self._closed_name.format(stamp)), 1
        while path.exists() or path.with_name(path.name + ".gz").exists():
            number += 1
            path = self.path.with_name(self._closed_name.format(f"{stamp}-{number}"))
        return path

    def _hinder(self, error: OSError) -> None:
        """Tell once what hinders the log; the next write tries again from the start."""
        if not self.hindrance:
            self._log.error("{path} can't be written, mail goes on: {error}", path=str(self.path), error=error)
        self.hindrance = (
            f"{self.path.name} can't be written: {error.strerror or error}; its lines wait in memory, mail goes on"
        )

    def _release(self) -> None:
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)
