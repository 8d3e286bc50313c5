"""What is wrong with the gateway itself now, for ``seg status``, the metrics and the admin API; `seg.events.conditions` tells of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

import attrs

from seg.admin.wire.gateway import ConditionAnswer
from seg.events.base import Event
from seg.events.gateway import ConditionBegan, ConditionEnded, ConditionKind

MOST_KEPT = 1000  # conditions at once; the newest are left out beyond that


@attrs.frozen
class ActiveCondition:
    """One thing that is wrong."""

    kind: ConditionKind
    subject: str  # which file, host, ...; "" where there is only one
    text: str
    since: float  # POSIX seconds


class Conditions:
    """Its `handlers` note what begins and what ends.

    :param now: POSIX seconds.
    """

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._active: dict[tuple[ConditionKind, str], ActiveCondition] = {}
        self.handlers: Mapping[type[Event], Callable[[Any], object]] = {
            ConditionBegan: self._began,
            ConditionEnded: lambda e: self._active.pop((e.kind, e.subject), None),
        }

    def _began(self, event: ConditionBegan) -> None:
        """A second beginning only tells more of what has begun before."""
        key = event.kind, event.subject
        known = self._active.get(key)
        if known is None and len(self._active) >= MOST_KEPT:
            return
        since = self._now() if known is None else known.since
        self._active[key] = ActiveCondition(event.kind, event.subject, event.text, since)

    def facts(self) -> list[ConditionAnswer]:
        """For the API: each that lasts, the oldest first."""
        return [ConditionAnswer(each.kind.value, each.subject, each.text, each.since) for each in self._active.values()]

    def counts(self) -> dict[str, int]:
        """How many last, for every kind there is."""
        found = Counter(kind for kind, _ in self._active)
        return {kind.value: found[kind] for kind in ConditionKind}
