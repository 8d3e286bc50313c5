"""One message on its way into the queue: all content passes here, and is CRLF lines without NUL from here on."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator

import attrs
from twisted.internet.defer import Deferred
from zope.interface import implementer

from seg.mail.envelope import Envelope
from seg.queue.codec import encode
from seg.queue.commit import ISpoolExecutor, SpoolOperation
from seg.queue.content import MemoryContent, StreamedContent
from seg.queue.interfaces import IContent, IMessageWriter
from seg.queue.operations import AppendChunk, Barrier, DiscardFile, FinishStreamedMessage, StoreMessage, StreamedFile
from seg.queue.paths import SpoolPaths
from seg.smtp.dot_stuffing import CleanLines, NULInContent

PIECE = 65536  # octets handed to the commit thread at a time
UNWRITTEN = 1024 * 1024  # octets on their way to the disk above which the sender should pause


@implementer(IMessageWriter)
class MessageWriter:
    """Keeps a small message in memory until `commit`; a larger one goes to tmp/ through the commit thread as
    it comes.

    Whoever writes, SMTP, a filter, the drop folder or the gateway itself: a CR or LF that stands alone becomes CRLF, and a NUL is refused.
    So nobody can put into the queue what one server takes for one message and another one for two.

    :param memory: octets up to which a message counts as small.
    :param stored: called with the envelope and the content (None when it isn't in memory) once they are durable and whoever committed
        has been told: the message is due.
    :param first: to be done before that; if its Deferred fails, so does the commit, and the message is due after a restart.
    :param readdress: puts those who get mail for this machine in the place of its users.
    :param serials: numbers for the writers of the same message, which have files of their own.
    :ivar size: octets written so far.
    :ivar backpressure: None, or a Deferred that fires when the disk has caught up: pause the sender until then.
    """

    def __init__(
        self,
        mid: int,
        folders: SpoolPaths,
        memory: int,
        commits: ISpoolExecutor,
        stored: Callable[[Envelope, bytes | None], None],
        serials: Iterator[int] | None = None,
        first: Callable[[], Deferred[None]] | None = None,
        readdress: Callable[[Envelope], Envelope] = lambda envelope: envelope,
    ) -> None:
        self._serials = serials or itertools.count()
        number = next(self._serials)
        self._suffix = f".{number}" if number else ""
        self._mid = mid
        self._folders = folders
        self._memory = memory
        self._commits = commits
        self._stored = stored
        self._first = first
        self._readdress = readdress
        self._lines = CleanLines()
        self._pieces: list[bytes] = []
        self._held = 0  # octets in `_pieces`
        self.size = 0
        self._file: StreamedFile | None = None
        self._unwritten = 0
        self._closed = False
        self.backpressure: Deferred[None] | None = None

    def write(self, data: bytes) -> None:
        """See `IMessageWriter.write`."""
        clean = self._lines.feed(data)
        if self._lines.nul:
            raise NULInContent
        self._take(clean)

    def _take(self, data: bytes) -> None:
        self._pieces.append(data)
        self._held += len(data)
        self.size += len(data)
        if self._held >= PIECE if self._file else self._held > self._memory:
            self._spill()

    async def content(self) -> IContent:
        """See `IMessageWriter.content`."""
        self._finish_lines()
        if self._file is None:
            return MemoryContent(b"".join(self._pieces))
        if self._pieces:
            self._spill()
        await self._commits.submit(Barrier(self._file))
        return StreamedContent(self._file.path, self.size, self._commits)

    def sibling(self) -> IMessageWriter:
        """See `IMessageWriter.sibling`."""
        return MessageWriter(
            self._mid,
            self._folders,
            self._memory,
            self._commits,
            self._stored,
            self._serials,
            self._first,
            self._readdress,
        )

    def commit(self, envelope: Envelope) -> Deferred[None]:
        """See `IMessageWriter.commit`. The envelope's size is set to what was written.

        The order is: durable; what this returns fires, so that its owner tells the log and the client; due. A delivery that began earlier
        would stand in the log before the message does.
        """
        if envelope.mid != self._mid:
            raise ValueError(f"MID {envelope.mid} isn't the one that was begun: {self._mid}")
        self._finish_lines()
        envelope = self._readdress(attrs.evolve(envelope, size=self.size))
        content: bytes | None = None
        change: SpoolOperation
        if self._file is None:
            content = b"".join(self._pieces)
            change = StoreMessage(self._folders, self._mid, encode(envelope), content, self._suffix)
        else:
            if self._pieces:
                self._spill()
            change = FinishStreamedMessage(self._folders, self._mid, self._file, encode(envelope))
        self._closed = True  # behind all that can fail for want of memory: the file is removed then
        self._pieces = []
        written = self._commits.submit(change)
        if (first := self._first) is not None:
            written.addCallback(lambda _: first())
        told: Deferred[None] = Deferred()
        written.addCallbacks(self._durable, told.errback, callbackArgs=(told, envelope, content))
        return told

    def _durable(self, _: None, told: Deferred[None], envelope: Envelope, content: bytes | None) -> None:
        told.callback(None)
        self._stored(envelope, content)

    def abort(self) -> None:
        """See `IMessageWriter.abort`. Without effect once `commit` has been called."""
        self._pieces = []
        if self._file is not None and not self._closed:
            discarded = self._commits.submit(DiscardFile(self._file))
            discarded.addErrback(lambda _: None)  # the next start empties tmp/
        self._closed = True

    def _finish_lines(self) -> None:
        if rest := self._lines.finish():
            self._take(rest)

    def _spill(self) -> None:
        """Hand what is in memory to the commit thread."""
        if self._file is None:
            self._file = StreamedFile(self._folders, self._mid, self._suffix)
        data = b"".join(self._pieces)
        self._pieces, self._held = [], 0
        self._unwritten += len(data)
        if self._unwritten > UNWRITTEN and self.backpressure is None:
            self.backpressure = Deferred()
        written = self._commits.submit(AppendChunk(self._file, data))
        # A failure is kept in the file and comes out of `commit`.
        written.addErrback(lambda _: None).addCallback(self._written, len(data))

    def _written(self, result: None, size: int) -> None:
        self._unwritten -= size
        if self.backpressure is not None and self._unwritten <= UNWRITTEN // 2:
            backpressure, self.backpressure = self.backpressure, None
            backpressure.callback(None)
