"""The retry schedule."""

from twisted.trial.unittest import SynchronousTestCase

from seg.config.schema import QueueSettings
from seg.events.queue import RecipientsInDoubt
from seg.mail.envelope import Envelope, Recipient
from seg.mail.errors import Temporary
from seg.mail.outcome import Delayed
from seg.queue.schedule import SELDOM, Schedule, Schedules
from seg.queue.settlement import settle


def attempts(settings: QueueSettings, random: float = 0.0) -> tuple[list[float], float]:
    """Simulate failures from t=0: the times of all tries, and when the message is returned."""
    schedule = Schedule(settings, lambda: random)
    tries = [0.0]
    while True:
        due = schedule.next_due(len(tries), 0.0, tries[-1])
        if due is None:
            return tries, tries[-1]
        if due >= schedule.expiry(0.0):
            return tries, due
        tries.append(due)


class ScheduleTests(SynchronousTestCase):
    """Tables of tries."""

    def test_tables(self) -> None:
        """Waits double up to the longest; tries and lifetime end them, whichever comes first."""
        table = [
            (QueueSettings(jitter=0, max_retries=2, max_retry=60), [0, 60, 120], 120),
            (QueueSettings(jitter=0, max_retries=2, max_retry=60, lifetime=100), [0, 60], 100),
            (QueueSettings(jitter=0, max_retries=0), [0], 0),
            (QueueSettings(jitter=0, max_retries=5, max_retry=300), [0, 60, 180, 420, 720, 1020], 1020),
            (QueueSettings(jitter=0, first_retry=10, max_retry=1000, lifetime=75), [0, 10, 30, 70], 75),
            (QueueSettings(jitter=0, first_retry=500, max_retry=60, max_retries=1), [0, 60], 60),
        ]
        for settings, tries, returned in table:
            self.assertEqual(attempts(settings), (tries, returned), settings)

    def test_default(self) -> None:
        """By default a message is tried 77 times in three days: after 1, 2, 4, ... minutes, then hourly."""
        tries, returned = attempts(QueueSettings(jitter=0))
        self.assertEqual(tries[:8], [0, 60, 180, 420, 900, 1860, 3780, 7380])
        self.assertEqual((len(tries), returned), (77, 259200))

    def test_jitter(self) -> None:
        """The random share only shortens a wait, by no more than was configured."""
        self.assertEqual(attempts(QueueSettings(jitter=0.1, max_retries=1), random=1.0)[0], [0, 54])
        self.assertEqual(attempts(QueueSettings(jitter=0.1, max_retries=1), random=0.5)[0], [0, 57])

    def test_far(self) -> None:
        """Any number of tries can be computed."""
        settings = QueueSettings(jitter=0, max_retries=10**6)
        self.assertEqual(Schedule(settings, lambda: 0.0).wait(10**5), 3600)

    def test_past(self) -> None:
        """Past its lifetime a message is returned at once."""
        self.assertIsNone(Schedule(QueueSettings(lifetime=100), lambda: 0.0).next_due(1, 0.0, 100.0))

    def test_seldom(self) -> None:
        """Where each try may bring a copy, tries are hours apart, whatever the schedule says; the lifetime ends them as ever."""
        schedule = Schedule(QueueSettings(jitter=0, first_retry=1, max_retry=2), lambda: 0.0)
        self.assertEqual(schedule.next_due(1, 0.0, 5.0), 6.0)
        self.assertEqual(schedule.next_due(1, 0.0, 5.0, seldom=True), 5.0 + SELDOM)
        self.assertEqual(schedule.next_due(1, 0.0, schedule.expiry(0.0) - 1, seldom=True), schedule.expiry(0.0))
        longer = Schedule(QueueSettings(jitter=0, first_retry=SELDOM * 2, max_retry=SELDOM * 2), lambda: 0.0)
        self.assertEqual(longer.next_due(1, 0.0, 0.0, seldom=True), SELDOM * 2)

    def test_doubt(self) -> None:
        """An outcome in doubt whose answer can't be read is settled so, and its event says that copies may arrive."""
        to = Recipient(0, "b@to.example")
        schedules = Schedules(Schedule(QueueSettings(jitter=0, first_retry=1), lambda: 0.0))
        for seldom, due in ((False, 101.0), (True, 100.0 + SELDOM)):
            outcome = Delayed(Temporary("4.5.0", "not a reply"), 1, in_doubt=True, seldom=seldom)
            settlement = settle(Envelope(1, "a@b.example", (to,), 100.0), {0: outcome}, schedules, 100.0)
            self.assertEqual(settlement.envelope.recipients[0].due, due)
            told = RecipientsInDoubt(1, (0,), "4.5.0 not a reply", seldom)
            self.assertIn(told, settlement.events)
