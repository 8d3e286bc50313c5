"""One settlement for all outcomes of a message that come close together.

Whatever an outcome changes, the envelope is looked through, packed and counted as a whole. If each of a thousand destinations had that
done, the sender would choose work that grows with the square of the recipients. So the first outcome counts at once, and those that
come soon after it together.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterable, Mapping
from functools import partial
from typing import Any

import attrs
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime

from seg.common.spread import SpreadCalls
from seg.mail.outcome import Outcome

PAUSE = 0.0001  # seconds for each recipient between two settlements of one message: they cost some 5 microseconds each
LONGEST_PAUSE = 0.2  # seconds

Settle = Callable[[Iterable[int], Mapping[int, Outcome]], Coroutine[Deferred[Any], Any, None]]


@attrs.define
class _Together:
    """What is to be settled next."""

    rids: set[int] = attrs.field(factory=set)
    outcomes: dict[int, Outcome] = attrs.field(factory=dict)
    asked: list[Deferred[None]] = attrs.field(factory=list)


class SharedSettlements:
    """Settles outcomes of messages with many recipients.

    :param clock: for the pauses between two settlements of one message.
    """

    def __init__(self, clock: IReactorTime) -> None:
        self._clock = clock
        self._telling = SpreadCalls(clock)
        self._next: dict[int, _Together] = {}  # by MID
        self._busy: set[int] = set()  # messages that pause

    async def settle(
        self, mid: int, recipients: int, rids: Iterable[int], outcomes: Mapping[int, Outcome], settle: Settle
    ) -> None:
        """Return when a settlement that these are a part of is done. Of two outcomes of one recipient the first counts.

        :param recipients: how many of the message still wait.
        :param settle: called with RIDs and outcomes; memory has changed when it first waits for something.
        """
        together = self._next.setdefault(mid, _Together())
        together.rids.update(rids)
        for rid, outcome in outcomes.items():
            together.outcomes.setdefault(rid, outcome)
        done: Deferred[None] = Deferred()
        together.asked.append(done)
        if mid not in self._busy:
            self._busy.add(mid)
            self._work_off(mid, min(recipients * PAUSE, LONGEST_PAUSE), settle)
        await done

    def _work_off(self, mid: int, pause: float, settle: Settle) -> None:
        together = self._next.pop(mid, None)
        if together is None:
            self._busy.discard(mid)
            return
        self._clock.callLater(pause, self._work_off, mid, pause, settle)
        settling = Deferred.fromCoroutine(settle(together.rids, together.outcomes))
        settling.addBoth(partial(self._telling.fire, together.asked))
