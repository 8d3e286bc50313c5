"""Questions take turns, and nobody's take all of them."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from seg.dns.interfaces import IResolver
from seg.dns.turns import LEAST, MOST, QueryTurns, SharedResolver, most_questions
from seg.mail.errors import LocalFault
from tests.dns_double import FakeResolver


class TurnsTests(SynchronousTestCase):
    """`QueryTurns` and `SharedResolver`."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.turns = QueryTurns(2, "questions to the resolvers", self.clock)
        self.under_way: list[Deferred[Any]] = []

    def begin(self, seconds: float = 10.0) -> Deferred[Any]:
        """One that takes as long as the test wants."""

        def work() -> Deferred[Any]:
            self.under_way.append(Deferred())
            return self.under_way[-1]

        return Deferred.fromCoroutine(self.turns.take(work, seconds))

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
        shared = SharedResolver(inner, 3, self.clock, 15.0)
        verifyObject(IResolver, shared)
        waiting = [Deferred.fromCoroutine(shared.query("silent.test", "PTR")) for _ in range(10)]
        self.assertEqual(inner.count("silent.test", "PTR"), 3)
        self.assertTrue(self.successResultOf(Deferred.fromCoroutine(inner.query("1.test", "PTR"))).found)
        self.clock.advance(15)
        for each in waiting[3:]:
            self.failureResultOf(each, LocalFault)
        inner.release("silent.test", "PTR")
        for each in waiting[:3]:
            self.successResultOf(each)

    def test_by_descriptors(self) -> None:
        """With few descriptors there are few at a time."""
        self.assertTrue(LEAST <= most_questions() <= MOST)
