"""The queue while somebody sets the system's clock: waits are of the time that passes, files hold POSIX time."""

from __future__ import annotations

from unittest.mock import patch

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from seg.common.clock import posix
from seg.config.schema import QueueSettings
from seg.events.queue import RecipientBounced, RecipientsPending
from seg.mail.envelope import Envelope, Recipient, RecipientState
from seg.queue import schedule
from seg.queue.codec import decode
from seg.queue.queue import Queue
from tests.doubles import SettableClock
from tests.queue.house import NOW, SOFT, House

RETRIES = QueueSettings(jitter=0.0, first_retry=60.0, max_retry=3600.0, lifetime=4 * 86400.0)
HOUR, DAY = 3600.0, 86400.0


class ClockTests(SynchronousTestCase):
    """A spool with a clock that can be set."""

    def setUp(self) -> None:
        self.clock = SettableClock(NOW)
        self.house = House(self.mktemp(), RETRIES, clock=self.clock).start()

    def restart(self) -> House:
        """Another process takes over; its clock begins with the system's."""
        self.clock = SettableClock(self.clock.rightNow + self.clock.off)
        self.house = House(str(self.house.root), RETRIES, clock=self.clock).start()
        return self.house

    def queue(self) -> Queue:
        """The queue."""
        return self.house.queue

    def on_disk(self, mid: int) -> tuple[float, float]:
        """(arrived, due) of the first recipient as the file says."""
        (path,) = self.house.root.rglob(f"{mid:012d}.env")
        envelope = decode(path.read_bytes()).envelope
        return envelope.arrived, envelope.recipients[0].due

    def test_set_back_while_it_waits(self) -> None:
        """Two hours back: a deferred message is tried when its wait is over, not two hours later."""
        self.house.put("to@a.test")
        self.house.attempt("a.test", SOFT)
        self.clock.set_by(-2 * HOUR)
        self.clock.advance(59)
        self.assertIsNone(self.house.attempt("a.test", SOFT))
        self.clock.advance(1)
        self.assertIsNotNone(self.house.attempt("a.test", SOFT))

    def test_set_forward_returns_nothing(self) -> None:
        """Four days forward: a message of ten seconds isn't too old for that; it is returned when it is."""
        mid = self.house.put("to@a.test")
        self.house.attempt("a.test", SOFT)
        self.clock.advance(10)
        self.clock.set_by(5 * DAY)
        self.clock.advance(50)
        self.assertEqual(self.house.attempt("a.test", SOFT), mid)
        self.assertEqual(self.house.sink.of(RecipientBounced), [])
        self.clock.advance(4 * DAY)
        self.assertIn(mid, [event.mid for event in self.house.sink.of(RecipientBounced)])

    def test_start_after_a_clock_that_was_ahead(self) -> None:
        """What was written down while the clock was two hours ahead waits after a restart no longer than any message does after
        so many tries, and has arrived now."""
        self.clock.set_by(2 * HOUR)
        mid = self.house.put("to@a.test")
        self.house.attempt("a.test", SOFT)
        self.clock.set_by(-2 * HOUR)
        self.restart()
        listing = self.house.commands.listing(mid)
        assert listing is not None
        self.assertEqual((listing.arrived, listing.due), (NOW, NOW + 60))
        self.clock.advance(60)
        self.assertEqual(self.house.attempt("a.test", SOFT), mid)

    def test_start_with_a_clock_that_is_ahead(self) -> None:
        """A clock four days ahead at the start: each message has a last try before it is returned."""
        mid = self.house.put("to@a.test")
        self.house.attempt("a.test", SOFT)
        self.clock.set_by(5 * DAY)
        self.restart()
        self.assertEqual(self.house.sink.of(RecipientBounced), [])
        self.assertEqual(self.house.attempt("a.test", SOFT), mid)

    def test_files_and_people_get_posix_time(self) -> None:
        """Files, listings, events and leases have POSIX seconds by the clock as it is now."""
        mid = self.house.put("to@a.test")
        self.clock.set_by(HOUR)
        self.clock.advance(5)
        lease = self.queue().lease("a.test")
        assert lease is not None
        self.assertEqual(lease.envelope.arrived, NOW + HOUR)
        self.queue().settle(lease, {0: SOFT})
        self.assertEqual(self.on_disk(mid), (NOW + HOUR, NOW + HOUR + 65))
        listing = self.house.commands.listing(mid)
        assert listing is not None
        self.assertEqual((listing.arrived, listing.due), (NOW + HOUR, NOW + HOUR + 65))
        self.assertEqual(listing.expires, NOW + HOUR + RETRIES.lifetime)
        self.assertEqual(self.house.commands.counts().oldest, NOW + HOUR)
        (pending,) = self.house.sink.of(RecipientsPending)
        self.assertEqual(pending.until, NOW + HOUR + 65)

    def test_many_recipients(self) -> None:
        """A message to a thousand destinations costs no more for each when the clock was set: its times are translated for all leases
        together."""
        mids = [self.house.put(*(f"to@d{number}.test" for number in range(300))) for _ in range(2)]
        self.clock.set_by(-2 * HOUR)
        with patch.object(schedule, "_later", wraps=schedule._later) as later:
            leases = [self.queue().lease(f"d{number}.test") for number in range(300) for _ in mids]
        self.assertEqual(later.call_count, 2 * 300)
        self.assertEqual({round(lease.envelope.arrived - NOW) for lease in leases if lease is not None}, {-2 * HOUR})
        self.clock.set_by(HOUR)
        self.queue().release(leases[0])  # type: ignore[arg-type]
        again = self.queue().lease("d0.test")
        self.assertEqual(again and round(again.envelope.arrived - NOW), -HOUR)

    def test_accepted_after_a_step(self) -> None:
        """A message that comes after the clock was set is as old as it is."""
        self.clock.set_by(-HOUR)
        writer = self.queue().begin(mid := self.house.counters.next_mid())
        writer.write(b"x\r\n")
        writer.commit(Envelope(mid, "s@s.test", (Recipient(0, "to@a.test"),), posix(self.clock)))
        listing = self.house.commands.listing(mid)
        assert listing is not None
        self.assertEqual((listing.arrived, listing.expires), (NOW - HOUR, NOW - HOUR + RETRIES.lifetime))

    @settings(deadline=None, max_examples=40)
    @given(st.lists(st.floats(-400 * DAY, 400 * DAY), min_size=1, max_size=6), st.booleans())
    def test_tries_come_by_the_time_that_passes(self, steps: list[float], restarted: bool) -> None:
        """However often the clock is set between tries, each comes when its wait has passed (after a restart at the latest then),
        and nothing is returned before its time."""
        self.setUp()
        mid = self.house.put("to@a.test")
        self.house.attempt("a.test", SOFT)
        for tries, step in enumerate(steps, 1):
            wait = min(60.0 * 2 ** (tries - 1), 3600.0)
            self.clock.set_by(step)
            if restarted:
                self.restart()
                self.clock.advance(wait + 0.001)
            else:
                self.clock.advance(wait - 1)
                self.assertIsNone(self.queue().lease("a.test"))
                self.clock.advance(1.001)
            lease = self.queue().lease("a.test")
            assert lease is not None
            self.assertEqual(lease.mid, mid)
            self.queue().settle(lease, {0: SOFT})
            if restarted and step > RETRIES.lifetime - HOUR:
                break  # it had its last try
        else:
            listing = self.house.commands.listing(mid)
            assert listing is not None
            self.assertLessEqual(listing.due, self.clock.rightNow + self.clock.off + 3601)
            states = {r.state for r in self.queue().index.get(mid).envelope.recipients}  # type: ignore[union-attr]
            self.assertEqual(states, {RecipientState.PENDING})
