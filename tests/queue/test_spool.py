"""Leases, outcomes, retries and expiry."""

import errno
from unittest.mock import patch

from twisted.internet.defer import Deferred
from zope.interface.verify import verifyObject

from seg.config.schema import QueueSettings
from seg.events.gateway import Fault, Notice
from seg.events.queue import (
    BounceGenerated,
    DoubleBounce,
    MessageFinished,
    QueueScanned,
    RecipientBounced,
    RecipientDelayed,
    RecipientsPending,
)
from seg.events.receive import MessageQueued, MessageStarted, RecipientAccepted
from seg.queue.codec import decode
from seg.queue.content import CHUNK
from seg.queue.gathering import QUIET
from seg.queue.index import QueueIndex
from seg.queue.interfaces import IContent, ICorruptFiles, IQueue, IQueueCommands
from tests.queue.house import DELIVERED, HARD, NOW, SOFT, House, HouseCase


def collect(content: object) -> list[bytes]:
    """All chunks of a content that needs no reactor."""

    async def chunks() -> list[bytes]:
        return [chunk async for chunk in content.chunks()]  # type: ignore[attr-defined]

    result: list[list[bytes]] = []
    Deferred.fromCoroutine(chunks()).addCallback(result.append)
    return result[0]


class LeaseTests(HouseCase):
    """What is given out to the delivery engine."""

    def test_interface(self) -> None:
        """It is the queue that other rooms know, and so is what operators get of it."""
        verifyObject(IQueue, self.house.queue)
        verifyObject(IQueueCommands, self.house.commands)
        verifyObject(ICorruptFiles, self.house.corrupt)

    def test_ready(self) -> None:
        """A stored message announces each of its destinations."""
        self.house.put("a@one.test", "b@two.test", "c@ONE.test")
        self.assertEqual(self.house.ready, ["one.test", "two.test"])

    def test_order_at_the_end(self) -> None:
        """When a client hears its 250 operators see the message already, and it is due right behind that."""
        seen: list[tuple[bool, bool]] = []
        mid = self.house.counters.next_mid()

        def look(_: None) -> None:
            listed = self.house.commands.listing(mid) is not None
            seen.append((listed, self.house.queue.lease("one.test") is not None))

        self.house.commits.paused = True
        self.house.write(mid, ["a@one.test"], "s@x.test", b"x").addCallback(look)
        self.assertIsNone(self.house.commands.listing(mid))
        self.house.commits.resume()
        self.assertEqual((seen, self.house.ready), ([(True, False)], ["one.test"]))

    def test_entered_late(self) -> None:
        """A message that memory ran out for is due once, as soon as there is some; one that was deleted meanwhile doesn't come back."""
        for deleted in (False, True):
            with patch.object(QueueIndex, "plan", side_effect=MemoryError):
                mid = self.house.put("a@one.test")
            if deleted:
                self.assertTrue(self.successResultOf(self.house.commands.delete(mid, "admin")))
            self.house.clock.advance(2)
            self.assertEqual(self.house.attempt("one.test", DELIVERED), None if deleted else mid)
            self.assertIsNone(self.house.attempt("one.test", DELIVERED))
            self.assertEqual((self.house.commands.mids(), self.house.files()), ([], []))

    def test_by_domain(self) -> None:
        """A lease holds all due recipients of one message at one destination."""
        mid = self.house.put("a@one.test", "b@two.test", "c@ONE.test")
        lease = self.house.queue.lease("one.test")
        assert lease is not None
        self.assertEqual((lease.mid, lease.rids, lease.domain), (mid, (0, 2), "one.test"))
        self.assertIsNone(self.house.queue.lease("one.test"))

    def test_oldest_first(self) -> None:
        """The message that waits longest comes first."""
        mids = [self.house.put("a@one.test") for _ in range(3)]
        self.assertEqual([self.house.attempt("one.test", DELIVERED) for _ in range(4)], [*mids, None])

    def test_released(self) -> None:
        """A lease handed back untried is due again at once, and nothing is written."""
        mid = self.house.put("a@one.test")
        lease = self.house.queue.lease("one.test")
        assert lease is not None
        steps = len(self.house.disk.steps)
        self.house.queue.release(lease)
        self.assertEqual(len(self.house.disk.steps), steps)
        self.assertEqual(self.house.ready, ["one.test", "one.test"])
        self.assertEqual(self.house.attempt("one.test", DELIVERED), mid)

    def test_left_out(self) -> None:
        """A recipient without an outcome is due again at once, with its attempts unchanged."""
        self.house.put("a@one.test", "b@one.test")
        lease = self.house.queue.lease("one.test")
        assert lease is not None
        self.house.queue.settle(lease, {0: DELIVERED})
        again = self.house.queue.lease("one.test")
        assert again is not None
        self.assertEqual((again.rids, again.recipients[0].attempts), ((1,), 0))

    def test_settled_twice(self) -> None:
        """A lease that has come back already changes nothing any more."""
        self.house.put("a@one.test", "b@two.test")
        lease = self.house.queue.lease("one.test")
        assert lease is not None
        self.house.queue.settle(lease, {0: SOFT})
        self.successResultOf(self.house.queue.settle(lease, {0: HARD}))
        self.house.queue.release(lease)
        self.assertIsNone(self.house.queue.lease("one.test"))
        self.assertEqual(self.house.sink.of(RecipientBounced), [])

    def test_content_in_memory(self) -> None:
        """A fresh small message needs no reading for its first try; later ones read the file."""
        self.house.put("a@one.test", content=b"hello\r\n")
        lease = self.house.queue.lease("one.test")
        assert lease is not None
        verifyObject(IContent, lease.content)
        self.house.root.joinpath("new").rename(self.house.root / "gone")
        self.assertEqual(collect(lease.content), [b"hello\r\n"])
        self.house.root.joinpath("gone").rename(self.house.root / "new")
        self.house.queue.settle(lease, {0: SOFT})
        self.house.clock.advance(60)
        again = self.house.queue.lease("one.test")
        assert again is not None
        self.assertEqual(collect(again.content), [b"hello\r\n"])
        self.assertEqual(self.successResultOf(Deferred.fromCoroutine(again.content.head(4))), b"hell")

    def test_large_content(self) -> None:
        """A large message comes in pieces of at most 64 KiB, also when it moves from new/ to cur/ meanwhile."""
        data = bytes(range(32, 256)) * 1000
        self.house.put("a@one.test", "b@two.test", content=data)
        verifyObject(IContent, self.house.queue.lease("two.test").content)  # type: ignore[union-attr]
        lease = self.house.queue.lease("one.test")
        assert lease is not None
        self.house.queue.settle(lease, {0: SOFT})
        chunks = collect(lease.content)
        self.assertEqual(b"".join(chunks), data)
        self.assertLessEqual(max(map(len, chunks)), CHUNK)

    def test_file_gone(self) -> None:
        """A file that has gone is an OSError for the attempt, not a hang."""
        self.house.put("a@one.test", content=b"x" * 100_000)
        lease = self.house.queue.lease("one.test")
        assert lease is not None
        self.house.root.joinpath("new").rename(self.house.root / "gone")
        self.failureResultOf(Deferred.fromCoroutine(lease.content.head(4)), OSError)


class OutcomeTests(HouseCase):
    """What becomes of recipients."""

    def test_a29_delivered(self) -> None:
        """Case A29: a delivered message leaves the queue, in memory, on disk and after a restart; it is finished once."""
        mid = self.house.put("a@one.test")
        self.house.attempt("one.test", DELIVERED)
        self.assertEqual(self.house.files(), [])
        self.assertEqual(self.house.sink.of(MessageFinished), [MessageFinished(mid)])
        self.house.clock.advance(10**6)
        self.assertIsNone(self.house.queue.lease("one.test"))
        self.assertEqual(list(self.house.commands.messages()), [])
        self.assertEqual(self.restart().sink.of(QueueScanned)[0].messages, 0)

    def test_finished_after_unlink(self) -> None:
        """MessageFinished and settle's Deferred wait until the removal is durable."""
        self.house.put("a@one.test")
        lease = self.house.queue.lease("one.test")
        assert lease is not None
        self.house.commits.paused = True
        settled = self.house.queue.settle(lease, {0: DELIVERED})
        self.assertNoResult(settled)
        self.assertEqual(self.house.sink.of(MessageFinished), [])
        self.house.commits.resume()
        self.successResultOf(settled)
        self.assertEqual(len(self.house.sink.of(MessageFinished)), 1)

    def test_delayed(self) -> None:
        """A delayed recipient is tried again when its time has come, and its state is written beside the message."""
        mid = self.house.put("a@one.test")
        self.house.attempt("one.test", SOFT)
        self.assertEqual(self.house.files(), [f"cur/{mid:012d}", f"cur/{mid:012d}.env"])
        delayed = self.house.sink.of(RecipientDelayed)[0]
        self.assertEqual((delayed.mid, delayed.rid, delayed.dcid, delayed.error), (mid, 0, 7, SOFT.error))
        self.assertEqual(
            self.house.sink.of(RecipientsPending),
            [RecipientsPending(mid, (0,), NOW + 60, str(SOFT.error), 1)],
        )
        self.house.clock.advance(59)
        self.assertIsNone(self.house.queue.lease("one.test"))
        self.house.clock.advance(1)
        self.assertEqual(self.house.ready, ["one.test", "one.test"])
        self.assertEqual(self.house.attempt("one.test", DELIVERED), mid)
        self.assertEqual(self.house.files(), [])

    def test_first_line_stays(self) -> None:
        """The message file itself is never written again: only the envelope beside it changes."""
        mid = self.house.put("a@one.test", "b@two.test")
        before = (self.house.root / "new/00" / f"{mid:012d}").read_bytes()
        self.house.attempt("one.test", DELIVERED)
        self.assertEqual((self.house.root / "cur/00" / f"{mid:012d}").read_bytes(), before)
        line = (self.house.root / "cur/00" / f"{mid:012d}.env").read_bytes()
        self.assertEqual([r.state for r in decode(line).envelope.recipients], ["delivered", "pending"])

    def test_restart_between_tries(self) -> None:
        """A restart keeps attempts and time of the next try."""
        mid = self.house.put("a@one.test")
        self.house.attempt("one.test", SOFT)
        house = self.restart(now=NOW + 10)
        self.assertEqual(house.ready, [])
        house.clock.advance(50)
        self.assertEqual(house.attempt("one.test", SOFT), mid)
        self.assertEqual(house.sink.of(RecipientsPending)[0].until, NOW + 60 + 120)

    def test_bounced(self) -> None:
        """A failed recipient is told to the sender by a message of its own, whose story is complete."""
        mid = self.house.put("a@one.test")
        self.house.attempt("one.test", HARD)
        report = mid + 1
        story = [e for e in self.house.sink.events if not isinstance(e, QueueScanned)]
        self.assertEqual(
            [type(e).__name__ for e in story],
            [
                "RecipientBounced",
                "BounceGenerated",
                "MessageStarted",
                "RecipientAccepted",
                "MessageReceived",
                "MessageQueued",
                "MessageFinished",
            ],
        )
        self.assertEqual(story[1], BounceGenerated(report, mid, "", "from@sender.test"))
        self.assertEqual(story[2], MessageStarted(report, 0, ""))
        self.assertEqual(story[3], RecipientAccepted(report, 0, 0, "from@sender.test"))
        self.assertEqual(story[5:], [MessageQueued(report), MessageFinished(mid)])
        self.assertEqual(self.house.files(), [f"new/{report:012d}"])
        self.assertEqual(self.house.attempt("sender.test", DELIVERED), report)

    def test_one_report(self) -> None:
        """Recipients that fail together are told in one report; others of the message go on."""
        mid = self.house.put("a@one.test", "b@one.test", "c@two.test")
        self.house.attempt("one.test", HARD)
        self.assertEqual(self.house.sink.of(BounceGenerated), [])
        self.house.clock.advance(QUIET)
        self.assertEqual(len(self.house.sink.of(BounceGenerated)), 1)
        self.assertEqual(self.house.sink.of(MessageFinished), [])
        self.assertEqual(self.house.attempt("two.test", DELIVERED), mid)
        self.assertEqual(self.house.sink.of(MessageFinished), [MessageFinished(mid)])

    def test_null_reverse_path(self) -> None:
        """A failed report is dropped with an event: nobody could be told."""
        mid = self.house.put("a@one.test", sender="")
        self.house.attempt("one.test", HARD)
        self.assertEqual(self.house.sink.of(DoubleBounce), [DoubleBounce(mid, 0, "a@one.test", HARD.error)])
        self.assertEqual(self.house.sink.of(BounceGenerated), [])
        self.assertEqual(self.house.sink.events[-1], MessageFinished(mid))
        self.assertEqual(self.house.files(), [])

    def test_report_quotes(self) -> None:
        """The composer gets the beginning of the message, from memory or from the file."""
        self.house.put("a@one.test", content=b"x" * 20_000)
        self.house.put("a@one.test", content=b"y" * 200_000)
        for _ in range(2):
            self.house.attempt("one.test", HARD)
        self.assertEqual(self.house.composer.heads, [b"x" * 10240, b"y" * 10240])

    def test_unreadable_content(self) -> None:
        """A message that can't be read any more is reported without a quotation."""
        self.house.put("a@one.test", content=b"y" * 200_000)
        self.house.disk.fails = lambda operation, path: 0
        lease = self.house.queue.lease("one.test")
        assert lease is not None
        (self.house.root / "new/00/000000000001").unlink()
        self.house.queue.settle(lease, {0: HARD})
        self.assertEqual(self.house.composer.heads, [b""])
        self.assertEqual(len(self.house.sink.of(Fault)), 1)


class ExpiryTests(HouseCase):
    """The end of a lifetime."""

    def expired(self) -> list[str]:
        return [f"{e.error.enhanced} {e.error.text}" for e in self.house.sink.of(RecipientBounced)]

    def test_worked_example(self) -> None:
        """Two retries at most a minute apart: tries at 0, 60 and 120 seconds, then returned at once."""
        self.house = House(self.mktemp(), QueueSettings(jitter=0.0, max_retries=2, max_retry=60)).start()
        self.house.put("a@one.test")
        for _ in range(3):
            self.assertIsNotNone(self.house.attempt("one.test", SOFT))
            self.house.clock.advance(60)
        self.assertEqual(
            self.expired(),
            ["5.4.7 Delivery expired: tried 3 times in 2 minutes; last: 4.2.1 mailbox busy"],
        )

    def test_worked_example_lifetime(self) -> None:
        """With 100 seconds in the queue it is returned when these are over, not at the try that would come later."""
        self.house = House(self.mktemp(), QueueSettings(jitter=0.0, max_retries=2, max_retry=60, lifetime=100)).start()
        self.house.put("a@one.test")
        self.house.attempt("one.test", SOFT)
        self.house.clock.advance(60)
        self.house.attempt("one.test", SOFT)
        self.assertEqual(self.house.sink.of(RecipientsPending)[-1].until, NOW + 100)
        self.house.clock.advance(39)
        self.assertEqual(self.expired(), [])
        self.house.clock.advance(1)
        self.assertEqual(
            self.expired(),
            [f"5.4.7 Delivery expired: tried 2 times in 100 seconds; last: {SOFT.error}"],
        )
        self.assertIsNone(self.house.queue.lease("one.test"))

    def test_never_tried(self) -> None:
        """A message that nobody fetched is returned when its time is up."""
        self.house.put("a@one.test")
        self.house.clock.advance(259200)
        self.assertEqual(self.expired(), ["5.4.7 Delivery expired: not tried in 3 days"])

    def test_while_leased(self) -> None:
        """A try under way at the end of the lifetime still counts: delivered is delivered, anything else returns."""
        self.house.put("a@one.test")
        self.house.put("b@one.test")
        self.house.put("c@one.test")
        leases = [self.house.queue.lease("one.test") for _ in range(3)]
        self.house.clock.advance(259200)
        self.assertEqual(self.expired(), [])
        for lease, outcomes in zip(leases, ({0: DELIVERED}, {0: SOFT}, {}), strict=True):
            assert lease is not None
            self.house.queue.settle(lease, outcomes)
        self.house.clock.advance(0)
        self.assertEqual(len(self.expired()), 2)
        self.assertEqual(len(self.house.sink.of(MessageFinished)), 3)

    def test_gateway_was_down(self) -> None:
        """A message whose lifetime ended while the gateway was down gets a last try before it is returned."""
        mid = self.house.put("a@one.test")
        house = self.restart(now=NOW + 10**6)
        self.assertEqual(self.expired(), [])
        self.assertEqual(house.attempt("one.test", SOFT), mid)
        self.assertEqual(len(self.expired()), 1)


class FullDiskTests(HouseCase):
    """The disk is full while outcomes are to be written."""

    def setUp(self) -> None:
        super().setUp()
        self.house.put("a@one.test")
        self.house.put("b@one.test")
        lease = self.house.queue.lease("one.test")
        assert lease is not None
        self.lease = lease

    def fill(self) -> None:
        self.house.disk.fails = lambda operation, path: errno.ENOSPC if operation in ("write", "unlink") else 0

    def test_not_sent_again(self) -> None:
        """A delivered message isn't given out again while its removal can't be written; it is written later."""
        self.fill()
        settled = self.house.queue.settle(self.lease, {0: DELIVERED})
        self.assertNoResult(settled)
        self.house.clock.pump([1, 1, 2, 4, 8, 16, 32, 60])
        self.assertEqual(self.house.queue.lease("one.test").mid, 2)  # type: ignore[union-attr]
        self.assertIsNone(self.house.queue.lease("one.test"))
        self.house.disk.fails = lambda operation, path: 0
        self.house.clock.advance(60)
        self.successResultOf(settled)
        self.assertEqual(self.house.files(), ["new/000000000002"])
        self.assertEqual(len(self.house.sink.of(Fault)), 1)
        self.assertEqual(len(self.house.sink.of(Notice)), 1)

    def test_delayed(self) -> None:
        """A delayed recipient keeps its schedule in memory though it can't be written."""
        self.fill()
        self.house.queue.settle(self.lease, {0: SOFT})
        self.house.queue.lease("one.test")
        self.house.clock.advance(60)
        again = self.house.queue.lease("one.test")
        assert again is not None
        self.assertEqual((again.mid, again.recipients[0].attempts), (1, 1))

    def test_bounced(self) -> None:
        """A failure is told once the disk can be written, and once only."""
        self.fill()
        self.house.queue.settle(self.lease, {0: HARD})
        self.house.clock.pump([1, 2, 4])
        self.assertEqual(self.house.sink.of(BounceGenerated), [])
        self.house.disk.fails = lambda operation, path: 0
        self.house.clock.pump([60, 60])
        self.assertEqual(len(self.house.sink.of(BounceGenerated)), 1)
        self.assertEqual(self.house.files(), ["new/000000000002", "new/000000000003"])

    def test_stop(self) -> None:
        """The gateway can be stopped while the disk is full; the message is there at the next start."""
        self.fill()
        settled = self.house.queue.settle(self.lease, {0: SOFT})
        self.successResultOf(self.house.services.stop())
        self.failureResultOf(settled, OSError)
        self.assertEqual(len(list(self.restart().commands.messages())), 2)

    def test_new_mail(self) -> None:
        """New mail is refused with OSError, which is the 452, and nothing of it stays."""
        self.fill()
        self.failureResultOf(self.house.write(9, ["a@one.test"], "", b"x"), OSError)
        self.assertEqual(self.house.commands.counts().messages, 2)
