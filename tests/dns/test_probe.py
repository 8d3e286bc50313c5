"""The probe tells once when the resolver stops to validate, and once when it does again."""

from __future__ import annotations

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from seg.dns.answer import DNSFailure, FailureKind
from seg.dns.probe import NOT_VALIDATING, UNKNOWN, VALIDATING, ValidationProbe
from seg.events.base import Event
from seg.events.gateway import ConditionBegan, ConditionEnded, Fault, Notice
from seg.mail.errors import LocalFault
from tests.doubles import RecordingSink


class ScriptedResolver:
    """Gives the verdicts of a script, then repeats the last."""

    def __init__(self, *script: bool | Exception | Deferred[bool]) -> None:
        self.script = list(script)
        self.probes = 0

    async def probe(self) -> bool:
        """The next verdict."""
        self.probes += 1
        verdict = self.script.pop(0) if len(self.script) > 1 else self.script[0]
        if isinstance(verdict, Exception):
            raise verdict
        return await verdict if isinstance(verdict, Deferred) else verdict


SILENT = DNSFailure(".", "DNSKEY", FailureKind.TIMEOUT)


class ProbeTests(SynchronousTestCase):
    """`ValidationProbe`."""

    def make(self, *script: bool | Exception | Deferred[bool]) -> ValidationProbe:
        """A probe of a resolver with a script."""
        self.clock, self.sink = Clock(), RecordingSink()
        self.resolver = ScriptedResolver(*script)
        self.changes = 0
        return ValidationProbe(self.resolver, self.clock, self.sink, interval=3600, changed=self.note)

    def note(self) -> None:
        """Count the changes."""
        self.changes += 1

    def hours(self, count: int) -> list[Event]:
        """Let time pass; what was told."""
        for _ in range(count):
            self.clock.advance(3600)
        return self.sink.events

    def test_validates(self) -> None:
        """While it validates nothing is told; it is asked every hour."""
        probe = self.make(True)
        self.successResultOf(probe.start())
        self.assertEqual(self.hours(3), [])
        self.assertTrue(probe.validates)
        self.assertEqual(self.resolver.probes, 4)

    def test_one_warning(self) -> None:
        """One Fault with what to do when it doesn't validate, one Notice when it does again; callers hear of
        both."""
        probe = self.make(False, False, False, True, True, False)
        self.successResultOf(probe.start())
        self.assertFalse(probe.validates)
        self.assertEqual(self.hours(2), [Fault(NOT_VALIDATING)])
        self.assertEqual(self.hours(2), [Fault(NOT_VALIDATING), Notice(VALIDATING)])
        self.assertTrue(probe.validates)
        self.assertEqual(self.hours(2), [Fault(NOT_VALIDATING), Notice(VALIDATING), Fault(NOT_VALIDATING)])
        self.assertEqual(self.changes, 3)

    def test_no_answer(self) -> None:
        """Without an answer the last verdict stays, whichever it was, and the next probe comes soon."""
        for verdict in (True, False):
            probe = self.make(verdict, SILENT, verdict)
            probe.start()
            self.clock.advance(3600)
            self.assertEqual(probe.validates, verdict)
            self.assertEqual(self.changes, 0 if verdict else 1)
            self.clock.advance(60)
            self.assertEqual(self.resolver.probes, 3)

    def test_never_answered(self) -> None:
        """A resolver that never answered is unknown, which a Warning says after the first probe; DANE isn't switched off by it. An answer
        ends it, and a later silence is told again while what was known stays."""
        for failure in (SILENT, LocalFault("no descriptors")):
            probe = self.make(failure, failure, True, failure, failure)
            probe.start()
            self.assertEqual((probe.verdict, probe.validates), (None, True))
            self.assertEqual([e.text for e in self.sink.of(ConditionBegan)], [UNKNOWN])
            self.clock.advance(60)
            self.assertEqual(len(self.sink.events), 1)
            self.clock.advance(60)
            self.assertEqual((probe.verdict, len(self.sink.of(ConditionEnded))), (True, 1))
            self.clock.advance(3600)
            self.assertEqual((probe.verdict, len(self.sink.of(ConditionBegan))), (True, 2))

    def test_broken(self) -> None:
        """A fault of our own is told, and probing goes on."""
        probe = self.make(ZeroDivisionError("x"), True)
        self.successResultOf(probe.start())
        self.assertEqual(self.sink.events, [Fault("probing the resolver broke: x")])
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        self.hours(1)
        self.assertEqual(self.resolver.probes, 2)

    def test_stop(self) -> None:
        """After the end nothing is asked any more, whether a probe was under way or not."""
        probe = self.make(True)
        probe.start()
        probe.stop()
        self.assertEqual(self.clock.getDelayedCalls(), [])
        waiting: Deferred[bool] = Deferred()
        probe = self.make(waiting)
        started = probe.start()
        self.assertNoResult(started)
        probe.stop()
        self.successResultOf(started)
        self.assertEqual((self.clock.getDelayedCalls(), self.sink.events), ([], []))
