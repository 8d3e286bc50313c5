"""Group commit."""

import errno
import os
import threading
from collections.abc import Callable

from twisted.internet import reactor
from twisted.internet.defer import Deferred, gatherResults
from twisted.trial.unittest import SynchronousTestCase, TestCase

from seg.queue.commit import OTHERS, GroupCommitter, SpoolOperation
from seg.queue.disk import Disk
from seg.queue.operations import RewriteEnvelope, StoreMessage
from seg.queue.paths import SpoolPaths
from tests.queue.doubles import InlineCommitter, RecordingDisk


class BatchTests(SynchronousTestCase):
    """What happens to the changes of one batch."""

    def setUp(self) -> None:
        root = self.mktemp()
        self.folders = SpoolPaths(root)
        self.disk = RecordingDisk(root)
        self.disk.make_folders([self.folders.tmp, self.folders.message(1).new_folder, self.folders.cur])
        self.commits = InlineCommitter(self.disk)
        self.order: list[str] = []

    def submit(self, *mids: int) -> list[Deferred[None]]:
        self.commits.paused = True
        submitted = [self.commits.submit(StoreMessage(self.folders, mid, b"{}\n", b"x")) for mid in mids]
        for mid, done in zip(mids, submitted, strict=True):
            done.addCallback(lambda _, mid=mid: self.disk.steps.append(("250", str(mid))))
        self.commits.resume()
        return submitted

    def test_a17_durable_before_reply(self) -> None:
        """Case A17: write, fsync of the file, rename, fsync of the folder, and only then the 250."""
        self.submit(1)
        self.assertEqual(
            self.disk.steps,
            [
                ("write", "tmp/000000000001"),
                ("fsync", "tmp/000000000001"),
                ("rename", "new/00/000000000001"),
                ("fsync folder", "new/00"),
                ("250", "1"),
            ],
        )

    def test_group(self) -> None:
        """All files of a batch are written, then synced, then named; their folder is synced once; then all 250s follow."""
        self.submit(1, 2, 3)
        self.assertEqual(
            [operation for operation, _ in self.disk.steps],
            ["write"] * 3 + ["fsync"] * 3 + ["rename"] * 3 + ["fsync folder"] + ["250"] * 3,
        )

    def test_errors_stay_alone(self) -> None:
        """A full disk at any step fails that message only, and nothing of it stays."""
        for operation in ("write", "fsync", "rename"):
            self.disk.fails = lambda op, path, bad=operation: errno.ENOSPC if op == bad and path.endswith("2") else 0
            one, two, three = self.submit(1, 2, 3)
            self.successResultOf(one)
            self.assertEqual(self.failureResultOf(two, OSError).value.errno, errno.ENOSPC)
            self.successResultOf(three)
            self.assertEqual(os.listdir(self.folders.tmp), [])
            self.assertEqual(sorted(os.listdir(self.folders.message(1).new_folder)), ["000000000001", "000000000003"])

    def test_folder_not_durable(self) -> None:
        """When the folder can't be made durable none of its messages counts as accepted, and none stays."""
        self.disk.fails = lambda op, path: errno.EIO if op == "fsync folder" else 0
        for done in self.submit(1, 2):
            self.failureResultOf(done, OSError)
        self.assertEqual(os.listdir(self.folders.message(1).new_folder), [])

    def test_fault_in_a_change(self) -> None:
        """Even a programming fault in one change doesn't take others with it."""

        class Faulty(SpoolOperation):
            def sync(self, disk: Disk) -> None:
                raise ZeroDivisionError

        self.commits.paused = True
        bad, good = self.commits.submit(Faulty()), self.submit(1)[0]
        self.failureResultOf(bad, ZeroDivisionError)
        self.successResultOf(good)

    def test_failed_rewrite_keeps_the_last(self) -> None:
        """An envelope that can't be written leaves the last good one."""
        self.submit(1)
        self.commits.submit(RewriteEnvelope(self.folders, 1, 1, b"one\n"))
        self.disk.fails = lambda op, path: errno.ENOSPC if op == "fsync" else 0
        self.failureResultOf(self.commits.submit(RewriteEnvelope(self.folders, 1, 2, b"two\n")), OSError)
        with open(self.folders.message(1).envelope, "rb") as file:
            self.assertEqual(file.read(), b"one\n")
        self.assertEqual(os.listdir(self.folders.tmp), [])


class CommitterTests(TestCase):
    """The thread."""

    def setUp(self) -> None:
        self.calls = 0
        self.committer = GroupCommitter(self, Disk())  # type: ignore[arg-type]

    def callFromThread(self, call: object, *args: object) -> None:
        """The part of the reactor that the committer uses, counted."""
        self.calls += 1
        reactor.callFromThread(call, *args)  # type: ignore[attr-defined]

    def callLater(self, delay: float, call: Callable[[], object]) -> object:
        """The other part."""
        return reactor.callLater(delay, call)  # type: ignore[attr-defined]

    async def test_many(self) -> None:
        """What gathers while the thread is busy becomes batches, each reported in one go and in order."""
        batches: list[int] = []
        order: list[int] = []
        gate = threading.Event()

        class First(SpoolOperation):
            def write(self, disk: Disk) -> None:
                gate.wait(10)

        self.committer.start()
        submitted = [self.committer.submit(First())]
        for number in range(2 * OTHERS):
            submitted.append(self.committer.submit(SpoolOperation()))
            submitted[-1].addCallback(lambda _, number=number: (order.append(number), batches.append(self.calls)))
        gate.set()
        await gatherResults(submitted)
        self.assertEqual(order, list(range(2 * OTHERS)))
        self.assertLessEqual(len(set(batches)), 4)
        await self.committer.stop()

    async def test_outcomes_first(self) -> None:
        """What has happened to messages doesn't wait behind hundreds that come in: for no more than the batch under way."""
        done: list[str] = []
        gate = threading.Event()
        busy = threading.Event()

        class Gate(SpoolOperation):
            def write(self, disk: Disk) -> None:
                busy.set()
                gate.wait(10)

        class Happened(SpoolOperation):
            outcome = True

        self.committer.start()
        submitted = [
            self.committer.submit(Gate()),
            *(self.committer.submit(SpoolOperation()) for _ in range(10 * OTHERS)),
        ]
        for each in submitted:
            each.addCallback(lambda _: done.append("in"))
        busy.wait(10)
        for name in ("first", "second"):
            submitted.append(self.committer.submit(Happened()))
            submitted[-1].addCallback(lambda _, name=name: done.append(name))
        gate.set()
        await gatherResults(submitted)
        self.assertLessEqual(done.index("first"), OTHERS)
        self.assertEqual(done.index("second"), done.index("first") + 1)
        await self.committer.stop()

    async def test_stop_drains(self) -> None:
        """A clean stop carries out what was submitted, and refuses what comes later."""
        self.committer.start()
        submitted = [self.committer.submit(SpoolOperation()) for _ in range(1000)]
        stopped = self.committer.stop()
        late = self.committer.submit(SpoolOperation())
        await stopped
        self.assertTrue(all(done.called for done in submitted))
        await self.assertFailure(late, OSError)
        await self.assertFailure(self.committer.read(lambda disk: None), OSError)

    async def test_read(self) -> None:
        """Reading happens beside the commits; its errors come back."""
        self.committer.start()
        self.assertNotEqual(
            await self.committer.read(lambda disk: threading.current_thread().name), threading.current_thread().name
        )
        await self.assertFailure(self.committer.read(lambda disk: disk.read("/nonexistent", 1)), OSError)
        await self.committer.stop()

    async def test_never_started(self) -> None:
        """Stopping without a start is harmless."""
        await self.committer.stop()
