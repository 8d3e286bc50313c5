"""The queue with all that belongs to it, put together, started and stopped."""

from __future__ import annotations

from twisted.internet.defer import Deferred, DeferredList
from twisted.internet.interfaces import IReactorTime

from seg.events.base import IEventSink
from seg.queue.commands import QueueCommands
from seg.queue.corrupt import CorruptFiles
from seg.queue.loading import Loading
from seg.queue.queue import Queue


class QueueServices:
    """The queue, and who reads it at the start.

    :ivar queue: for those who hand in, deliver and report.
    :ivar commands: for operators.
    :ivar corrupt: what was put aside, for operators.
    """

    def __init__(self, queue: Queue, sink: IEventSink, clock: IReactorTime) -> None:
        self.queue = queue
        self._loading = Loading(queue, sink, clock)
        queue.store.on_unreadable = self._loading.could_not_read
        self.commands = QueueCommands(queue, self._loading, sink, clock)
        self.corrupt = CorruptFiles(queue, self._loading, sink)

    def start(self) -> Deferred[None]:
        """Read the spool, in a thread and in batches; fires when all messages are taken up. Only then call
        `Queue.begin`.

        Fails with `OSError` when the folders can't be made or listed. A file that can't be read never stops
        the start, nor does a disk that can't be written: new mail is refused then.
        """
        return Deferred.fromCoroutine(self._start())

    async def _start(self) -> None:
        store = self.queue.store
        store.executor.start()
        await self._loading.start()
        store.health.start()

    def stop(self) -> Deferred[None]:
        """Fires when all that is known has been written down. Leases have to be back by then."""
        store = self.queue.store
        store.health.stop()
        self._loading.stop()
        under_way = DeferredList(self.queue.stop(), consumeErrors=True)
        return under_way.addCallback(lambda _: store.executor.stop())
