"""Puts messages into a real spool without end, delivers every third, and prints what is durable: `test_kill` kills it."""

from __future__ import annotations

import os
import random
import sys

from twisted.internet import reactor
from twisted.internet.defer import Deferred, gatherResults

from seg.config.schema import QueueSettings
from seg.mail.envelope import Envelope, Recipient
from seg.mail.outcome import Delivered
from seg.queue.assembly import QueueServices
from seg.queue.commit import GroupCommitter
from seg.queue.ids import MessageIds
from seg.queue.queue import Queue
from seg.queue.schedule import Schedule, Schedules
from seg.queue.store import SpoolStore
from tests.queue.house import PlainComposer, Recorder

AT_A_TIME = 20


def say(word: str, mid: int) -> None:
    """One short line, straight to the pipe."""
    os.write(1, f"{word} {mid}\n".encode())


async def put(queue: Queue, counters: MessageIds, clock: object) -> None:
    """Put one message, small or large."""
    mid = counters.next_mid()
    writer = queue.begin(mid)
    for _ in range(1 if mid % 10 else 4):
        writer.write(b"x" * 30_000)
    await writer.commit(Envelope(mid, "a@sender.test", (Recipient(0, "b@one.test"),), clock.seconds()))  # type: ignore[attr-defined]
    say("250", mid)
    if not mid % 3:
        lease = queue.lease("one.test")
        if lease is not None:
            say("sent", lease.mid)
            await queue.settle(lease, {0: Delivered(1, "ok")})
            say("done", lease.mid)


async def run(root: str) -> None:
    """Never ends."""
    sink = Recorder()
    counters = MessageIds(os.path.join(root, "counters"), sink)
    committer = GroupCommitter(reactor)  # type: ignore[arg-type]
    store = SpoolStore(root, committer, counters, sink, reactor)  # type: ignore[arg-type]
    schedules = Schedules(Schedule(QueueSettings(), random.random))
    queue = Queue(store, schedules, PlainComposer(reactor), counters, sink, reactor)  # type: ignore[arg-type]
    await QueueServices(queue, sink, reactor).start()  # type: ignore[arg-type]
    while True:
        await gatherResults([Deferred.fromCoroutine(put(queue, counters, reactor)) for _ in range(AT_A_TIME)])


if __name__ == "__main__":
    Deferred.fromCoroutine(run(sys.argv[1])).addErrback(lambda failure: failure.printTraceback())
    reactor.run()  # type: ignore[attr-defined]
