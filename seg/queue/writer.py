"""One message on its way into the queue: all content passes here, and is CRLF lines without NUL from here on."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from typing import Protocol

import attrs
from twisted.internet.defer import Deferred
from zope.interface import implementer

from seg.mail.envelope import Envelope
from seg.queue.codec import encode
from seg.queue.commit import ISpoolCommits, SpoolOperation
from seg.queue.content import MemoryContent, StreamedContent
from seg.queue.interfaces import IContent, IMessageWriter
from seg.queue.operations import AppendChunk, Barrier, DiscardFile, FinishStreamedMessage, StoreMessage, StreamedFile
from seg.queue.paths import SpoolPaths
from seg.smtp.dot_stuffing import CleanLines, NULInContent

PIECE = 65536  # octets handed to the commit thread at a time
UNWRITTEN = 1024 * 1024  # octets on their way to the disk above which the sender should pause


class EnteredQueue(Protocol):
    """Where a message goes that is durable (`seg.queue.queue.Queue`)."""

    def enter(self, envelope: Envelope, content: bytes | None) -> None:
        """It is in the index, but not due.

        :param content: None: it isn't in memory.
        """

    def make_due(self, envelope: Envelope) -> None:
        """It is due."""


@attrs.define
class NewMail:
    """What all messages on their way in have in common.

    :ivar commits: refuses while no new mail is taken.
    :ivar readdress: puts those who get mail for this machine in the place of its users.
    :ivar memory: octets up to which a message counts as small.
    """

    paths: SpoolPaths
    commits: ISpoolCommits
    queue: EnteredQueue
    readdress: Callable[[Envelope], Envelope]
    memory: int


@implementer(IMessageWriter)
class MessageWriter:
    """Keeps a small message in memory until `commit`; a larger one goes to tmp/ through the commit thread as
    it comes.

    Whoever writes, SMTP, a filter, the drop folder or the gateway itself: a CR or LF that stands alone becomes CRLF, and a NUL is refused.
    So nobody can put into the queue what one server takes for one message and another one for two.

    :param before_due: see `IQueue.begin`.
    :param serials: numbers for the writers of the same message, which have files of their own.
    :ivar size: octets written so far.
    :ivar backpressure: None, or a Deferred that fires when the disk has caught up: pause the sender until then.
    """

    def __init__(
        self,
        mid: int,
        new_mail: NewMail,
        before_due: Callable[[], Deferred[None]] | None = None,
        serials: Iterator[int] | None = None,
    ) -> None:
        self._serials = serials or itertools.count()
        number = next(self._serials)
        self._suffix = f".{number}" if number else ""
        self._mid = mid
        self._new_mail = new_mail
        self._before_due = before_due
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
        if self._held >= PIECE if self._file else self._held > self._new_mail.memory:
            self._spill()

    async def content(self) -> IContent:
        """See `IMessageWriter.content`."""
        self._finish_lines()
        if self._file is None:
            return MemoryContent(b"".join(self._pieces))
        if self._pieces:
            self._spill()
        await self._new_mail.commits.submit(Barrier(self._file))
        return StreamedContent(self._file.path, self.size, self._new_mail.commits)

    def sibling(self) -> IMessageWriter:
        """See `IMessageWriter.sibling`."""
        return MessageWriter(self._mid, self._new_mail, self._before_due, self._serials)

    def commit(self, envelope: Envelope) -> Deferred[None]:
        """See `IMessageWriter.commit`. The envelope's size is set to what was written."""
        if envelope.mid != self._mid:
            raise ValueError(f"MID {envelope.mid} isn't the one that was begun: {self._mid}")
        self._finish_lines()
        paths = self._new_mail.paths
        envelope = self._new_mail.readdress(attrs.evolve(envelope, size=self.size))
        content: bytes | None = None
        change: SpoolOperation
        if self._file is None:
            content = b"".join(self._pieces)
            change = StoreMessage(paths, self._mid, encode(envelope), content, self._suffix)
        else:
            if self._pieces:
                self._spill()
            change = FinishStreamedMessage(paths, self._mid, self._file, encode(envelope))
        self._closed = True  # behind all that can fail for want of memory: the file is removed then
        self._pieces = []
        told: Deferred[None] = Deferred()
        entering = Deferred.fromCoroutine(self._enter(change, envelope, content, told))
        entering.addErrback(told.errback)
        return told

    async def _enter(
        self, change: SpoolOperation, envelope: Envelope, content: bytes | None, told: Deferred[None]
    ) -> None:
        """The end of a message on its way in. A delivery that began before its owner was told would stand in the log before the message
        does."""
        await self._new_mail.commits.submit(change)  # durable
        if self._before_due is not None:
            await self._before_due()
        self._new_mail.queue.enter(envelope, content)  # in the index, not due
        told.callback(None)  # the event "queued", then the 250
        self._new_mail.queue.make_due(envelope)  # due

    def abort(self) -> None:
        """See `IMessageWriter.abort`. Without effect once `commit` has been called."""
        self._pieces = []
        if self._file is not None and not self._closed:
            discarded = self._new_mail.commits.submit(DiscardFile(self._file))
            discarded.addErrback(lambda _: None)  # the next start empties tmp/
        self._closed = True

    def _finish_lines(self) -> None:
        if rest := self._lines.finish():
            self._take(rest)

    def _spill(self) -> None:
        """Hand what is in memory to the commit thread."""
        if self._file is None:
            self._file = StreamedFile(self._new_mail.paths, self._mid, self._suffix)
        data = b"".join(self._pieces)
        self._pieces, self._held = [], 0
        self._unwritten += len(data)
        if self._unwritten > UNWRITTEN and self.backpressure is None:
            self.backpressure = Deferred()
        written = self._new_mail.commits.submit(AppendChunk(self._file, data))
        # A failure is kept in the file and comes out of `commit`.
        written.addErrback(lambda _: None).addCallback(self._written, len(data))

    def _written(self, result: None, size: int) -> None:
        self._unwritten -= size
        if self.backpressure is not None and self._unwritten <= UNWRITTEN // 2:
            backpressure, self.backpressure = self.backpressure, None
            backpressure.callback(None)
