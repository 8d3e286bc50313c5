"""Ids over restarts."""

import contextlib
import errno
import os
import threading
from collections.abc import Iterator
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from seg.events.gateway import ConditionBegan, ConditionKind, Fault
from seg.mail.ids import IMessageIds
from seg.queue.ids import BLOCK, EPOCH, RATE, MessageIds
from seg.queue.operations import RESERVE
from tests.queue.doubles import RecordingDisk
from tests.queue.house import NOW, Recorder, inline_thread


@contextlib.contextmanager
def monkey(owner: object, name: str, value: object) -> Iterator[None]:
    """Another value for an attribute, for a while."""
    kept = getattr(owner, name)
    setattr(owner, name, value)
    try:
        yield
    finally:
        setattr(owner, name, kept)


class CountersTests(SynchronousTestCase):
    """A counter file in a spool folder."""

    def setUp(self) -> None:
        self.path = Path(self.mktemp()) / "counters"
        self.sink = Recorder()
        self.disk = RecordingDisk(str(self.path.parent))

    def counters(self) -> MessageIds:
        return MessageIds(self.path, self.sink, inline_thread, self.disk, lambda: NOW)

    def test_count(self) -> None:
        """Each id counts from 1, on its own."""
        counters = self.counters()
        verifyObject(IMessageIds, counters)
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
                self.assertGreater(MessageIds(self.path, self.sink, inline_thread).next_dcid(), used)
                self.path.write_text('{"mid": 5000, "icid": 5000, "dcid": 5000}')

    def test_real_thread(self) -> None:
        """Blocks reserved by a thread give the same unbroken ids."""
        counters = MessageIds(self.path, self.sink)
        self.assertEqual([counters.next_mid() for _ in range(5 * BLOCK)], list(range(1, 5 * BLOCK + 1)))
        counters.close()
        self.assertEqual([t for t in threading.enumerate() if t.name == "counters"], [])

    def test_damaged(self) -> None:
        """Whatever stands in the file's place, the start goes on, keeps it aside, and says so; the ids go on above all that may have been
        used: by the time, or the highest MID in the spool, broken files and those kept aside included."""
        floor = int((NOW - EPOCH) * RATE) + 1
        damages = {
            "empty": lambda: self.path.write_text(""),
            "cut": lambda: self.path.write_text('{"mid": 5, "ic'),
            "list": lambda: self.path.write_text("[]"),
            "keys": lambda: self.path.write_text('{"mid": 5}'),
            "types": lambda: self.path.write_text('{"mid": "5", "icid": 1, "dcid": 1}'),
            "negative": lambda: self.path.write_text('{"mid": -5, "icid": 1, "dcid": 1}'),
            "huge": lambda: self.path.write_text('{"mid": 1' + "0" * 4000 + ', "icid": 1, "dcid": 1}'),
            "zeros": lambda: self.path.write_bytes(bytes(100)),
            "folder": self.path.mkdir,
            "link to nowhere": lambda: self.path.symlink_to("nowhere"),
            "pipe": lambda: os.mkfifo(self.path),
            "200 MB": lambda: (self.path.touch(), os.truncate(self.path, 200_000_000)),
        }
        self.path.parent.mkdir()
        for name, damage in damages.items():
            damage()
            counters = self.counters()
            ids = {counters.next_mid(), counters.next_icid(), counters.next_dcid()}
            self.assertEqual(ids, {floor}, name)
            self.assertFalse(counters.unreserved, name)
            self.assertEqual(MessageIds(self.path, self.sink, inline_thread).next_mid(), floor + BLOCK, name)
            self.path.unlink()
        self.assertEqual({event.kind for event in self.sink.of(ConditionBegan)}, {ConditionKind.STATE_FILE})
        self.assertEqual(len(self.sink.of(ConditionBegan)), len(damages))

    def test_unreadable(self) -> None:
        """A file that the system can't read isn't kept aside, and stops nothing."""
        self.counters()

        def fails(*args: object, **kwargs: object) -> int:
            raise OSError(errno.EIO, "Input/output error")

        with monkey(os, "open", fails):
            counters = self.counters()
        self.assertEqual(counters.next_mid(), int((NOW - EPOCH) * RATE) + 1)
        self.assertTrue(counters.unreserved)
        self.assertEqual(os.listdir(self.path.parent), ["counters"])
        counters.reserve()
        self.assertFalse(counters.unreserved)

    def test_lost(self) -> None:
        """Without a file, ids begin at 1 only where the gateway never ran; MIDs in the spool count whatever the time says."""
        self.assertEqual(self.counters().next_mid(), 1)
        self.path.unlink()
        self.assertGreater(
            MessageIds(self.path, self.sink, inline_thread, seconds=lambda: NOW, known=True).next_icid(), 10**9
        )
        for place, highest in (("cur/2a/000000010777.env", 10777), ("corrupt/new-0f-999999999999.3", 999999999999)):
            self.path.unlink()
            file = self.path.parent / place
            file.parent.mkdir(parents=True)
            file.touch()
            (self.path.parent / "new").mkdir(exist_ok=True)
            (self.path.parent / "new" / "note").touch()
            early = MessageIds(self.path, self.sink, inline_thread, seconds=lambda: 0.0)
            self.assertEqual(early.next_mid(), highest + 1, place)

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

    def test_full_at_start(self) -> None:
        """On a full disk the start gives up the reserve for the ids; if that isn't enough it goes on, and says that no id is sure."""
        reserve = self.path.with_name(RESERVE)
        reserve.parent.mkdir()
        reserve.touch()
        self.disk.fails = lambda operation, path: errno.ENOSPC if operation == "replace" and reserve.exists() else 0
        counters = self.counters()
        self.assertEqual((reserve.exists(), counters.next_mid(), counters.unreserved), (False, 1, False))
        self.path.unlink()
        self.disk.fails = lambda operation, path: errno.ENOSPC
        counters = self.counters()
        self.assertEqual((counters.next_mid(), counters.unreserved), (1, True))
        self.disk.fails = lambda operation, path: 0
        counters.reserve()
        self.assertFalse(counters.unreserved)
        self.assertGreater(self.counters().next_mid(), 1)
