"""Random lives of a queue: whatever happens, every accepted recipient is somewhere, and nowhere twice (case A29)."""

from __future__ import annotations

import shutil
import tempfile
from collections import Counter

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test
from twisted.trial.unittest import SynchronousTestCase

from seg.config.schema import QueueSettings
from seg.events.queue import DoubleBounce, RecipientBounced, RecipientsDeleted
from seg.mail.outcome import Outcome
from seg.queue.interfaces import Lease
from tests.queue.house import DELIVERED, HARD, SOFT, House

DOMAINS = ("one.test", "two.test", "sender.test")
SETTINGS = QueueSettings(jitter=0.0, max_retries=3, lifetime=7200)
Key = tuple[int, int]


class QueueLife(RuleBasedStateMachine):
    """Puts, attempts, operators, time, full disks and kills in any order."""

    def __init__(self) -> None:
        super().__init__()
        self.root = tempfile.mkdtemp()
        self.accepted: set[Key] = set()
        self.delivered: Counter[Key] = Counter()
        self.in_flight: set[Key] = set()  # delivered when the machine stopped before that was written
        self.over: set[Key] = set()  # bounced or deleted
        self.told: Counter[Key] = Counter()  # recipients that delivered reports tell of
        self.house = House(self.root, SETTINGS).start()
        self.leases: list[Lease] = []

    def teardown(self) -> None:
        shutil.rmtree(self.root)

    @rule(
        domains=st.lists(st.sampled_from(DOMAINS), min_size=1, max_size=3),
        sender=st.sampled_from(["", "s@sender.test"]),
    )
    def put(self, domains: list[str], sender: str) -> None:
        mid = self.house.put(*(f"u{rid}@{domain}" for rid, domain in enumerate(domains)), sender=sender)
        self.accepted |= {(mid, rid) for rid in range(len(domains))}

    @rule(domain=st.sampled_from(DOMAINS))
    def lease(self, domain: str) -> None:
        lease = self.house.queue.lease(domain)
        if lease is not None:
            held = {(other.mid, rid) for other in self.leases for rid in other.rids}
            assert not held & {(lease.mid, rid) for rid in lease.rids}, "given out twice"
            self.leases.append(lease)

    @rule(outcomes=st.lists(st.sampled_from([DELIVERED, DELIVERED, SOFT, HARD, None]), min_size=3, max_size=3))
    def settle(self, outcomes: list[Outcome | None]) -> None:
        if self.leases:
            self.settle_one(self.leases.pop(0), outcomes)

    def settle_one(self, lease: Lease, outcomes: list[Outcome | None]) -> None:
        known = {rid: o for rid, o in zip(lease.rids, outcomes, strict=False) if o is not None}
        for rid, outcome in known.items():
            if outcome is DELIVERED:
                self.delivered[(lease.mid, rid)] += 1
                if lease.envelope.client == "" and (lease.mid, rid) not in self.accepted:
                    self.take_report(lease)
        self.house.queue.settle(lease, known)

    def take_report(self, lease: Lease) -> None:
        words = self.house.head(lease).replace("[", "").replace("]", "").replace(",", "").split()
        for rid in words[3:]:
            self.told[(int(words[1]), int(rid))] += 1

    @rule()
    def release(self) -> None:
        if self.leases:
            self.house.queue.release(self.leases.pop())

    @rule(seconds=st.sampled_from([1, 60, 600, 8000]))
    def wait(self, seconds: int) -> None:
        self.house.clock.advance(seconds)

    @rule(which=st.integers(0, 5), what=st.sampled_from(["hold", "release_hold", "delete", "retry", "redirect"]))
    def operate(self, which: int, what: str) -> None:
        lines = list(self.house.commands.messages())
        if which < len(lines):
            arguments = {"retry": (), "redirect": ("host.test", "admin", DOMAINS[0])}.get(what, ("admin",))
            getattr(self.house.commands, what)(lines[which].mid, *arguments)

    @rule(steps=st.integers(0, 12), outcome=st.sampled_from([DELIVERED, SOFT, HARD]))
    def kill_while_settling(self, steps: int, outcome: Outcome) -> None:
        """The machine stops after so many operations; a delivery that wasn't written down may happen again."""
        self.house.disk.steps_left = steps
        while self.leases and not self.house.commits.dead:
            lease = self.leases.pop(0)
            before = self.house.commits.dead
            self.settle_one(lease, [outcome] * 3)
            if self.house.commits.dead and not before and outcome is DELIVERED:
                for rid in lease.rids:
                    self.delivered[(lease.mid, rid)] -= 1
                    self.in_flight.add((lease.mid, rid))
        self.restart()

    @rule()
    def restart(self) -> None:
        self.collect()
        self.leases.clear()
        self.house = House(self.root, SETTINGS, self.house.clock.seconds()).start()

    def collect(self) -> None:
        """What this run has bounced or deleted; told again after a kill in between, so a set."""
        for event in self.house.sink.events:
            if isinstance(event, RecipientBounced | DoubleBounce):
                self.over.add((event.mid, event.rid))
            elif isinstance(event, RecipientsDeleted):
                self.over |= {(event.mid, rid) for rid in event.rids}

    @invariant()
    def nothing_lost(self) -> None:
        """Every accepted recipient is delivered, bounced, deleted or pending; a delivered one isn't pending."""
        self.collect()
        pending = set()
        for line in self.house.commands.messages():
            entry = self.house.queue.index.get(line.mid)
            assert entry is not None
            pending |= {(line.mid, r.rid) for r in entry.envelope.pending}
        domains: Counter[str] = Counter()
        for mid in self.house.queue.index.mids():
            entry = self.house.queue.index.get(mid)
            assert entry is not None
            domains.update(r.domain for r in entry.envelope.pending)
        assert self.house.commands.destinations() == domains, "the counts by destination are wrong"
        done = {key for key, times in self.delivered.items() if times > 0}
        lost = self.accepted - pending - done - self.over - self.in_flight
        assert not lost, f"lost: {lost}"
        assert not done & pending, f"delivered and still queued: {done & pending}"
        twice = [key for key, times in self.delivered.items() if times > 1]
        assert not twice, f"delivered twice: {twice}"
        assert not [key for key, times in self.told.items() if times > 1], "told twice"
        corrupt = self.house.files("corrupt")
        assert not [name for name in corrupt if not name.endswith(".env")], corrupt


class LifeTests(SynchronousTestCase):
    """The state machine above."""

    def test_a29_random_lives(self) -> None:
        """No sequence of events loses a recipient, delivers one twice, or tells of one twice."""
        run_state_machine_as_test(QueueLife, settings=settings(max_examples=60, stateful_step_count=25, deadline=None))
