"""All queued messages as the running process knows them: what is due, what is given out, what waits for when.

Memory only; `seg.queue.queue` sees to it that the files say the same. All times are those of the queue's clock, which is never set
(`seg.common.clock`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TypeVar

import attrs
from twisted.internet.interfaces import IReactorTime

from seg.common.clock import as_posix
from seg.mail.causes import CauseKind
from seg.mail.envelope import Envelope, Recipient, RecipientState
from seg.queue.due import DueQueue
from seg.queue.index_entry import NEVER, UNPACKED, IndexEntry
from seg.queue.interfaces import QueueCounts

CONTENT_IN_MEMORY = 64 * 1024 * 1024  # octets of all messages that are kept with their content for the first try
_PENDING, _BOUNCING = RecipientState.PENDING, RecipientState.BOUNCING

K = TypeVar("K")


class QueueIndex:
    """The entries of all messages, and the due queue they feed.

    :ivar get: the entry of a queued message by its MID; None: it isn't queued.
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
        self.get = self._entries.get
        self._due = DueQueue(clock, self._woken)
        self.by_domain: dict[str, int] = {}  # recipients that wait, by destination
        self.by_cause: dict[CauseKind, int] = {}  # messages that TLS policy keeps waiting, by cause
        self._policy_held: set[int] = set()
        self.octets = 0  # that the entries take, more or less
        self._in_memory = 0  # octets of contents, and of the envelopes beside them
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

    def add(self, envelope: Envelope, expires: float, warn: float, content: bytes | None = None) -> IndexEntry:
        """A message is in the spool. Nothing of it is due before `plan`."""
        if content is not None and self._in_memory + len(content) + UNPACKED > CONTENT_IN_MEMORY:
            content = None
        entry = IndexEntry(envelope, expires, content)
        entry.warn = warn
        if content is not None:
            self._in_memory += len(content) + UNPACKED
        self._entries[entry.mid] = entry
        self._count(entry, envelope, 1)
        return entry

    def remove(self, entry: IndexEntry) -> None:
        """Nothing is left to do for a message."""
        if entry.content is not None:
            self._in_memory -= len(entry.content) + UNPACKED
        self._count(entry, entry.envelope if entry.waiting else None, -1)
        del self._entries[entry.mid]
        if not self._entries:
            self._entries.clear()  # a dict that was large keeps its room otherwise
        self._due.trim(len(self._entries), self._live)

    def drop_cached_content(self, entry: IndexEntry) -> None:
        """From now on the content comes from the file."""
        if entry.content is not None:
            self._in_memory -= len(entry.content) + UNPACKED
            self.octets -= entry.octets
            entry.drop_cached_content()
            self.octets += entry.octets

    def change(self, entry: IndexEntry, envelope: Envelope) -> None:
        """The envelope has changed; `plan` or `return_lease` decides what becomes due by it."""
        self._count(entry, entry.envelope, -1)
        entry.envelope = envelope
        self._count(entry, envelope, 1)

    def policy_held(self) -> list[int]:
        """The messages of which TLS policy keeps recipients waiting, oldest first."""
        return sorted(self._policy_held)

    def _count(self, entry: IndexEntry, envelope: Envelope | None, by: int) -> None:
        """Add a message to all that is counted, or take it off.

        :param envelope: its own; None: nothing of it waits.
        """
        self.octets += by * entry.octets
        self._recipients += by * entry.waiting
        self._held += by * entry.held
        for recipient in envelope.recipients if envelope is not None else ():
            if recipient.state is _PENDING or recipient.state is _BOUNCING:
                _add(self.by_domain, recipient.domain, by)
        unusual = entry.unusual
        if unusual.causes:
            (self._policy_held.add if by > 0 else self._policy_held.discard)(entry.mid)
            for cause in unusual.causes:
                _add(self.by_cause, cause, by)
        if unusual.damaged:
            self._damaged += by
            self.damage_changed()

    def plan(self, entry: IndexEntry, envelope: Envelope, now: float | None = None) -> None:
        """Put all that is due now into the due queue, and set the time for the rest (a new or released
        message).

        :param now: when many are planned at once: the time for all of them.
        """
        entry.wake = NEVER
        if entry.held or entry.unusual.deleted_by:
            return
        entry.planned = self._clock.seconds() if now is None else now
        self._set_wake(entry, envelope)
        self._enqueue(entry, envelope.recipients)

    def lease(self, domain: str, most: int = 0) -> tuple[IndexEntry, Envelope, tuple[Recipient, ...]] | None:
        """Give out the due recipients at a destination of the message that has waited longest, as far as they go
        the same way; at most so many (0: all)."""
        now = self._clock.seconds()
        while (mid := self._due.take(domain)) is not None:
            entry = self._entries.get(mid)
            if entry is None or entry.held or entry.unusual.deleted_by or entry.expires <= now:
                continue
            envelope = entry.envelope
            recipients, others = self._due_together(entry, envelope, domain, most, now)
            if others:
                self._due.add(domain, mid)  # they are due still
            if recipients:
                entry.leased = entry.leased.union([r.rid for r in recipients])
                self._active += len(recipients)
                return entry, envelope, tuple(recipients)
            if not entry.leased:
                entry.forget_places()
        return None

    @staticmethod
    def _due_together(
        entry: IndexEntry, envelope: Envelope, domain: str, most: int, now: float
    ) -> tuple[list[Recipient], bool]:
        """The due recipients at a destination that go the way of the first, and whether there are others."""
        together: list[Recipient] = []
        others = False
        for r in entry.at(domain, envelope):
            if r.due <= now and r.state is _PENDING and r.rid not in entry.leased and r.domain == domain:
                if together and (r.via != together[0].via or len(together) == most):
                    others = True
                else:
                    together.append(r)
        return together, others

    def return_lease(self, entry: IndexEntry, rids: Iterable[int]) -> None:
        """These recipients aren't given out any more: due again when their time says so."""
        returned = entry.leased.intersection(rids)
        entry.leased -= returned
        self._active -= len(returned)
        if not entry.leased:
            entry.forget_places()
        if entry.held or entry.unusual.deleted_by or not entry.waiting:
            return
        envelope = entry.envelope
        self._set_wake(entry, envelope)
        self._enqueue(entry, [r for r in envelope.recipients if r.rid in returned])

    def make_due(self, entry: IndexEntry, domain: str = "") -> int:
        """An operator wants no more waiting (at one destination, or any). The number of recipients that this
        concerns."""
        if entry.held or entry.unusual.deleted_by:
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
        self._set_wake(entry, envelope)
        self._enqueue(entry, hurried.values())
        return len(hurried)

    @staticmethod
    def _free(entry: IndexEntry, recipient: Recipient) -> bool:
        return recipient.state is _PENDING and recipient.rid not in entry.leased

    def _enqueue(self, entry: IndexEntry, recipients: Iterable[Recipient]) -> None:
        """To be called last: what is due may be leased and settled before this returns."""
        now, leased = self._clock.seconds(), entry.leased
        due: dict[str, None] = {}  # which keeps the order of the recipients
        for r in recipients:
            if r.due <= now and r.state is _PENDING and r.rid not in leased:
                due[r.domain] = None
        for domain in due:
            self._due.add(domain, entry.mid)

    def _set_wake(self, entry: IndexEntry, envelope: Envelope) -> None:
        """Ask to be woken for the next recipient, or at the end of the lifetime."""
        wake = min(entry.expires, entry.warn)
        for r in envelope.recipients:
            if entry.planned < r.due < wake and r.state is _PENDING and r.rid not in entry.leased:
                wake = r.due
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
        self._set_wake(entry, envelope)
        self._enqueue(entry, [r for r in envelope.recipients if before < r.due <= when])


def _add(counts: dict[K, int], key: K, by: int) -> None:
    """Count; what is none isn't there."""
    if number := counts.get(key, 0) + by:
        counts[key] = number
    else:
        del counts[key]
