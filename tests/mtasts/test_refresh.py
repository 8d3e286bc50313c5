"""Renewing policies while no mail flows."""

from __future__ import annotations

import attrs
from twisted.internet.defer import Deferred

from seg.config.schema import MTASTS
from seg.dns.answer import FailureKind
from seg.events.gateway import ConditionBegan, ConditionKind
from seg.policy.mtasts import refresh
from seg.policy.mtasts.entry import CachedPolicy
from seg.policy.mtasts.errors import FetchError, FetchFault
from seg.policy.mtasts.policy import parse_policy
from seg.policy.mtasts.refresh import AT_ONCE, LOOK, PolicyRefresh
from tests.mtasts.keeping import DAY, TXT, WEEK, D, StoreCase, body

HOUR = 3600


class RefreshTests(StoreCase):
    """`PolicyRefresh`."""

    def setUp(self) -> None:
        """It runs, and draws from the middle."""
        super().setUp()
        self.random = 0.5
        self.refresh = PolicyRefresh(self.store, MTASTS(), self.clock, lambda: self.random)
        self.refresh.start()

    def tearDown(self) -> None:
        """It ends, and leaves nothing behind."""
        self.successResultOf(self.refresh.stop())
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def keep(self, domain: str, record: bool = True) -> CachedPolicy:
        """Put a policy into the cache that was fetched now."""
        now = self.clock.seconds()
        entry = CachedPolicy(domain, "1", parse_policy(body()), now, now, now)
        self.successResultOf(self.store.cache.put(entry))
        if record:
            self.resolver.add(f'_mta-sts.{domain} TXT "v=STSv1; id=1;"')
        return entry

    def start_at(self, seconds: float) -> None:
        """Set the clock, and begin again."""
        self.successResultOf(self.refresh.stop())
        self.set_clock(seconds)
        self.refresh.start()

    def wait(self, seconds: float) -> None:
        """Let time pass, look by look."""
        self.clock.pump([LOOK] * int(seconds / LOOK))

    def test_renewed_without_mail(self) -> None:
        """A cached policy is renewed before it expires, also while no mail flows; what nobody uses is let go in the end."""
        self.fetcher.answer = body(max_age=2 * DAY)
        self.current()
        self.wait(DAY)
        self.assertEqual(self.fetcher.fetches, 2)
        self.wait(6 * DAY)
        self.assertEqual((len(self.store.cache), list(self.folder.glob("*.json"))), (0, []))

    def test_daily_and_at_random(self) -> None:
        """The record is looked at between 0.4 and 0.9 of a day after the last look, as chance has it; it is written down."""
        for chance, hour in ((0.0, 9.6), (0.999, 21.6)):
            self.random = chance
            entry = self.keep(D, record=False)
            asked = self.resolver.count(TXT, "TXT")
            self.wait((hour - 0.1) * HOUR)
            self.assertEqual(self.resolver.count(TXT, "TXT"), asked, chance)
            self.wait(0.2 * HOUR)
            self.assertEqual(self.resolver.count(TXT, "TXT"), asked + 1, chance)
            self.assertGreater(self.known().checked, entry.checked)
        self.assertEqual(self.fetcher.fetches, 0)

    def test_a08_new_id(self) -> None:
        """A8: a new id is found without mail, and its policy fetched."""
        self.current()
        self.txt("v=STSv1; id=2;")
        self.fetcher.answer = body(mx="new.one.test")
        self.wait(DAY)
        self.assertEqual((self.known().policy_id, self.known().policy.mx), ("2", ("new.one.test",)))

    def test_failures_are_tried_again(self) -> None:
        """No answer, no record, no policy: about an hour later it is tried again, and the policy stays as long as it lasts."""
        self.current()
        self.resolver.fail(TXT, "TXT", FailureKind.SERVFAIL)
        self.wait(0.7 * DAY)
        asked = self.resolver.count(TXT, "TXT")
        self.wait(3 * HOUR)
        self.assertEqual(self.resolver.count(TXT, "TXT"), asked + 3)
        self.resolver.mend(TXT, "TXT")
        self.txt("v=STSv1; id=2;")
        self.fetcher.answer = FetchError(FetchFault.TIMEOUT, "timed out")
        self.wait(3 * HOUR)
        self.assertEqual((self.fetcher.fetches, self.known().policy_id), (4, "1"))

    def test_unused(self) -> None:
        """A policy that nobody used for longer than its max_age isn't renewed."""
        entry = self.keep(D)
        self.successResultOf(self.store.cache.put(attrs.evolve(entry, used=entry.used - WEEK - 1)))
        self.wait(2 * DAY)
        self.assertEqual(self.resolver.questions, [])

    def test_expired_stays_for_a_day(self) -> None:
        """A policy that is over isn't forgotten at once: a clock that was set ahead may be set right. After a day it goes."""
        self.keep(D)
        self.set_clock(self.clock.seconds() + 10 * WEEK)
        self.clock.pump([60.0] * 60)
        self.assertIsNotNone(self.store.cache.known(D))
        self.clock.pump([3600.0] * 24)
        self.assertIsNone(self.store.cache.known(D))

    def test_many(self) -> None:
        """All that are due are renewed in one look, some at a time: those that wait for an answer hold up only the rest."""
        domains = [f"d{number}.test" for number in range(4 * AT_ONCE)]
        for domain in domains:
            self.keep(domain)
        for domain in domains[:AT_ONCE]:
            self.resolver.hold(f"_mta-sts.{domain}", "TXT")
        self.wait(0.7 * DAY)
        self.assertEqual(len(self.resolver.questions), AT_ONCE)
        self.resolver.release("_mta-sts.d0.test", "TXT")
        self.assertEqual(len(self.resolver.questions), 4 * AT_ONCE)
        self.assertEqual([self.known(domain).checked > 1_000_000 for domain in domains[:2]], [True, False])
        self.wait(2 * HOUR)
        self.assertEqual(len(self.resolver.questions), 4 * AT_ONCE)
        for domain in domains[1:AT_ONCE]:
            self.resolver.release(f"_mta-sts.{domain}", "TXT")
        self.assertEqual(len(self.resolver.questions), 4 * AT_ONCE)

    def test_gone_meanwhile(self) -> None:
        """A policy that goes while it waits for its renewal, or is being renewed, stays away."""
        for number in range(AT_ONCE + 1):
            self.keep(f"d{number}.test")
        for number in range(AT_ONCE):
            self.resolver.hold(f"_mta-sts.d{number}.test", "TXT")
        self.wait(0.7 * DAY)
        self.store.cache.remove("d0.test")
        self.store.cache.remove(f"d{AT_ONCE}.test")
        self.resolver.release("_mta-sts.d0.test", "TXT")
        self.assertEqual(len(self.resolver.questions), AT_ONCE)
        self.assertIsNone(self.store.cache.known("d0.test"))

    def test_nothing_is_remembered_of_what_is_gone(self) -> None:
        """Of a policy that isn't kept any more the renewal isn't planned any longer."""
        self.keep(D)
        self.wait(LOOK)
        self.assertEqual(list(self.refresh._due), [D])
        self.store.cache.remove(D)
        self.wait(LOOK)
        self.assertEqual(list(self.refresh._due), [])

    def test_clock_gone_back(self) -> None:
        """A policy from the future is fetched anew at the next look, so that its end can be known."""
        self.current()
        self.start_at(1_000)
        self.wait(LOOK)
        self.assertEqual((self.fetcher.fetches, self.known().fetched), (2, 1_000 + LOOK))

    def test_clock_gone_back_without_an_answer(self) -> None:
        """A policy from the future that can't be fetched stays in force, and is tried again at leisure."""
        self.current()
        self.start_at(1_000)
        self.resolver.fail(TXT, "TXT", FailureKind.TIMEOUT)
        asked = self.resolver.count(TXT, "TXT")
        self.wait(0.5 * HOUR)
        self.assertEqual(self.resolver.count(TXT, "TXT"), asked + 1)
        self.assertEqual(self.known().policy_id, "1")

    def test_broken(self) -> None:
        """An error that nobody foresaw is told, and the others are renewed."""
        self.fetcher.answer = body(max_age=2 * DAY)
        self.current()
        self.fetcher.answer = RuntimeError("broken")
        self.wait(DAY)
        self.assertEqual({event.kind for event in self.sink.of(ConditionBegan)}, {ConditionKind.LOCAL})
        self.fetcher.answer = body()
        self.wait(3 * HOUR)
        self.assertEqual(self.known().policy.max_age, WEEK)

    def test_very_many(self) -> None:
        """All are looked at, some at a time, with room for others between."""
        self.patch(refresh, "LOOKED_AT", 3)
        for number in range(10):
            self.keep(f"d{number}.test")
        self.wait(DAY)
        self.assertEqual(len({name for name, _ in self.resolver.questions}), 10)

    def test_broken_lookup(self) -> None:
        """An error that nobody foresaw, met before the fetch, is logged; the next look is as ever."""
        self.current()

        def broken(*_: object) -> None:
            raise ZeroDivisionError

        patched = self.patch(self.resolver, "query", broken)
        self.wait(DAY)
        self.assertTrue(self.flushLoggedErrors(ZeroDivisionError))
        patched.restore()
        self.wait(3 * HOUR)
        self.assertGreater(self.known().checked, 1_000_000 + DAY)

    def test_stopped(self) -> None:
        """At the end what is under way is given up, and nothing new begins."""
        for number in range(2 * AT_ONCE):
            self.keep(f"d{number}.test")
            self.resolver.hold(f"_mta-sts.d{number}.test", "TXT")
        self.wait(0.7 * DAY)
        self.successResultOf(self.refresh.stop())
        self.assertEqual(len(self.resolver.questions), AT_ONCE)

    def test_stopped_in_a_fetch(self) -> None:
        """Who is given up in a fetch leaves it; the fetch itself ends by its own."""
        self.current()
        answer = self.fetcher.answer = Deferred()
        self.txt("v=STSv1; id=2;")
        self.wait(DAY)
        self.successResultOf(self.refresh.stop())
        answer.callback(body())
        self.assertEqual(self.known().policy_id, "2")

    def test_never_started(self) -> None:
        """What was never started can be stopped."""
        self.successResultOf(PolicyRefresh(self.store, MTASTS(), self.clock, lambda: 0.5).stop())
