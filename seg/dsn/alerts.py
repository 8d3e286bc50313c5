"""Tells the postmaster when TLS that is required fails, where the destination's ``tls_alert`` wants it."""

from __future__ import annotations

import textwrap
from collections.abc import Callable
from datetime import UTC, datetime
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime, formataddr
from typing import Protocol

import attrs
from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from seg.common.bounded import BoundedMap
from seg.common.windows import TimeWindow
from seg.dsn.fields import printable
from seg.events.base import IEventSink
from seg.events.delivery import TLSAlert
from seg.events.gateway import Fault
from seg.events.receive import MessageQueued, MessageReceived, MessageStarted, RecipientAccepted
from seg.mail.address import domain_of
from seg.mail.envelope import BodyType, Envelope, Recipient
from seg.mail.ids import IMessageIds
from seg.queue.interfaces import IMessageWriter

INTERVAL = 3600.0  # seconds in which a destination is told of once
LETTERS = 20  # in an hour, whatever the number of destinations; the log tells of all
MOST = 10_000  # destinations remembered; then those told of longest ago are forgotten


class IAlertQueue(Protocol):
    """What it needs of the queue."""

    def begin(self, mid: int) -> IMessageWriter:
        """As `IQueue.begin`."""


@attrs.define
class _LastAlert:
    at: float
    since: int = 0  # failures after it


class TLSAlerts:
    """A Warning in the mail log and a message to the postmaster, at most once an hour for a destination.

    :param seconds: the present time, to measure by.
    :param posix: the same in POSIX seconds, for what is sent.
    """

    def __init__(
        self,
        store: IAlertQueue,
        counters: IMessageIds,
        sink: IEventSink,
        hostname: str,
        postmaster: str,
        seconds: Callable[[], float],
        posix: Callable[[], float],
    ) -> None:
        self._store = store
        self._counters = counters
        self._sink = sink
        self._hostname = hostname
        self._postmaster = postmaster
        self._seconds = seconds
        self._posix = posix
        self._told: BoundedMap[str, _LastAlert] = BoundedMap(MOST)
        self._letters: TimeWindow[str] = TimeWindow()  # those of the last hour, by destination

    def failed(self, domain: str, host: str, text: str) -> None:
        """TLS that is required for a destination failed at a host."""
        now = self._seconds()
        told = self._told.get(domain)
        if told is not None and now - told.at < INTERVAL:
            told.since += 1
            return
        since = told.since if told is not None else 0
        self._told[domain] = _LastAlert(now)
        self._sink.emit(TLSAlert(domain, host, text, since))
        if domain != domain_of(self._postmaster) and self._may_write(domain, now):  # else that message would fail too
            sending = Deferred.fromCoroutine(self._send(domain, host, text, since, self._posix()))
            sending.addErrback(self._not_sent, domain)

    def _may_write(self, domain: str, now: float) -> bool:
        if len(self._letters.since(now - INTERVAL)) >= LETTERS:
            return False
        self._letters.append((now, domain))
        return True

    async def _send(self, domain: str, host: str, text: str, since: int, now: float) -> None:
        mid = self._counters.next_mid()
        recipient = Recipient(0, self._postmaster, notify=frozenset())
        content = self._letter(mid, domain, host, text, since, now)
        envelope = Envelope(mid, "", (recipient,), now, len(content), BodyType.SEVEN_BIT)
        writer = self._store.begin(mid)
        writer.write(content)
        self._sink.emit(MessageStarted(mid, 0, ""))
        self._sink.emit(RecipientAccepted(mid, 0, 0, self._postmaster))
        await writer.commit(envelope)
        self._sink.emit(MessageReceived(mid, 0, "", len(content), own=True))
        self._sink.emit(MessageQueued(mid))

    def _letter(self, mid: int, domain: str, host: str, text: str, since: int, now: float) -> bytes:
        domain, host = printable(domain), printable(host)
        message = EmailMessage(SMTP.clone(cte_type="7bit"))
        message["Date"] = format_datetime(datetime.fromtimestamp(now, UTC))
        message["From"] = formataddr(("Mail Delivery System", self._postmaster))
        message["To"] = self._postmaster
        message["Subject"] = f"Required TLS to {domain} fails"
        message["Message-ID"] = f"<{int(now)}.{mid}.alert@{self._hostname}>"
        message["Auto-Submitted"] = "auto-generated"
        paragraphs = [
            f"The mail gateway {self._hostname} can't send to {domain}, because TLS is required there and fails.",
            f"Host {host}: {printable(text)}",
            "Mail to this destination waits in the queue, is tried again, and is returned to its senders when it has waited too long.",
            f"What is wrong now, and what to do: seg explain {domain}",
        ]
        if since:
            paragraphs.insert(2, f"Since the last alert, about an hour ago or more, it failed {since} more times.")
        if len(self._letters) == LETTERS:
            paragraphs.append(
                f"This is the last of {LETTERS} such messages in an hour: other destinations that fail are told of in the mail log "
                'only (seg grep "TLS alert").'
            )
        paragraphs.append(
            "The next alert on this destination comes in an hour at the earliest. (tls_alert in destinations.toml)"
        )
        message.set_content("\n\n".join(textwrap.fill(each, 76, break_on_hyphens=False) for each in paragraphs) + "\n")
        return message.as_bytes()

    def _not_sent(self, failure: Failure, domain: str) -> None:
        self._sink.emit(Fault(f"alert on {domain} could not be queued: {failure.getErrorMessage()}"))
