"""Case A12: a failure is told exactly once, whenever the machine stops."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from seg.config.schema import QueueSettings
from seg.queue.gathering import QUIET
from tests.queue.house import DELIVERED, HARD, NOW, SOFT, House


def drain(house: House) -> list[str]:
    """Deliver all there is; the contents delivered, sorted."""
    delivered: list[str] = []
    while house.ready:
        domain = house.ready.pop()
        while (lease := house.queue.lease(domain)) is not None:
            delivered.append(f"{domain}: {house.head(lease)}")
            house.queue.settle(lease, dict.fromkeys(lease.rids, DELIVERED))
    return sorted(delivered)


class ExactlyOnceTests(SynchronousTestCase):
    """Power is lost after each single operation on the disk in turn."""

    def lose_power(self, steps: int, *addresses: str) -> tuple[House, bool]:
        """Put a message, let one destination fail for good with so many steps left; the next run, and whether power
        was lost at all."""
        root = self.mktemp()
        house = House(root).start()
        house.put(*addresses)
        lease = house.queue.lease("one.test")
        assert lease is not None
        house.disk.steps_left = steps
        house.queue.settle(lease, dict.fromkeys(lease.rids, HARD))
        if not house.commits.dead:
            house.clock.advance(QUIET)  # the report has waited for others
        return House(root, now=NOW + 1).start(), house.commits.dead

    def each_stop(self, *addresses: str) -> list[House]:
        houses: list[House] = []
        lost = True
        while lost:
            house, lost = self.lose_power(len(houses), *addresses)
            houses.append(house)
        self.assertGreater(len(houses), 10)
        return houses

    def test_a12_one_recipient(self) -> None:
        """The message is gone and its sender told once; only where nothing was written yet is it tried again."""
        for steps, house in enumerate(self.each_stop("a@one.test")):
            tried_again = house.attempt("one.test", HARD) is not None
            self.assertEqual(tried_again, steps < 3, f"after {steps} steps")
            reports = drain(house)
            self.assertEqual(len(reports), 1, f"after {steps} steps: {reports}")
            self.assertTrue(reports[0].startswith("sender.test: MID 1 RIDs [0]"), reports)
            self.assertEqual(house.files(), [])
            self.assertEqual(list(House(str(house.root)).start().commands.messages()), [])

    def test_a12_others_wait(self) -> None:
        """Recipients that didn't fail are neither lost nor delivered twice by it."""
        for steps, house in enumerate(self.each_stop("a@one.test", "b@two.test")):
            while house.attempt("one.test", HARD) is not None:
                pass
            delivered = drain(house)  # the message is finished by that, and the report on it due
            delivered = sorted(delivered + drain(house))
            self.assertEqual(len(delivered), 2, f"after {steps} steps: {delivered}")
            self.assertTrue(delivered[0].startswith("sender.test: MID 1 RIDs [0]"), delivered)
            self.assertTrue(delivered[1].startswith("two.test: Subject"), delivered)
            self.assertEqual(house.files(), [])

    def test_twice(self) -> None:
        """Power may be lost again while the next start completes the report."""
        root = self.mktemp()
        for first in (3, 5, 7, 8, 9, 10):
            for second in range(0, 9, 2):
                house = House(f"{root}-{first}-{second}").start()
                house.put("a@one.test")
                lease = house.queue.lease("one.test")
                assert lease is not None
                house.disk.steps_left = first
                house.queue.settle(lease, {0: HARD})
                self.assertTrue(house.commits.dead)
                house = House(str(house.root), now=NOW + 1)
                house.disk.steps_left = second
                house.services.start()
                house = House(str(house.root), now=NOW + 2).start()
                self.assertEqual(len(drain(house)), 1, (first, second))
                self.assertEqual(house.files(), [])

    def test_reason_survives(self) -> None:
        """A report written after the restart knows what the remote server had said."""
        root = self.mktemp()
        house = House(root).start()
        house.put("a@one.test")
        lease = house.queue.lease("one.test")
        assert lease is not None
        house.disk.steps_left = 6
        house.queue.settle(lease, {0: HARD})
        house = House(root, now=NOW + 1)
        told: list[object] = []
        compose = house.composer.compose
        house.composer.compose = lambda action, envelope, failed, *rest: (  # type: ignore[method-assign]
            told.extend((rid, b.error.args, b.host, b.dcid) for rid, b in failed)  # type: ignore[union-attr]
            or compose(action, envelope, failed, *rest)
        )
        house.start()
        self.assertEqual(told, [(0, HARD.error.args, "mx.test", 7)])

    def test_lease_during_report(self) -> None:
        """Another destination may settle while a report is being written; both outcomes stay."""
        root = self.mktemp()
        house = House(root).start()
        house.put("a@one.test", "b@two.test", "c@three.test")
        leases = [house.queue.lease(domain) for domain in ("one.test", "two.test", "three.test")]
        house.commits.paused = True
        outcomes = (HARD, DELIVERED, SOFT)
        for lease, outcome in zip(leases, outcomes, strict=True):
            assert lease is not None
            house.queue.settle(lease, dict.fromkeys(lease.rids, outcome))
        house.commits.resume()
        house = House(root, QueueSettings(jitter=0.0), now=NOW + 60).start()
        self.assertEqual(sorted(drain(house)), ["sender.test: MID 1 RIDs [0]", "three.test: Subject: x"])
