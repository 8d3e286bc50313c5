"""Tells the postmaster, once, of accepted mail that nobody would hear of otherwise: what the queue holds for damage or has put aside."""

from __future__ import annotations

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.python.failure import Failure

from seg.dsn.fields import printable
from seg.dsn.postmaster_mail import PostmasterMail
from seg.events.base import Event, IEventSink
from seg.events.gateway import Fault
from seg.events.queue import MessageDamaged, SpoolFileCorrupt

GATHERED = 10.0  # seconds in which what comes is told in one message
AGAIN = 60.0  # seconds after which a message that couldn't be queued is tried again
MOST_TOLD = 20  # of them in full; the number tells of the rest


class SpoolAlerts:
    """Listens on the event bus by `emit`. Each damaged message and each file put aside is told of once: a restart finds it as it is, and
    tells nothing new."""

    def __init__(self, mail: PostmasterMail, sink: IEventSink, clock: IReactorTime) -> None:
        self._mail = mail
        self._sink = sink
        self._clock = clock
        self._lines: list[str] = []
        self._count = 0
        self._timer: IDelayedCall | None = None

    kinds = (MessageDamaged, SpoolFileCorrupt)  # of events that are told to it

    def emit(self, event: Event) -> None:
        """Gather what is to be told."""
        if isinstance(event, MessageDamaged):
            self._gather(f"MID {event.mid} is held: {event.text}")
        elif isinstance(event, SpoolFileCorrupt) and event.moved_to:
            self._gather(f"{event.path} was put aside: {event.text}")

    def stop(self) -> None:
        """Tell nothing more."""
        if self._timer is not None and self._timer.active():
            self._timer.cancel()

    def _gather(self, line: str) -> None:
        self._count += 1
        if len(self._lines) < MOST_TOLD:
            self._lines.append(printable(line))
        if self._timer is None:
            self._timer = self._clock.callLater(GATHERED, self._tell)

    def _tell(self) -> None:
        self._timer = None
        Deferred.fromCoroutine(self._send(self._count)).addCallbacks(self._told, self._not_told)

    def _told(self, count: int) -> None:
        """More may have come while it was written: those are told of next."""
        self._count -= count
        del self._lines[:count]
        if self._count and self._timer is None:
            self._timer = self._clock.callLater(GATHERED, self._tell)

    def _not_told(self, failure: Failure) -> None:
        self._sink.emit(Fault(f"alert on damaged mail could not be queued: {failure.getErrorMessage()}"))
        if self._timer is None:
            self._timer = self._clock.callLater(AGAIN, self._tell)

    async def _send(self, count: int) -> int:
        await self._mail.send("Mail in the queue is damaged", self._paragraphs())
        return count

    def _paragraphs(self) -> list[str]:
        more = self._count - len(self._lines)
        return [
            f"The mail gateway {self._mail.hostname} found {self._count} files in its queue that aren't what they should be. It sends none "
            "of these messages, and tells neither their senders nor their recipients.",
            *self._lines,
            *([f"... and {more} more: see the mail log."] if more else []),
            "Messages that are held: seg queue list --held, then seg queue release, bounce or delete.",
            "Files that were put aside: seg queue corrupt list, then restore (when mended) or delete.",
        ]
