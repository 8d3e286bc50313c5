"""The cache: time, bounds, one question in flight."""

from __future__ import annotations

import attrs
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from seg.config.schema import DNS
from seg.dns.answer import AnswerStatus, DNSAnswer, DNSFailure, FailureKind
from seg.dns.cache import CachingResolver, DNSCounters
from seg.dns.interfaces import IResolver
from seg.events.dns import DNSAsked, DNSCached
from tests.dns_double import FakeResolver
from tests.doubles import RecordingSink

ZONE = """
    one.test   60 A      192.0.2.1
    long.test  9999 A    192.0.2.1
    zero.test  0 A       192.0.2.1
    a.b.test   60 A      192.0.2.1
    xb.test    60 A      192.0.2.1
"""


class CacheTests(SynchronousTestCase):
    """`CachingResolver`."""

    def setUp(self) -> None:
        self.make(DNS(max_ttl=3600.0, max_negative_ttl=100.0))

    def make(self, settings: DNS) -> None:
        """A cache before a fake resolver."""
        self.clock = Clock()
        self.clock.advance(1000)
        self.inner = FakeResolver(ZONE)
        self.sink = RecordingSink()
        self.cache = CachingResolver(self.inner, self.clock, settings, self.sink)

    def start(self, name: str, rdtype: str = "A") -> Deferred[DNSAnswer]:
        """Begin to ask, in a turn of the reactor."""
        self.clock.advance(0)
        return Deferred.fromCoroutine(self.cache.query(name, rdtype))

    def ask(self, name: str, rdtype: str = "A") -> DNSAnswer:
        """What is answered at once."""
        return self.successResultOf(self.start(name, rdtype))

    def fail(self, name: str) -> DNSFailure:  # type: ignore[override]
        """How it fails at once."""
        failure = self.failureResultOf(self.start(name), DNSFailure).value
        assert isinstance(failure, DNSFailure)
        return failure

    def test_interface(self) -> None:
        """It provides IResolver."""
        verifyObject(IResolver, self.cache)

    def test_hit(self) -> None:
        """An answer is asked for once in its time, whatever case and last dot it is asked with."""
        first = self.ask("one.test")
        self.clock.advance(59)
        for name in ("one.test", "One.Test."):
            self.assertIs(self.ask(name), first)
        self.assertEqual(self.inner.questions, [("one.test", "A")])

    def test_expiry(self) -> None:
        """At the end of its time an answer is asked for again."""
        self.ask("one.test")
        self.clock.advance(60)
        self.ask("one.test")
        self.assertEqual(self.inner.count("one.test", "A"), 2)
        self.assertEqual(self.cache.counters.expired, 1)

    def test_bounds_of_time(self) -> None:
        """No answer is kept longer than the settings allow; TTL 0 isn't kept at all."""
        for name, rdtype, seconds in (
            ("long.test", "A", 3600),
            ("one.test", "MX", 100),
            ("no.test", "A", 100),
        ):
            self.ask(name, rdtype)
            self.clock.advance(seconds - 1)
            self.ask(name, rdtype)
            self.assertEqual(self.inner.count(name, rdtype), 1, name)
            self.clock.advance(1)
            self.ask(name, rdtype)
            self.assertEqual(self.inner.count(name, rdtype), 2, name)
        self.ask("zero.test")
        self.ask("zero.test")
        self.assertEqual(self.inner.count("zero.test", "A"), 2)

    def test_denials(self) -> None:
        """NODATA and NXDOMAIN are answers, and kept as such."""
        for _ in range(2):
            self.assertIs(self.ask("one.test", "MX").status, AnswerStatus.NO_DATA)
            self.assertIs(self.ask("no.test").status, AnswerStatus.NO_NAME)
        self.assertEqual(len(self.inner.questions), 2)

    def test_failures(self) -> None:
        """A failure is kept for five seconds; each who asks gets an exception of its own."""
        self.inner.fail("one.test", "A", FailureKind.BOGUS)
        first = self.fail("one.test")
        self.clock.advance(4.9)
        second = self.fail("one.test")
        self.assertEqual((second.text, second.kind), (first.text, FailureKind.BOGUS))
        self.assertIsNot(first, second)
        self.assertEqual(self.inner.count("one.test", "A"), 1)
        self.inner.mend("one.test", "A")
        self.clock.advance(0.1)
        self.assertTrue(self.ask("one.test").found)

    def test_bound_of_entries(self) -> None:
        """With all entries taken the one that wasn't used for longest goes."""
        self.make(DNS(cache_entries=100))
        for n in range(100):
            self.ask(f"n{n}.test")
        self.ask("n0.test")
        self.ask("n100.test")
        self.assertEqual(len(self.cache), 100)
        self.ask("n0.test")
        self.assertEqual(self.inner.count("n0.test", "A"), 1)
        self.ask("n1.test")
        self.assertEqual(self.inner.count("n1.test", "A"), 2)

    def test_one_in_flight(self) -> None:
        """Those who ask while a question is under way share its answer; another type is another question."""
        self.inner.hold("one.test", "A")
        waiting = [self.start("one.test"), self.start("ONE.test"), self.start("one.test")]
        self.ask("one.test", "MX")
        self.inner.release("one.test", "A")
        self.assertEqual(len({id(self.successResultOf(w)) for w in waiting}), 1)
        self.assertEqual(self.inner.count("one.test", "A"), 1)

    def test_failure_in_flight(self) -> None:
        """A failure reaches all who wait."""
        self.inner.hold("one.test", "A")
        self.inner.fail("one.test", "A")
        waiting = [self.start("one.test"), self.start("one.test")]
        self.inner.release("one.test", "A")
        for one in waiting:
            self.failureResultOf(one, DNSFailure)

    def test_cancel_one(self) -> None:
        """One who gives up doesn't take the answer from the others."""
        self.inner.hold("one.test", "A")
        first, second = self.start("one.test"), self.start("one.test")
        first.cancel()
        self.failureResultOf(first, CancelledError)
        self.assertNoResult(second)
        self.inner.release("one.test", "A")
        self.assertTrue(self.successResultOf(second).found)

    def test_cancel_all(self) -> None:
        """When nobody waits any more the question is given up; the next one asks anew, nothing was kept."""
        self.inner.hold("one.test", "A")
        waiting = [self.start("one.test"), self.start("one.test")]
        for one in waiting:
            one.cancel()
            self.failureResultOf(one, CancelledError)
        self.assertEqual(len(self.cache), 0)
        third = self.start("one.test")
        self.inner.release("one.test", "A")
        self.assertTrue(self.successResultOf(third).found)
        self.assertEqual(self.inner.count("one.test", "A"), 2)

    def test_cancel_while_told(self) -> None:
        """Whoever is cancelled by another waiter's reaction to the answer is simply left out."""
        self.inner.hold("one.test", "A")
        first, second = self.start("one.test"), self.start("one.test")
        first.addCallback(lambda answer: second.cancel() or answer)
        self.inner.release("one.test", "A")
        self.assertTrue(self.successResultOf(first).found)
        self.failureResultOf(second, CancelledError)

    def test_other_errors(self) -> None:
        """An error that isn't of the DNS reaches those who wait and isn't kept."""
        broken = CachingResolver(BrokenResolver(), self.clock, DNS(), self.sink)
        self.failureResultOf(Deferred.fromCoroutine(broken.query("one.test", "A")), ZeroDivisionError)
        self.assertEqual(len(broken), 0)

    def test_flush(self) -> None:
        """All, or a name with what is below it; the number of answers is returned."""
        for name in ("one.test", "b.test", "a.b.test", "xb.test"):
            self.ask(name)
        self.ask("b.test", "MX")
        self.assertEqual(self.cache.flush("B.test."), 3)
        self.assertEqual(len(self.cache), 2)
        self.assertEqual(self.cache.flush(), 2)
        self.assertEqual(len(self.cache), 0)

    def test_flush_in_flight(self) -> None:
        """An answer that was under way during a flush is given to those who wait, and not kept."""
        for name in (None, "one.test"):
            self.inner.hold("one.test", "A")
            waiting = self.start("one.test")
            self.cache.flush(name)
            self.inner.release("one.test", "A")
            self.assertTrue(self.successResultOf(waiting).found)
            self.assertEqual(len(self.cache), 0)

    def test_counters(self) -> None:
        """Requests are hits or misses; a miss goes to the network or shares a question in flight."""
        self.inner.fail("bad.test", "A")
        self.fail("bad.test")
        self.fail("bad.test")
        self.inner.hold("one.test", "A")
        self.start("one.test")
        self.start("one.test")
        self.inner.release("one.test", "A")
        self.clock.advance(60)
        self.ask("one.test")
        self.assertEqual(
            self.cache.counters,
            DNSCounters(requests=5, hits=1, misses=4, network=3, failures=1, servfails=1, expired=1),
        )
        self.assertEqual(attrs.asdict(self.cache.counters)["requests"], 5)

    def test_kinds_of_failures(self) -> None:
        """Time-outs, SERVFAIL and bogus answers are told apart; the others are failures all the same."""
        for kind in FailureKind:
            self.inner.fail(f"{kind}.test", "A", kind)
            self.fail(f"{kind}.test")
        counted = self.cache.counters
        self.assertEqual((counted.failures, counted.timeouts, counted.servfails, counted.bogus), (7, 1, 1, 1))

    def test_goes_on(self) -> None:
        """A cache that follows another counts on."""
        self.ask("one.test")
        follower = CachingResolver(self.inner, self.clock, DNS(), self.sink, self.cache.counters)
        self.successResultOf(Deferred.fromCoroutine(follower.query("one.test", "A")))
        self.assertEqual(follower.counters, DNSCounters(requests=2, misses=2, network=2))

    def test_events(self) -> None:
        """Questions and what is kept are told when somebody listens, and no event is made otherwise."""
        self.ask("one.test")
        self.ask("one.test")
        self.ask("one.test", "MX")
        self.assertEqual(
            self.sink.events,
            [
                DNSAsked("one.test", "A"),
                DNSCached("one.test", "A", 1060.0, False, ("192.0.2.1",)),
                DNSAsked("one.test", "A"),
                DNSAsked("one.test", "MX"),
                DNSCached("one.test", "MX", 1100.0, False, ()),
            ],
        )
        self.sink.events.clear()
        self.sink.debug = False
        self.ask("no.test")
        self.assertEqual(self.sink.events, [])


class BrokenResolver:
    """Fails in a way that no resolver should."""

    async def query(self, name: str, rdtype: str) -> DNSAnswer:
        """Break."""
        raise ZeroDivisionError
