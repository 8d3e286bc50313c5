"""Messages on their way into the queue."""

import errno
import os

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from seg.mail.envelope import Envelope, Recipient
from seg.queue.codec import decode
from seg.queue.interfaces import IContent, IMessageWriter
from seg.queue.paths import SpoolPaths
from seg.queue.writer import PIECE, UNWRITTEN, MessageWriter, NewMail
from seg.smtp.dot_stuffing import NULInContent
from tests.queue.doubles import InlineCommitter, RecordingDisk

MEMORY = 1000


class Entered:
    """A queue that only remembers.

    :ivar known: messages in the index.
    :ivar due: those that are due, in order, with the content that was handed over.
    """

    def __init__(self) -> None:
        self.known: dict[int, bytes | None] = {}
        self.due: list[tuple[Envelope, bytes | None]] = []

    def enter(self, envelope: Envelope, content: bytes | None) -> None:
        """See `EnteredQueue.enter`."""
        self.known[envelope.mid] = content

    def make_due(self, envelope: Envelope) -> None:
        """See `EnteredQueue.make_due`."""
        self.due.append((envelope, self.known[envelope.mid]))


class WriterTests(SynchronousTestCase):
    """Small and large messages."""

    def setUp(self) -> None:
        root = self.mktemp()
        self.folders = SpoolPaths(root)
        self.disk = RecordingDisk(root)
        self.disk.make_folders([self.folders.tmp, self.folders.message(9).new_folder])
        self.commits = InlineCommitter(self.disk)
        self.queue = Entered()
        self.stored = self.queue.due
        self.new_mail = NewMail(self.folders, self.commits, self.queue, lambda envelope: envelope, MEMORY)
        self.writer = MessageWriter(9, self.new_mail)

    def commit(self, recipients: int = 1) -> Deferred[None]:
        to = tuple(Recipient(rid, f"somebody{rid}@example.test") for rid in range(recipients))
        return self.writer.commit(Envelope(9, "a@b.test", to, 5.0))

    def spooled(self) -> tuple[Envelope, bytes]:
        with open(self.folders.message(9).new, "rb") as file:
            line = file.readline()
            return decode(line).envelope, file.read()

    def left(self) -> list[str]:
        return os.listdir(self.folders.tmp) + os.listdir(self.folders.message(9).new_folder)

    def test_interface(self) -> None:
        """It is what receivers write to."""
        verifyObject(IMessageWriter, self.writer)

    def test_small(self) -> None:
        """A small message touches the disk at commit only, and stays at hand."""
        self.writer.write(b"x" * 600)
        self.writer.write(b"y" * 400)
        self.assertEqual(self.disk.steps, [])
        self.successResultOf(self.commit())
        envelope, content = self.spooled()
        self.assertEqual((envelope.size, content), (1000, b"x" * 600 + b"y" * 400))
        self.assertEqual(self.stored, [(envelope, content)])

    def test_large(self) -> None:
        """A large one goes to tmp/ in pieces as it comes, in order, and isn't kept in memory."""
        parts = [bytes([65 + number % 26]) * 9999 for number in range(40)]
        for part in parts:
            self.writer.write(part)
        self.assertGreater(len(self.disk.steps), 4)
        self.successResultOf(self.commit())
        envelope, content = self.spooled()
        self.assertEqual(content, b"".join(parts))
        self.assertEqual(envelope.size, len(content))
        self.assertEqual(self.stored, [(envelope, None)])
        self.assertEqual(self.left(), ["000000000009"])

    def test_large_with_many_recipients(self) -> None:
        """An envelope that doesn't fit into the room kept for it makes the same kind of file."""
        self.writer.write(b"z" * (2 * PIECE))
        self.successResultOf(self.commit(recipients=200))
        envelope, content = self.spooled()
        self.assertEqual((len(envelope.recipients), content), (200, b"z" * (2 * PIECE)))
        self.assertEqual(self.left(), ["000000000009"])

    def test_empty(self) -> None:
        """A message without content is stored like any other."""
        self.successResultOf(self.commit())
        self.assertEqual(self.spooled()[1], b"")

    def test_full_disk(self) -> None:
        """A full disk, whenever it shows, fails the commit with OSError and leaves nothing."""
        for operation in ("write", "append", "overwrite", "fsync", "rename"):
            self.setUp()
            self.disk.fails = lambda op, path, bad=operation: errno.ENOSPC if op == bad else 0
            self.writer.write(b"q" * 3 * PIECE)
            self.writer.write(b"q" * 3 * PIECE)
            self.assertEqual(self.failureResultOf(self.commit(), OSError).value.errno, errno.ENOSPC)
            self.assertEqual((self.left(), self.stored), ([], []), operation)
            self.writer.abort()

    def test_lost_piece(self) -> None:
        """A piece that couldn't be written is never left out: the commit fails though the disk has room again."""
        self.disk.fails = lambda op, path: errno.ENOSPC if op == "append" else 0
        self.writer.write(b"q" * 2 * PIECE)
        self.disk.fails = lambda op, path: 0
        self.writer.write(b"q" * 2 * PIECE)
        self.failureResultOf(self.commit(), OSError)
        self.assertEqual(self.left(), [])

    def test_abort(self) -> None:
        """Nothing stays of a message given up."""
        self.writer.write(b"q" * 2 * PIECE)
        self.writer.abort()
        self.writer.abort()
        self.assertEqual(self.left(), [])

    def test_abort_after_commit(self) -> None:
        """A message that was committed is in the queue, whatever the client does."""
        self.writer.write(b"q" * 2 * PIECE)
        self.successResultOf(self.commit())
        self.writer.abort()
        self.assertEqual(self.left(), ["000000000009"])

    def test_pressure(self) -> None:
        """While the disk lags behind, the sender is asked to pause, and told when it may go on."""
        self.commits.paused = True
        self.writer.write(b"q" * UNWRITTEN)
        self.assertIsNone(self.writer.backpressure)
        self.writer.write(b"q" * PIECE)
        backpressure = self.writer.backpressure
        assert backpressure is not None
        self.assertNoResult(backpressure)
        self.commits.resume()
        self.successResultOf(backpressure)
        self.assertIsNone(self.writer.backpressure)

    def test_told_before_due(self) -> None:
        """Durable, then whoever committed hears of it (and tells the log and the client), then due; small or large."""
        for size in (10, 2 * PIECE):
            self.setUp()
            self.commits.paused = True
            self.writer.write(b"q" * size)
            order: list[str] = []
            self.commit().addCallback(
                lambda _, order=order: order.append(f"told, {len(self.queue.known)} known, {len(self.stored)} due")
            )
            self.assertEqual(order, [])
            self.commits.resume()
            self.assertEqual((order, len(self.stored)), (["told, 1 known, 0 due"], 1))

    def test_due_whoever_hears(self) -> None:
        """A message is due though its client has gone, or whoever was told fails."""
        for spoil in (lambda told: told.cancel(), lambda told: told.addCallback(lambda _: 1 // 0)):
            self.setUp()
            self.commits.paused = True
            self.writer.write(b"q")
            told = self.commit()
            spoil(told)
            self.commits.resume()
            told.addErrback(lambda _: None)
            self.assertEqual(len(self.stored), 1)

    def test_first(self) -> None:
        """What has to be done before comes before; if it fails so does the commit, and nothing is due."""
        for error in (None, OSError(errno.EIO, "x")):
            self.setUp()
            done: Deferred[None] = Deferred()
            writer = MessageWriter(9, self.new_mail, lambda done=done: done)
            writer.write(b"q")
            told = writer.commit(Envelope(9, "a@b.test", (Recipient(0, "c@d.test"),), 5.0))
            self.assertNoResult(told)
            self.assertEqual((self.queue.known, self.stored), ({}, []))
            if error is None:
                done.callback(None)
                self.successResultOf(told)
            else:
                done.errback(error)
                self.failureResultOf(told, OSError)
            self.assertEqual(len(self.stored), int(error is None))

    def test_lines(self) -> None:
        """A CR or LF that stands alone becomes CRLF wherever the pieces are cut; the size is that of what is stored."""
        for size in (0, 2 * PIECE):
            self.setUp()
            for piece in (b"q" * size, b"a\r", b"\nb\n", b"", b"c\r", b"d\n", b"\re\r"):
                self.writer.write(piece)
            self.successResultOf(self.commit())
            envelope, content = self.spooled()
            self.assertEqual(content, b"q" * size + b"a\r\nb\r\nc\r\nd\r\n\r\ne\r\n")
            self.assertEqual(envelope.size, len(content))

    def test_nul(self) -> None:
        """A NUL is refused, wherever it stands."""
        self.writer.write(b"a\r\n")
        self.assertRaises(NULInContent, self.writer.write, b"b\0")

    def test_wrong_mid(self) -> None:
        """An envelope of another message is a fault of the caller."""
        self.assertRaises(ValueError, self.writer.commit, Envelope(8, "", (Recipient(0, "x"),), 0.0))

    def read(self, content: IContent) -> bytes:
        async def collect() -> bytes:
            return b"".join([piece async for piece in content.chunks()])

        return self.successResultOf(Deferred.fromCoroutine(collect()))

    def test_read_before_commit(self) -> None:
        """What has been written can be read, small or large, and is committed afterwards as if nobody had."""
        for part in (b"x" * 600, b"y" * PIECE * 3):
            self.setUp()
            self.writer.write(part)
            self.writer.write(b"end")
            content = self.successResultOf(Deferred.fromCoroutine(self.writer.content()))
            self.assertEqual((self.read(content), content.size), (part + b"end", len(part) + 3))
            head = self.successResultOf(Deferred.fromCoroutine(content.head(5)))
            self.assertEqual(head, (part + b"end")[:5])
            self.successResultOf(self.commit())
            self.assertEqual(self.spooled()[1], part + b"end")

    def test_unreadable(self) -> None:
        """What could not be written can't be read."""
        self.disk.fails = lambda op, path: errno.ENOSPC if op == "append" else 0
        self.writer.write(b"q" * 2 * PIECE)
        self.failureResultOf(Deferred.fromCoroutine(self.writer.content()), OSError)

    def test_beside(self) -> None:
        """Writers of the same message don't get into each other's way; the one that is committed counts."""
        self.writer.write(b"a" * 2 * PIECE)
        second = self.writer.sibling()
        second.write(b"b" * 2 * PIECE)
        third = second.sibling()
        third.write(b"c" * 2 * PIECE)
        self.assertEqual(sorted(self.left()), ["000000000009", "000000000009.1", "000000000009.2"])
        self.writer.abort()
        third.abort()
        self.writer = second  # type: ignore[assignment]
        verifyObject(IMessageWriter, second)
        self.successResultOf(self.commit())
        self.assertEqual(self.spooled()[1], b"b" * 2 * PIECE)
        self.assertEqual(self.left(), ["000000000009"])

    def test_reader_cancelled(self) -> None:
        """A reader that stops leaves no file open, even while a thread reads for it."""
        self.writer.write(b"q" * 4 * PIECE)
        content = self.successResultOf(Deferred.fromCoroutine(self.writer.content()))
        before = len(os.listdir("/proc/self/fd"))

        async def one() -> None:
            pieces = content.chunks()
            await anext(pieces)
            await pieces.aclose()

        self.successResultOf(Deferred.fromCoroutine(one()))
        self.assertEqual(len(os.listdir("/proc/self/fd")), before)
