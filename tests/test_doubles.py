"""The doubles keep the contracts of the seams they stand for."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from seg.events.base import IEventSink
from seg.mail.envelope import Envelope, Recipient
from seg.mail.errors import Temporary
from seg.mail.ids import IMessageIds
from seg.mail.outcome import Delayed, Delivered
from seg.queue.interfaces import IContent, IMessageWriter, IQueue
from tests.doubles import CountingCounters, MemoryContent, MemoryQueue, RecordingSink


def envelope(mid: int) -> Envelope:
    recipients = (Recipient(0, "a@one.test"), Recipient(1, "b@two.test"), Recipient(2, "c@one.test"))
    return Envelope(mid, "s@from.test", recipients, arrived=0.0)


class DoublesTests(SynchronousTestCase):
    """`tests.doubles`."""

    def test_interfaces(self) -> None:
        """Each double provides its interface, method by method."""
        verifyObject(IEventSink, RecordingSink())
        verifyObject(IMessageIds, CountingCounters())
        verifyObject(IContent, MemoryContent(b""))
        verifyObject(IQueue, MemoryQueue())
        verifyObject(IMessageWriter, MemoryQueue().begin(1))

    def test_lease_and_settle(self) -> None:
        """A recipient is leased once; a delivered one is gone, a delayed one comes back with `retry`."""
        queue = MemoryQueue()
        writer = queue.begin(1)
        writer.write(b"x\r\n")
        self.successResultOf(writer.commit(envelope(1)))
        ready: list[str] = []
        queue.subscribe(ready.append)
        self.assertEqual(ready, ["one.test", "two.test"])
        lease = queue.lease("one.test")
        assert lease is not None
        self.assertEqual(lease.rids, (0, 2))
        self.assertIsNone(queue.lease("one.test"))
        queue.settle(lease, {0: Delivered(1, "ok"), 2: Delayed(Temporary("4.0.0", "later"))})
        self.assertIsNone(queue.lease("one.test"))
        queue.retry()
        again = queue.lease("one.test")
        assert again is not None
        self.assertEqual(again.rids, (2,))
