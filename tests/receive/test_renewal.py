"""Renewed certificates of listeners."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from seg.common.errors import ConfigurationError
from seg.events.gateway import Fault, Notice
from seg.gateway.certificates import INTERVAL, CertificateReloader
from tests.doubles import RecordingSink


class InlinePool:
    """A thread pool that works at once."""

    def callInThreadWithCallback(self, done: Any, work: Any) -> None:
        """Do it."""
        try:
            result = work()
        except Exception:  # noqa: BLE001 - as a pool does
            done(False, Failure())
        else:
            done(True, result)


class PoolClock(Clock):
    """A reactor with a pool."""

    def getThreadPool(self) -> InlinePool:
        """The pool."""
        return InlinePool()

    def callFromThread(self, work: Any, *arguments: Any) -> None:
        """At once."""
        work(*arguments)


class FakeCertificates:
    """Files that change, and may be broken."""

    def __init__(self) -> None:
        self.fresh = False
        self.problem = ""
        self.loaded = 0

    def changed(self) -> bool:
        """As told."""
        return self.fresh

    def load(self) -> None:
        """As told."""
        if self.problem:
            raise ConfigurationError((self.problem,))
        self.fresh = False
        self.loaded += 1


class RenewalTests(SynchronousTestCase):
    """`CertificateReloader`."""

    def setUp(self) -> None:
        self.clock, self.sink, self.files = PoolClock(), RecordingSink(), FakeCertificates()
        self.renewal = CertificateReloader(lambda: {"certificates of listener in": self.files}, self.clock, self.sink)  # type: ignore[dict-item]
        self.renewal.start()
        self.addCleanup(self.renewal.stop)

    def test_taken_up(self) -> None:
        """Changed files are read at the next look, and said so; unchanged ones aren't."""
        self.clock.advance(INTERVAL)
        self.assertEqual((self.files.loaded, self.sink.events), (0, []))
        self.files.fresh = True
        self.clock.advance(INTERVAL)
        self.assertEqual(self.files.loaded, 1)
        self.assertEqual(self.sink.events, [Notice("certificates of listener in: changed on disk, and in use")])

    def test_refused(self) -> None:
        """Files that can't be used are told of once, and taken up when they are mended."""
        self.files.fresh, self.files.problem = True, "x.pem: no usable PEM certificate"
        self.clock.pump([INTERVAL] * 3)
        (fault,) = self.sink.of(Fault)
        self.assertIn("the former stay in use: x.pem: no usable PEM certificate", fault.text)
        self.files.problem = ""
        self.clock.advance(INTERVAL)
        self.assertEqual((self.files.loaded, len(self.sink.of(Notice))), (1, 1))

    def test_nothing_to_watch(self) -> None:
        """Certificates may come with a change of the configuration, so it looks without any too; stopped, there is no timer."""
        clock = PoolClock()
        CertificateReloader(dict, clock, self.sink).start()
        clock.advance(INTERVAL)
        self.assertEqual(self.sink.events, [])
        self.renewal.stop()
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.assertIsInstance(self.renewal.look(), Deferred)
