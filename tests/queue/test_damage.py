"""Messages of which a part is lost, and files that the system can't read for now."""

import errno
import os
from collections.abc import Callable

from seg.events.gateway import ConditionBegan, ConditionEnded, ConditionKind
from seg.events.queue import MessageDamaged, QueueScanned, SpoolFileCorrupt
from seg.queue.interfaces import MessageState
from tests.queue.house import DELIVERED, NOW, SOFT, House, HouseCase


class DamagedTests(HouseCase):
    """A message whose present envelope is lost."""

    def setUp(self) -> None:
        """A message of which one recipient has been served."""
        super().setUp()
        self.mid = self.house.put("a@one.test", "b@two.test")
        self.house.attempt("one.test", DELIVERED)
        self.path = self.house.root / "cur/00" / f"{self.mid:012d}"
        self.envelope = self.path.with_name(self.path.name + ".env")

    def damages(self) -> dict[str, Callable[[], object]]:
        """What can become of an envelope's file."""
        whole = self.envelope.read_bytes()
        other = whole.replace(b'"mid": %d' % self.mid, b'"mid": 77')

        def instead(make: Callable[[], object]) -> Callable[[], object]:
            return lambda: (self.envelope.unlink(), make())

        return {
            "missing": self.envelope.unlink,
            "empty": lambda: self.envelope.write_bytes(b""),
            "cut": lambda: self.envelope.write_bytes(whole[:40]),
            "zeros": lambda: self.envelope.write_bytes(bytes(len(whole))),
            "not UTF-8": lambda: self.envelope.write_bytes(b"\xff" + whole),
            "another message's": lambda: self.envelope.write_bytes(other),
            "of another size": lambda: self.envelope.write_bytes(whole.replace(b'"size": ', b'"size": 9')),
            "of another version": lambda: self.envelope.write_bytes(whole.replace(b'"v": 1', b'"v": 7')),
            "pipe": instead(lambda: os.mkfifo(self.envelope)),
            "link to nowhere": instead(lambda: self.envelope.symlink_to("nowhere")),
        }

    def test_held(self) -> None:
        """It stays in the queue, held, with the reason; nothing is sent, and it is told once, also over restarts."""
        for name in self.damages():
            with self.subTest(name):
                self.setUp()
                self.damages()[name]()
                house = self.restart()
                (listing,) = house.commands.messages()
                self.assertEqual((listing.mid, listing.state), (self.mid, MessageState.HELD), name)
                self.assertIn("may have been delivered already", listing.error)
                self.assertEqual(
                    (house.attempt("one.test", DELIVERED), house.attempt("two.test", DELIVERED)), (None, None)
                )
                self.assertEqual(len(house.sink.of(MessageDamaged)), 1)
                self.assertEqual(house.sink.of(SpoolFileCorrupt), [])
                self.assertEqual([e.kind for e in house.sink.of(ConditionBegan)][-1], ConditionKind.DAMAGED)
                self.assertEqual(house.commands.counts().damaged, 1)
                again = self.restart()
                self.assertEqual((again.commands.counts().damaged, again.sink.of(MessageDamaged)), (1, []), name)
                self.assertEqual([e.kind for e in again.sink.of(ConditionBegan)][-1], ConditionKind.DAMAGED)

    def test_released(self) -> None:
        """The operator's release sends it to all recipients of its first envelope, and ends the condition."""
        self.envelope.unlink()
        house = self.restart()
        self.assertTrue(self.successResultOf(house.commands.release_hold(self.mid, "root")))
        house.clock.advance(1)
        self.assertEqual([e.kind for e in house.sink.of(ConditionEnded)], [ConditionKind.DAMAGED])
        self.assertEqual(self.restart().commands.counts().damaged, 0)
        self.assertEqual(self.house.attempt("one.test", DELIVERED), self.mid)
        self.assertEqual(self.house.attempt("two.test", DELIVERED), self.mid)
        self.assertEqual(self.house.files(), [])

    def test_deleted(self) -> None:
        """Deleted, it ends the condition too."""
        self.envelope.write_bytes(b"{")
        house = self.restart()
        self.assertTrue(self.successResultOf(house.commands.delete(self.mid, "root")))
        house.clock.advance(1)
        self.assertEqual([e.kind for e in house.sink.of(ConditionEnded)], [ConditionKind.DAMAGED])
        self.assertEqual(house.files(), [])

    def test_damaged_envelope_is_kept(self) -> None:
        """What can be read of it by people stays in corrupt/."""
        self.envelope.write_bytes(b'{"v": 1, "to": [')
        house = self.restart()
        self.assertEqual(house.files("corrupt"), [f"corrupt/cur-00-{self.mid:012d}.env"])

    def test_in_new(self) -> None:
        """A damaged envelope counts also while its message still lies in new/: killed between two renames."""
        self.path.rename(self.house.root / "new/00" / self.path.name)
        self.envelope.write_bytes(b"{")
        house = self.restart()
        self.assertEqual(next(house.commands.messages()).state, MessageState.HELD)

    def test_first_line_lost(self) -> None:
        """With its present envelope a message whose first line is overwritten is held as well, and is whole when it is released."""
        data = self.path.read_bytes()
        end = data.index(b"\n") + 1
        for name, head in (("zeros", bytes(end)), ("garbled", b"x" * (end - 1) + b"\n"), ("lines", b"\n" * end)):
            self.path.write_bytes(head + data[end:])
            house = self.restart()
            (listing,) = house.commands.messages()
            self.assertEqual((listing.state, listing.recipients), (MessageState.HELD, ("b@two.test",)), name)
        self.assertTrue(self.successResultOf(house.commands.release_hold(self.mid, "root")))
        lease = house.queue.lease("two.test")
        assert lease is not None
        self.assertEqual(house.head(lease), "Subject: x")

    def test_content_cut(self) -> None:
        """A message of which content is lost can't be delivered: it goes to corrupt/ with its envelope."""
        self.path.write_bytes(self.path.read_bytes()[:-1])
        house = self.restart()
        self.assertEqual(house.files(), [])
        self.assertEqual(len(house.files("corrupt")), 2)
        self.assertEqual(house.commands.counts().corrupt, 2)
        self.assertEqual([e.kind for e in house.sink.of(ConditionBegan)], [ConditionKind.UNREADABLE])

    def test_no_second_name(self) -> None:
        """Where the damaged envelope can't be kept aside it isn't replaced either; the message is held all the same, at each start."""
        self.envelope.write_bytes(b"{")
        for _ in range(2):
            house = House(self.root, now=NOW)
            house.disk.fails = lambda operation, path: errno.EPERM if operation == "link" else 0
            house.start()
            self.assertEqual(house.commands.counts().damaged, 1)
            self.assertEqual(self.envelope.read_bytes(), b"{")


SYSTEM = (errno.EIO, errno.EMFILE, errno.ENFILE, errno.EACCES, errno.EPERM, errno.ESTALE, errno.ENOMEM, errno.ETIMEDOUT)


class UnreadTests(HouseCase):
    """An error of the system is no corruption."""

    def broken(self, number: int, operation: str, part: str) -> House:
        """A start at which this fails for all files (or folders) of this kind."""
        house = self.house = House(self.root, now=NOW + 60)
        house.disk.fails = lambda op, path: number if op == operation and part in path else 0
        return house.start()

    def test_nothing_is_moved(self) -> None:
        """Whatever error reading gives, of a message, an envelope or a folder, all stays where it is; when it is over all is there again
        within ten seconds, with its state."""
        done = self.house.put("a@one.test", "b@two.test")
        self.house.attempt("one.test", SOFT)
        self.house.attempt("two.test", DELIVERED)
        fresh = self.house.put("c@three.test")
        before = self.house.files()
        for number in SYSTEM:
            for operation, part in (
                ("read", "/00"),
                ("read", ".env"),
                ("list", "new/00"),
                ("list", "cur"),
                ("list", "new"),
            ):
                with self.subTest(f"{errno.errorcode[number]} {operation} {part}"):
                    house = self.broken(number, operation, part)
                    self.assertEqual((house.files(), house.files("corrupt")), (before, []))
                    self.assertGreater(house.commands.counts().unread, 0)
                    self.assertEqual([e.kind for e in house.sink.of(ConditionBegan)], [ConditionKind.DISK_READ])
                    self.assertEqual((house.sink.of(SpoolFileCorrupt), house.sink.of(MessageDamaged)), ([], []))
                    house.clock.pump([1] * 130)
                    self.assertEqual((house.files(), len(house.sink.of(ConditionBegan))), (before, 1))
                    house.disk.fails = lambda op, path: 0
                    house.clock.pump([1] * 10)
                    self.assertEqual([line.mid for line in house.commands.messages()], [done, fresh])
                    self.assertEqual([e.kind for e in house.sink.of(ConditionEnded)], [ConditionKind.DISK_READ])
                    self.assertIsNone(house.queue.lease("two.test"))
                    self.assertEqual(house.commands.counts().unread, 0)

    def test_one_by_one(self) -> None:
        """Those that can be read are taken up within a minute though others can't."""
        mids = [self.house.put("a@one.test") for _ in range(30)]
        house = self.broken(errno.EIO, "read", "/00")
        self.assertEqual(house.commands.counts().unread, 30)
        house.disk.fails = lambda op, path: errno.EIO if op == "read" and path.endswith(f"{mids[0]:012d}") else 0
        house.clock.pump([1] * 60)
        self.assertEqual([line.mid for line in house.commands.messages()], mids[1:])
        self.assertEqual(house.commands.counts().unread, 1)
        self.assertEqual(house.sink.of(QueueScanned)[0].corrupt, 0)

    def test_envelope_of_an_unlisted_message(self) -> None:
        """An envelope isn't taken for a leftover while the folder of its message can't be listed."""
        mid = self.house.put("a@one.test", "b@two.test")
        self.house.attempt("one.test", DELIVERED)
        path = self.house.root / "cur/00" / f"{mid:012d}"
        path.rename(self.house.root / "new/00" / path.name)
        house = self.broken(errno.EIO, "list", "new/00")
        self.assertIn(f"cur/{mid:012d}.env", house.files())
        house.disk.fails = lambda op, path: 0
        house.clock.pump([1] * 10)
        self.assertEqual(next(house.commands.messages()).recipients, ("b@two.test",))

    def test_later(self) -> None:
        """A queued message that can't be read when it is to be sent is told of, until it can be read."""
        self.house.put("a@one.test", content=b"x" * 200_000)
        lease = self.house.queue.lease("one.test")
        assert lease is not None
        self.house.queue.store.on_unreadable(
            OSError(errno.EIO, "Input/output error", str(self.house.root / "new/00/000000000001"))
        )
        self.house.disk.fails = lambda op, path: errno.EIO if op == "read" else 0
        self.house.clock.pump([1] * 60)
        self.assertEqual([e.kind for e in self.house.sink.of(ConditionBegan)], [ConditionKind.DISK_READ])
        self.house.disk.fails = lambda op, path: 0
        self.house.clock.pump([1] * 10)
        self.assertEqual([e.kind for e in self.house.sink.of(ConditionEnded)], [ConditionKind.DISK_READ])
        self.assertEqual(self.house.commands.counts().messages, 1)
