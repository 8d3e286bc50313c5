"""Messages of the gateway itself to its postmaster."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable
from datetime import UTC, datetime
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime, formataddr
from typing import Protocol

from seg.events.receive import MessageQueued, MessageReceived, MessageStarted, RecipientAccepted
from seg.events.runtime import Runtime
from seg.mail.envelope import BodyType, Envelope, Recipient
from seg.mail.ids import IMessageIds
from seg.queue.interfaces import IMessageWriter


class IAlertQueue(Protocol):
    """What it needs of the queue."""

    def begin(self, mid: int) -> IMessageWriter:
        """As `IQueue.begin`."""


class PostmasterMail:
    """Puts messages to the postmaster into the queue. No report is sent on them: that would be told to the postmaster, too.

    :ivar hostname: our name.
    :ivar postmaster: whom they go to.
    """

    def __init__(self, queue: IAlertQueue, ids: IMessageIds, runtime: Runtime) -> None:
        self._queue = queue
        self._ids = ids
        self._runtime = runtime
        self.hostname = runtime.hostname
        self.postmaster = runtime.postmaster

    async def send(self, subject: str, paragraphs: Iterable[str]) -> None:
        """Return when it is in the queue.

        :param subject: printable, as the paragraphs.
        :raises OSError: it can't be queued.
        """
        mid, now, emit = self._ids.next_mid(), self._runtime.posix(), self._runtime.sink.emit
        content = self._composed(mid, now, subject, paragraphs)
        writer = self._queue.begin(mid)
        writer.write(content)
        recipient = Recipient(0, self.postmaster, notify=frozenset())
        emit(MessageStarted(mid, 0, ""))
        emit(RecipientAccepted(mid, 0, 0, self.postmaster))
        await writer.commit(Envelope(mid, "", (recipient,), now, len(content), BodyType.SEVEN_BIT))
        emit(MessageReceived(mid, 0, "", len(content), own=True))
        emit(MessageQueued(mid))

    def _composed(self, mid: int, now: float, subject: str, paragraphs: Iterable[str]) -> bytes:
        message = EmailMessage(SMTP.clone(cte_type="7bit"))
        message["Date"] = format_datetime(datetime.fromtimestamp(now, UTC))
        message["From"] = formataddr(("Mail Delivery System", self.postmaster))
        message["To"] = self.postmaster
        message["Subject"] = subject
        message["Message-ID"] = f"<{int(now)}.{mid}.alert@{self.hostname}>"
        message["Auto-Submitted"] = "auto-generated"
        message.set_content("\n\n".join(textwrap.fill(each, 76, break_on_hyphens=False) for each in paragraphs) + "\n")
        return message.as_bytes()
