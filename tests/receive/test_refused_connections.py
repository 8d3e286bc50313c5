"""Log lines of refused connections."""

from __future__ import annotations

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from seg.events.receive import ReceiveFailed
from seg.receive.refused_connections import MINUTE, MOST, RefusedConnections
from tests.doubles import RecordingSink


class RefusedConnectionsTests(SynchronousTestCase):
    """`RefusedConnections`."""

    def test_a_crowd_is_counted(self) -> None:
        """The first refusals of each minute are told, the others in one line; afterwards no timer is left."""
        clock, sink = Clock(), RecordingSink()
        log = RefusedConnections(sink, clock)
        for _ in range(2):
            sink.events.clear()
            for number in range(10_000):
                log.refused(f"refused {number}")
            clock.advance(MINUTE)
            told = [event.text for event in sink.of(ReceiveFailed)]
            self.assertEqual(
                told[:2] + told[-1:],
                [
                    "refused 0",
                    "refused 1",
                    f"Connection limit exceeded: {10_000 - MOST} more connections refused within a minute",
                ],
            )
            self.assertEqual((len(told), MOST), (MOST + 1, 20))
        self.assertEqual(clock.getDelayedCalls(), [])

    def test_stop(self) -> None:
        """What wasn't told yet is told at the end."""
        clock, sink = Clock(), RecordingSink()
        log = RefusedConnections(sink, clock)
        log.stop()
        for _ in range(MOST + 1):
            log.refused("x")
        log.stop()
        self.assertEqual((len(sink.events), clock.getDelayedCalls()), (MOST + 1, []))
