"""What is wrong of our own that keeps policies from being fetched, told once while it lasts."""

from __future__ import annotations

from seg.events.base import IEventSink
from seg.events.conditions import Condition
from seg.events.gateway import ConditionKind
from seg.policy.mtasts.errors import FetchFault, OwnFetchFault
from seg.policy.mtasts.moments import lately

QUIET = 60.0  # seconds without another such fault after which it is over
WELL = (
    300.0  # seconds after a fetch through the proxy for which one host that it doesn't reach tells nothing of the proxy
)


class FetchTroubles:
    """One for the gateway; it outlives changes of the configuration."""

    def __init__(self, sink: IEventSink) -> None:
        self._conditions = {
            FetchFault.BUSY: Condition(sink, ConditionKind.FETCHES),
            FetchFault.PROXY: Condition(sink, ConditionKind.PROXY),
            FetchFault.LOCAL: Condition(sink, ConditionKind.LOCAL, "MTA-STS fetches"),
        }
        self._last: dict[FetchFault, float] = {}
        self._ended = float("-inf")

    def met(self, fault: OwnFetchFault, now: float) -> None:
        """A fetch came to nothing for a fault of ours."""
        kind = fault.fault
        self._last[kind] = now
        if fault.doubtful and lately(self._ended, now, WELL):
            return
        condition = self._conditions[kind]
        if not condition.active:
            condition.begin(f"{fault.cause}: mail waits for domains whose MTA-STS policy isn't known")

    def lasts(self, kind: FetchFault) -> bool:
        """Whether it has been told."""
        return self._conditions[kind].active

    def ended(self, now: float) -> None:
        """A fetch came to its end, good or not."""
        self._ended = now
        self._conditions[FetchFault.PROXY].end("policies can be fetched again")
        self.look(now)

    def look(self, now: float) -> None:
        """Some time has passed."""
        for kind in (FetchFault.BUSY, FetchFault.LOCAL):
            if not lately(self._last.get(kind, float("-inf")), now, QUIET):
                self._conditions[kind].end("policies can be fetched again")

    def proxy_changed(self) -> None:
        """Another proxy, or none, is used from now on."""
        self._conditions[FetchFault.PROXY].end("the proxy is another one now")
