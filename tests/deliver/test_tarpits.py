"""Hosts that let the gateway wait, at any step: the mail of others goes on within seconds, and every attempt ends."""

from __future__ import annotations

import attrs
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from seg.deliver.connection_limits import LimitReached
from seg.deliver.progress import AttemptProgress
from seg.deliver.scheduler import KNOWN_FOR, MOST_KNOWN, DeliveryScheduler
from seg.mail.errors import Temporary
from seg.mail.outcome import Delayed, Delivered, Outcome
from seg.queue.interfaces import Lease
from tests.deliver.test_engine import FakeQueue, lease_of
from tests.doubles import RecordingSink

MOST = 50  # slots


@attrs.frozen
class Trap:
    """How a host lets us wait."""

    name: str
    greets: bool = False  # it greets first
    takes: bool = False  # it takes the whole message first
    answers_after: float = 1e9  # seconds for one answer; there is always another question
    patience: float = 300.0  # seconds until we give it up by ourselves


TRAPS = (
    Trap("the name has no answer"),
    Trap("policy host", patience=60.0),
    Trap("TCP", patience=30.0),
    Trap("greeting"),
    Trap("EHLO", greets=True),
    Trap("STARTTLS", greets=True, patience=60.0),
    Trap("MAIL", greets=True),
    Trap("each RCPT after 299 s", greets=True, answers_after=299.0),
    Trap("each RCPT after 4 s", greets=True, answers_after=4.0),
    Trap("DATA", greets=True),
    Trap("dot", greets=True, takes=True, patience=600.0),
)


class TrappedSender:
    """A connection to such a host."""

    def __init__(self, clock: Clock, attempt: TrappedAttempt, trap: Trap) -> None:
        self._clock = clock
        self._attempt = attempt
        self._trap = trap
        self._begun = clock.seconds()
        self.content_under_way = self.behind_dot = trap.takes

    @property
    def waiting_since(self) -> float:
        """When it answered last."""
        each = self._trap.answers_after
        return self._begun + (self._clock.seconds() - self._begun) // each * each

    def give_up(self, error: Temporary) -> None:
        """As `ESMTPSender.give_up`: the transaction has its outcome."""
        self._attempt.end(Delayed(error, 1, in_doubt=self.behind_dot))


class TrappedAttempt:
    """An attempt at such a host, or (without a trap) one that succeeds in a second."""

    def __init__(self, lease: Lease, clock: Clock, trap: Trap | None, ended: list[tuple[str, Outcome]]) -> None:
        self.outcomes: dict[int, Outcome] = {}
        self.connected = False
        self.crowded: list[LimitReached] = []
        self.progress = AttemptProgress()
        self._lease = lease
        self._clock = clock
        self._trap = trap
        self._ended = ended
        self._done: Deferred[None] = Deferred()

    async def run(self) -> None:
        """Meet the host."""
        trap = self._trap
        if trap is None:
            self._clock.callLater(0.1, self.progress.heard)
            self._clock.callLater(1.0, self.end, Delivered(1, "ok"))
        else:
            if trap.greets:
                self.progress.talks(TrappedSender(self._clock, self, trap))  # type: ignore[arg-type]
                self._clock.callLater(0.1, self.progress.heard)
            if trap.answers_after > trap.patience:
                self._clock.callLater(trap.patience, self.end, Delayed(Temporary("4.4.1", "no answer")))
        try:
            await self._done
        except CancelledError:
            assert self.progress.given_up is not None
            self.outcomes.setdefault(0, Delayed(self.progress.given_up))
        self._ended.append((self._lease.domain, self.outcomes[0]))

    def end(self, outcome: Outcome) -> None:
        """It is over."""
        if not self._done.called:
            self.connected = isinstance(outcome, Delivered)
            self.outcomes.setdefault(0, outcome)
            self._done.callback(None)


class TarpitTests(SynchronousTestCase):
    """`DeliveryScheduler` among such hosts."""

    def setUp(self) -> None:
        self.queue = FakeQueue()
        self.clock = Clock()
        self.traps: dict[str, Trap] = {}
        self.ended: list[tuple[str, Outcome]] = []
        self.most_active = 0

    def engine(self) -> DeliveryScheduler:
        """An engine at work."""

        def attempt(lease: Lease) -> TrappedAttempt:
            self.most_active = max(self.most_active, engine.active + 1)
            return TrappedAttempt(lease, self.clock, self.traps.get(lease.domain), self.ended)

        engine = DeliveryScheduler(self.queue, attempt, lambda _: MOST, MOST, RecordingSink(), self.clock)  # type: ignore[arg-type]
        engine.start()
        return engine

    def fill(self, trap: Trap, domains: int, messages: int = 10) -> None:
        """So many domains at such hosts, with so many messages each."""
        for number in range(domains):
            domain = f"{trap.name}-{number}.example".replace(" ", "-")
            self.traps[domain] = trap
            for message in range(messages):
                self.queue.due.setdefault(domain, []).append(lease_of(1000 * number + message, domain))
            self.queue.ready(domain)

    def delivered_after(self, mid: int, domain: str, most: float) -> float:
        """Seconds that a message needs now."""
        self.queue.add(mid, domain)
        self.queue.ready(domain)
        begun = self.clock.seconds()
        while not any(settled[0] == mid for settled in self.queue.settled):
            self.assertLess(self.clock.seconds() - begun, most, domain)
            self.clock.advance(1.0)
        return self.clock.seconds() - begun

    def test_healthy_mail(self) -> None:
        """With a tenth as many domains of each kind as slots, or as many, and 10 messages to each: a message to a domain never heard of goes
        within 10 s, at once or later."""
        for trap in TRAPS:
            for domains in (MOST // 10, MOST):
                with self.subTest(trap.name, domains=domains):
                    self.setUp()
                    self.engine()
                    self.fill(trap, domains)
                    self.clock.advance(0.5)
                    for number, later in enumerate((0, 3, 30)):
                        self.clock.pump([1.0] * later)
                        self.delivered_after(1_000_000 + number, f"healthy{number}.example", 10.0)
                    self.assertLessEqual(self.most_active, MOST + MOST // 2)

    def test_known_destination_that_turns_silent(self) -> None:
        """A destination that has taken mail, and lets us wait from then on, is tried by one attempt at a time until it takes mail again."""
        engine = self.engine()
        domain = "turned.example"
        for mid in range(40):
            self.queue.add(mid, domain)
        self.queue.ready(domain)
        self.clock.pump([0.5] * 12)
        self.assertEqual((len(self.queue.settled), engine.active), (40, 0))
        self.traps[domain] = Trap("greeting")
        for mid in range(100, 200):
            self.queue.add(mid, domain)
        self.queue.ready(domain)
        self.assertGreater(engine.active, 5)
        self.clock.pump([1.0] * 301)
        self.assertEqual(engine.active, 1)
        del self.traps[domain]
        self.clock.pump([1.0] * 310)
        self.assertEqual(len(self.queue.settled), 140)

    def test_slow_hosts_without_need(self) -> None:
        """While there is room, and up to half of the slots, nobody who lets us wait is given up before his time."""
        self.engine()
        self.fill(Trap("greeting"), MOST // 2, messages=1)
        self.clock.pump([1.0] * 299)
        self.assertEqual(self.queue.settled, [])
        self.clock.pump([1.0] * 2)
        self.assertEqual(len(self.queue.settled), MOST // 2)

    def test_who_is_given_up(self) -> None:
        """Where too many let us wait, a destination with one attempt is spared before those with several; what is behind the dot always."""
        self.engine()
        self.fill(Trap("once", greets=True), 5, messages=1)
        self.fill(Trap("behind", greets=True, takes=True, patience=600.0), 5, messages=1)
        self.fill(Trap("many", greets=True), MOST // 5)
        self.fill(Trap("more", greets=True), MOST)
        self.clock.pump([1.0] * 20)
        given_up = [domain for domain, _ in self.ended]
        self.assertGreater(len(given_up), 10)
        self.assertEqual({domain.partition("-")[0] for domain in given_up} - {"many", "more"}, set())
        self.assertTrue(all("No answer for" in str(outcome) for _, outcome in self.ended))

    def test_every_attempt_ends(self) -> None:
        """An attempt that its host draws out has its time and no more; behind the dot it is in doubt who has the message."""
        for takes in (False, True):
            self.setUp()
            engine = self.engine()
            engine.attempt_timeout = 1000.0
            self.fill(Trap("for ever", greets=True, takes=takes, answers_after=4.0), 1, messages=1)
            self.clock.pump([1.0] * 999)
            self.assertEqual(self.queue.settled, [])
            self.clock.pump([1.0] * 2)
            ((_, outcomes),) = self.queue.settled
            outcome = outcomes[0]
            assert isinstance(outcome, Delayed)
            self.assertEqual((outcome.error.enhanced, outcome.in_doubt), ("4.4.7", takes))
            self.assertIn("attempt_timeout", outcome.error.text)
            self.assertEqual(engine.active, 0)

    def test_reserve(self) -> None:
        """One slot in ten is free for destinations without an attempt under way, however much others could use."""
        self.engine()
        for number in range(6):
            domain = f"busy{number}.example"
            for message in range(100):
                self.queue.due.setdefault(domain, []).append(lease_of(1000 * number + message, domain))
            self.queue.ready(domain)
        self.clock.pump([0.1] * 5)
        self.assertLess(self.most_active, MOST - 2)
        self.delivered_after(999_999, "quiet.example", 3.0)

    def test_memory(self) -> None:
        """Of destinations that have nothing under way a bounded number is remembered."""
        engine = self.engine()
        for number in range(MOST_KNOWN + 500):
            domain = f"d{number}.example"
            self.queue.add(number, domain)
            self.queue.ready(domain)
            if number % 40 == 39:
                self.clock.pump([1.0, 0.5])
        self.clock.pump([1.0] * 3)
        self.assertEqual(len(self.queue.settled), MOST_KNOWN + 500)
        self.assertEqual(engine.known, MOST_KNOWN)
        self.clock.advance(KNOWN_FOR)
        self.delivered_after(999_999, "one.example", 3.0)
        self.assertEqual(engine.known, 1)
