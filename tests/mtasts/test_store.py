"""Which policy is in force: the table of discovery."""

from __future__ import annotations

from twisted.internet.defer import CancelledError, Deferred
from zope.interface.verify import verifyObject

from seg.common.spread import AT_A_TURN
from seg.config.schema import MTASTS
from seg.dns.answer import FailureKind
from seg.events.gateway import Fault
from seg.events.policy import (
    STSCacheHit,
    STSFetchFailed,
    STSFetchStarted,
    STSPolicyFetched,
    STSPolicyWithdrawn,
    STSRecordFailed,
)
from seg.maillog.lines import render
from seg.maillog.log_table import Level
from seg.policy.mtasts.errors import FetchError, FetchFault, OwnFetchFault
from seg.policy.mtasts.interfaces import IPolicyFetcher
from seg.policy.mtasts.moments import MAX_REMEMBERED, RecentTimes
from seg.policy.mtasts.policy import MAX_AGE, Mode
from seg.policy.mtasts.refresh import PolicyRefresh
from tests.doubles import TurningClock
from tests.mtasts.keeping import TXT, WEEK, D, StoreCase, body

LATELY = "policy fetch failed lately"
NO_MX = b"version: STSv1\nmode: enforce\nnmx: mx.one.test\nmax_age: 86400\n"
NONE = b"version: STSv1\nmode: none\nmax_age: 86400\n"


class DiscoveryTests(StoreCase):
    """`PolicyStore.current`: record, cache and fetch."""

    def test_double(self) -> None:
        """The fetcher of these tests keeps the interface."""
        verifyObject(IPolicyFetcher, self.fetcher)

    def test_fetched_then_cached(self) -> None:
        """A new policy is fetched once; with the same id the cached one is used."""
        self.assertEqual([self.current().how for _ in range(3)], ["fetched", "cached", "cached"])
        self.assertEqual(self.fetcher.fetches, 1)

    def test_without_debug(self) -> None:
        """Below Debug neither fetches nor cache hits are told; the policy is."""
        self.sink.debug = False
        self.current()
        self.current()
        self.assertEqual([*self.sink.of(STSFetchStarted), *self.sink.of(STSCacheHit)], [])
        self.assertEqual(self.sink.of(STSPolicyFetched), [STSPolicyFetched(D, "1", "enforce", WEEK)])

    def test_a08_new_id(self) -> None:
        """A8: a new id is seen with the next message, and the new policy used."""
        self.current()
        self.clock.advance(300)
        self.txt("v=STSv1; id=2;")
        self.fetcher.answer = body(mx="new.one.test")
        finding = self.current()
        assert finding.policy is not None
        self.assertEqual((finding.policy_id, finding.how, finding.policy.mx), ("2", "fetched", ("new.one.test",)))
        self.assertEqual((self.current().policy_id, self.current().how), ("2", "cached"))

    def test_a08_new_id_that_cannot_be_fetched(self) -> None:
        """A8: a new id whose policy can't be had keeps the old policy in force, and is tried again after five minutes."""
        self.current()
        self.clock.advance(300)
        self.txt("v=STSv1; id=2;")
        self.fetcher.answer = FetchError(FetchFault.TIMEOUT, "timed out")
        self.assertEqual([(self.current().policy_id, self.current().how) for _ in range(3)], [("1", "cached")] * 3)
        self.assertEqual(self.fetcher.fetches, 2)
        self.assertEqual(self.sink.of(STSFetchFailed)[-1].kept, "1")
        self.clock.advance(300)
        self.fetcher.answer = body()
        self.assertEqual((self.current().policy_id, self.current().how), ("2", "cached"))

    def test_no_record(self) -> None:
        """Without a cached policy: each way of having no record gives no policy, with its reason, and no fetch."""
        for records, reason in (
            ((), "no policy"),
            (("v=spf1 -all",), "no policy"),
            (("v=STSv1; id=1;", "v=STSv1; id=2;"), "invalid TXT record"),
            (("v=STSv1; id=!;",), "invalid TXT record"),
        ):
            self.txt(*records)
            finding = self.current()
            self.assertEqual((finding.policy, finding.how, finding.reason), (None, "", reason))
        self.resolver.fail(TXT, "TXT", FailureKind.TIMEOUT)
        self.assertEqual(self.current().reason, "TXT lookup failed: Timeout")
        self.assertEqual(self.fetcher.fetches, 0)

    def test_record_gone(self) -> None:
        """No record, several, a malformed one, or a lookup that fails: a cached policy stays, until it expires."""
        self.current()
        for change in (
            self.txt,
            lambda: self.txt("v=STSv1; id=1;", "v=STSv1; id=2;"),
            lambda: self.txt("v=STSv1; id=!;"),
            lambda: self.resolver.fail(TXT, "TXT", FailureKind.SERVFAIL),
        ):
            change()
            self.assertEqual((self.current().policy_id, self.current().how), ("1", "cached"))
        self.clock.advance(WEEK)
        finding = self.current()
        self.assertEqual((finding.policy, finding.reason), (None, "TXT lookup failed: ServFail"))
        self.assertTrue(self.sink.of(STSRecordFailed))

    def test_several_strings_and_records_of_others(self) -> None:
        """Strings of one record are joined; records that aren't ours don't count."""
        self.resolver.remove(TXT, "TXT")
        self.resolver.add(f'{TXT} TXT "v=STSv1; i" "d=20" "25;"\n{TXT} TXT "google-site-verification=x"')
        self.assertEqual(self.current().policy_id, "2025")

    def test_a_labels(self) -> None:
        """A domain beyond ASCII is looked up, fetched and kept by its A-labels."""
        domain = "xn--bcher-kva.test"
        self.resolver.add(f'_mta-sts.{domain} TXT "v=STSv1; id=1;"')
        self.assertEqual(self.current(domain=domain).how, "fetched")
        self.assertEqual([path.name for path in self.folder.iterdir()], [f"{domain}.json"])

    def test_one_fetch_for_all(self) -> None:
        """Those who ask while a fetch is under way share it; one who gives up doesn't disturb the others."""
        answer = self.fetcher.answer = Deferred()
        waiting = [Deferred.fromCoroutine(self.store.current(D)) for _ in range(3)]
        waiting[1].cancel()
        answer.callback(body())
        self.assertEqual(self.successResultOf(waiting[0]).how, "fetched")
        self.assertEqual(self.successResultOf(waiting[2]).how, "fetched")
        self.failureResultOf(waiting[1], CancelledError)
        self.assertEqual(self.fetcher.fetches, 1)

    def test_few_in_a_turn(self) -> None:
        """Of many who wait for one fetch a few go on in one turn of the reactor, and who is cancelled by what another one does isn't told."""
        self.clock = TurningClock()
        self.clock.advance(1_000_000)
        self.store = self.make_store()
        answer = self.fetcher.answer = Deferred()
        waiting = [Deferred.fromCoroutine(self.store.current(D)) for _ in range(35)]
        waiting[0].addCallback(lambda _: waiting[1].cancel())
        waiting[1].addErrback(lambda failure: failure.trap(CancelledError))
        answer.callback(body())
        for turn in range(1, 7):
            self.assertEqual(sum(each.called for each in waiting), AT_A_TURN * turn)
            self.clock.turn()
        self.assertTrue(all(each.called for each in waiting))

    def test_broken_fetcher(self) -> None:
        """An error that a fetcher must not raise is a fault of ours for each who waits, and the next one may try again."""
        self.fetcher.answer = RuntimeError("broken")
        waiting = Deferred.fromCoroutine(self.store.current(D))
        self.assertEqual(self.failureResultOf(waiting, OwnFetchFault).value.cause, "internal error: RuntimeError")
        self.assertIn("internal error: RuntimeError('broken')", self.sink.of(Fault)[0].text)
        self.fetcher.answer = body()
        self.assertEqual(self.current().how, "fetched")


class FailedFetchTests(StoreCase):
    """What a failed fetch leaves behind."""

    def test_negative(self) -> None:
        """No policy, with the reason and the HTTP status; no second fetch before five minutes are over."""
        self.fetcher.answer = FetchError(FetchFault.HTTP_STATUS, "HTTP status 404 Not Found", status=404)
        self.assertEqual(self.current().reason, "policy fetch failed: http-status 404")
        self.clock.advance(299)
        self.assertEqual(self.current().reason, LATELY)
        self.assertEqual(self.fetcher.fetches, 1)
        self.clock.advance(1)
        self.fetcher.answer = body()
        self.assertEqual(self.current().how, "fetched")

    def test_flushed(self) -> None:
        """After an operator's flush, of the domain or of all, the next attempt fetches at once, however the last one ended; others' failures
        count as before."""
        self.resolver.add('_mta-sts.two.test TXT "v=STSv1; id=1;"')
        self.fetcher.answer = FetchError(FetchFault.TIMEOUT, "timed out")
        for flushed, fetches in (("three.test", 0), (D, 1), (None, 2)):
            for domain in (D, "two.test"):
                self.current(domain=domain)
            before = self.fetcher.fetches
            self.successResultOf(Deferred.fromCoroutine(self.store.flush(flushed)))
            for domain in (D, "two.test"):
                self.current(domain=domain)
            self.assertEqual(self.fetcher.fetches - before, fetches, flushed)
        self.fetcher.answer = body()
        self.successResultOf(Deferred.fromCoroutine(self.store.flush(D)))
        self.assertEqual(self.current().how, "fetched")

    def test_flushed_meanwhile(self) -> None:
        """A fetch that fails behind a flush, and began before it, keeps nobody from the next one."""
        answer = self.fetcher.answer = Deferred()
        asked = Deferred.fromCoroutine(self.store.current(D))
        self.successResultOf(Deferred.fromCoroutine(self.store.flush(D)))
        answer.errback(FetchError(FetchFault.TIMEOUT, "timed out"))
        self.successResultOf(asked)
        self.fetcher.answer = body()
        self.assertEqual(self.current().how, "fetched")

    def test_flushed_while_it_changes(self) -> None:
        """A flush also forgets that a new id was followed, and that all hosts were refused, a moment ago."""
        self.current()
        self.txt("v=STSv1; id=2;")
        self.current()
        self.current(reread=True)
        self.successResultOf(Deferred.fromCoroutine(self.store.flush(D)))
        self.txt("v=STSv1; id=3;")
        for policy_id in ("3", "4"):
            self.txt(f"v=STSv1; id={policy_id};")
            self.assertEqual((self.current().how, self.known().policy_id), ("fetched", policy_id))

    def test_reason_without_a_status(self) -> None:
        """Only an HTTP status has a number behind it."""
        self.fetcher.answer = FetchError(FetchFault.REDIRECT, "redirect (301) to /elsewhere")
        self.assertEqual(self.current().reason, "policy fetch failed: redirect")

    def test_told(self) -> None:
        """The failure is told with cause and URL, and that no policy is in force."""
        self.fetcher.answer = FetchError(FetchFault.DNS, "mta-sts.one.test has no address")
        self.current()
        (event,) = self.sink.of(STSFetchFailed)
        url = "https://mta-sts.one.test/.well-known/mta-sts.txt"
        self.assertEqual(event, STSFetchFailed(D, url, "mta-sts.one.test has no address"))

    def test_a06_no_mx(self) -> None:
        """A6: an enforce policy without mx is no policy; negative for five minutes, and said in the log."""
        self.fetcher.answer = NO_MX
        self.assertEqual(
            [self.current().reason, self.current().reason], ["policy fetch failed: invalid-policy", LATELY]
        )
        self.assertIn('without any "mx"', self.sink.of(STSFetchFailed)[0].cause)
        self.assertEqual(list(self.store.cache), [])

    def test_a06_does_not_replace_a_good_one(self) -> None:
        """A6: an invalid policy under a new id doesn't take the place of the cached one."""
        self.current()
        self.clock.advance(300)
        self.txt("v=STSv1; id=2;")
        self.fetcher.answer = NO_MX
        self.assertEqual((self.current().policy_id, self.current().how), ("1", "cached"))

    def test_clock_gone_back(self) -> None:
        """A failure noted in the future doesn't keep the next fetch away."""
        self.fetcher.answer = FetchError(FetchFault.TIMEOUT, "timed out")
        self.current()
        self.set_clock(1_000)
        self.fetcher.answer = body()
        self.assertEqual(self.current().how, "fetched")

    def test_bounded_memory(self) -> None:
        """Of more domains than are remembered the oldest are forgotten."""
        moments = RecentTimes()
        for number in range(MAX_REMEMBERED + 1):
            moments.note(str(number), 0.0)
        self.assertEqual([moments.within(name, 1.0, 5.0) for name in ("0", "1")], [False, True])


class LifetimeTests(StoreCase):
    """max_age, expiry, withdrawal, and the second look."""

    def test_max_age_zero(self) -> None:
        """max_age 0: good until the next fetch is allowed, and then over; a policy kept before is gone."""
        self.fetcher.answer = body(max_age=0)
        self.assertEqual([self.current().how, self.current().how], ["fetched", "cached"])
        self.clock.advance(300)
        self.fetcher.answer = body()
        self.assertEqual(self.current().how, "fetched")
        self.clock.advance(300)
        self.txt("v=STSv1; id=2;")
        self.fetcher.answer = body(max_age=0)
        self.assertEqual(self.current().how, "fetched")
        self.clock.advance(300)
        self.txt()
        self.assertEqual(self.current().reason, "no policy")

    def test_max_age_above_a_year(self) -> None:
        """A max_age above 31557600 counts as that: one second before its end the policy is used, then it isn't."""
        self.fetcher.answer = body(max_age=9_999_999_999)
        self.current()
        self.txt()
        self.clock.advance(MAX_AGE - 1)
        self.assertEqual(self.current().how, "cached")
        self.clock.advance(1)
        self.assertEqual(self.current().reason, "no policy")

    def test_expired_is_fetched_anew(self) -> None:
        """An expired policy isn't used, though the id is the same: it is fetched, and without luck there is none."""
        self.current()
        self.clock.advance(WEEK)
        self.fetcher.answer = FetchError(FetchFault.CONNECT, "refused")
        self.assertEqual((self.current().policy, self.fetcher.fetches), (None, 2))
        self.clock.advance(300)
        self.fetcher.answer = body()
        self.assertEqual(self.current().how, "fetched")

    def test_clock_gone_back(self) -> None:
        """A policy fetched in the future stays in force: what the clock does never weakens a decision."""
        self.current()
        self.set_clock(1_000)
        self.assertEqual(self.current().how, "cached")
        self.assertEqual(self.current(reread=True).how, "fetched")

    def test_withdrawn(self) -> None:
        """An enforce policy replaced by none is honoured, and told at Warning."""
        self.current()
        self.clock.advance(300)
        self.txt("v=STSv1; id=2;")
        self.fetcher.answer = NONE
        finding = self.current()
        assert finding.policy is not None
        self.assertIs(finding.policy.mode, Mode.NONE)
        (event,) = self.sink.of(STSPolicyWithdrawn)
        self.assertEqual(event, STSPolicyWithdrawn(D, "2"))
        ((level, text),) = render(event)
        self.assertIs(level, Level.WARNING)
        self.assertIn("was withdrawn: enforce became none", text)

    def test_not_withdrawn(self) -> None:
        """Testing replaced by none, and none at first sight, aren't worth a Warning."""
        self.fetcher.answer = body("testing")
        self.current()
        self.clock.advance(300)
        self.txt("v=STSv1; id=2;")
        self.fetcher.answer = NONE
        self.current()
        self.assertEqual(self.sink.of(STSPolicyWithdrawn), [])

    def test_id_that_changes_all_the_time(self) -> None:
        """A record with another id at each answer costs two fetches in five minutes; what was fetched stays in force meanwhile."""
        for minutes in range(12):
            for _ in range(10):
                self.txt(f"v=STSv1; id={self.resolver.count(TXT, 'TXT')};")
                finding = self.current()
                assert finding.policy is not None
                self.assertIs(finding.policy.mode, Mode.ENFORCE)
                self.clock.advance(6)
            self.assertEqual(self.fetcher.fetches, 2 * (minutes // 5 + 1))

    def test_renewed_lately(self) -> None:
        """A renewal fetches nothing that was fetched a moment ago, whatever its record says."""
        self.current()
        self.txt("v=STSv1; id=2;")
        known = self.store.cache.known(D)
        assert known is not None
        for fetches in (1, 2):
            self.successResultOf(Deferred.fromCoroutine(self.store.renew(known)))
            self.assertEqual(self.fetcher.fetches, fetches)
            self.clock.advance(300)

    def test_stricter_policy(self) -> None:
        """A policy that is made stricter a moment after it was fetched is followed at the next look."""
        self.fetcher.answer = body("testing")
        self.current()
        self.clock.advance(10)
        self.txt("v=STSv1; id=2;")
        self.fetcher.answer = body("enforce")
        finding = self.current()
        assert finding.policy is not None
        self.assertIs(finding.policy.mode, Mode.ENFORCE)

    def test_policy_that_ends_at_once(self) -> None:
        """A policy that lasts for a second, or for none, costs one fetch in five minutes too, with and without mail."""
        for max_age in (0, 1):
            self.setUp()
            self.fetcher.answer = body(max_age=max_age)
            refresh = PolicyRefresh(self.store, MTASTS(), self.clock, lambda: 0.5)
            refresh.start()
            for _ in range(60):
                self.current()
                self.clock.advance(60)
            self.assertLessEqual(self.fetcher.fetches, 12)
            self.successResultOf(refresh.stop())

    def test_a08_reread(self) -> None:
        """A8: every MX refused: fetched once more though the id is the same, but at most every five minutes."""
        self.current()
        self.assertEqual(self.current(reread=True).how, "cached")
        self.clock.advance(301)
        self.fetcher.answer = FetchError(FetchFault.TIMEOUT, "timed out")
        self.assertEqual(self.current(reread=True).how, "cached")
        self.clock.advance(299)
        self.fetcher.answer = body(mx="new.one.test")
        self.assertEqual(self.current(reread=True).how, "cached")
        self.assertEqual(self.fetcher.fetches, 2)
        self.clock.advance(1)
        self.assertEqual([self.current(reread=True).how, self.current(reread=True).how], ["fetched", "cached"])
