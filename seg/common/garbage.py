"""The garbage collector's full rounds, kept short while the gateway runs.

A full round of Python's collector goes through every object there is, in one turn of the reactor: a fifth of a second in the midst of a
message to a thousand domains, and more than a second in a queue of a million. Nearly all of what lives long never becomes garbage of the
kind that needs the collector (objects that lead back to themselves). So full rounds are made here, after a certain number of smaller ones,
and what many of them would go through again and again is left out (``gc.freeze``). What is left out is still freed as soon as nothing
refers to it.

Objects that are left out and become such garbage later would stay for ever. So all are gone through again when there are many more of them
than the last time, other than the queue's records, which never are: when nothing goes on, or at the latest when there are very many.
"""

from __future__ import annotations

import gc
from collections.abc import Callable
from typing import Any, Final

from twisted.internet.interfaces import IDelayedCall

ROUND: Final = 1  # smaller rounds from one full round to the next; each leaves some 7,000 objects at most
MOST_SEEN: Final = 10_000  # objects that a full round leaves for the next one
CALM: Final = 10.0  # seconds without a full round after which nothing goes on
MANY: Final = 50_000  # objects left out, more than the last time, for which all are gone through when nothing goes on
VERY_MANY: Final = 1_000_000  # for which they are in any case
SHARE: Final = 4  # in any case such a part of all that is left out
OF_A_RECORD: Final = 2  # objects of a message that waits
NEVER: Final = 2**31 - 1


class GarbageCollection:
    """Makes the collector's full rounds in the place of Python.

    :param reactor: time; ``callFromThread``, as rounds end in any thread.
    :param records: how many messages wait.
    """

    def __init__(self, reactor: Any, records: Callable[[], int]) -> None:
        self._reactor = reactor
        self._records = records
        self._thresholds = gc.get_threshold()
        self._running = False
        self._asked = False
        self._known = 0  # objects left out when all were gone through last, other than records
        self._counted = 0  # objects left out when they were counted last
        self._added = 0  # since then
        self._calm: IDelayedCall | None = None

    def start(self) -> None:
        """Leave out all that is there now."""
        self._thresholds = gc.get_threshold()
        self._running = True
        self._leave_out()
        gc.set_threshold(*self._thresholds[:2], NEVER)
        gc.callbacks.append(self._collected)

    def stop(self) -> None:
        """Leave it to Python again."""
        if not self._running:
            return
        self._running = False
        gc.callbacks.remove(self._collected)
        gc.set_threshold(*self._thresholds)
        gc.unfreeze()
        if self._calm is not None:
            self._calm.cancel()
            self._calm = None

    def _collected(self, phase: str, info: dict[str, Any]) -> None:
        """A round has ended, in whatever thread."""
        if phase == "stop" and not self._asked and gc.get_count()[2] >= ROUND:
            self._asked = True
            self._reactor.callFromThread(self._round)

    def _round(self) -> None:
        self._asked = False
        if not self._running:
            return
        gc.collect()
        seen = len(gc.get_objects(generation=2))
        if seen <= MOST_SEEN:
            return
        gc.freeze()
        self._added += seen
        if self._added > max(VERY_MANY, self._counted // SHARE):  # counting takes time, too
            self._go_through_all(VERY_MANY)
        if self._calm is None:
            self._calm = self._reactor.callLater(CALM, self._is_calm)
        else:
            self._calm.reset(CALM)

    def _is_calm(self) -> None:
        self._calm = None
        self._go_through_all(MANY)

    def _go_through_all(self, many: int) -> None:
        """If there are so many more than the last time."""
        self._counted, self._added = gc.get_freeze_count(), 0
        if self._others > self._known + max(many, self._counted // SHARE):
            gc.unfreeze()
            self._leave_out()

    def _leave_out(self) -> None:
        """All that is alive."""
        gc.collect()
        gc.freeze()
        self._counted, self._added = gc.get_freeze_count(), 0
        self._known = self._others

    @property
    def _others(self) -> int:
        return max(0, self._counted - OF_A_RECORD * self._records())
