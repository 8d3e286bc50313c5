"""Who is due."""

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from seg.queue.due import AT_ONCE, DueQueue
from tests.queue.house import NOW, SOFT, HouseCase


class DueListTests(SynchronousTestCase):
    """FIFOs and the timer."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.woken: list[tuple[int, float]] = []
        self.due = DueQueue(self.clock, lambda mid, when: self.woken.append((mid, when)))
        self.ready: list[str] = []

    def test_first_in_first_out(self) -> None:
        """Each destination gives its messages in the order in which they became due."""
        for domain, mid in (("a", 1), ("b", 2), ("a", 3)):
            self.due.add(domain, mid)
        self.assertEqual([self.due.take("a"), self.due.take("a"), self.due.take("a")], [1, 3, None])
        self.assertEqual([self.due.take("b"), self.due.take("c")], [2, None])

    def test_subscribe(self) -> None:
        """A subscriber hears of destinations with due work now, and of each that comes to have some."""
        self.due.add("a", 1)
        self.due.subscribe(self.ready.append)
        self.due.add("a", 2)
        self.due.add("b", 3)
        self.assertEqual(self.ready, ["a", "b"])
        self.due.take("b")
        self.due.add("b", 4)
        self.assertEqual(self.ready, ["a", "b", "b"])

    def test_one_timer(self) -> None:
        """However many wait, there is one timer, for the earliest."""
        for when in (30.0, 10.0, 20.0, 10.0):
            self.due.wake_at(when, int(when))
        self.assertEqual([call.getTime() for call in self.clock.getDelayedCalls()], [10.0])
        self.clock.advance(10)
        self.assertEqual(self.woken, [(10, 10.0), (10, 10.0)])
        self.clock.advance(20)
        self.assertEqual(self.woken[2:], [(20, 20.0), (30, 30.0)])
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_reactor_gets_its_turn(self) -> None:
        """When thousands are due at once they are woken in slices."""
        others: list[int] = []
        self.due.wake_at(4.0, 0)
        for mid in range(3 * AT_ONCE):
            self.due.wake_at(5.0, mid)
        self.clock.callLater(4.0, lambda: self.clock.callLater(1.0, lambda: others.append(len(self.woken))))
        self.clock.advance(4)
        self.woken.clear()
        self.clock.advance(1)
        self.assertEqual((others, len(self.woken)), ([AT_ONCE], 3 * AT_ONCE))

    def test_stop(self) -> None:
        """After a stop nothing is woken."""
        self.due.wake_at(5.0, 1)
        self.due.stop()
        self.due.wake_at(4.0, 1)
        self.assertEqual(self.clock.getDelayedCalls(), [])


class SettledAtOnceTests(HouseCase):
    """An attempt may be over before the queue has told everybody that a message is due: whatever it needs is in a cache."""

    def test_every_retry(self) -> None:
        """Each retry comes at its time, whatever made the message due: its arrival, a retry, a release, an operator, a lease returned."""
        house = self.house
        tries: list[float] = []

        def attempt(domain: str) -> None:
            if house.attempt(domain, SOFT) is not None:
                tries.append(house.clock.seconds() - NOW)

        house.queue.subscribe(attempt)
        mid = house.put("a@one.test")
        for _ in range(10):
            house.clock.advance(60)
        self.assertEqual(tries, [0, 60, 180, 420])
        Deferred.fromCoroutine(house.commands.retry(mid))
        house.commands.hold(mid, "op")
        house.clock.advance(3600)
        self.assertEqual(tries[4:], [600])
        house.commands.release_hold(mid, "op")
        self.assertEqual(tries[5:], [4200])
        for _ in range(60):
            house.clock.advance(60)
        self.assertEqual(tries[6:], [6120])
        house = self.restart()
        house.queue.subscribe(attempt)
        for _ in range(120):
            house.clock.advance(60)
        self.assertEqual(tries[7:], [9720, 13320])
