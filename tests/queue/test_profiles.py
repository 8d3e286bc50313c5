"""Bounce profiles: a schedule of its own for each destination."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from seg.config.schema import QueueSettings
from seg.events.queue import RecipientBounced
from seg.mail.envelope import Envelope, Recipient
from tests.queue.house import HARD, NOW, SOFT, House
from tests.queue.test_reports import drain

GENERAL = QueueSettings(jitter=0.0, first_retry=60.0, lifetime=1000.0, delay_warning=0.0)
PATIENT = QueueSettings(jitter=0.0, first_retry=200.0, lifetime=5000.0, delay_warning=0.0)
HASTY = QueueSettings(jitter=0.0, first_retry=10.0, max_retries=1, failure_reports=False, delay_warning=0.0)
PROFILES = {"patient.test": PATIENT, "hasty.test": HASTY}


def settings_of(domain: str, listener: str) -> QueueSettings:
    """A destination's own profile, else the listener's."""
    return PROFILES.get(domain) or PROFILES.get(listener, GENERAL)


class ProfileTests(SynchronousTestCase):
    """One message to three destinations with three schedules."""

    def setUp(self) -> None:
        self.house = House(self.mktemp(), GENERAL, settings_of=settings_of).start()
        self.house.put("a@general.test", "b@patient.test", "c@hasty.test")

    def tries(self, domain: str, until: float) -> list[float]:
        """When each attempt was made, in seconds from the start."""
        made = []
        while self.house.clock.seconds() - NOW < until:
            if self.house.attempt(domain, SOFT) is not None:
                made.append(self.house.clock.seconds() - NOW)
            self.house.clock.advance(10)
        return made

    def test_waits(self) -> None:
        """Each destination is tried at its own times, and given up at its own end; the message stays for the most patient one."""
        self.assertEqual(self.tries("hasty.test", 100), [0, 10])
        self.assertEqual(self.tries("patient.test", 1500), [100, 300, 700])
        self.assertEqual(self.tries("general.test", 1600), [1500])
        bounced = {event.address for event in self.house.sink.of(RecipientBounced)}
        self.assertEqual(bounced, {"a@general.test", "c@hasty.test"})
        first = next(iter(self.house.commands.messages()))
        self.assertEqual(first.domains, ("patient.test",))

    def test_reports(self) -> None:
        """A profile may spare the sender the reports on failures."""
        self.house.attempt("hasty.test", HARD)
        self.assertEqual([line for line in drain(self.house) if line.startswith("sender.test")], [])
        other = House(self.mktemp(), GENERAL).start()
        other.put("c@hasty.test")
        other.attempt("hasty.test", HARD)
        self.assertEqual(len([line for line in drain(other) if line.startswith("sender.test")]), 1)

    def test_of_a_listener(self) -> None:
        """Mail of a listener with a profile is tried by it, where the destination has none of its own; also after a restart."""
        mid = self.house.counters.next_mid()
        writer = self.house.queue.begin(mid)
        writer.write(b"Subject: x\r\n\r\nhi\r\n")
        recipients = (Recipient(0, "a@other.test"), Recipient(1, "b@hasty.test"))
        envelope = Envelope(mid, "a@sender.test", recipients, NOW, bounce_profile="patient.test")
        self.successResultOf(writer.commit(envelope))
        self.assertEqual(self.tries("other.test", 100), [0])
        self.house = House(str(self.house.root), GENERAL, self.house.clock.seconds(), settings_of).start()
        self.assertEqual(self.tries("other.test", 300), [200])
