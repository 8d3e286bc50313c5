"""However many destinations a message has, its sender gets few reports."""

from __future__ import annotations

import attrs

from seg.config.schema import QueueSettings
from seg.events.queue import BounceGenerated, MessageFinished
from seg.mail.envelope import DSNNotify, Envelope, Recipient, RecipientState
from seg.mail.outcome import Outcome
from seg.queue.gathering import LONGEST, MOST, QUIET
from seg.queue.rewrites import LONGEST_PAUSE
from tests.queue.house import DELIVERED, HARD, SOFT, House, HouseCase
from tests.queue.test_reports import drain

MANY = 100
HOUR = 3600.0


class GatheringTests(HouseCase):
    """One message to many destinations."""

    def put_many(self, count: int = MANY, notify: frozenset[DSNNotify] | None = None) -> int:
        """A message with one recipient at each of so many destinations."""
        mid = self.house.counters.next_mid()
        writer = self.house.queue.begin(mid)
        writer.write(b"Subject: x\r\n\r\nhi\r\n")
        recipients = tuple(Recipient(rid, f"a@d{rid}.test", notify=notify) for rid in range(count))
        self.successResultOf(writer.commit(Envelope(mid, "from@sender.test", recipients, self.house.clock.seconds())))
        return mid

    def told(self) -> list[int]:
        """How many recipients each of the reports tells of."""
        reports = [line for line in drain(self.house) if line.startswith("sender.test")]
        return [line.count(",") + 1 for line in reports]

    def test_all_at_once(self) -> None:
        """Failures at all destinations are one report, at the end of the message."""
        mid = self.put_many()
        for number in range(MANY):
            self.house.attempt(f"d{number}.test", HARD)
        self.house.clock.pump([LONGEST_PAUSE] * 3)  # outcomes of a message to many are written together
        self.assertEqual(self.told(), [MANY])
        self.assertEqual(self.house.sink.of(MessageFinished)[0], MessageFinished(mid))
        self.assertEqual(self.house.files(), [])
        self.assertEqual(self.house.queue.notification._gathering._waiting, {})

    def test_while_others_wait(self) -> None:
        """While something of the message is still tried a report waits a minute for more, and no longer than five."""
        self.put_many(20)
        self.house.attempt("d0.test", HARD)
        self.house.clock.advance(QUIET - 1)
        self.house.attempt("d1.test", HARD)
        self.assertEqual(self.told_of_failures(), 0)
        self.house.clock.advance(QUIET)
        self.assertEqual(self.told_of_failures(), 1)
        self.setUp()
        self.put_many(20)
        for number in range(10):
            self.house.attempt(f"d{number}.test", HARD)
            self.assertEqual(self.told_of_failures(), int(number * 50 >= LONGEST))
            self.house.clock.advance(50)

    def told_of_failures(self) -> int:
        """Reports written so far."""
        return len(self.house.sink.of(BounceGenerated))

    def test_bounded(self) -> None:
        """A destination that refuses a minute or an hour behind the other one makes few reports as well, and each recipient is in one."""
        for step in (61.0, 301.0, HOUR, 4 * HOUR):
            self.house = House(self.mktemp(), QueueSettings(jitter=0.0, lifetime=400 * HOUR, delay_warning=0.0)).start()
            self.put_many(60)
            for number in range(60):
                self.house.attempt(f"d{number}.test", HARD)
                self.house.clock.advance(step)
            told = self.told()
            self.assertLessEqual(len(told), MOST, step)
            self.assertEqual(sum(told), 60, step)
            self.assertEqual(self.house.files(), [])

    def test_delays(self) -> None:
        """Delays at all destinations are few reports, however their tries are spread; each is told of once."""
        self.put_many()
        self.house.clock.advance(4 * HOUR - 100)
        for _ in range(3):
            for number in range(MANY):
                self.house.attempt(f"d{number}.test", SOFT)
                self.house.clock.advance(10)
        self.house.clock.advance(20 * HOUR)
        told = self.told()
        self.assertLessEqual(len(told), MOST)
        self.assertEqual(sum(told), MANY)

    def test_successes(self) -> None:
        """The same of successes; none is lost when the gateway is killed before the report is there."""
        success = frozenset({DSNNotify.SUCCESS})
        self.put_many(notify=success)
        for number in range(MANY):
            self.house.attempt(f"d{number}.test", DELIVERED)
        self.house.clock.pump([LONGEST_PAUSE] * 3)
        self.assertEqual(self.told(), [MANY])
        self.assertEqual(self.house.files(), [])
        self.put_many(3, notify=success)
        self.house.attempt("d0.test", DELIVERED)
        self.house.attempt("d1.test", attrs.evolve(DELIVERED, notifies=True))
        self.restart()
        self.house.attempt("d2.test", DELIVERED)
        self.assertEqual(self.told(), [2])
        self.assertEqual(self.house.files(), [])

    def test_mixed(self) -> None:
        """Failures, delays and successes of one message in any order: each in the report of its kind, and nothing stays behind."""
        mid = self.put_many(9, frozenset(DSNNotify))
        self.house.clock.advance(5 * HOUR)
        outcomes: list[Outcome] = [HARD, SOFT, DELIVERED] * 3
        for number, outcome in enumerate(outcomes):
            self.house.attempt(f"d{number}.test", outcome)
        self.house.clock.advance(LONGEST)
        entry = self.house.queue.index.get(mid)
        assert entry is not None
        states = [r.state for r in entry.envelope.recipients]
        self.assertEqual(states, [RecipientState.BOUNCED, RecipientState.PENDING, RecipientState.DELIVERED] * 3)
        self.house.clock.advance(2 * HOUR)
        for number in (1, 4, 7):
            self.house.attempt(f"d{number}.test", HARD)
        self.assertLessEqual(len(self.told()), 2 * MOST)
        self.assertEqual(self.house.files(), [])

    def test_deleted_meanwhile(self) -> None:
        """When an operator deletes what is left, what had failed is told at once."""
        mid = self.put_many(2)
        self.house.attempt("d0.test", HARD)
        self.successResultOf(self.house.commands.delete(mid, "operator"))
        self.assertEqual(self.told(), [1])
        self.assertEqual(self.house.files(), [])

    def test_killed(self) -> None:
        """A kill while a report waits loses none and sends none twice."""
        self.put_many(3)
        self.house.attempt("d0.test", HARD)
        self.house.clock.advance(QUIET / 2)
        self.house.attempt("d1.test", HARD)
        self.restart()
        self.assertEqual(self.told(), [2])
        self.house.clock.advance(LONGEST)
        self.house.attempt("d2.test", DELIVERED)
        self.assertEqual(self.told(), [])
        self.assertEqual(self.house.files(), [])

    def test_profiles(self) -> None:
        """Recipients whose bounce profiles say otherwise how reports are written have a report of their own."""
        german = QueueSettings(jitter=0.0, report_languages=("de",))
        english = QueueSettings(jitter=0.0)
        house = self.house = House(
            self.mktemp(),
            english,
            settings_of=lambda domain, _: german if domain in ("d0.test", "d2.test") else english,
        ).start()
        self.put_many(4)
        for number in range(4):
            house.attempt(f"d{number}.test", HARD)
        self.assertEqual(drain(house), ["sender.test: MID 1 RIDs [0, 2]", "sender.test: MID 1 RIDs [1, 3]"])
        self.assertEqual(house.files(), [])
