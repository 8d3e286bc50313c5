"""Outcomes of one message to many recipients that come together are settled together."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any
from unittest.mock import patch

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from seg.mail.envelope import RecipientState
from seg.mail.outcome import Delivered, Outcome
from seg.queue import index_entry as records
from seg.queue.settlements import LONGEST_PAUSE, SharedSettlements
from tests.queue.house import DELIVERED, HARD, SOFT, House, HouseCase


class SharedSettlementTests(SynchronousTestCase):
    """`SharedSettlements`."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.settlements = SharedSettlements(self.clock)
        self.settled: list[tuple[set[int], dict[int, Outcome]]] = []
        self.waits: list[Deferred[None]] = []

    def ask(self, rid: int, outcome: Outcome = DELIVERED, mid: int = 1) -> Deferred[None]:
        """One outcome of a message to a thousand."""

        async def settle(rids: Iterable[int], outcomes: Mapping[int, Outcome]) -> None:
            self.settled.append((set(rids), dict(outcomes)))
            self.waits.append(Deferred())
            await self.waits[-1]

        work: Any = self.settlements.settle(mid, 1000, (rid,), {rid: outcome}, settle)
        return Deferred.fromCoroutine(work)

    def test_many(self) -> None:
        """The first counts at once; those that come in the pause behind it together, whether the disk has answered or not."""
        asked = [self.ask(rid) for rid in range(1000)]
        self.assertEqual(self.settled, [({0}, {0: DELIVERED})])
        self.clock.advance(LONGEST_PAUSE)
        self.assertEqual([len(rids) for rids, _ in self.settled], [1, 999])
        self.assertNoResult(asked[5])
        self.waits[1].callback(None)
        self.clock.advance(0)
        for each in asked[1:]:
            self.successResultOf(each)
        self.assertNoResult(asked[0])
        self.waits[0].callback(None)
        self.successResultOf(asked[0])
        self.clock.advance(LONGEST_PAUSE)
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.ask(5)
        self.assertEqual(len(self.settled), 3)

    def test_others(self) -> None:
        """Other messages don't wait."""
        self.ask(0)
        self.ask(0, mid=2)
        self.assertEqual(len(self.settled), 2)

    def test_first_counts(self) -> None:
        """A lease that is handed back twice changes nothing by the second time."""
        self.ask(0)
        self.ask(1, Delivered(7, "first"))
        self.ask(1, DELIVERED)
        self.clock.advance(LONGEST_PAUSE)
        self.assertEqual(self.settled[1], ({1}, {1: Delivered(7, "first")}))

    def test_failure(self) -> None:
        """Whoever asked hears that it failed; the next ones are settled."""
        first, second = self.ask(0), self.ask(1)
        self.waits[0].errback(OSError(28, "No space left on device"))
        self.failureResultOf(first, OSError)
        self.clock.advance(LONGEST_PAUSE)
        self.waits[1].callback(None)
        self.successResultOf(second)


class ManyRecipientsTests(HouseCase):
    """One message to many destinations, in the queue."""

    def test_cost(self) -> None:
        """What is packed and looked through doesn't grow with the number of destinations: 1,000 that are leased and settled within a moment
        cost a few looks at the whole."""
        house = self.house
        house.put(*(f"bob@d{number}.example" for number in range(1000)))
        self.assertEqual(len(house.ready), 1000)
        with (
            patch.object(records, "pack", side_effect=records.pack) as packed,
            patch.object(records, "unpack", side_effect=records.unpack) as unpacked,
        ):
            leases = [lease for domain in house.ready if (lease := house.queue.lease(domain)) is not None]
            done = [house.queue.settle(lease, dict.fromkeys(lease.rids, DELIVERED)) for lease in leases]
            for _ in range(10):
                house.clock.advance(0.5)
        self.assertEqual((len(leases), sum(each.called for each in done)), (1000, 1000))
        self.assertLess(packed.call_count + unpacked.call_count, 10)
        self.assertEqual(house.commands.counts().messages, 0)

    @given(st.lists(st.sampled_from([DELIVERED, SOFT, HARD]), min_size=25, max_size=40), st.randoms())
    def test_any_outcomes(self, outcomes: list[Outcome], random: Any) -> None:
        """Whatever becomes of the recipients, in whatever order and at whatever times, each has the state of its own outcome."""
        house = House(self.mktemp()).start()
        mid = house.put(*(f"bob@d{number}.example" for number in range(len(outcomes))))
        leases = [lease for domain in house.ready if (lease := house.queue.lease(domain)) is not None]
        random.shuffle(leases)
        for lease in leases:
            (rid,) = lease.rids
            house.queue.settle(lease, {rid: outcomes[rid]})
            if random.random() < 0.3:
                house.clock.advance(random.random() * 0.01)
        house.clock.advance(0.5)
        entry = house.queue.index.get(mid)
        if entry is None:
            self.assertEqual(set(outcomes) - {DELIVERED, HARD}, set())
            return
        states = {DELIVERED: {RecipientState.DELIVERED}, SOFT: {RecipientState.PENDING}}
        for recipient in entry.envelope.recipients:
            wanted = states.get(outcomes[recipient.rid], {RecipientState.BOUNCING, RecipientState.BOUNCED})
            self.assertIn(recipient.state, wanted)
        self.assertEqual(entry.leased, frozenset())
