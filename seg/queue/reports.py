"""Failure reports, each exactly once whenever the process is killed (case A12).

1. The envelope is durable with the recipients BOUNCING, the reasons, and the MID allotted to the report.
2. The report is durable in new/, but not due yet.
3. The failed message's final state is durable.
4. The report becomes due.

Whoever finds a BOUNCING recipient at the start goes on at 2 or 3, depending on whether the report is there.
As the report isn't due before 3, it can't have been delivered and removed by then.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import attrs
from twisted.logger import Logger

from seg.events.base import Event, IEventSink
from seg.events.gateway import Fault
from seg.events.queue import BounceGenerated
from seg.events.receive import MessageQueued, MessageReceived, MessageStarted, RecipientAccepted
from seg.mail.envelope import Envelope
from seg.mail.outcome import DSNAction, Outcome
from seg.queue.codec import encode
from seg.queue.interfaces import IContent, IReportComposer
from seg.queue.operations import StoreMessage
from seg.queue.store import SpoolStore
from seg.smtp.dot_stuffing import CleanLines


def _clean(letter: Envelope, text: bytes) -> tuple[Envelope, bytes]:
    """The rule of all content: CRLF lines without NUL (`seg.queue.writer`)."""
    lines = CleanLines()
    clean = lines.feed(text) + lines.finish()
    return (letter if len(clean) == letter.size else attrs.evolve(letter, size=len(clean))), clean


class ReportWriter:
    """Writes the report of step 2 and tells its story in step 4.

    :param head_limit: octets of a failed message that a report may quote now.
    """

    log = Logger()

    def __init__(
        self,
        composer: IReportComposer,
        store: SpoolStore,
        sink: IEventSink,
        head_limit: Callable[[], int],
        readdress: Callable[[Envelope], Envelope] = lambda envelope: envelope,
    ) -> None:
        self._composer = composer
        self._store = store
        self._sink = sink
        self._head_limit = head_limit
        self._readdress = readdress

    async def write(
        self,
        action: DSNAction,
        envelope: Envelope,
        fared: Mapping[int, Outcome],
        content: IContent,
        mid: int,
        until: float = 0.0,
    ) -> tuple[Envelope, bytes] | None:
        """Make a report durable, whatever it tells of. None: the composer has nobody to tell."""
        head = await self._head(envelope.mid, content)
        report = self._composed(action, envelope, sorted(fared.items()), head, mid, until)
        if report is not None:
            letter, text = report
            await self._store.durable.carry_out(lambda: StoreMessage(self._store.paths, mid, encode(letter), text))
        return report

    def _composed(
        self,
        action: DSNAction,
        envelope: Envelope,
        fared: list[tuple[int, Outcome]],
        head: bytes,
        mid: int,
        until: float,
    ) -> tuple[Envelope, bytes] | None:
        """A report that can go into the spool: a fault of the composer neither keeps a message for ever nor lets its sender hear nothing."""
        makers: tuple[Callable[[], tuple[Envelope, bytes] | None], ...] = (
            lambda: self._composer.compose(action, envelope, fared, head, mid, until),
            lambda: self._composer.plain(action, envelope, fared, mid),
        )
        for make in makers:
            try:
                report = make()
            except Exception as error:  # noqa: BLE001  whatever it is, the message must come to its end
                self.log.failure("a report can't be composed")
                self._sink.emit(Fault(f"the report on MID {envelope.mid} can't be composed: {error!r:.200}"))
            else:
                return None if report is None else _clean(self._readdress(report[0]), report[1])
        return None

    def emit_events(self, original: int, report: Envelope) -> None:
        """Emit the first events of the report's own story."""
        recipient = report.recipients[0]
        story: tuple[Event, ...] = (
            BounceGenerated(report.mid, original, report.reverse_path, recipient.address),
            MessageStarted(report.mid, 0, report.reverse_path),
            *(RecipientAccepted(report.mid, 0, each.rid, each.address) for each in report.recipients),
            MessageReceived(report.mid, 0, report.reverse_path, report.size, own=True),
            MessageQueued(report.mid),
        )
        for event in story:
            self._sink.emit(event)

    async def _head(self, mid: int, content: IContent) -> bytes:
        try:
            return await content.head(self._head_limit())
        except OSError as error:  # a report without a quotation is better than none
            self._sink.emit(Fault(f"MID {mid} can't be read for its failure report: {error}"))
            return b""
