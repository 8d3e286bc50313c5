"""Memory runs out, anywhere: it is our fault and nobody else's, is told, loses nothing, and is over when it is over."""

from __future__ import annotations

import errno
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any
from unittest.mock import patch

from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.logger import Logger, LogPublisher
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase, TestCase
from twisted.web.http import Request
from twisted.web.test.requesthelper import DummyRequest

from seg.admin.http import APIResource, RouteTable
from seg.admin.roles import Role
from seg.admin.wire.gateway import FlushedAnswer
from seg.admin.wire.route import APIRoute, NoParameters
from seg.deliver.scheduler import DeliveryScheduler
from seg.events.gateway import ConditionBegan, ConditionEnded, ConditionKind
from seg.events.memory import CALM, MemoryWatch, budgets, note
from seg.events.receive import BadCommand, UnknownCommand
from seg.mail.outcome import Delayed
from seg.queue import commit, room
from seg.queue.commit import GroupCommitter, SpoolOperation
from seg.queue.disk import Disk
from seg.queue.index import QueueIndex
from seg.queue.queue import Queue
from seg.receive import end_of_data, protocol, transaction
from seg.receive import session as receive_session
from seg.receive.session import ReceiveSession
from seg.receive.transaction import ReceiveTransaction
from seg.smtp.header_scan import HeaderScan
from seg.smtp.lines import LineBuffer
from seg.smtp.server import ServerConnection
from tests.deliver.test_engine import FakeAttempt, FakeQueue
from tests.doubles import CountingCounters, MemoryWriter, RecordingSink
from tests.queue.doubles import RecordingDisk
from tests.queue.house import DELIVERED, HouseCase
from tests.receive.front_door import EHLO, MESSAGE, FrontDoorCase

PLACES: tuple[tuple[object, str], ...] = (
    (LineBuffer, "feed"),
    (ServerConnection, "receive"),
    (ServerConnection, "data_to_send"),
    (ServerConnection, "accept"),
    (ReceiveSession, "react"),
    (receive_session, "check_rcpt"),
    (CountingCounters, "next_mid"),
    (receive_session, "ReceiveTransaction"),
    (receive_session, "received_field"),
    (ReceiveTransaction, "add_recipient"),
    (ReceiveTransaction, "begin_content"),
    (ReceiveTransaction, "write"),
    (ReceiveTransaction, "end_content"),
    (ReceiveTransaction, "envelope"),
    (transaction, "Recipient"),
    (HeaderScan, "feed"),
    (MemoryWriter, "write"),
    (MemoryWriter, "_take"),
    (MemoryWriter, "commit"),
    (end_of_data, "posix"),
    (protocol, "ReceiveSession"),
)


def failing(call: Callable[..., Any], times: int, broken: list[int]) -> Callable[..., Any]:
    """A function that finds no memory so many times, then goes on as it does."""

    def fail(*arguments: Any, **named: Any) -> Any:
        if len(broken) < times:
            broken.append(1)
            raise MemoryError
        return call(*arguments, **named)

    return fail


class ReceiveTests(FrontDoorCase):
    """A client hands in a message."""

    def one(self, send: Callable[[], bytes]) -> bytes:
        try:
            return send()
        except MemoryError:  # Twisted closes a connection whose protocol raises
            return b""

    def test_places(self) -> None:
        """Wherever it runs out: 452 or 421 with 4.3.1 or the connection's end, never a 5xx, no 250 without a message; then all is well."""
        for where, name in PLACES:
            with self.subTest(f"{getattr(where, '__name__', where)}.{name}"):
                broken: list[int] = []
                self.queue.messages.clear()
                self.sink.events.clear()
                with patch.object(where, name, failing(getattr(where, name), 1, broken)):
                    said = self.one(lambda: self.connect().say(EHLO + MESSAGE))
                self.assertTrue(broken)
                self.assertNotIn(b"\r\n5", b"\r\n" + said)
                refused = [line for line in said.splitlines() if line[:1] == b"4"]
                self.assertLessEqual({line[:9] for line in refused}, {b"452 4.3.1", b"421 4.3.1"})
                self.assertEqual(b"queued as" in said, bool(self.queue.messages))
                self.assertFalse(self.sink.of(BadCommand) or self.sink.of(UnknownCommand))
                self.queue.messages.clear()
                self.assertIn(b"queued as", self.connect().say(EHLO + MESSAGE))
                self.flushLoggedErrors(MemoryError)

    def test_told(self) -> None:
        """A client that has been greeted hears why."""
        for where, name in ((MemoryWriter, "write"), (MemoryWriter, "commit"), (transaction, "Recipient")):
            broken: list[int] = []
            with patch.object(where, name, failing(getattr(where, name), 1, broken)):
                self.assertIn(b"452 4.3.1", self.connect().say(EHLO + MESSAGE))
        broken = []
        with patch.object(ReceiveSession, "react", failing(ReceiveSession.react, 1, broken)):
            client = self.connect()
            self.assertTrue(client.say(EHLO + MESSAGE).endswith(protocol.OUT_OF_MEMORY.line))
            self.assertTrue(client.closed)
        self.flushLoggedErrors(MemoryError)

    def test_asynchronous(self) -> None:
        """In the commit thread: 452."""
        self.queue.commit_error = MemoryError()
        self.assertIn(b"452 4.3.1", self.connect().say(EHLO + MESSAGE))

    def test_full(self) -> None:
        """While the queue takes no new mail MAIL is refused, before the content has come."""
        self.queue.refused = room.FULL
        said = self.connect().codes(EHLO + MESSAGE[: MESSAGE.index(b"RCPT")])
        self.assertEqual(said, [220, 250, 452] if 220 in said else [250, 452])
        self.queue.refused = None
        self.assertIn(b"queued as", self.connect().say(EHLO + MESSAGE))


class ShortDisk(RecordingDisk):
    """A disk for whose nth operation there is no memory."""

    left = -1

    def _step(self, operation: str, path: str) -> None:
        super()._step(operation, path)
        self.left -= 1
        if self.left == -1:
            raise MemoryError


class QueueTests(HouseCase):
    """What the queue does to its files."""

    def short(self, left: int) -> ShortDisk:
        disk = self.house.disk
        disk.__class__ = ShortDisk
        assert isinstance(disk, ShortDisk)
        disk.left = left
        return disk

    def put(self, content: bytes) -> list[object]:
        mid = self.house.counters.next_mid()
        writer = self.house.queue.begin(mid)
        result: list[object] = []
        for at in range(0, len(content), 50_000):
            writer.write(content[at : at + 50_000])
        from seg.mail.envelope import Envelope, Recipient

        to = (Recipient(0, "a@one.test"),)
        writer.commit(Envelope(mid, "s@x.test", to, self.house.clock.seconds())).addBoth(result.append)
        return result

    def test_stored(self) -> None:
        """A message is stored whole or refused with nothing left of it, be it short or written in pieces: never with a hole."""
        for content in (b"Subject: x\r\n\r\nhi\r\n", b"Subject: x\r\n\r\n" + b"hello\r\n" * 60_000):
            for left in range(40):
                disk = self.short(left)
                result = self.put(content)
                over, disk.left = disk.left < 0, -1
                if not over:
                    self.assertEqual(result, [None])
                    break
                failed = isinstance(result[0], Failure)
                files = self.house.files("new")
                self.assertEqual(len(files), 0 if failed else 1, left)
                if not failed:
                    path = next(path for path in (self.house.root / "new").rglob("*") if path.is_file())
                    self.assertTrue(path.read_bytes().endswith(content), left)
                    self.assertIsNotNone(self.house.attempt("one.test", DELIVERED))
            else:
                self.fail("never whole")
            self.assertIsNotNone(self.house.attempt("one.test", DELIVERED))

    def test_outcome(self) -> None:
        """An outcome is written down when there is memory again."""
        for left in range(4):
            self.house.put("a@one.test")
            disk = self.short(left)
            self.house.attempt("one.test", DELIVERED)
            disk.left = -1
            self.house.clock.advance(5)
            self.assertEqual(self.house.files(), [], left)
            self.assertEqual(self.house.commands.counts().messages, 0)

    def test_settled_and_accepted(self) -> None:
        """In memory: a message that got its 250 is tried, and one that was tried is settled, when there is memory again."""
        for where, name in (
            (Queue, "_add"),
            (QueueIndex, "plan"),
            (QueueIndex, "add"),
            (Queue, "apply"),
            (QueueIndex, "change"),
        ):
            broken: list[int] = []
            with patch.object(where, name, failing(getattr(where, name), 1, broken)):
                self.house.put("a@one.test")
                self.house.clock.advance(1)
                mid = self.house.attempt("one.test", DELIVERED)
                self.assertIsNotNone(mid, name)
                self.house.clock.advance(1)
            self.assertTrue(broken)
            self.assertEqual((self.house.files(), len(self.house.commands.mids())), ([], 0), name)
            self.flushLoggedErrors(MemoryError)


class RoomTests(HouseCase):
    """The queue's records fill the memory that is set aside for them."""

    def test_full(self) -> None:
        """New mail is refused, all else goes on, and it is over when enough has gone."""
        queue, commands = self.house.queue, self.house.commands
        queue.room.most = 40 * self.house.queue.index.octets or 20_000
        sink = self.house.sink
        while queue.refusal() is None:
            self.house.put("a@one.test")
        count = len(commands.mids())
        self.assertLess(count, 60)
        self.assertEqual([(e.kind, e.subject) for e in sink.of(ConditionBegan)], [(ConditionKind.MEMORY, "queue")])
        failed: list[Failure] = []
        self.house.write(10_000, ["a@one.test"], "s@x.test", b"x").addErrback(failed.append)
        self.assertEqual(failed[0].value.errno, errno.ENOMEM)  # type: ignore[union-attr]
        for _ in range(count // 4):
            self.assertIsNotNone(self.house.attempt("one.test", DELIVERED))
        self.house.clock.advance(room.LOOK)
        self.assertEqual(len(sink.of(ConditionEnded)), 1)
        self.assertIsNone(queue.refusal())
        self.house.put("a@one.test")

    def test_counted(self) -> None:
        """What records take is counted exactly: an empty queue takes nothing."""
        for number in range(5):
            self.house.put("a@one.test", f"b{number}@two.test")
        self.assertGreater(self.house.queue.index.octets, 5 * 400)
        for _ in range(5):
            self.house.attempt("one.test", DELIVERED)
            self.house.attempt("two.test", DELIVERED)
        self.assertEqual(self.house.queue.index.octets, 0)


class ThreadTests(TestCase):
    """The commit thread."""

    async def test_goes_on(self) -> None:
        """It outlives want of memory at any of its own steps: what it was about fails or is done, and what comes then is done."""

        class Reactor:
            broken: list[int] = []

            def callFromThread(self, call: Callable[..., object], *arguments: object) -> None:
                failing(partial(reactor.callFromThread, call, *arguments), 1, self.broken)()  # type: ignore[attr-defined]

            def callLater(self, delay: float, call: Callable[..., object]) -> object:
                return reactor.callLater(delay, call)  # type: ignore[attr-defined]

        for where, name in ((commit, "commit_batch"), (commit, "islice"), (SpoolOperation, "write"), (Reactor, "")):
            broken: list[int] = [] if where is Reactor else [1]
            Reactor.broken = broken
            committer = GroupCommitter(Reactor(), Disk())  # type: ignore[arg-type]
            committer.start()
            if name:
                with patch.object(where, name, failing(getattr(where, name), 1, [])):
                    await committer.submit(SpoolOperation()).addErrback(lambda failure: failure.trap(MemoryError))
            else:
                await committer.submit(SpoolOperation())
            await committer.submit(SpoolOperation())
            await committer.stop()


class DeliveryTests(SynchronousTestCase):
    """An attempt."""

    def test_attempt(self) -> None:
        """It is put off by a fault of ours, which isn't held against the destination."""
        queue, sink, attempts = FakeQueue(), RecordingSink(), []

        def make(lease: Any) -> FakeAttempt:
            attempts.append(FakeAttempt(lease))
            return attempts[-1]

        queue.add(1, "a.example")
        engine = DeliveryScheduler(queue, make, lambda _: 5, 5, sink, Clock())  # type: ignore[arg-type]
        engine.start()
        attempts[0].done.errback(MemoryError())
        outcome = queue.settled[0][1][0]
        assert isinstance(outcome, Delayed)
        self.assertEqual((outcome.error.enhanced, outcome.error.text), ("4.3.0", "out of memory"))
        self.assertTrue(attempts[0].progress.ours)
        self.flushLoggedErrors(MemoryError)


class APITests(SynchronousTestCase):
    """A request of an operator."""

    def test_request(self) -> None:
        """It is answered by 503 and why; the next one is served."""
        broken: list[int] = []

        async def handler(asked: NoParameters, by: str) -> FlushedAnswer:
            return FlushedAnswer(1)

        async def admit(request: Request) -> str:
            return "root"

        table = RouteTable()
        table.add(
            APIRoute("GET", "/v1/x", "x", Role.WATCH, NoParameters, FlushedAnswer, ""), failing(handler, 1, broken)
        )
        codes = []
        for _ in range(2):
            request: Any = DummyRequest([b""])
            request.path, request.args, request.content = b"/v1/x", {}, None
            request.notifyFinish = Deferred
            APIResource(table, admit).render(request)
            codes.append((request.responseCode or 200, b"".join(request.written)))
        self.assertEqual(codes[0], (503, b'{"error": "out of memory"}\n'))
        self.assertEqual(codes[1][0], 200)
        self.flushLoggedErrors(MemoryError)


class WatchTests(SynchronousTestCase):
    """The condition."""

    def test_condition(self) -> None:
        """It begins with whatever failure was logged, or noted, and ends when there was none for a while."""
        clock, sink, publisher = Clock(), RecordingSink(), LogPublisher()
        clock.callFromThread = lambda call: call()  # type: ignore[attr-defined]
        watch = MemoryWatch(clock, sink, publisher)
        watch.start()
        log = Logger(observer=publisher)
        log.failure("x", Failure(ValueError("x")))
        self.assertEqual(sink.events, [])
        for _ in range(3):
            log.failure("x", Failure(MemoryError()))
            clock.advance(CALM - 1)
        began = sink.of(ConditionBegan)
        self.assertEqual([(e.kind, e.subject) for e in began], [(ConditionKind.MEMORY, "process")])
        self.assertEqual(len(sink.events), 1)
        clock.advance(1)
        self.assertEqual(len(sink.of(ConditionEnded)), 1)
        watch.stop()

    def test_noted(self) -> None:
        """Who deals with it quietly notes it."""
        clock, sink = Clock(), RecordingSink()
        clock.callFromThread = lambda call: call()  # type: ignore[attr-defined]
        watch = MemoryWatch(clock, sink)
        watch.start()
        self.addCleanup(watch.stop)
        note(OSError(errno.ENOMEM, "x"))
        self.assertEqual(sink.events, [])
        note(MemoryError())
        self.assertEqual(len(sink.of(ConditionBegan)), 1)


class BudgetTests(SynchronousTestCase):
    """How much there is."""

    def test_control_groups(self) -> None:
        """The tightest limit counts, of the own group or one above it, of either version; no limit is none."""
        root = Path(self.mktemp())
        (root / "proc").mkdir(parents=True)
        (root / "proc" / "statm").write_text("1000 100 0 0 0 500 0")
        for lines, files, expected in (
            ("0::/a/b\n", {"a/b/memory.max": "max\n", "a/memory.max": "500000000\n"}, 500_000_000),
            ("0::/\n", {"memory.max": "300000000\n"}, 300_000_000),
            ("5:cpu,memory:/x\n", {"memory/x/memory.limit_in_bytes": "200000000\n"}, 200_000_000),
            ("5:memory:/x\n", {"memory/x/memory.limit_in_bytes": "9223372036854771712\n"}, None),
            ("0::/../../x\n", {"x/memory.max": "nonsense"}, None),
            ("nonsense", {}, None),
        ):
            cgroups = Path(self.mktemp())
            for name, text in files.items():
                (cgroups / name).parent.mkdir(parents=True, exist_ok=True)
                (cgroups / name).write_text(text)
            (root / "proc" / "cgroup").write_text(lines)
            found = [b for b in budgets(root / "proc", cgroups) if b.source.startswith("the control group")]
            self.assertEqual([b.octets for b in found], [] if expected is None else [expected])
            if found:
                self.assertEqual(budgets(root / "proc", cgroups)[0], found[0])
                self.assertLess(found[0].free, found[0].octets)

    def test_nothing_readable(self) -> None:
        """Without /proc the machine's memory counts."""
        nowhere = Path(self.mktemp())
        self.assertGreater(budgets(nowhere, nowhere)[0].free, 0)
