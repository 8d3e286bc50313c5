"""Who holds the slots for attempts, and who has to wait: a host that lets us wait must not stop the mail of others.

The rules, for `most` slots in all:

- one in ten stays free for destinations that have no attempt under way;
- an attempt that has waited for one answer for `PATIENCE` seconds, or hasn't come to the content in `LONG`, or to its end in
  `LONG_WITH_CONTENT`, is *slow*. While slots are short, half of them may be held by slow ones; what is above that is given up, those
  of the destination with the most of them first;
- one that waits for the reply to a whole message isn't given up for that, since nobody could know then who has the message. When it is
  slow it holds no slot, up to half as many as there are slots;
- destinations that let us wait when we last tried have half of the slots, a tenth if others wait.
"""

from __future__ import annotations

from collections.abc import Iterator

import attrs

from seg.deliver.progress import AttemptProgress
from seg.queue.interfaces import Lease

RESERVED = 10  # one in so many slots is for destinations without an attempt under way
PATIENCE = 5.0  # seconds for one answer, until an attempt is slow
LONG = 7.0  # seconds for all that comes before the content, until an attempt is slow
LONG_WITH_CONTENT = 60.0  # seconds for that and the content


@attrs.define(eq=False)
class Slot:
    """One attempt under way."""

    lease: Lease
    progress: AttemptProgress
    silent: bool = False  # its destination let us wait when we last tried
    slow: bool = False
    exempt: bool = False  # slow, and waiting for the reply to a whole message: holds no slot

    @property
    def behind_dot(self) -> bool:
        """Whether it can't be given up without doubt."""
        return self.progress.behind_dot


class Slots:
    """Counts the attempts under way.

    :param most: slots in all.
    """

    def __init__(self, most: int) -> None:
        self.most = most
        self._slots: dict[Lease, Slot] = {}
        self._silent = 0
        self._exempt = 0

    def __len__(self) -> int:
        return len(self._slots)

    def take(self, lease: Lease, progress: AttemptProgress, silent: bool) -> Slot:
        """An attempt begins."""
        slot = self._slots[lease] = Slot(lease, progress, silent)
        self._silent += silent
        return slot

    def free(self, lease: Lease) -> Slot:
        """An attempt is over."""
        slot = self._slots.pop(lease)
        self._silent -= slot.silent
        self._exempt -= slot.exempt
        return slot

    def room(self, first: bool) -> bool:
        """Whether an attempt may begin.

        :param first: its destination has none under way, and isn't known to let us wait.
        """
        used = len(self._slots)
        if self._exempt:
            used -= min(self._exempt, self.most // 2)
        if first or used >= self.most:
            return used < self.most
        return used < self.most - min(-(-self.most // RESERVED), self.most - 1)

    def room_for_silent(self, others_wait: bool) -> bool:
        """Whether an attempt may begin at a destination that let us wait."""
        return self._silent < max(1, self.most // (RESERVED if others_wait else 2))

    def __iter__(self) -> Iterator[Slot]:
        return iter(tuple(self._slots.values()))

    def look(self, now: float) -> list[Slot]:
        """Find those that have become slow."""
        found = []
        for slot in self._slots.values():
            if not slot.slow and _is_slow(slot.progress, now):
                slot.slow = True
                found.append(slot)
            slot.exempt = slot.slow and slot.behind_dot
        self._exempt = sum(slot.exempt for slot in self._slots.values())
        return found

    def too_many(self) -> list[Slot]:
        """The slow ones to be given up: none while there is room."""
        if self.room(first=False):
            return []
        ranked: list[tuple[int, float, Slot]] = []
        of_domain: dict[str, int] = {}
        for slot in self._slots.values():  # the oldest first
            if slot.slow and not slot.behind_dot:
                rank = of_domain[slot.lease.domain] = of_domain.get(slot.lease.domain, 0) + 1
                ranked.append((rank, slot.progress.begun, slot))
        over = len(ranked) - max(1, self.most // 2)
        if over <= 0:
            return []
        ranked.sort(key=lambda entry: entry[:2])
        return [slot for _, _, slot in ranked[-over:]]


def _is_slow(progress: AttemptProgress, now: float) -> bool:
    if now - progress.waiting_since >= PATIENCE:
        return True
    return now - progress.begun >= (LONG_WITH_CONTENT if progress.content_under_way else LONG)
