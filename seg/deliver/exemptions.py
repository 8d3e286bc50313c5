"""Tells of the exemptions in the configuration: which are in force, when one ends, and which are leftovers."""

from __future__ import annotations

from twisted.internet.interfaces import IDelayedCall, IReactorTime

from seg.common.clock import posix
from seg.config.destinations import Destinations, Exemption
from seg.events.base import IEventSink
from seg.events.delivery import ExemptionEnded, ExemptionInForce, ExemptionOver

LONGEST_WAIT = 300.0  # seconds: an end may be years away, and the system's clock may be set meanwhile


class ExemptionTimer:
    """Watches the exemptions of the destinations in force. They end without it too (`Profile.at`); it says so."""

    def __init__(self, clock: IReactorTime, sink: IEventSink) -> None:
        self._clock = clock
        self._sink = sink
        self._running: dict[str, Exemption] = {}
        self._call: IDelayedCall | None = None

    def watch(self, destinations: Destinations) -> None:
        """Take these destinations in the place of those watched so far."""
        self.stop()
        now = posix(self._clock)
        for pattern, exemption in destinations.exemptions():
            if now < exemption.until:
                self._running[pattern] = exemption
                self._sink.emit(ExemptionInForce(pattern, exemption.end, exemption.reason))
            else:
                self._sink.emit(ExemptionOver(pattern, exemption.end, exemption.reason))
        self._wait()

    def stop(self) -> None:
        """Watch nothing."""
        self._running.clear()
        if self._call is not None:
            self._call.cancel()
            self._call = None

    def _wait(self) -> None:
        if self._running:
            first = min(exemption.until for exemption in self._running.values())
            wait = min(max(first - posix(self._clock), 0.0), LONGEST_WAIT)
            self._call = self._clock.callLater(wait, self._look)

    def _look(self) -> None:
        self._call = None
        now = posix(self._clock)
        for pattern, exemption in [*self._running.items()]:
            if now >= exemption.until:
                del self._running[pattern]
                self._sink.emit(ExemptionEnded(pattern, exemption.end, exemption.reason))
        self._wait()
