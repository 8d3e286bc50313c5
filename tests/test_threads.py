"""The system gives no thread: what wanted one fails as where memory is out, and what has threads can be stopped all the same."""

from __future__ import annotations

import threading
from pathlib import Path
from unittest.mock import patch

from twisted.internet import reactor
from twisted.internet.task import deferLater
from twisted.python.threadpool import ThreadPool
from twisted.trial.unittest import TestCase

from seg.common.threads import NoThread, in_pool, start_thread
from seg.queue.commit import GroupCommitter
from seg.queue.ids import MessageIds
from tests.doubles import RecordingSink


def refuse(self: threading.Thread) -> None:
    """As `threading.Thread.start` where pthread_create finds nothing left."""
    raise RuntimeError("can't start new thread")


def no_threads():  # type: ignore[no-untyped-def]
    """None can be started."""
    return patch.object(threading.Thread, "start", refuse)


class ThreadTests(TestCase):
    """Pools, the commit thread, and the one that reserves ids."""

    async def test_pool(self) -> None:
        """One that can't be started is a `NoThread`; then the pool works, and can be stopped."""
        pool = ThreadPool(0, 2)
        pool.start()
        with no_threads():
            await self.assertFailure(in_pool(reactor, pool, int, "7"), NoThread)
        self.assertEqual(await in_pool(reactor, pool, int, "7"), 7)
        pool.stop()

    async def test_readers(self) -> None:
        """The queue's readers: a message that can't be read now is a matter of memory, and the queue stops."""
        commits = GroupCommitter(reactor)  # type: ignore[arg-type]
        commits.start()
        with no_threads():
            await self.assertFailure(commits.read(lambda disk: 1), MemoryError)
        self.assertEqual(await commits.read(lambda disk: 1), 1)
        await commits.stop()

    async def test_start(self) -> None:
        """A queue whose commit thread can't be started tells so, and stops."""
        commits = GroupCommitter(reactor)  # type: ignore[arg-type]
        with no_threads():
            self.assertRaises(NoThread, commits.start)
            self.assertRaises(NoThread, start_thread, threading.Thread())
        await commits.stop()

    async def test_ids(self) -> None:
        """Ids are given meanwhile; the next block is reserved as soon as a thread can be had."""
        path = Path(self.mktemp()) / "counters.json"
        path.parent.mkdir()
        ids = MessageIds(path, RecordingSink())
        self.addCleanup(ids.close)
        with no_threads():
            first = [ids.next_mid() for _ in range(700)]
        self.assertEqual(first, list(range(first[0], first[0] + 700)))
        before = path.read_text()
        ids.next_mid()
        for _ in range(500):
            if path.read_text() != before:
                break
            await deferLater(reactor, 0.01)  # type: ignore[arg-type]
        self.assertNotEqual(path.read_text(), before)
