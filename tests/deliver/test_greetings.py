"""Addresses that have greeted, and those that have not."""

from __future__ import annotations

from ipaddress import ip_address

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from seg.common.spread import AT_A_TURN
from seg.deliver.greetings import AT_ONCE, KNOWN_FOR, MOST_KNOWN, Greetings
from seg.deliver.slots import PATIENCE

ONE, TWO = ip_address("192.0.2.1"), ip_address("192.0.2.2")


class GreetingsTests(SynchronousTestCase):
    """`Greetings`."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.greetings = Greetings(self.clock)

    def news(self) -> Deferred[None]:
        """Somebody who waits for news of the first address."""
        return Deferred.fromCoroutine(self.greetings.news(ONE))

    def test_few_until_it_greets(self) -> None:
        """An address has two connections that wait for its first greeting; with that it has no bound here."""
        waiting = [self.greetings.begin(ONE) for _ in range(AT_ONCE)]
        self.assertEqual((self.greetings.room(ONE), self.greetings.room(TWO)), (0, AT_ONCE))
        others = [self.news() for _ in range(3)]
        waiting[0].end(heard=True)
        for other in others:
            self.successResultOf(other)
        for _ in range(10):
            self.greetings.begin(ONE)
        self.assertGreater(self.greetings.room(ONE), 0)

    def test_few_in_a_turn(self) -> None:
        """Of a thousand that wait for one address a few hear of its greeting in each turn of the reactor; who gave up meanwhile isn't called."""
        waiting = self.greetings.begin(ONE)
        others = [self.news() for _ in range(1000)]
        waiting.end(heard=True)
        others[-1].addErrback(lambda _: None)
        others[-1].cancel()
        for turn in range(1, 100):
            self.assertEqual(sum(other.called for other in others[:-1]), AT_A_TURN * turn)
            (rest,) = [call for call in self.clock.getDelayedCalls() if call.getTime() <= self.clock.seconds()]
            go_on, arguments = rest.func, rest.args
            rest.cancel()
            go_on(*arguments)
        self.clock.advance(0)
        self.assertEqual(sum(other.called for other in others[:-1]), 999)
        self.assertEqual((self.clock.getDelayedCalls(), len(self.greetings)), ([], 1))

    def test_silence(self) -> None:
        """Those that wait hear of it when an address has been silent for a while; it isn't known as one that greets any more."""
        self.greetings.begin(ONE).end(heard=True)
        self.greetings.begin(ONE)
        self.clock.advance(1)
        other = self.news()
        self.clock.advance(PATIENCE - 1)
        self.successResultOf(other)
        self.assertEqual(self.greetings.silence(ONE), PATIENCE)
        self.greetings.begin(ONE)
        self.assertEqual(self.greetings.room(ONE), 0)

    def test_fails(self) -> None:
        """A connection that fails makes room."""
        waiting = [self.greetings.begin(ONE) for _ in range(AT_ONCE)]
        other = self.news()
        waiting[1].end()
        waiting[1].end(heard=True)  # only the first word counts
        self.successResultOf(other)
        self.assertEqual(self.greetings.room(ONE), 1)

    def test_networks(self) -> None:
        """An IPv6 /64 is one address, and an IPv4 address is the same in either form."""
        for first, second in (("2001:db8::1", "2001:db8::ffff:0:1"), ("192.0.2.1", "::ffff:192.0.2.1")):
            self.setUp()
            for _ in range(AT_ONCE):
                self.greetings.begin(ip_address(first))
            self.assertEqual(self.greetings.room(ip_address(second)), 0)
        self.assertEqual(self.greetings.room(ip_address("2001:db8:0:1::1")), AT_ONCE)

    def test_given_up(self) -> None:
        """Whoever doesn't want to wait any longer leaves nothing behind."""
        waiting = [self.greetings.begin(ONE) for _ in range(AT_ONCE)]
        other = self.news()
        other.addErrback(lambda _: None).cancel()
        for each in waiting:
            each.end()
        self.assertEqual(len(self.greetings), 0)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_memory(self) -> None:
        """A bounded number of addresses is known, and each for an hour."""
        for number in range(MOST_KNOWN + 10):
            self.greetings.begin(ip_address(number + 2**24)).end(heard=True)
        self.assertEqual(len(self.greetings), MOST_KNOWN)
        self.clock.advance(KNOWN_FOR)
        self.greetings.begin(ONE).end(heard=True)
        self.assertEqual(len(self.greetings), 1)
