"""Questions take turns, and nobody's take all of them."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from seg.dns.answer import DNSFailure, FailureKind
from seg.dns.exchange import ExchangeError
from seg.dns.interfaces import IResolver
from seg.dns.turns import LEAST, MOST, SLOW, QueryTurns, SharedResolver, most_questions
from seg.dns.zones import KNOWN_FOR, MOST_KNOWN, ZoneMemory, ZoneStanding, zone_of
from seg.mail.errors import LocalFault
from tests.dns_double import FakeResolver


class TurnsTests(SynchronousTestCase):
    """`QueryTurns` and `SharedResolver`."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.turns = QueryTurns(2, "questions to the resolvers", self.clock)
        self.under_way: list[Deferred[Any]] = []

    def begin(self, seconds: float = 10.0, name: str = "") -> Deferred[Any]:
        """One that takes as long as the test wants."""

        def work() -> Deferred[Any]:
            self.under_way.append(Deferred())
            return self.under_way[-1]

        return Deferred.fromCoroutine(self.turns.take(name, work, seconds))

    def test_in_turn(self) -> None:
        """So many at a time; who waits comes next, and whatever becomes of one, its turn is free again."""
        waits = [self.begin() for _ in range(5)]
        self.assertEqual(len(self.under_way), 2)
        self.under_way[0].callback("done")
        self.assertEqual((self.successResultOf(waits[0]), len(self.under_way)), ("done", 3))
        self.under_way[1].errback(ValueError())
        self.failureResultOf(waits[1], ValueError)
        waits[2].cancel()
        self.failureResultOf(waits[2], CancelledError)
        self.assertEqual(len(self.under_way), 5)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_no_turn(self) -> None:
        """No turn in time is a fault of ours; who gives up waiting leaves nothing behind."""
        first = [self.begin() for _ in range(2)]
        late, given_up = self.begin(5.0), self.begin(5.0)
        given_up.cancel()
        self.failureResultOf(given_up, CancelledError)
        self.clock.advance(5)
        fault = self.failureResultOf(late, LocalFault).value
        self.assertEqual(fault.text, "all 2 questions to the resolvers that there may be at a time are taken")
        for each in self.under_way[:2]:
            each.callback(None)
        self.assertEqual([self.successResultOf(each) for each in first], [None, None])
        for _ in range(2):
            self.begin()
        self.assertEqual(len(self.under_way), 4)

    def test_share(self) -> None:
        """Clients whose names take for ever have their share, and no more: others are answered."""
        inner = FakeResolver("1.test PTR a.test")
        inner.hold("silent.test", "PTR")
        shared = SharedResolver(inner, 12, self.clock, 15.0)
        verifyObject(IResolver, shared)
        waiting = [Deferred.fromCoroutine(shared.query("silent.test", "PTR")) for _ in range(10)]
        self.assertEqual(inner.count("silent.test", "PTR"), 3)
        for resolver in (inner, shared):
            self.assertTrue(self.successResultOf(Deferred.fromCoroutine(resolver.query("1.test", "PTR"))).found)
        self.clock.advance(15)
        for each in waiting[3:]:
            self.failureResultOf(each, LocalFault)
        inner.release("silent.test", "PTR")
        for each in waiting[:3]:
            self.successResultOf(each)

    def ask(self, name: str) -> Deferred[Any]:
        """A question about a name, of 40 at a time."""
        return self.begin(10.0, name).addErrback(lambda failure: failure.trap(ExchangeError, DNSFailure))

    def end(self, number: int, result: object = None) -> None:
        """What comes of a question under way."""
        self.under_way[number].callback(Failure(result) if isinstance(result, Exception) else result)

    def learnt(self, name: str, result: object, seconds: float = 0.0) -> None:
        """A zone was asked about before."""
        self.ask(name)
        self.clock.advance(seconds)
        self.end(-1, result)

    def test_silent_zones(self) -> None:
        """However many zones of strangers are silent: one that answered before is asked about at once, a new one as soon as any turn is over,
        and no silent one takes a turn from those."""
        self.turns = QueryTurns(40, "questions", self.clock)
        self.learnt("mx.good.test", "answer")
        for number in range(1000):
            self.ask(f"d{number}.silent{number}.test")
        begun = len(self.under_way)
        self.assertEqual(begun - 1, 30)
        self.ask("www.good.test")
        self.assertEqual(len(self.under_way), begun + 1)
        for number in range(1, 12):
            self.end(number, ExchangeError(FailureKind.TIMEOUT))
        self.assertEqual(self.turns._zones.standing("silent3.test", self.clock.seconds()), ZoneStanding.SILENT)
        before = len(self.under_way)
        for number in range(12):
            self.ask(f"again.silent{number}.test")
        self.end(20, ExchangeError(FailureKind.TIMEOUT))
        self.assertEqual(len(self.under_way), before + 1)  # of those that weren't asked about before

    def test_one_zone(self) -> None:
        """A zone has a quarter of the turns, however many names below it are asked for, and though it answered before; others don't wait."""
        self.turns = QueryTurns(40, "questions", self.clock)
        self.learnt("a.test", "answer")
        for number in range(100):
            self.ask(f"d{number}.a.test")
        self.assertEqual(len(self.under_way), 11)
        self.ask("b.test")
        self.assertEqual(len(self.under_way), 12)

    def test_slow_zones(self) -> None:
        """Zones that were silent, or slow, when they were asked last have a quarter together; one that answers again is as others."""
        self.turns = QueryTurns(40, "questions", self.clock)
        for number in range(20):
            self.learnt(f"d{number}.test", "late", seconds=SLOW) if number % 2 else self.learnt(
                f"d{number}.test", DNSFailure("", "A", FailureKind.TIMEOUT)
            )
        before = len(self.under_way)
        waiting = [self.ask(f"d{number}.test") for number in range(20)]
        self.assertEqual(len(self.under_way), before + 10)
        self.end(before, "answer")
        self.assertEqual(len(self.under_way), before + 11)
        self.successResultOf(waiting[0])
        self.ask("d0.test")
        self.assertEqual(len(self.under_way), before + 12)

    def test_zones(self) -> None:
        """What counts as one zone; what is remembered is bounded, in number and time."""
        cases = (
            ("mx.one.test.", "one.test"),
            ("test", "test"),
            (".", "."),
            ("", "."),
            ("4.3.2.1.in-addr.arpa", "2.1.in-addr.arpa"),
            (".".join("0123456789abcdef" * 2) + ".ip6.arpa", "8.9.a.b.c.d.e.f.ip6.arpa"),
        )
        for name, zone in cases:
            self.assertEqual(zone_of(name), zone)
        known = ZoneMemory()
        for number in range(MOST_KNOWN + 5):
            known.note(f"d{number}.test", ZoneStanding.SILENT, 0.0)
        self.assertEqual(len(known), MOST_KNOWN)
        self.assertEqual(known.standing(f"d{MOST_KNOWN}.test", 1.0), ZoneStanding.SILENT)
        self.assertEqual(known.standing(f"d{MOST_KNOWN}.test", KNOWN_FOR), ZoneStanding.UNKNOWN)
        self.assertEqual(known.standing(".", 1.0), ZoneStanding.ANSWERED)

    def test_by_descriptors(self) -> None:
        """With few descriptors there are few at a time."""
        self.assertTrue(LEAST <= most_questions() <= MOST)
