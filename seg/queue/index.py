"""All queued messages as the running process knows them: what is due, what is given out, what waits for when.

Memory only; `seg.queue.spool` sees to it that the files say the same. All times are those of the queue's clock, which is never set
(`seg.common.clock`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable

import attrs
from twisted.internet.interfaces import IReactorTime

from seg.common.clock import as_posix
from seg.mail.causes import CauseKind
from seg.mail.envelope import Envelope, Recipient, RecipientState
from seg.queue.due import DueQueue
from seg.queue.index_entry import NEVER, IndexEntry

CONTENT_IN_MEMORY = 64 * 1024 * 1024  # octets of content of all messages kept for the first try


@attrs.frozen
class QueueCounts:
    """The queue in numbers."""

    messages: int
    recipients: int  # that wait for a delivery or a report
    active: int  # recipients being tried now
    held: int  # messages
    oldest: float  # POSIX seconds of arrival of the oldest message; 0.0 when there is none
    damaged: int = 0  # messages that are held, as a part of their files is lost
    unread: int = 0  # files and folders that the system can't read for now; their messages aren't among `messages`
    corrupt: int = 0  # files in corrupt/
    policy_held: int = 0  # messages of which TLS policy keeps recipients waiting


class QueueIndex:
    """The records of all messages, and the due-list they feed.

    :param expired: called with a record when its lifetime is over.
    :param overdue: called with a record when its time to `warn` has come; sets another one, or `NEVER`.
    """

    def __init__(
        self, clock: IReactorTime, expired: Callable[[IndexEntry], None], overdue: Callable[[IndexEntry], None]
    ) -> None:
        self._clock = clock
        self._expired = expired
        self._overdue = overdue
        self._records: dict[int, IndexEntry] = {}
        self._due = DueQueue(clock, self._woken)
        self.by_domain: Counter[str] = Counter()  # recipients that wait, by destination
        self.by_cause: Counter[CauseKind] = Counter()  # messages that TLS policy keeps waiting, by cause
        self._policy_held: set[int] = set()
        self.octets = 0  # that the records take, more or less
        self._content = 0
        self._recipients = 0
        self._active = 0
        self._held = 0
        self._damaged = 0
        self.damage_changed: Callable[[], object] = lambda: (
            None
        )  # called when `QueueCounts.damaged` isn't the same any more
        self.subscribe = self._due.subscribe
        self.stop = self._due.stop

    def __len__(self) -> int:
        return len(self._records)

    def get(self, mid: int) -> IndexEntry | None:
        """The record of a queued message."""
        return self._records.get(mid)

    def mids(self) -> list[int]:
        """All queued messages, oldest first."""
        return sorted(self._records)

    def counts(self) -> QueueCounts:
        """The queue in numbers; cheap."""
        first = next(iter(self._records.values()), None)
        oldest = as_posix(self._clock, first.envelope.arrived) if first else 0.0
        return QueueCounts(
            len(self._records),
            self._recipients,
            self._active,
            self._held,
            oldest,
            self._damaged,
            policy_held=len(self._policy_held),
        )

    def add(
        self,
        envelope: Envelope,
        expires: float,
        warn: float,
        content: bytes | None = None,
        now: float | None = None,
    ) -> IndexEntry:
        """A message is in the spool: due from now on."""
        if content is not None and self._content + len(content) > CONTENT_IN_MEMORY:
            content = None
        record = IndexEntry(envelope, expires, content)
        record.warn = warn
        self._content += len(content or b"")
        self._records[record.mid] = record
        self.octets += record.octets
        self._recipients += record.waiting
        for recipient in envelope.pending:
            self.by_domain[recipient.domain] += 1
        self._held += record.held
        self._damaged += record.damaged
        self._count_causes(record, 1)
        if record.damaged:
            self.damage_changed()
        self.plan(record, envelope, now)
        return record

    def remove(self, record: IndexEntry) -> None:
        """Nothing is left to do for a message."""
        self.forget_content(record)
        if record.waiting:
            self._count(record.envelope, None)
        self._recipients -= record.waiting
        self._held -= record.held
        self._damaged -= record.damaged
        self._count_causes(record, -1)
        del self._records[record.mid]
        self.octets -= record.octets
        if not self._records:
            self._records.clear()  # a dict that was large keeps its room otherwise
        self._due.trim(len(self._records), self._live)
        if record.damaged:
            self.damage_changed()

    def forget_content(self, record: IndexEntry) -> None:
        """From now on the content comes from the file."""
        self._content -= len(record.content or b"")
        record.forget_content()

    def change(self, record: IndexEntry, envelope: Envelope) -> None:
        """The envelope has changed; `plan` or `give_back` decides what becomes due by it."""
        self._recipients -= record.waiting
        self._held -= record.held
        damaged = record.damaged
        self._damaged -= damaged
        self._count(record.envelope, envelope)
        self._count_causes(record, -1)
        self.octets -= record.octets
        record.envelope = envelope
        self.octets += record.octets
        self._count_causes(record, 1)
        self._recipients += record.waiting
        self._held += record.held
        self._damaged += record.damaged
        if damaged != record.damaged:
            self.damage_changed()

    def policy_held(self) -> list[int]:
        """The messages of which TLS policy keeps recipients waiting, oldest first."""
        return sorted(self._policy_held)

    def _count_causes(self, record: IndexEntry, by: int) -> None:
        """Keep `by_cause` in step."""
        if not record.causes:
            return
        (self._policy_held.add if by > 0 else self._policy_held.discard)(record.mid)
        for cause in record.causes:
            self.by_cause[cause] += by
            if not self.by_cause[cause]:
                del self.by_cause[cause]

    def _count(self, old: Envelope | None, new: Envelope | None) -> None:
        """Keep `by_domain` in step."""
        for recipient in new.pending if new else ():
            self.by_domain[recipient.domain] += 1
        for recipient in old.pending if old else ():
            self.by_domain[recipient.domain] -= 1
            if not self.by_domain[recipient.domain]:
                del self.by_domain[recipient.domain]

    def plan(self, record: IndexEntry, envelope: Envelope, now: float | None = None) -> None:
        """Put all that is due now into the due-list, and set the time for the rest (a new or released
        message)."""
        record.wake = NEVER
        if record.held or record.deleted_by:
            return
        record.planned = self._clock.seconds() if now is None else now
        self._enqueue(record, envelope.recipients)
        self._set_wake(record, envelope)

    def lease(self, domain: str, most: int = 0) -> tuple[IndexEntry, Envelope, tuple[Recipient, ...]] | None:
        """Give out the due recipients at a destination of the message that has waited longest, as far as they go
        the same way; at most so many (0: all)."""
        now = self._clock.seconds()
        while (mid := self._due.take(domain)) is not None:
            record = self._records.get(mid)
            if record is None or record.held or record.deleted_by or record.expires <= now:
                continue
            envelope = record.envelope
            recipients = tuple(
                r for r in record.at(domain, envelope) if r.due <= now and self._free(record, r) and r.domain == domain
            )
            together = tuple(r for r in recipients if r.via == recipients[0].via)[: most or None]
            if len(together) < len(recipients):
                recipients = together
                self._due.add(domain, mid)  # the others are due still
            if recipients:
                record.leased |= {r.rid for r in recipients}
                self._active += len(recipients)
                return record, envelope, recipients
            if not record.leased:
                record.forget_places()
        return None

    def give_back(self, record: IndexEntry, rids: Iterable[int]) -> None:
        """These recipients aren't given out any more: due again when their time says so."""
        rids = frozenset(rids) & record.leased
        record.leased -= rids
        self._active -= len(rids)
        if not record.leased:
            record.forget_places()
        if record.held or record.deleted_by:
            return
        envelope = record.envelope
        self._enqueue(record, [r for r in envelope.recipients if r.rid in rids])
        self._set_wake(record, envelope)

    def make_due(self, record: IndexEntry, domain: str = "") -> int:
        """An operator wants no more waiting (at one destination, or any). The number of recipients that this
        concerns."""
        if record.held or record.deleted_by:
            return 0
        envelope = record.envelope
        waiting = [
            r
            for r in envelope.recipients
            if r.due > record.planned and self._free(record, r) and domain in ("", r.domain)
        ]
        if not waiting:
            return 0
        hurried = {r.rid: attrs.evolve(r, due=0.0) for r in waiting}
        envelope = attrs.evolve(envelope, recipients=tuple(hurried.get(r.rid, r) for r in envelope.recipients))
        self.change(record, envelope)
        self._enqueue(record, hurried.values())
        self._set_wake(record, envelope)
        return len(hurried)

    @staticmethod
    def _free(record: IndexEntry, recipient: Recipient) -> bool:
        return recipient.state is RecipientState.PENDING and recipient.rid not in record.leased

    def _enqueue(self, record: IndexEntry, recipients: Iterable[Recipient]) -> None:
        now = self._clock.seconds()
        due = {r.domain: None for r in recipients if r.due <= now and self._free(record, r)}
        for domain in due:  # a dict keeps the order of the recipients
            self._due.add(domain, record.mid)

    def _set_wake(self, record: IndexEntry, envelope: Envelope) -> None:
        """Ask to be woken for the next recipient, or at the end of the lifetime."""
        wake = min(
            (r.due for r in envelope.recipients if r.due > record.planned and self._free(record, r)),
            default=NEVER,
        )
        wake = min(wake, record.expires, record.warn)
        if wake != record.wake:
            record.wake = wake
            if wake != NEVER:
                self._due.wake_at(wake, record.mid)
                self._due.trim(len(self._records), self._live)

    def _live(self, mid: int, when: float) -> bool:
        record = self._records.get(mid)
        return record is not None and record.wake == when

    def _woken(self, mid: int, when: float) -> None:
        record = self._records.get(mid)
        if record is None or record.wake != when:
            return  # planned anew since
        if when >= record.expires:
            record.wake = NEVER
            self._expired(record)
            return
        if when >= record.warn:
            self._overdue(record)
        before, record.planned = record.planned, when
        envelope = record.envelope
        self._enqueue(record, [r for r in envelope.recipients if before < r.due <= when])
        self._set_wake(record, envelope)
