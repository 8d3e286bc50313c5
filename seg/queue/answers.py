"""When an operator hears that what he wants is in force, on a disk that fails or is slow, too."""

from __future__ import annotations

from collections.abc import Callable

import attrs
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime

from seg.queue.background import BackgroundWork
from seg.queue.index_entry import IndexEntry

ANSWER_WITHIN = 3.0  # seconds; then an operator hears that what he wants is in force, though it isn't written down yet


class CommandAnswers:
    """Answers that wait until a message's present state is written down, by MID."""

    def __init__(self, background: BackgroundWork, clock: IReactorTime) -> None:
        self._background = background
        self._clock = clock
        self._waiting: dict[int, list[Callable[[], None]]] = {}

    def in_force(self, entry: IndexEntry, work: Deferred[None]) -> Deferred[None]:
        """Fires when this work on a message is done, or as soon as it is known that its present state can't be written down for now:
        it is in force all the same, and `UnusualFacts.unwritten` says why. The work goes on."""
        answer: Deferred[None] = Deferred()

        def fire(result: object = None) -> None:
            if late.active():
                late.cancel()
            waiting = self._waiting.get(entry.mid, [])
            if fire in waiting:
                waiting.remove(fire)
                if not waiting:
                    del self._waiting[entry.mid]
            if not answer.called:
                answer.callback(None)

        def too_late() -> None:
            if not entry.unusual.unwritten:
                entry.note(attrs.evolve(entry.unusual, unwritten="the disk takes its time"))
            fire()

        late = self._clock.callLater(ANSWER_WITHIN, too_late)
        self._waiting.setdefault(entry.mid, []).append(fire)
        work.addErrback(self._background.broke_off)
        work.addBoth(fire)
        if entry.unusual.unwritten:
            fire()
        return answer

    def not_written(self, entry: IndexEntry, error: OSError) -> None:
        """The present state of a message can't be written down for now."""
        entry.note(attrs.evolve(entry.unusual, unwritten=error.strerror or str(error)))
        for fire in list(self._waiting.get(entry.mid, ())):
            fire()
