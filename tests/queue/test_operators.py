"""What operators see and do."""

from itertools import count
from unittest.mock import patch

import attrs
from twisted.internet.defer import Deferred

from seg.events.gateway import OperatorActed
from seg.events.queue import MessageFinished, MessageHeld, MessageReleased, RecipientBounced, RecipientsDeleted
from seg.queue import commands as queue_commands
from seg.queue.interfaces import MessageState, QueueCounts
from tests.queue.house import DELIVERED, HARD, NOW, SOFT, HouseCase


class OperatorTests(HouseCase):
    """Commands on queued messages."""

    def test_listing(self) -> None:
        """A line tells who waits, why, and until when."""
        mid = self.house.put("a@one.test", "b@two.test", "c@two.test")
        self.house.attempt("one.test", DELIVERED)
        self.house.attempt("two.test", SOFT)
        (line,) = self.house.commands.messages()
        self.assertEqual((line.mid, line.size, line.arrived, line.sender), (mid, 18, NOW, "from@sender.test"))
        self.assertEqual((line.recipients, line.domains), (("b@two.test", "c@two.test"), ("two.test",)))
        self.assertEqual((line.state, line.attempts, line.due), (MessageState.WAITING, 1, NOW + 60))
        self.assertEqual((line.error, line.expires), (str(SOFT.error), NOW + 259200))

    def test_states(self) -> None:
        """Each state has its word."""
        mids = [self.house.put(f"a@{name}.test") for name in ("due", "active", "waiting", "held", "bouncing")]
        self.house.queue.lease("active.test")
        self.house.attempt("waiting.test", SOFT)
        self.successResultOf(self.house.commands.hold(mids[3], "admin"))
        lease = self.house.queue.lease("bouncing.test")
        assert lease is not None
        self.house.commits.paused = True
        self.house.queue.settle(lease, {0: HARD})
        states = [line.state.value for line in self.house.commands.messages()]
        self.assertEqual(states, ["due", "active", "waiting", "held", "bouncing"])

    def test_paging(self) -> None:
        """A listing can be made in pieces, and goes on when messages leave meanwhile."""
        mids = [self.house.put("a@one.test") for _ in range(5)]
        self.assertEqual([line.mid for line in self.house.commands.messages(after=mids[2])], mids[3:])
        listing = self.house.commands.messages()
        next(listing)
        self.house.attempt("one.test", DELIVERED)
        self.house.attempt("one.test", DELIVERED)
        self.assertEqual([line.mid for line in listing], mids[2:])

    def test_search(self) -> None:
        """What surely doesn't mention a domain is passed over; case, A-labels and U-labels make no difference."""
        put, commands = self.house.put, self.house.commands
        mids = [put("a@ONE.test"), put("b@two.test"), put("c@xn--bcher-kva.test"), put("d@b\u00fccher.test")]
        found = {
            text: [mid for mid in mids if commands.listing(mid, text)] for text in ("one.test", "xn--bcher-kva.test")
        }
        self.assertEqual(found, {"one.test": [mids[0], mids[3]], "xn--bcher-kva.test": mids[2:]})
        self.assertEqual(commands.mids(mids[1]), mids[2:])
        self.successResultOf(commands.hold(mids[1], "admin"))
        self.assertEqual([mid for mid in mids if commands.listing(mid, held=True)], [mids[1]])
        self.assertIsNone(commands.listing(mids[-1] + 1))

    def test_show(self) -> None:
        """One message comes with its envelope and the beginning of its content."""
        mid = self.house.put("a@one.test", content=b"Subject: x\r\n\r\n" + b"y" * 200_000)
        shown = self.successResultOf(self.house.commands.show(mid))
        assert shown is not None
        self.assertEqual((len(shown.head), shown.head[:10]), (1024, b"Subject: x"))
        self.assertEqual((shown.envelope.mid, shown.listing.mid), (mid, mid))
        self.assertIsNone(self.successResultOf(self.house.commands.show(mid + 1)))

    def test_hold(self) -> None:
        """A held message isn't tried and doesn't expire, over restarts, until it is released."""
        mid = self.house.put("a@one.test")
        self.assertTrue(self.successResultOf(self.house.commands.hold(mid, "admin")))
        self.assertFalse(self.successResultOf(self.house.commands.hold(mid, "admin")))
        self.assertEqual(self.house.sink.events[-1], MessageHeld(mid, "admin"))
        house = self.restart()
        house.clock.advance(10**6)
        self.assertIsNone(house.queue.lease("one.test"))
        self.assertEqual(house.commands.counts().held, 1)
        self.assertEqual(self.successResultOf(house.commands.retry(mid)), 0)
        self.assertTrue(self.successResultOf(house.commands.release_hold(mid, "admin")))
        self.assertFalse(self.successResultOf(house.commands.release_hold(mid, "admin")))
        self.assertEqual(house.sink.events[-1], MessageReleased(mid, "admin"))
        self.assertEqual(house.commands.counts().held, 0)
        self.assertEqual(house.attempt("one.test", DELIVERED), mid)

    def test_hold_while_tried(self) -> None:
        """An attempt under way is completed; what is left of the message is held then."""
        mid = self.house.put("a@one.test", "b@one.test")
        lease = self.house.queue.lease("one.test")
        assert lease is not None
        self.house.commands.hold(mid, "admin")
        self.house.queue.settle(lease, {0: DELIVERED})
        self.house.clock.advance(7200)
        self.assertIsNone(self.house.queue.lease("one.test"))
        self.house.commands.release_hold(mid, "admin")
        again = self.house.queue.lease("one.test")
        assert again is not None
        self.assertEqual(again.rids, (1,))

    def test_delete(self) -> None:
        """A deleted message is gone, on disk too, and nobody is told."""
        mid = self.house.put("a@one.test", "b@two.test")
        self.assertTrue(self.successResultOf(self.house.commands.delete(mid, "admin")))
        self.assertEqual(self.house.files(), [])
        self.assertEqual(self.house.sink.events[-2:], [RecipientsDeleted(mid, (0, 1), "admin"), MessageFinished(mid)])
        self.assertIsNone(self.house.queue.lease("one.test"))
        self.assertFalse(self.successResultOf(self.house.commands.delete(mid, "admin")))

    def test_delete_held(self) -> None:
        """A held message can be deleted."""
        mid = self.house.put("a@one.test")
        self.house.commands.hold(mid, "admin")
        self.house.commands.delete(mid, "admin")
        self.assertEqual((self.house.files(), self.house.commands.counts().held), ([], 0))

    def test_delete_while_tried(self) -> None:
        """An attempt under way is completed: what was delivered counts, the rest is dropped without a report."""
        for outcomes, dropped in (({0: DELIVERED}, (1, 2)), ({0: HARD, 1: SOFT}, (0, 1, 2)), ({}, (0, 1, 2))):
            mid = self.house.put("a@one.test", "b@one.test", "c@two.test")
            lease = self.house.queue.lease("one.test")
            assert lease is not None
            self.assertTrue(self.successResultOf(self.house.commands.delete(mid, "admin")))
            self.assertIsNone(self.house.queue.lease("two.test"))
            self.assertNotEqual(self.house.files(), [])
            self.house.queue.settle(lease, outcomes)
            self.assertEqual(self.house.sink.of(RecipientsDeleted)[-1].rids, dropped)
            self.assertEqual(self.house.files(), [])
        self.assertEqual(self.house.sink.of(RecipientBounced), [])

    def test_delete_then_released(self) -> None:
        """A lease handed back untried completes the deletion as well."""
        mid = self.house.put("a@one.test")
        lease = self.house.queue.lease("one.test")
        assert lease is not None
        self.house.commands.delete(mid, "admin")
        self.house.queue.release(lease)
        self.assertEqual(self.house.files(), [])
        self.assertEqual(self.house.commands.counts(), QueueCounts(0, 0, 0, 0, 0.0))

    def test_retry(self) -> None:
        """Waiting recipients become due now: of a message, of a destination, or all."""
        mids = [self.house.put("a@one.test", "b@two.test") for _ in range(3)]
        for domain in ("one.test", "two.test") * 3:
            self.house.attempt(domain, SOFT)
        commands = self.house.commands
        self.assertEqual(self.successResultOf(commands.retry(mids[1])), 2)
        self.assertEqual(self.house.attempt("one.test", DELIVERED), mids[1])
        self.assertIsNone(self.house.queue.lease("one.test"))
        self.assertEqual(self.successResultOf(commands.retry("one.test")), 2)
        self.assertEqual([self.house.attempt("one.test", DELIVERED) for _ in range(2)], [mids[0], mids[2]])
        self.assertEqual(self.successResultOf(commands.retry()), 2)
        self.assertEqual([self.house.attempt("two.test", DELIVERED) for _ in range(3)], [mids[1], mids[0], mids[2]])
        self.assertEqual(self.successResultOf(commands.retry(99)), 0)
        self.assertEqual(self.house.files(), [])

    def test_counts(self) -> None:
        """The numbers follow everything that happens."""
        self.house.put("a@one.test", "b@two.test")
        self.house.clock.advance(5)
        self.house.put("c@three.test")
        self.assertEqual(self.house.commands.counts(), QueueCounts(2, 3, 0, 0, NOW))
        lease = self.house.queue.lease("one.test")
        assert lease is not None
        self.assertEqual(self.house.commands.counts().active, 1)
        self.house.queue.settle(lease, {0: DELIVERED})
        self.assertEqual(self.house.commands.counts(), QueueCounts(2, 2, 0, 0, NOW))
        self.house.attempt("two.test", DELIVERED)
        self.assertEqual(self.house.commands.counts(), QueueCounts(1, 1, 0, 0, NOW + 5))
        self.house.attempt("three.test", DELIVERED)
        self.assertEqual(self.house.commands.counts(), QueueCounts(0, 0, 0, 0, 0.0))

    def test_slices(self) -> None:
        """What goes through many messages lets others have their turn, whatever a message costs."""
        for _ in range(100):
            self.house.put("a@one.test")
            self.house.attempt("one.test", SOFT)
        seconds, pauses = count(), list[Deferred[None]]()

        def pause() -> Deferred[None]:
            pauses.append(Deferred())
            return pauses[-1]

        with patch.object(queue_commands, "thread_time", lambda: next(seconds)):
            self.house.commands.pause = pause  # type: ignore[method-assign]
            hurried = Deferred.fromCoroutine(self.house.commands.retry())
            while not hurried.called:
                pauses[-1].callback(None)
        self.assertEqual((self.successResultOf(hurried), len(pauses)), (100, 100 // queue_commands.AT_LEAST))

    def test_redirect(self) -> None:
        """What waits goes to another host, at once and over restarts, until that is undone; the envelope stays as it is."""
        mid = self.house.put("a@one.test", "b@two.test")
        for domain in ("one.test", "two.test"):
            self.house.attempt(domain, SOFT)
        commands = self.house.commands
        self.assertTrue(self.successResultOf(commands.redirect(mid, "standby.test:2525", "admin", "one.test")))
        self.assertEqual(
            self.house.sink.of(OperatorActed),
            [OperatorActed("admin", f"redirect MID {mid} to standby.test:2525, only one.test")],
        )
        house = self.restart()
        self.assertIsNone(house.queue.lease("two.test"))
        lease = house.queue.lease("one.test")
        assert lease is not None
        self.assertEqual((lease.via, lease.recipients[0].address), ("standby.test:2525", "a@one.test"))
        house.queue.settle(lease, {0: SOFT})
        house.clock.advance(10**5)
        self.assertEqual([self.way(domain) for domain in ("one.test", "two.test")], ["standby.test:2525", ""])
        self.assertTrue(self.successResultOf(house.commands.redirect(mid, "", "admin")))
        self.assertEqual([self.way(domain) for domain in ("one.test", "two.test")], ["", ""])
        told = [event.action for event in house.sink.of(OperatorActed)]
        self.assertEqual(told, [f"redirect MID {mid} back to its own route"])
        self.assertTrue(self.successResultOf(house.commands.redirect(mid, "", "admin")))
        self.assertEqual(len(house.sink.of(OperatorActed)), 1)
        self.assertFalse(self.successResultOf(house.commands.redirect(mid, "x.test", "admin", "three.test")))
        self.assertFalse(self.successResultOf(house.commands.redirect(mid + 1, "x.test", "admin")))

    def way(self, domain: str) -> str:
        """Where the next message for a destination goes."""
        lease = self.house.queue.lease(domain)
        assert lease is not None
        self.house.queue.release(lease)
        return lease.via

    def test_redirect_held(self) -> None:
        """A held message stays held, and goes there when it is released; what is being tried is completed first."""
        mid = self.house.put("a@one.test")
        self.successResultOf(self.house.commands.hold(mid, "admin"))
        self.assertTrue(self.successResultOf(self.house.commands.redirect(mid, "standby.test", "admin")))
        self.assertIsNone(self.house.queue.lease("one.test"))
        self.successResultOf(self.house.commands.release_hold(mid, "admin"))
        lease = self.house.queue.lease("one.test")
        assert lease is not None
        self.assertTrue(self.successResultOf(self.house.commands.redirect(mid, "other.test", "admin")))
        self.assertIsNone(self.house.queue.lease("one.test"))
        self.house.queue.settle(lease, {0: SOFT})
        self.house.clock.advance(10**5)
        self.assertEqual(self.way("one.test"), "other.test")

    def test_two_ways(self) -> None:
        """Recipients of one destination that go different ways, as a file edited by hand may say, aren't handed out together."""
        mid = self.house.put("a@one.test", "b@one.test", "c@one.test")
        entry = self.house.queue.index.get(mid)
        assert entry is not None
        first, *others = entry.envelope.recipients
        recipients = (attrs.evolve(first, via="standby.test"), *others)
        entry.envelope = attrs.evolve(entry.envelope, recipients=recipients)
        leases = [self.house.queue.lease("one.test") for _ in range(2)]
        self.assertEqual([(each.via, each.rids) for each in leases if each], [("standby.test", (0,)), ("", (1, 2))])
