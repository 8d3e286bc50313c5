"""A long queue: what a message takes of memory, and what its start costs."""

from __future__ import annotations

import gc
import sys
from unittest.mock import patch

import attrs
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from seg.mail.envelope import Envelope, Recipient
from seg.queue import index_entry, loading, scan
from seg.queue.disk import Disk
from seg.queue.index import QueueIndex
from seg.queue.index_entry import NEVER, USUAL, IndexEntry
from seg.queue.paths import SpoolPaths
from tests.queue.house import DELIVERED, NOW, SOFT, HouseCase


def usual(mid: int) -> Envelope:
    """An envelope as most are."""
    to = Recipient(0, f"user{mid}@d{mid % 7}.bench.example")
    return Envelope(
        mid, f"sender{mid}@sender.example", (to,), NOW, 1000, icid=mid, client="192.0.2.1", helo="a.example"
    )


class RoomTests(SynchronousTestCase):
    """How much memory a waiting message takes."""

    def test_record(self) -> None:
        """A usual message takes few octets, and no objects of its own but the entry and the packed envelope."""
        one = IndexEntry(usual(123_456), NOW)
        self.assertLess(sys.getsizeof(one) + sys.getsizeof(one._form), 320)
        self.assertIs(one.unusual, USUAL)

    def test_unusual(self) -> None:
        """What few messages have is there when it is noted, and takes no room when it isn't any more."""
        one = IndexEntry(usual(1), NOW)
        for name, value in (("deleted_by", "alice"), ("notices", 3), ("unwritten", "disk full"), ("damaged", True)):
            one.note(attrs.evolve(one.unusual, **{name: value}))
            self.assertEqual(getattr(one.unusual, name), value)
            self.assertIsNot(one.unusual, USUAL)
            one.note(attrs.evolve(one.unusual, **{name: getattr(USUAL, name)}))
            self.assertIs(one.unusual, USUAL)

    def test_content_in_memory(self) -> None:
        """Beside content in memory the envelope stays as it is; what that takes is counted, until both are forgotten."""
        index = QueueIndex(Clock(), lambda entry: None, lambda entry: None)
        envelope = usual(1)
        entry = index.add(envelope, NOW, NEVER, b"content")
        self.assertIs(entry.envelope, envelope)
        counted = index.octets
        index.drop_cached_content(entry)
        self.assertEqual((entry.envelope, entry.content), (envelope, None))
        self.assertLess(index.octets, counted)
        index.remove(entry)
        self.assertEqual(index.octets, 0)


class ListingTests(HouseCase):
    """The spool's folders are listed."""

    def test_small(self) -> None:
        """What is listed is one number a message until its turn to be read."""
        mids = [self.house.put("a@one.test") for _ in range(600)]
        self.house.attempt("one.test", SOFT)
        found = scan.SpoolScan(SpoolPaths(str(self.house.root)))
        found.prepare(Disk())
        listed = list(found._places)
        self.assertEqual([each >> 4 for each in listed], mids)
        self.assertEqual({type(each) for each in listed}, {int})


class StartTests(HouseCase):
    """The queue is read at the start."""

    def test_looked_at_once(self) -> None:
        """Messages aren't unpacked at the start: going through all of them at its end would halt a long queue for seconds."""
        for _ in range(500):
            self.house.put("a@one.test")
        with patch.object(index_entry, "unpack", wraps=index_entry.unpack) as unpack:
            house = self.restart()
        self.assertLessEqual(unpack.call_count, 2)  # of the oldest, for the counts
        self.assertEqual(len(house.commands.mids()), 500)
        self.assertIs(house.queue.index.get(house.commands.mids()[0]).unusual, USUAL)  # type: ignore[union-attr]

    def test_garbage_collector(self) -> None:
        """The garbage collector's full rounds leave out a long queue's records."""
        self.addCleanup(gc.unfreeze)
        mids = [self.house.put("a@one.test") for _ in range(300)]
        with patch.object(loading, "FREEZE_EVERY", 250):
            house = self.restart()
        known = {id(each) for each in gc.get_objects()}
        seen = [mid for mid in mids if id(house.queue.index.get(mid)) in known]
        self.assertLess(len(seen), 250)
        self.assertEqual(house.attempt("one.test", DELIVERED), mids[0])

    def test_short_queue(self) -> None:
        """A short queue leaves the garbage collector alone."""
        gc.unfreeze()
        self.house.put("a@one.test")
        self.restart()
        self.assertEqual(gc.get_freeze_count(), 0)
