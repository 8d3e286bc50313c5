"""Brings dropped messages into the queue, at the start and as long as the gateway runs."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterator
from functools import partial
from typing import Any, Protocol

import attrs
from twisted.internet.defer import Deferred
from twisted.internet.task import LoopingCall

from seg.common.clock import posix
from seg.events.gateway import Fault, Notice
from seg.events.receive import MessageQueued, MessageReceived, MessageStarted, RecipientAccepted
from seg.events.runtime import Runtime
from seg.filter.header import HeaderTooLong
from seg.filter.submission import HeaderCompletion, SubmissionRules
from seg.mail.address import local_part
from seg.mail.dates import date_time
from seg.mail.envelope import BodyType, Envelope, Recipient
from seg.mail.ids import IMessageIds
from seg.maildrop.drop_envelope import LONGEST, NoteError
from seg.maildrop.folder_claims import ClaimedMessage, MaildropFolder
from seg.queue.interfaces import IContent, IMessageWriter
from seg.smtp.dot_stuffing import CleanLines, NULInContent
from seg.smtp.header_scan import HeaderScan

EVERY = 1.0  # seconds between two looks
DEFAULT_HOPS = 50
MOST = 100  # files of one look: a flood must not keep the others waiting


class IPickupQueue(Protocol):
    """What it needs of the queue."""

    def begin(self, mid: int, before_due: Callable[[], Deferred[None]]) -> IMessageWriter:
        """See `IQueue.begin`."""

    def content(self, mid: int) -> IContent | None:
        """The content of a message in the queue; None: it isn't there."""


@attrs.frozen
class PickupRules:
    """What is taken of programs; a message beyond it is set aside."""

    max_message_size: int  # octets
    max_recipients: int
    max_hops: int = DEFAULT_HOPS  # Received fields above which a message is taken for looping
    submission: SubmissionRules | None = None  # how headers are completed; None: they aren't


class Pickup:
    """Takes the messages of the drop folder one after the other.

    :param rules: tells those in force.
    """

    def __init__(
        self,
        runtime: Runtime,
        folder: MaildropFolder,
        queue: IPickupQueue,
        ids: IMessageIds,
        rules: Callable[[], PickupRules],
    ) -> None:
        self._folder = folder
        self._queue = queue
        self._ids = ids
        self._sink = runtime.sink
        self._hostname = runtime.hostname
        self._clock = runtime.reactor
        self._in_thread = runtime.in_thread
        self._rules = rules
        self._loop = LoopingCall(lambda: Deferred.fromCoroutine(self._look()))
        self._loop.clock = runtime.reactor
        self._ended: Deferred[Any] | None = None
        self._complaint = ""  # what was said last
        self._failure = ""  # what failed in this look

    async def begin(self) -> None:
        """Finish what was under way when the gateway ended. The queue is started, nothing is delivered yet.

        :raises OSError: the folder can't be used.
        """
        await self._in_thread(self._folder.prepare)
        for mid in await self._in_thread(self._folder.claimed):
            if self._queue.content(mid) is not None:
                await self._in_thread(partial(self._folder.remove, mid))

    def start(self) -> None:
        """Look for messages from now on."""
        self._ended = self._loop.start(EVERY)

    async def stop(self) -> None:
        """Fires when the message under way is in the queue."""
        if self._loop.running:
            self._loop.stop()
            assert self._ended is not None
            await self._ended

    async def _look(self) -> None:
        """One look; what fails (a full disk) is said once, and tried again at the next. One file that fails holds no other up."""
        self._failure, failed = "", 0
        try:
            for mid in await self._in_thread(self._folder.claimed):
                failed += not await self._try(self._take(mid))
            if failed >= MOST:
                return  # no more is claimed than can be taken
            for name in await self._in_thread(lambda: self._folder.waiting(MOST)):
                if not self._loop.running:
                    return
                await self._try(self._claim(name))
        except OSError as error:
            self._failure = error.strerror or str(error)
        finally:
            if self._failure and self._failure != self._complaint:
                self._sink.emit(Fault(f"mail in {self._folder.path} waits: {self._failure}"))
            self._complaint = self._failure

    async def _claim(self, name: str) -> None:
        mid = self._ids.next_mid()
        await self._in_thread(partial(self._folder.claim, name, mid))
        await self._take(mid)

    async def _try(self, work: Coroutine[Any, Any, None]) -> bool:
        """Whether it was done; else it is tried again at the next look."""
        try:
            await work
        except OSError as error:
            self._failure = error.strerror or str(error)
            return False
        return True

    async def _take(self, mid: int) -> None:
        try:
            taken = await self._in_thread(lambda: self._folder.open(mid))
            try:
                await self._store(mid, taken)
            finally:
                taken.file.close()
        except NoteError as error:
            aside = await self._in_thread(lambda: self._folder.set_aside(mid))
            self._sink.emit(Fault(f"dropped message can't be sent: {error}; it is kept as {aside}"))

    async def _store(self, mid: int, taken: ClaimedMessage) -> None:
        note, now, rules = taken.note, posix(self._clock), self._rules()
        if len(note.recipients) > rules.max_recipients:
            raise NoteError(f"{taken.user} gave it {len(note.recipients)} recipients, more than {rules.max_recipients}")

        def remove() -> Deferred[None]:
            self._tell(mid, taken, writer.size)
            return self._in_thread(lambda: self._folder.remove(mid))

        writer = self._queue.begin(mid, before_due=remove)
        try:
            header, plain = HeaderScan(), True
            writer.write(self._received(mid, taken, now))
            pieces = self._pieces(mid, taken, now, rules.submission)
            while piece := await self._in_thread(lambda: next_of(pieces)):
                writer.write(piece)
                plain = plain and piece.isascii()
                if not header.complete:
                    header.feed(piece)
                if writer.size > rules.max_message_size:
                    raise NoteError(f"{taken.user} made it larger than {rules.max_message_size} octets")
                if writer.backpressure is not None:
                    await writer.backpressure
            if header.hops > rules.max_hops:
                raise NoteError(f"it loops: it has {header.hops} Received fields")
            await writer.commit(
                self._envelope(mid, taken, now, BodyType.SEVEN_BIT if plain else BodyType.EIGHT_BIT, header)
            )
        except NULInContent as error:
            writer.abort()
            raise NoteError(f"{taken.user} put a NUL into it") from error
        except HeaderTooLong as error:
            writer.abort()
            raise NoteError(f"{taken.user} made a message of which {error}") from error
        except BaseException:
            writer.abort()
            raise
        self._sink.emit(MessageQueued(mid))

    def _pieces(self, mid: int, taken: ClaimedMessage, now: float, rules: SubmissionRules | None) -> Iterator[bytes]:
        """The content as it is stored: CRLF lines, below a header that lacks nothing. Blocks.

        :raises NULInContent: there is one.
        :raises HeaderTooLong: the header is larger than a program may make it.
        """
        lines, completion = CleanLines(), None
        if rules is not None and rules.programs:
            completion = HeaderCompletion(rules, taken.note.sender, mid, now, LONGEST)
        for piece in taken.pieces():
            clean = lines.feed(piece)
            if lines.nul:
                raise NULInContent
            if completion is not None:
                clean = completion.feed(clean)
            if clean:
                yield clean
        last = lines.finish()
        if completion is not None:
            last = completion.feed(last) + completion.finish()
        if last:
            yield last

    def _envelope(self, mid: int, taken: ClaimedMessage, now: float, body: BodyType, header: HeaderScan) -> Envelope:
        """The envelope, by what the content is: programs say what they like of it (RFC 6152 §3 would have it returned for that)."""
        note = taken.note
        # Domains can be written in A-labels, and what a recipient's local part needs concerns that recipient only (RFC 6531 §3.2).
        utf8 = not local_part(note.sender).isascii() or (note.smtputf8 and not header.ascii)
        return Envelope(
            mid=mid,
            reverse_path=note.sender,
            recipients=tuple(
                Recipient(rid, address, notify=note.notify, orcpt=note.orcpt[rid] if note.orcpt else "")
                for rid, address in enumerate(note.recipients)
            ),
            arrived=now,
            body=body,
            smtputf8=utf8,
            ret=note.ret,
            envid=note.envid,
            submitter=taken.user,
        )

    def _received(self, mid: int, taken: ClaimedMessage, now: float) -> bytes:
        """RFC 5321 §4.4; there was no SMTP, so no FROM clause."""
        user = "".join(each if each.isascii() and (each.isalnum() or each in "-_. ") else "?" for each in taken.user)
        return (
            f"Received: by {self._hostname} (seg-sendmail, from user {user})\r\n\tid {mid};\r\n\t{date_time(int(now))}\r\n"
        ).encode("ascii")

    def _tell(self, mid: int, taken: ClaimedMessage, size: int) -> None:
        """The story of the message in the mail log; it is durable now."""
        note = taken.note
        self._sink.emit(MessageStarted(mid, 0, note.sender))
        for rid, address in enumerate(note.recipients):
            self._sink.emit(RecipientAccepted(mid, 0, rid, address))
        self._sink.emit(Notice(f"MID {mid} was dropped by {taken.user}"))
        self._sink.emit(MessageReceived(mid, 0, note.sender, size))


def next_of(pieces: Iterator[bytes]) -> bytes:
    """The next piece; empty at the end."""
    return next(pieces, b"")
