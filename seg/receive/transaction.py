"""One message on its way in, from MAIL to the end of its content."""

from __future__ import annotations

from seg.interfaces import IMessageWriter
from seg.model import Envelope, Recipient, local_part
from seg.receive.header import HeaderReader
from seg.smtp.commands import MailArguments
from seg.smtp.server_replies import Reply

LOOP = Reply(554, "5.4.6", "Message loop")
STORAGE = Reply(452, "4.3.1", "Insufficient system storage")


class Transaction:
    """Collects the envelope, then passes the content on to the queue."""

    __slots__ = ("arguments", "cause", "failure", "header", "max_hops", "mid", "recipients", "size", "writer")

    def __init__(self, mid: int, arguments: MailArguments, max_hops: int) -> None:
        self.mid = mid
        self.arguments = arguments
        self.max_hops = max_hops
        self.recipients: list[str] = []
        self.header = HeaderReader()
        self.size = 0  # octets written, the Received field included
        self.writer: IMessageWriter | None = None
        self.failure: Reply | None = None  # the message can't be taken: nothing more is written
        self.cause = ""  # of the failure, one line for people

    def begin_content(self, writer: IMessageWriter, received: bytes) -> None:
        """The envelope is whole: put the Received field before what comes."""
        self.writer = writer
        self._store(received)

    def write(self, piece: bytes) -> None:
        """The next piece of content."""
        header = self.header
        if not header.complete:
            header.feed(piece)
            if header.complete:
                self._check_hops()
        self._store(piece)

    def end_content(self) -> None:
        """The content is whole; see `failure`."""
        if not self.header.complete:
            self._check_hops()

    def envelope(self, *, arrived: float, icid: int, client: str, helo: str) -> Envelope:
        """The envelope to be queued."""
        return Envelope(
            mid=self.mid,
            reverse_path=self.arguments.reverse_path,
            recipients=tuple(Recipient(rid, address) for rid, address in enumerate(self.recipients)),
            arrived=arrived,
            size=self.size,
            body=self.arguments.body,
            smtputf8=self._needs_smtputf8(),
            icid=icid,
            client=client,
            helo=helo,
        )

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
        arguments = self.arguments
        return arguments.smtputf8 and not (self.header.ascii and local_part(arguments.reverse_path).isascii())

    def _check_hops(self) -> None:
        if self.header.hops > self.max_hops:
            self._fail(LOOP, LOOP.text)

    def _store(self, data: bytes) -> None:
        if self.writer is None or self.failure is not None:
            return
        try:
            self.writer.write(data)
        except OSError as error:
            self._fail(STORAGE, f"Cannot write to the queue: {error}")
        else:
            self.size += len(data)

    def _fail(self, reply: Reply, cause: str) -> None:
        self.failure = reply
        self.cause = cause
        self.abort()
