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
    """The entries of all messages, and the due queue they feed.

    :param expired: called with a entry when its lifetime is over.
    :param overdue: called with a entry when its time to `warn` has come; sets another one, or `NEVER`.
    """

    def __init__(
        self, clock: IReactorTime, expired: Callable[[IndexEntry], None], overdue: Callable[[IndexEntry], None]
    ) -> None:
        self._clock = clock
        self._expired = expired
        self._overdue = overdue
        self._entries: dict[int, IndexEntry] = {}
        self._due = DueQueue(clock, self._woken)
        self.by_domain: Counter[str] = Counter()  # recipients that wait, by destination
        self.by_cause: Counter[CauseKind] = Counter()  # messages that TLS policy keeps waiting, by cause
        self._policy_held: set[int] = set()
        self.octets = 0  # that the entries take, more or less
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
        return len(self._entries)

    def get(self, mid: int) -> IndexEntry | None:
        """The entry of a queued message."""
        return self._entries.get(mid)

    def mids(self) -> list[int]:
        """All queued messages, oldest first."""
        return sorted(self._entries)

    def counts(self) -> QueueCounts:
        """The queue in numbers; cheap."""
        first = next(iter(self._entries.values()), None)
        oldest = as_posix(self._clock, first.envelope.arrived) if first else 0.0
        return QueueCounts(
            len(self._entries),
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
        entry = IndexEntry(envelope, expires, content)
        entry.warn = warn
        self._content += len(content or b"")
        self._entries[entry.mid] = entry
        self.octets += entry.octets
        self._recipients += entry.waiting
        for recipient in envelope.pending:
            self.by_domain[recipient.domain] += 1
        self._held += entry.held
        self._damaged += entry.damaged
        self._count_causes(entry, 1)
        if entry.damaged:
            self.damage_changed()
        self.plan(entry, envelope, now)
        return entry

    def remove(self, entry: IndexEntry) -> None:
        """Nothing is left to do for a message."""
        self.forget_content(entry)
        if entry.waiting:
            self._count(entry.envelope, None)
        self._recipients -= entry.waiting
        self._held -= entry.held
        self._damaged -= entry.damaged
        self._count_causes(entry, -1)
        del self._entries[entry.mid]
        self.octets -= entry.octets
        if not self._entries:
            self._entries.clear()  # a dict that was large keeps its room otherwise
        self._due.trim(len(self._entries), self._live)
        if entry.damaged:
            self.damage_changed()

    def forget_content(self, entry: IndexEntry) -> None:
        """From now on the content comes from the file."""
        self._content -= len(entry.content or b"")
        entry.forget_content()

    def change(self, entry: IndexEntry, envelope: Envelope) -> None:
        """The envelope has changed; `plan` or `give_back` decides what becomes due by it."""
        self._recipients -= entry.waiting
        self._held -= entry.held
        damaged = entry.damaged
        self._damaged -= damaged
        self._count(entry.envelope, envelope)
        self._count_causes(entry, -1)
        self.octets -= entry.octets
        entry.envelope = envelope
        self.octets += entry.octets
        self._count_causes(entry, 1)
        self._recipients += entry.waiting
        self._held += entry.held
        self._damaged += entry.damaged
        if damaged != entry.damaged:
            self.damage_changed()

    def policy_held(self) -> list[int]:
        """The messages of which TLS policy keeps recipients waiting, oldest first."""
        return sorted(self._policy_held)

    def _count_causes(self, entry: IndexEntry, by: int) -> None:
        """Keep `by_cause` in step."""
        if not entry.causes:
            return
        (self._policy_held.add if by > 0 else self._policy_held.discard)(entry.mid)
        for cause in entry.causes:
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

    def plan(self, entry: IndexEntry, envelope: Envelope, now: float | None = None) -> None:
        """Put all that is due now into the due queue, and set the time for the rest (a new or released
        message)."""
        entry.wake = NEVER
        if entry.held or entry.deleted_by:
            return
        entry.planned = self._clock.seconds() if now is None else now
        self._enqueue(entry, envelope.recipients)
        self._set_wake(entry, envelope)

    def lease(self, domain: str, most: int = 0) -> tuple[IndexEntry, Envelope, tuple[Recipient, ...]] | None:
        """Give out the due recipients at a destination of the message that has waited longest, as far as they go
        the same way; at most so many (0: all)."""
        now = self._clock.seconds()
        while (mid := self._due.take(domain)) is not None:
            entry = self._entries.get(mid)
            if entry is None or entry.held or entry.deleted_by or entry.expires <= now:
                continue
            envelope = entry.envelope
            recipients = tuple(
                r for r in entry.at(domain, envelope) if r.due <= now and self._free(entry, r) and r.domain == domain
            )
            together = tuple(r for r in recipients if r.via == recipients[0].via)[: most or None]
            if len(together) < len(recipients):
                recipients = together
                self._due.add(domain, mid)  # the others are due still
            if recipients:
                entry.leased |= {r.rid for r in recipients}
                self._active += len(recipients)
                return entry, envelope, recipients
            if not entry.leased:
                entry.forget_places()
        return None

    def give_back(self, entry: IndexEntry, rids: Iterable[int]) -> None:
        """These recipients aren't given out any more: due again when their time says so."""
        rids = frozenset(rids) & entry.leased
        entry.leased -= rids
        self._active -= len(rids)
        if not entry.leased:
            entry.forget_places()
        if entry.held or entry.deleted_by:
            return
        envelope = entry.envelope
        self._enqueue(entry, [r for r in envelope.recipients if r.rid in rids])
        self._set_wake(entry, envelope)

    def make_due(self, entry: IndexEntry, domain: str = "") -> int:
        """An operator wants no more waiting (at one destination, or any). The number of recipients that this
        concerns."""
        if entry.held or entry.deleted_by:
            return 0
        envelope = entry.envelope
        waiting = [
            r
            for r in envelope.recipients
            if r.due > entry.planned and self._free(entry, r) and domain in ("", r.domain)
        ]
        if not waiting:
            return 0
        hurried = {r.rid: attrs.evolve(r, due=0.0) for r in waiting}
        envelope = attrs.evolve(envelope, recipients=tuple(hurried.get(r.rid, r) for r in envelope.recipients))
        self.change(entry, envelope)
        self._enqueue(entry, hurried.values())
        self._set_wake(entry, envelope)
        return len(hurried)

    @staticmethod
    def _free(entry: IndexEntry, recipient: Recipient) -> bool:
        return recipient.state is RecipientState.PENDING and recipient.rid not in entry.leased

    def _enqueue(self, entry: IndexEntry, recipients: Iterable[Recipient]) -> None:
        now = self._clock.seconds()
        due = {r.domain: None for r in recipients if r.due <= now and self._free(entry, r)}
        for domain in due:  # a dict keeps the order of the recipients
            self._due.add(domain, entry.mid)

    def _set_wake(self, entry: IndexEntry, envelope: Envelope) -> None:
        """Ask to be woken for the next recipient, or at the end of the lifetime."""
        wake = min(
            (r.due for r in envelope.recipients if r.due > entry.planned and self._free(entry, r)),
            default=NEVER,
        )
        wake = min(wake, entry.expires, entry.warn)
        if wake != entry.wake:
            entry.wake = wake
            if wake != NEVER:
                self._due.wake_at(wake, entry.mid)
                self._due.trim(len(self._entries), self._live)

    def _live(self, mid: int, when: float) -> bool:
        entry = self._entries.get(mid)
        return entry is not None and entry.wake == when

    def _woken(self, mid: int, when: float) -> None:
        entry = self._entries.get(mid)
        if entry is None or entry.wake != when:
            return  # planned anew since
        if when >= entry.expires:
            entry.wake = NEVER
            self._expired(entry)
            return
        if when >= entry.warn:
            self._overdue(entry)
        before, entry.planned = entry.planned, when
        envelope = entry.envelope
        self._enqueue(entry, [r for r in envelope.recipients if before < r.due <= when])
        self._set_wake(entry, envelope)
