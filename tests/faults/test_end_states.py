"""Every state in which a kill or a loss of power can leave the spool, between any two steps of any change, is one that the next start knows."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import attrs
from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from seg.config.schema import QueueSettings
from seg.events.gateway import ConditionBegan
from seg.events.queue import MessageDamaged, SpoolFileCorrupt
from seg.mail.outcome import Outcome
from tests.faults.journal import JournalDisk, durable_names, rebuild
from tests.queue.house import DELIVERED, HARD, NOW, SOFT, House

LARGE = b"Subject: large\r\n\r\n" + b"x" * 200_000
SETTINGS = QueueSettings(jitter=0.0, delay_warning=3600.0)


@attrs.frozen
class Fact:
    """Something that was durable, or had only been begun, when so many operations had been carried out."""

    at: int
    mid: int
    rid: int  # -1: the whole message
    what: str  # "accepted", "tried" (settling begun), "settled" (durable), "held", "free"


class Run:
    """One run of a queue on a `JournalDisk`."""

    def __init__(self, root: Path) -> None:
        self.base = root.with_name("base")
        root.mkdir(parents=True)
        House(str(root), SETTINGS).start()
        shutil.copytree(root, self.base)
        self.house = House(str(root), SETTINGS, now=NOW)
        self.disk = JournalDisk(str(root))
        self.house.disk = self.house.commits.disk = self.disk  # type: ignore[assignment]
        self.house.start()
        self.facts: list[Fact] = []

    def note(self, what: str, mid: int, rid: int = -1) -> None:
        self.facts.append(Fact(len(self.disk.log), mid, rid, what))

    def put(self, *addresses: str, content: bytes = b"Subject: x\r\n\r\nhi\r\n") -> int:
        mid = self.house.put(*addresses, content=content)
        self.note("accepted", mid)
        return mid

    def attempt(self, domain: str, outcome: Outcome) -> None:
        lease = self.house.queue.lease(domain)
        assert lease is not None
        for rid in lease.rids:
            self.note("tried", lease.mid, rid)
        done = self.house.queue.settle(lease, dict.fromkeys(lease.rids, outcome))
        if outcome is not SOFT:
            done.addCallback(lambda _: [self.note("settled", lease.mid, rid) for rid in lease.rids])

    def command(self, work: Deferred[bool], mid: int, what: str) -> None:
        work.addCallback(lambda _: self.note(what, mid))

    def moments(self) -> Iterator[tuple[int, int, bool]]:
        """(operations carried out, those whose names came to the disk, whether power was lost) of every end there can be."""
        for done in range(len(self.disk.log) + 1):
            yield done, done, False  # a kill: the system goes on
            for names in range(durable_names(self.disk.log[:done]), done + 1):
                yield done, names, True


def small_and_large(run: Run) -> None:
    """Messages come in."""
    run.put("a@one.test")
    run.put("a@one.test", "b@two.test", content=LARGE)
    run.put("a@one.test")


def delivered(run: Run) -> None:
    """Parts of a message are delivered, then all of it; a large one too."""
    run.put("a@one.test", "b@two.test", "c@three.test")
    run.put("a@four.test", content=LARGE)
    for domain in ("one.test", "two.test", "four.test", "three.test"):
        run.attempt(domain, DELIVERED)


def delayed(run: Run) -> None:
    """A message is tried again and again, and its sender hears of it."""
    run.put("a@one.test", "b@two.test")
    run.attempt("one.test", SOFT)
    run.attempt("two.test", SOFT)
    run.house.clock.advance(3700)
    run.attempt("one.test", SOFT)
    run.attempt("two.test", DELIVERED)


def bounced(run: Run) -> None:
    """Recipients fail for good, in two steps; reports are written."""
    run.put("a@one.test", "b@two.test", "c@three.test")
    run.attempt("one.test", HARD)
    run.attempt("two.test", DELIVERED)
    run.attempt("three.test", HARD)


def commanded(run: Run) -> None:
    """Operators hold, release, redirect, bounce and delete."""
    held, freed, gone, back = (run.put(f"{name}@{name}.test") for name in ("held", "freed", "gone", "back"))
    commands = run.house.commands
    run.command(commands.hold(held, "root"), held, "held")
    run.command(commands.hold(freed, "root"), freed, "held")
    run.note("free", freed)
    run.command(commands.release_hold(freed, "root"), freed, "free")
    commands.redirect(freed, "standby.test", "root")
    for mid, work in ((gone, commands.delete), (back, commands.bounce)):
        run.note("tried", mid, 0)
        work(mid, "root").addCallback(lambda _, mid=mid: run.note("settled", mid, 0))


SCENES: tuple[Callable[[Run], None], ...] = (small_and_large, delivered, delayed, bounced, commanded)


class EndStateTests(SynchronousTestCase):
    """All ends of all scenes."""

    def scene(self, play: Callable[[Run], None]) -> None:
        folder = Path(self.mktemp())
        folder.mkdir(parents=True)
        run = Run(folder / "spool")
        play(run)
        after = folder / "after"
        for done, names, power_lost in run.moments():
            rebuild(run.disk.log[:done], names, power_lost, run.base, after)
            where = f"{play.__name__}: {done} operations, {names} names, {'power lost' if power_lost else 'killed'}"
            self.judge([fact for fact in run.facts if fact.at <= done], str(after), run.house.clock.seconds(), where)

    def judge(self, facts: list[Fact], root: str, now: float, where: str) -> None:
        """A start loses nothing, repeats nothing that was settled, calls nothing damaged, and keeps nothing for ever."""
        house = House(root, SETTINGS, now=now + 10_000).start()
        self.assertEqual(house.sink.of(SpoolFileCorrupt) + house.sink.of(MessageDamaged), [], where)
        self.assertEqual(house.sink.of(ConditionBegan), [], where)
        pending = {
            (mid, r.rid)
            for mid in house.commands.mids()
            for r in house.queue.index.get(mid).envelope.pending  # type: ignore[union-attr]
        }
        accepted = {fact.mid for fact in facts if fact.what == "accepted"}
        tried = {(fact.mid, fact.rid) for fact in facts if fact.what == "tried"}
        settled = {(fact.mid, fact.rid) for fact in facts if fact.what == "settled"}
        for mid in accepted:
            rids = {rid for found, rid in pending if found == mid}
            lost = {(mid, 0)} - tried - {(mid, rid) for rid in rids}
            self.assertEqual(lost, set(), f"lost: {where}")
        self.assertEqual(pending & settled, set(), f"repeated: {where}")
        last = {fact.mid: fact.what for fact in facts if fact.what in ("held", "free")}
        for mid, what in last.items():
            listing = house.commands.listing(mid)
            if what == "held" and listing is not None:
                self.assertEqual(listing.state, "held", f"a hold was forgotten: {where}")
        self.empty(house, where)

    def empty(self, house: House, where: str) -> None:
        """All is released and delivered: nothing is left, and a report is there once."""
        for mid in house.commands.mids():
            house.commands.release_hold(mid, "root")
        told: list[str] = []
        for _ in range(50):
            house.clock.advance(1)
            domains = list(house.commands.destinations())
            if not domains:
                break
            for domain in domains:
                while (lease := house.queue.lease(domain)) is not None:
                    if not lease.envelope.reverse_path:
                        told.append(house.head(lease))
                    house.queue.settle(lease, dict.fromkeys(lease.rids, DELIVERED))
        self.assertEqual(len(told), len(set(told)), f"reported twice: {where}")
        left = [str(path) for path in house.root.rglob("*") if path.is_file()]
        self.assertEqual({os.path.basename(name) for name in left} - {"counters", "reserve"}, set(), f"left: {where}")

    def test_small_and_large(self) -> None:
        """Nothing that came in is lost or half there."""
        self.scene(small_and_large)

    def test_delivered(self) -> None:
        """Nothing that was ticked off is sent again."""
        self.scene(delivered)

    def test_delayed(self) -> None:
        """What waits goes on waiting."""
        self.scene(delayed)

    def test_bounced(self) -> None:
        """A sender hears once."""
        self.scene(bounced)

    def test_commanded(self) -> None:
        """What an operator said stays said."""
        self.scene(commanded)
