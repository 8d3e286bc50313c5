"""What the sender of a message is to be told is gathered, so that he gets few reports however many destinations it has.

The sender's address may be forged: whoever sends one message to 500 domains that refuse it must not make the gateway send 500 to somebody
else. A report waits until nothing has been added to it for a minute, at most five minutes; each further one of the same message waits longer,
and from the fifth on until the message is finished. When nothing of a message is left to be tried nothing waits.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable

import attrs
from twisted.internet.interfaces import IDelayedCall, IReactorTime

from seg.mail.outcome import Outcome

QUIET = 60.0  # seconds without anything new
LONGEST = 300.0  # seconds from the first that is told in a message's first report
WAITS = (
    LONGEST,
    300.0,
    3600.0,
    14400.0,
)  # by the number of reports that there were: seconds from the first that the next one tells of
MOST = len(WAITS) + 1  # reports on a message, of one bounce profile


@attrs.define
class Gathered:
    """What waits to be told of one message."""

    since: float
    reports: dict[Hashable, int] = attrs.field(
        factory=dict
    )  # MIDs allotted to reports on failures, by what sets reports apart
    delays: dict[int, Outcome] = attrs.field(factory=dict)  # by RID
    timer: IDelayedCall | None = None


class Gathering:
    """What waits to be told, by MID.

    :param ripe: called with a MID when it has waited long enough.
    """

    def __init__(self, clock: IReactorTime, ripe: Callable[[int], None]) -> None:
        self._clock = clock
        self._ripe = ripe
        self._waiting: dict[int, Gathered] = {}

    def __contains__(self, mid: int) -> bool:
        return mid in self._waiting

    def of(self, mid: int) -> Gathered:
        """What waits for a message; more may be put in, and then `wait` called."""
        if mid not in self._waiting:
            self._waiting[mid] = Gathered(self._clock.seconds())
        return self._waiting[mid]

    def wait(self, mid: int, told: int) -> None:
        """Something was added.

        :param told: how many reports there were on this message.
        """
        gathered = self.of(mid)
        if told >= len(WAITS):
            return
        now = self._clock.seconds()
        at = gathered.since + WAITS[told]
        if not told:
            at = min(at, now + QUIET)
        if gathered.timer is not None:
            gathered.timer.reset(max(at - now, 0.0))
        else:
            gathered.timer = self._clock.callLater(max(at - now, 0.0), self._fire, mid)

    def take(self, mid: int) -> Gathered | None:
        """What waits is told now: it doesn't wait any more."""
        gathered = self._waiting.pop(mid, None)
        if gathered is not None and gathered.timer is not None:
            gathered.timer.cancel()
        return gathered

    def stop(self) -> None:
        """Nothing becomes ripe any more: failures stand in the envelopes, and are told after the next start."""
        for mid in list(self._waiting):
            self.take(mid)

    def _fire(self, mid: int) -> None:
        self._waiting[mid].timer = None
        self._ripe(mid)
