"""Whose turn it is to fetch: shares, and turns that slow hosts lose to those who wait."""

from __future__ import annotations

from ipaddress import ip_address
from random import Random

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from seg.common.spread import AT_A_TURN
from seg.policy.mtasts.errors import FetchFault, OwnFetchFault
from seg.policy.mtasts.turns import PER_NETWORK, SLOW, UNHEARD, Claim, FetchTurns, Turn, network_of

MOST = 20
WAIT = 60.0
HONEST = 0.5  # seconds that a policy host takes


class Fetch:
    """One that wants a turn, and holds it for some seconds (None: for ever), with TLS from the beginning or never."""

    def __init__(
        self, clock: Clock, turns: FetchTurns, address: str, claim: Claim, takes: float | None, tls: bool
    ) -> None:
        self.clock, self.turns, self.takes = clock, turns, takes
        self.began = self.ended = -1.0
        self.lost = self.busy = False
        self.turn: Turn | None = None
        found = ip_address(address) if address else None
        taking = turns.take(claim, found, lambda: tls, self.taken_away)
        Deferred.fromCoroutine(taking).addCallbacks(self.begin, self.refused)

    def begin(self, turn: Turn) -> None:
        """It has its turn."""
        self.turn, self.began = turn, self.clock.seconds()
        if self.takes is not None:
            self.clock.callLater(self.takes, self.end)

    def end(self) -> None:
        """It is done."""
        if not self.lost and self.turn is not None:
            self.ended = self.clock.seconds()
            self.turns.give_back(self.turn)

    def taken_away(self) -> None:
        """Others need the turn."""
        self.lost = True

    def refused(self, failure: object) -> None:
        """There was no turn in time."""
        failure.trap(OwnFetchFault)  # type: ignore[attr-defined]
        self.busy = True

    @property
    def running(self) -> bool:
        """Whether it has a turn now."""
        return self.began >= 0 and self.ended < 0 and not self.lost


class TurnsCase(SynchronousTestCase):
    """Turns by a clock of their own."""

    def setUp(self) -> None:
        """Nobody fetches."""
        self.clock = Clock()
        self.turns = FetchTurns(self.clock, MOST, WAIT)

    def fetch(
        self, address: str = "", mid: int = 0, known: bool = False, takes: float | None = None, tls: bool = False
    ) -> Fetch:
        """One more."""
        return Fetch(self.clock, self.turns, address, Claim(mid, known), takes, tls)

    def wait(self, seconds: float) -> None:
        """Let time pass."""
        self.clock.pump([0.1] * round(seconds * 10))


def hostile(number: int) -> str:
    """An address in a network of its own."""
    return str(ip_address("93.0.0.1") + 256 * number)


class ShareTests(TurnsCase):
    """Who may have how many at a time."""

    def test_networks(self) -> None:
        """A /24 of IPv4 and a /64 of IPv6 count as one host."""
        self.assertEqual(network_of(ip_address("192.0.2.200")), "192.0.2.0/24")
        self.assertEqual(network_of(ip_address("2001:db8:1:2:3::4")), "2001:db8:1:2::/64")

    def test_one_host(self) -> None:
        """Forty names at one host, or in one network, take two turns."""
        for address in ("192.0.2.{}", "2001:db8::{}"):
            fetches = [self.fetch(address.format(n + 1)) for n in range(40)]
            self.assertEqual(sum(fetch.running for fetch in fetches), PER_NETWORK)

    def test_one_message(self) -> None:
        """The domains of one message hold half of the turns at most, whatever hosts they name; others begin at once."""
        fetches = [self.fetch(hostile(n), mid=7) for n in range(100)]
        self.assertEqual(sum(fetch.running for fetch in fetches), MOST // 2)
        self.assertTrue(self.fetch("192.0.2.1", mid=8).running)

    def test_reserves(self) -> None:
        """A quarter of the turns is kept for domains with a policy, and a quarter for those without."""
        for known in (False, True):
            self.setUp()
            fetches = [self.fetch(hostile(n), known=known) for n in range(100)]
            self.assertEqual(sum(fetch.running for fetch in fetches), MOST * 3 // 4)
            others = [self.fetch(hostile(1000 + n), known=not known) for n in range(100)]
            self.assertEqual(sum(fetch.running for fetch in others), MOST // 4)

    def test_few_turns(self) -> None:
        """With one turn in all, each who comes has it sooner or later."""
        self.turns = FetchTurns(self.clock, 1, WAIT)
        fetches = [self.fetch(hostile(n), mid=n, known=bool(n % 2), takes=HONEST) for n in range(8)]
        self.wait(8)
        self.assertEqual([fetch.ended > 0 for fetch in fetches], [True] * 8)

    def test_not_in_time(self) -> None:
        """Who has no turn in time is told that it is our fault, in words that say so; nothing is left behind."""
        holders = [self.fetch(hostile(n), takes=WAIT * 3, tls=True, known=bool(n % 2)) for n in range(MOST)]
        self.turns._victims = lambda waiting, slow, kept: []  # type: ignore[method-assign]
        late = self.fetch("192.0.2.1")
        self.wait(WAIT + 1)
        self.assertTrue(late.busy)
        self.assertEqual(self.turns.busy.text, "MTA-STS policy not looked at yet: all 20 fetches are busy")
        self.assertIs(self.turns.busy.fault, FetchFault.BUSY)
        self.wait(WAIT * 3)
        self.assertTrue(all(holder.ended > 0 for holder in holders))
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.assertFalse(self.turns._counts or self.turns._running or self.turns._waiting)

    def test_begun_after_its_time(self) -> None:
        """Of many whose time is up together some are told in the next turn of the reactor: one that has begun meanwhile goes on."""
        holders = [self.fetch(hostile(n), takes=WAIT * 3, tls=True, known=bool(n % 2)) for n in range(MOST)]
        self.turns._victims = lambda waiting, slow, kept: []  # type: ignore[method-assign]
        late = [self.fetch(f"192.0.{n}.1", takes=HONEST) for n in range(AT_A_TURN + 2)]
        self.clock.callLater(WAIT, holders[0].end)  # when ten have been told
        self.wait(WAIT + 2)
        self.assertEqual([fetch.busy for fetch in late].count(False), 1)
        self.assertEqual([fetch.ended > 0 for fetch in late].count(True), 1)


class SilenceTests(TurnsCase):
    """Hosts that are silent, or slow, against an honest one."""

    def test_nobody_waits(self) -> None:
        """While nobody waits a slow host keeps its turn."""
        fetches = [self.fetch(hostile(n)) for n in range(MOST * 3 // 4)]
        self.wait(WAIT)
        self.assertEqual([fetch.lost for fetch in fetches], [False] * len(fetches))

    def test_honest_newcomer(self) -> None:
        """60 or 500 silent hosts at addresses of their own, of one message or of many: an honest one waits some seconds."""
        for count in (60, 500):
            for mid in (False, True):
                for tls in (False, True):
                    self.setUp()
                    for n in range(count):
                        self.fetch(hostile(n), mid=1 if mid else n + 1, tls=tls)
                    self.wait(1)
                    begin = self.clock.seconds()
                    honest = self.fetch("192.0.2.1", mid=10_000, takes=HONEST)
                    self.wait(10)
                    self.assertTrue(honest.ended > 0, (count, mid, tls))
                    self.assertLess(honest.ended - begin, (SLOW if tls else UNHEARD) + 1.5, (count, mid, tls))

    def test_honest_in_the_midst(self) -> None:
        """One that comes in the midst of 500 silent hosts has its turn before its wait is over."""
        random = Random(1)
        order = [*range(500)]
        random.shuffle(order)
        fetches = {
            n: self.fetch("192.0.2.1" if n == 0 else hostile(n), mid=n + 1, takes=HONEST if n == 0 else None)
            for n in order
        }
        self.wait(WAIT)
        self.assertTrue(fetches[0].ended > 0)

    def test_same_network(self) -> None:
        """Two silent domains at the honest one's own host keep it waiting for some seconds, not for the whole of their time."""
        for n in range(40):
            self.fetch("192.0.2.1", mid=n + 1, tls=True)
        self.wait(1)
        honest = self.fetch("192.0.2.9", mid=100, takes=HONEST)
        self.wait(SLOW + 2)
        self.assertTrue(honest.ended > 0)

    def test_same_host_again_and_again(self) -> None:
        """A message with hundreds of domains at the honest one's host, all tried again as soon as their turns are taken away, keeps honest
        ones from theirs for some seconds; so do ten such messages for longer, but not for the whole of their wait."""
        for messages, most in ((1, SLOW + 2), (10, WAIT)):
            self.setUp()
            hostile = [self.fetch("192.0.2.1", mid=n % messages + 1, tls=True) for n in range(300)]

            def again(messages: int = messages, hostile: list[Fetch] = hostile) -> None:
                for n, fetch in enumerate(hostile):
                    if fetch.lost or fetch.busy:
                        hostile[n] = self.fetch("192.0.2.1", mid=n % messages + 1, tls=True)

            for _ in range(60):
                self.wait(1)
                again()
            honest = self.fetch("192.0.2.9", mid=100, takes=HONEST)
            for _ in range(round(most)):
                self.wait(1)
                again()
            self.assertTrue(honest.ended > 0, messages)

    def test_fewest_turns_first(self) -> None:
        """Of those who wait for one host the messages take their turns in turn, however many domains each has."""
        running = [self.fetch("192.0.2.1", mid=1, takes=HONEST) for _ in range(20)]
        others = [self.fetch("192.0.2.1", mid=2 + n, takes=HONEST) for n in range(4)]
        self.wait(HONEST * 3 + 0.2)
        self.assertEqual([fetch.ended > 0 for fetch in others], [True] * 4)
        self.assertEqual(sum(fetch.ended > 0 for fetch in running), PER_NETWORK)

    def test_heard_to_the_end(self) -> None:
        """Some slow hosts keep their turns all the time: they are the oldest, so that each is heard to its end some day."""
        fetches = [self.fetch(hostile(n), mid=n + 1) for n in range(200)]
        self.wait(30)
        self.assertEqual([fetch.running for fetch in fetches[:1]], [True])

    def test_ends_with_another(self) -> None:
        """A turn that ends because another one is taken away (one attempt gives up both) isn't taken away a second time."""
        fetches = [self.fetch(hostile(n), mid=n + 1) for n in range(MOST * 3 // 4)]
        one, two = fetches[-1].turn, fetches[-2].turn
        assert one is not None
        assert two is not None
        lost: list[Turn] = []
        for turn, other in ((one, two), (two, one)):

            def taken_away(turn: Turn = turn, other: Turn = other) -> None:
                lost.append(turn)
                self.turns.give_back(other)

            turn.taken_away = taken_away
        waiting = [self.fetch(f"192.0.{n}.1", mid=1000 + n) for n in range(4)]
        self.wait(UNHEARD + 1)
        self.assertEqual(len(lost), len(set(map(id, lost))))
        self.assertEqual([fetch.running for fetch in waiting], [True] * 4)

    def test_known_to_be_slow(self) -> None:
        """A network that was slow of late comes behind the others, and has a quarter of the turns."""
        for n in range(100):
            self.fetch(hostile(n), mid=n + 1)
        self.wait(WAIT * 2)
        again = [self.fetch(hostile(n), mid=1000 + n) for n in range(100)]
        self.wait(0.1)
        self.assertLessEqual(sum(fetch.running for fetch in again), MOST // 4)
        honest = [self.fetch(f"192.0.{n}.1", mid=2000 + n, takes=HONEST) for n in range(5)]
        self.wait(4)
        self.assertEqual([fetch.ended > 0 for fetch in honest], [True] * 5)

    def test_too_late_for_nobody(self) -> None:
        """A time-out that comes when the turn has begun, or isn't waited for any more, ends nothing."""
        fetches = [self.fetch(hostile(n), mid=n + 1) for n in range(100)]
        waiting = next(iter(self.turns._waiting))
        self.turns._too_late(waiting)
        self.turns._too_late(waiting)
        began = next(iter(self.turns._running))
        self.turns._too_late(began)
        self.assertIn(began, self.turns._running)
        self.assertEqual(sum(fetch.busy for fetch in fetches), 1)

    def test_bounded(self) -> None:
        """What is remembered of slow networks is bounded, and so is who may wait; nothing stays behind."""
        from seg.policy.mtasts import turns

        self.turns._slow._learnt.most = 10
        self.patch(turns, "MOST_WAITING", 50)
        self.turns._served.most = 10
        fetches = [self.fetch(hostile(n), mid=n + 1, takes=WAIT / 2) for n in range(100)]
        self.assertEqual(sum(fetch.busy for fetch in fetches), 100 - 50 - MOST * 3 // 4)
        self.wait(WAIT * 3)
        self.assertLessEqual(len(self.turns._slow), 10)
        self.assertLessEqual(len(self.turns._served), 10)
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.assertFalse(self.turns._counts or self.turns._running or self.turns._waiting)
