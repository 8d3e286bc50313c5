"""Ids over restarts."""

import errno
import threading
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from seg.events import Fault
from seg.interfaces import ICounters
from seg.queue.counters import BLOCK, Counters
from seg.queue.inline import RecordingDisk
from tests.queue.house import Recorder, inline_thread


class CountersTests(SynchronousTestCase):
    """A counter file in a spool folder."""

    def setUp(self) -> None:
        self.path = Path(self.mktemp()) / "counters"
        self.sink = Recorder()
        self.disk = RecordingDisk(str(self.path.parent))

    def counters(self) -> Counters:
        return Counters(self.path, self.sink, inline_thread, self.disk)

    def test_count(self) -> None:
        """Each id counts from 1, on its own."""
        counters = self.counters()
        verifyObject(ICounters, counters)
        self.assertEqual([counters.next_mid(), counters.next_mid(), counters.next_icid()], [1, 2, 1])
        self.assertEqual(counters.next_dcid(), 1)

    def test_killed(self) -> None:
        """After a kill the ids go on above every one that was given out."""
        given = 0
        for taken in (1, 3 * BLOCK + 7, BLOCK // 2, BLOCK):
            counters = self.counters()
            mids = [counters.next_mid() for _ in range(taken)]
            self.assertEqual(mids, list(range(mids[0], mids[0] + taken)))
            self.assertGreater(mids[0], given)
            given = mids[-1]
        self.assertEqual(self.sink.events, [])

    def test_stopped(self) -> None:
        """After a clean stop there is no gap."""
        counters = self.counters()
        counters.next_mid()
        counters.close()
        self.assertEqual(self.counters().next_mid(), 2)

    def test_few_writes(self) -> None:
        """The disk is asked once for half a block, not for each id, and before the ids are used."""
        counters = self.counters()
        before = len(self.disk.steps)
        for _ in range(10 * BLOCK):
            counters.next_mid()
        self.assertLessEqual(len(self.disk.steps) - before, 4 * 21)

    def test_reserved_before_use(self) -> None:
        """Whenever the machine stops, the file on disk is above every id in use."""
        counters = self.counters()
        for _ in range(3 * BLOCK):
            used = counters.next_dcid()
            if not used % 97:
                self.assertGreater(Counters(self.path, self.sink, inline_thread).next_dcid(), used)
                self.path.write_text('{"mid": 5000, "icid": 5000, "dcid": 5000}')

    def test_real_thread(self) -> None:
        """Blocks reserved by a thread give the same unbroken ids."""
        counters = Counters(self.path, self.sink)
        self.assertEqual([counters.next_mid() for _ in range(5 * BLOCK)], list(range(1, 5 * BLOCK + 1)))
        counters.close()
        self.assertEqual([t for t in threading.enumerate() if t.name == "counters"], [])

    def test_damaged(self) -> None:
        """A damaged file is reported, and the ids go on above the highest MID in the spool, broken files included."""
        folder = self.path.parent / "cur" / "2a"
        folder.mkdir(parents=True)
        (folder / "000000010777.env").touch()
        (self.path.parent / "new").mkdir()
        (self.path.parent / "new" / "note").touch()
        for damage in ("", "{", "[]", '{"mid": 5}', '{"mid": "5", "icid": 1, "dcid": 1}'):
            self.path.write_text(damage)
            self.assertEqual(self.counters().next_mid(), 10778, damage)
        self.path.unlink()
        self.assertEqual(self.counters().next_mid(), 10778)
        self.assertEqual(len(self.sink.of(Fault)), 6)

    def test_restored_file(self) -> None:
        """An old file put back can't bring a queued MID again."""
        folder = self.path.parent / "new" / "00"
        folder.mkdir(parents=True)
        (folder / "000000000077").touch()
        self.path.write_text('{"mid": 5, "icid": 6, "dcid": 7}')
        counters = self.counters()
        self.assertEqual([counters.next_mid(), counters.next_icid(), counters.next_dcid()], [78, 7, 8])

    def test_full_disk(self) -> None:
        """A full disk is reported, and ids go on, unique in this process."""
        counters = self.counters()
        self.disk.fails = lambda operation, path: errno.ENOSPC
        mids = [counters.next_mid() for _ in range(2 * BLOCK)]
        self.assertEqual(mids, list(range(1, 2 * BLOCK + 1)))
        self.assertTrue(self.sink.of(Fault))

    def test_unwritable_at_start(self) -> None:
        """Without a place for its ids the gateway doesn't start."""
        self.disk.fails = lambda operation, path: errno.EACCES
        self.assertRaises(OSError, self.counters)
