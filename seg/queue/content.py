"""The content of a queued message, from memory or from its file."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from functools import partial

from zope.interface import implementer

from seg.interfaces import IContent
from seg.queue.commit import ICommits
from seg.queue.disk import Disk
from seg.queue.files import Folders

CHUNK = 65536


def _next_piece(fd: int, size: int, disk: Disk) -> bytes:
    return os.read(fd, size)


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

    def __init__(self, folders: Folders, mid: int, size: int, commits: ICommits) -> None:
        self._paths = (folders.cur_file(mid), folders.new_file(mid), folders.cur_file(mid))
        self._commits = commits
        self.size = size

    async def chunks(self) -> AsyncIterator[bytes]:
        """See `IContent.chunks`."""
        fd = await self._commits.read(lambda disk: self._open())
        try:
            left = self.size
            while left:
                wanted = min(CHUNK, left)
                piece = await self._commits.read(partial(_next_piece, fd, wanted))
                if not piece:
                    raise OSError(f"{self._paths[0]}: {left} octets are missing")
                left -= len(piece)
                yield piece
        finally:
            os.close(fd)

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
