"""The content of a queued message, from memory or from its file."""

from __future__ import annotations

import io
import os
import threading
from collections.abc import AsyncIterator
from functools import partial

from zope.interface import implementer

from seg.queue.commit import ISpoolCommits
from seg.queue.disk import Disk
from seg.queue.interfaces import IContent
from seg.queue.paths import SpoolPaths

CHUNK = 65536


class _OpenFile:
    """A file that threads read. It may be closed while one of them does, when whoever wanted it is cancelled: the number of a closed
    file may be another one's at once, so each waits for the other."""

    def __init__(self, fd: int) -> None:
        self._file = io.FileIO(fd)  # which closes itself if it is forgotten
        self._lock = threading.Lock()

    def read(self, size: int) -> bytes:
        """The next octets; none once it is closed."""
        with self._lock:
            return b"" if self._file.closed else self._file.read(size) or b""

    def close(self) -> None:
        """Close it."""
        with self._lock:
            self._file.close()


def _next_piece(file: _OpenFile, path: str, size: int, disk: Disk) -> bytes:
    try:
        return file.read(size)
    except OSError as error:
        error.filename = path  # for those who look after the disk
        raise


@implementer(IContent)
class MemoryContent:
    """A small message that is still at hand."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self.size = len(data)

    async def chunks(self) -> AsyncIterator[bytes]:
        """See `IContent.chunks`."""
        yield self._data

    async def head(self, limit: int) -> bytes:
        """See `IContent.head`."""
        return self._data[:limit]


@implementer(IContent)
class FileContent:
    """A message read from the spool by the reading threads, a chunk at a time.

    The file is found by its MID at each use, as it may have moved from new/ to cur/; once open it can move
    on.
    """

    def __init__(self, paths: SpoolPaths, mid: int, size: int, commits: ISpoolCommits) -> None:
        place = paths.message(mid)
        self._paths: tuple[str, ...] = (place.cur, place.new, place.cur)
        self._commits = commits
        self.size = size

    async def chunks(self) -> AsyncIterator[bytes]:
        """See `IContent.chunks`."""
        file = await self._commits.read(lambda disk: _OpenFile(self._open()))
        try:
            left = self.size
            while left:
                piece = await self._commits.read(partial(_next_piece, file, self._paths[0], min(CHUNK, left)))
                if not piece:
                    raise OSError(f"{self._paths[0]}: {left} octets are missing")
                left -= len(piece)
                yield piece
        finally:
            file.close()

    async def head(self, limit: int) -> bytes:
        """See `IContent.head`."""
        return await self._commits.read(lambda disk: self._read_head(limit))

    def _read_head(self, limit: int) -> bytes:
        with os.fdopen(self._open(), "rb") as file:
            return file.read(min(limit, self.size))

    def _open(self) -> int:
        """Open the file and go to the first octet of the content. Looks in cur/ twice: it may move while we
        look."""
        for path in self._paths:
            try:
                fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
            except FileNotFoundError:
                continue
            try:
                os.lseek(fd, os.fstat(fd).st_size - self.size, os.SEEK_SET)
            except BaseException:
                os.close(fd)
                raise
            return fd
        raise FileNotFoundError(f"{self._paths[0]} has gone")


class StreamedContent(FileContent):
    """A large message that isn't committed yet: the end of its file in tmp/."""

    def __init__(self, path: str, size: int, commits: ISpoolCommits) -> None:
        self._paths = (path,)
        self._commits = commits
        self.size = size
