"""One message on its way in, from MAIL to the end of its content."""

from __future__ import annotations

import errno

import attrs

from seg.events.memory import note
from seg.filter.header import HeaderTooLong
from seg.filter.submission import HeaderCompletion
from seg.mail.address import local_part
from seg.mail.envelope import BodyType, Envelope, Recipient, mailbox_key
from seg.queue.interfaces import IMessageWriter
from seg.smtp.commands import MailArguments, RcptArguments
from seg.smtp.header_scan import HeaderScan
from seg.smtp.reply import Reply

LOOP = Reply.of(554, "5.4.6", "Message loop")
STORAGE = Reply.of(452, "4.3.1", "Insufficient system storage")
HEADER_TOO_LONG = Reply.of(552, "5.3.4", "Message header exceeds limit")
LOCAL_ERROR = Reply.of(451, "4.3.0", "Local error in processing")
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.ENOMEM})


def not_stored(error: BaseException) -> Reply:
    """The reply for a message that can't be taken for a fault of ours: only a full disk, or memory, is called one."""
    note(error)
    if isinstance(error, MemoryError):
        return STORAGE
    numbers = {getattr(each, "errno", None) for each in (error, error.__cause__)}
    return STORAGE if numbers & _FULL else LOCAL_ERROR


class ReceiveTransaction:
    """Collects the envelope, then passes the content on to the queue."""

    __slots__ = (
        "_completion",
        "_places",
        "_readdressed",
        "_wishes",
        "accepted",
        "arguments",
        "cause",
        "failure",
        "header",
        "max_hops",
        "mid",
        "plain",
        "recipients",
        "size",
        "trace",
        "writer",
    )

    def __init__(self, mid: int, arguments: MailArguments, max_hops: int) -> None:
        self.mid = mid
        self.arguments = arguments
        self.max_hops = max_hops
        self.recipients: list[str] = []
        self.accepted = 0  # RCPT commands: some may name a recipient again
        self._places: dict[tuple[str, str], int] = {}  # of the recipients in their list
        self._completion: HeaderCompletion | None = None  # of a new message whose header isn't whole
        self._wishes: dict[int, RcptArguments] = {}  # of the recipients for whom something was asked
        self._readdressed: tuple[Recipient, ...] | None = None  # by filters
        self.header = HeaderScan()
        self.plain = True  # the content is ASCII so far
        self.trace = 0  # octets of the Received field
        self.size = 0  # octets written, the Received field included
        self.writer: IMessageWriter | None = None
        self.failure: Reply | None = None  # the message can't be taken: nothing more is written
        self.cause = ""  # of the failure, one line for people

    def add_recipient(self, address: str, arguments: RcptArguments) -> bool:
        """One more, with what is to be told of it (RFC 3461). One that is there already, in another writing of its domain, isn't doubled,
        but what is wished for it is; False tells that."""
        rid = len(self.recipients)
        place = self._places.setdefault(mailbox_key(address), rid)
        self.accepted += 1
        if place != rid:
            arguments = self._wishes.get(place, RcptArguments(address)).joined(arguments)
        if arguments.notify is not None or arguments.orcpt:
            self._wishes[place] = arguments
        else:
            self._wishes.pop(place, None)
        if place == rid:
            self.recipients.append(address)
        return place == rid

    def begin_content(
        self, writer: IMessageWriter, received: bytes, completion: HeaderCompletion | None = None
    ) -> None:
        """The envelope is whole: put the Received field before what comes.

        :param completion: completes the header of a new message.
        """
        self.writer = writer
        self._completion = completion
        self.trace = len(received)
        self._store(received)

    def write(self, piece: bytes) -> None:
        """The next piece of content. What it is counts, not what the client said of it: many say nothing, and some the wrong thing."""
        if self._completion is not None:
            try:
                piece = self._completion.feed(piece)
            except HeaderTooLong as error:
                self._fail(HEADER_TOO_LONG, str(error))
        self._take(piece)

    def _take(self, piece: bytes) -> None:
        """What is to be stored."""
        self.plain = self.plain and piece.isascii()
        if not self.header.complete:
            self.header.feed(piece)
            if self.header.complete and self.header.hops > self.max_hops:
                self._fail(LOOP, LOOP.message)
        self._store(piece)

    def end_content(self) -> None:
        """The content is whole; see `failure`."""
        if self._completion is not None:
            try:
                self._take(self._completion.finish())
            except HeaderTooLong as error:
                self._fail(HEADER_TOO_LONG, str(error))
        if not self.header.complete and self.header.hops > self.max_hops:
            self._fail(LOOP, LOOP.message)

    def readdress(self, sender: MailArguments, recipients: tuple[Recipient, ...]) -> None:
        """Filters have the last word on the envelope."""
        self.arguments = sender
        self._readdressed = recipients

    def replace_content(self, writer: IMessageWriter, header: HeaderScan, size: int, plain: bool) -> None:
        """Filters have changed the content: this takes the place of what the client sent.

        :param plain: it is ASCII.
        """
        self.abort()
        self.writer, self.header, self.size, self.plain = writer, header, size, plain

    def recipient_records(self) -> tuple[Recipient, ...]:
        """The recipients as the queue keeps them."""
        if self._readdressed is not None:
            return self._readdressed
        wishes = self._wishes
        return tuple(
            Recipient(rid, address, notify=wishes[rid].notify, orcpt=wishes[rid].orcpt)
            if rid in wishes
            else Recipient(rid, address)
            for rid, address in enumerate(self.recipients)
        )

    def envelope(
        self,
        *,
        arrived: float,
        icid: int,
        client: str,
        helo: str,
        holds: tuple[str, ...] = (),
        submitter: str = "",
        bounce_profile: str = "",
    ) -> Envelope:
        """The envelope to be queued; `holds` is who wants it held, and why."""
        return Envelope(
            mid=self.mid,
            reverse_path=self.arguments.reverse_path,
            recipients=self._held_back(holds) if holds else self.recipient_records(),
            arrived=arrived,
            size=self.size,
            body=BodyType.SEVEN_BIT if self.plain else BodyType.EIGHT_BIT,
            smtputf8=self.arguments.smtputf8 and self._needs_smtputf8(),
            icid=icid,
            client=client,
            helo=helo,
            held=bool(holds),
            ret=self.arguments.ret,
            envid=self.arguments.envid,
            requiretls=self.arguments.requiretls,
            # RFC 8689 §5: the header says nothing where the envelope demands TLS.
            tls_optional=not self.arguments.requiretls and self.header.tls_optional,
            submitter=submitter,
            bounce_profile=bounce_profile,
        )

    def _held_back(self, holds: tuple[str, ...]) -> tuple[Recipient, ...]:
        """The recipients with the reason why none of them is tried, for whoever lists the queue."""
        reason = f"held by {'; '.join(holds)}"
        return tuple(attrs.evolve(recipient, error=reason) for recipient in self.recipient_records())

    def abort(self) -> None:
        """Keep nothing."""
        if self.writer is not None:
            self.writer.abort()
            self.writer = None

    def _needs_smtputf8(self) -> bool:
        """Whether each server that takes the message must know SMTPUTF8.

        A client may ask for it when nothing needs it: a domain can be written in A-labels (RFC 6531 §3.2), and what a recipient's local part
        needs concerns that recipient only.
        """
        return not (self.header.ascii and local_part(self.arguments.reverse_path).isascii())

    def _store(self, data: bytes) -> None:
        if self.writer is None or self.failure is not None:
            return
        try:
            self.writer.write(data)
        except (OSError, MemoryError) as error:
            self._fail(not_stored(error), f"Cannot write to the queue: {str(error) or 'out of memory'}")
        else:
            self.size += len(data)

    def _fail(self, reply: Reply, cause: str) -> None:
        self.failure = reply
        self.cause = cause
        self._completion = None
        self.abort()
