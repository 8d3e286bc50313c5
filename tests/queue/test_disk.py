"""A disk that can't be written: what operators and clients hear meanwhile, and how it ends."""

import errno
import shutil
from collections.abc import Callable
from pathlib import Path

from seg.config.schema import QueueSettings
from seg.events.gateway import ConditionBegan, ConditionEnded, ConditionKind
from seg.events.queue import MessageFinished
from seg.queue.answers import ANSWER_WITHIN
from seg.queue.interfaces import MessageState
from seg.queue.operations import RESERVE, RESERVE_SIZE
from tests.queue.house import DELIVERED, HARD, NOW, SOFT, House, HouseCase

CHANGING = ("write", "append", "overwrite", "fsync", "fsync folder", "rename", "link", "replace")


def full(operation: str, path: str) -> int:
    """Nothing can be added, but files can be removed."""
    return errno.ENOSPC if operation in ("write", "append", "replace") else 0


class FullCase(HouseCase):
    """A disk that comes to be full."""

    def kinds(self, event: type[ConditionBegan | ConditionEnded]) -> list[ConditionKind]:
        return [each.kind for each in self.house.sink.of(event)]

    def refused(self) -> OSError:
        """What a client's message meets now."""
        mid = self.house.counters.next_mid()
        failure = self.failureResultOf(self.house.write(mid, ["z@new.test"], "from@sender.test", b"hi\r\n"), OSError)
        assert isinstance(failure.value, OSError)
        return failure.value


class ConditionTests(FullCase):
    """Condition DISK."""

    def test_every_error(self) -> None:
        """Whatever error writing gives, it is told once, clients hear of that error, and it ends by itself within ten seconds, without
        traffic; nothing is lost meanwhile."""
        for number in (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO, errno.EACCES, errno.EPERM, errno.ESTALE):
            for operation in ("write", "fsync", "rename", "fsync folder"):
                with self.subTest(f"{errno.errorcode[number]} {operation}"):
                    self.setUp()
                    kept = self.house.put("a@one.test")
                    self.house.disk.fails = lambda op, path, n=number, bad=operation: n if op == bad else 0
                    for _ in range(5):
                        self.assertEqual(self.refused().errno, number)
                    self.house.attempt("one.test", SOFT)
                    self.house.clock.pump([1] * 30)
                    self.assertEqual(set(self.kinds(ConditionBegan)), {ConditionKind.DISK})
                    self.assertLessEqual(len(self.kinds(ConditionBegan)), 2)  # a part of it, then all
                    self.house.disk.fails = lambda op, path: 0
                    self.house.clock.pump([1] * 10)
                    self.assertEqual(self.kinds(ConditionEnded), [ConditionKind.DISK])
                    mid = self.house.put("b@two.test")
                    house = self.restart(now=NOW + 1000)
                    self.assertEqual([(m.mid, m.attempts) for m in house.commands.messages()], [(kept, 1), (mid, 0)])
                    self.assertEqual(house.files("tmp", "corrupt"), [])

    def test_one_folder(self) -> None:
        """A hashed folder that belongs to somebody else stops its messages only; it is told, and noticed when it is mended."""
        mine = self.house.counters.next_mid() | 0xFF
        self.house.disk.fails = lambda op, path: errno.EACCES if op == "rename" and path.startswith("new/01/") else 0
        failing = self.house.write(mine + 1, ["a@one.test"], "from@sender.test", b"hi\r\n")
        self.assertEqual(self.failureResultOf(failing, OSError).value.errno, errno.EACCES)
        self.assertEqual(self.kinds(ConditionBegan), [ConditionKind.DISK])
        self.house.put("b@two.test")
        self.house.clock.pump([1] * 20)
        self.assertEqual((len(self.kinds(ConditionBegan)), self.kinds(ConditionEnded)), (1, []))
        self.house.disk.fails = lambda op, path: 0
        self.house.clock.pump([1] * 3)
        self.assertEqual(self.kinds(ConditionEnded), [ConditionKind.DISK])
        self.assertEqual(list(Path(self.root).rglob(".probe")), [])

    def test_one_message_too_large(self) -> None:
        """A single message for which there is no room is no condition."""
        self.house.disk.fails = lambda op, path: errno.ENOSPC if op == "write" and path.startswith("tmp/00") else 0
        self.assertEqual(self.refused().errno, errno.ENOSPC)
        self.house.clock.pump([1] * 10)
        self.assertEqual(self.kinds(ConditionBegan), [])

    def test_noticed_without_traffic(self) -> None:
        """A disk without room is noticed though nobody writes."""
        self.house.disk.free = lambda path: 0  # type: ignore[method-assign]
        self.house.disk.fails = full
        self.house.clock.pump([1] * 6)
        self.assertEqual(self.kinds(ConditionBegan), [ConditionKind.DISK])

    def test_quiet(self) -> None:
        """A disk with room is neither written nor told of."""
        steps = len(self.house.disk.steps)
        self.house.clock.pump([1] * 100)
        self.assertEqual((len(self.house.disk.steps), self.kinds(ConditionBegan)), (steps, []))

    def test_stopped(self) -> None:
        """A stop leaves no timer."""
        self.house.disk.fails = full
        self.refused()
        self.successResultOf(self.house.services.stop())
        self.assertEqual(self.house.clock.getDelayedCalls(), [])


class ReserveTests(FullCase):
    """The room that is kept for bad times."""

    def reserve(self) -> Path:
        return Path(self.root) / RESERVE

    def test_made(self) -> None:
        """It is there, and isn't empty to a file system that saves zeros."""
        self.assertEqual(self.reserve().stat().st_size, RESERVE_SIZE)
        self.assertNotEqual(self.reserve().read_bytes()[:1000], bytes(1000))

    def test_given_up_for_outcomes(self) -> None:
        """It makes room for what is known already, not for new mail, and is made again before new mail is taken."""
        self.house.put("a@one.test")
        self.house.disk.fails = lambda op, path: full(op, path) if self.reserve().exists() or "reserve" in path else 0
        self.house.attempt("one.test", SOFT)
        self.house.clock.advance(1)
        self.assertEqual(self.house.files("cur"), ["cur/000000000001", "cur/000000000001.env"])
        self.assertEqual(self.refused().errno, errno.ENOSPC)
        self.house.disk.fails = lambda op, path: 0
        self.house.clock.pump([1] * 3)
        self.assertTrue(self.reserve().exists())
        self.house.put("b@two.test")

    def test_start_on_a_full_disk(self) -> None:
        """It reads, delivers, refuses new mail for lack of room, and takes it again by itself when there is room."""
        mids = [self.house.put("a@one.test") for _ in range(3)]
        self.reserve().unlink()
        (Path(self.root) / "counters").write_text('{"mid": 3, "icid": 3, "dcid": 3}')
        house = self.house = House(self.root, now=NOW + 60, fails=full)
        house.start()
        self.assertEqual([house.attempt("one.test", DELIVERED) for _ in range(4)], [*mids, None])
        self.assertEqual(len(house.sink.of(MessageFinished)), 3)
        for _ in range(3):
            self.assertEqual(self.refused().errno, errno.ENOSPC)
        self.assertEqual(set(self.kinds(ConditionBegan)), {ConditionKind.DISK})
        house.disk.fails = lambda op, path: 0
        house.clock.pump([1] * 10)
        mid = house.put("b@two.test")
        again = House(self.root, now=NOW + 120).start()
        self.assertGreater(again.put("c@three.test"), mid)


class CommandTests(FullCase):
    """What operators want is in force at once, written or not."""

    def test_at_once(self) -> None:
        """Each command answers though nothing can be written, says so, is in force, and is written as soon as that is possible."""
        table: dict[str, tuple[Callable[[House, int], object], Callable[[House, int], bool]]] = {
            "hold": (lambda h, m: h.commands.hold(m, "root"), lambda h, m: h.queue.lease("one.test") is None),
            "release": (
                lambda h, m: h.commands.release_hold(m, "root"),
                lambda h, m: h.queue.lease("one.test") is not None,
            ),
            "bounce": (lambda h, m: h.commands.bounce(m, "root"), lambda h, m: h.queue.lease("one.test") is None),
            "redirect": (
                lambda h, m: h.commands.redirect(m, "standby.test", "root"),
                lambda h, m: h.queue.lease("one.test").via == "standby.test",  # type: ignore[union-attr]
            ),
            "delete": (lambda h, m: h.commands.delete(m, "root"), lambda h, m: h.queue.lease("one.test") is None),
        }
        for number in (errno.ENOSPC, errno.EIO, errno.EROFS):
            for name, (command, in_force) in table.items():
                with self.subTest(f"{name} {errno.errorcode[number]}"):
                    self.setUp()
                    mid = self.house.put("a@one.test", "b@two.test")
                    if name == "release":
                        self.successResultOf(self.house.commands.hold(mid, "root"))
                    self.house.disk.fails = lambda op, path, n=number: n if op in (*CHANGING, "unlink") else 0
                    self.assertIs(self.successResultOf(command(self.house, mid)), True)  # type: ignore[arg-type]
                    self.assertTrue(self.house.commands.unwritten(mid))
                    self.house.disk.fails = lambda op, path: 0
                    self.house.clock.pump([1] * 5)
                    self.assertEqual(self.house.commands.unwritten(mid), "")
                    self.assertTrue(in_force(self.house, mid))
                    self.assertTrue(in_force(self.restart(), mid))

    def test_makes_room(self) -> None:
        """On a full disk a delete is carried out at once: it needs no room."""
        mid = self.house.put("a@one.test")
        self.house.disk.fails = full
        self.assertIs(self.successResultOf(self.house.commands.delete(mid, "root")), True)
        self.assertEqual((self.house.files(), self.house.commands.unwritten(mid)), ([], ""))

    def test_many(self) -> None:
        """A thousand held on a full disk: each is answered, each is written later."""
        mids = [self.house.put("a@one.test") for _ in range(1000)]
        self.house.disk.fails = full
        for mid in mids:
            self.assertIs(self.successResultOf(self.house.commands.hold(mid, "root")), True)
        self.assertEqual(self.house.sink.of(ConditionBegan)[0].kind, ConditionKind.DISK)
        self.house.disk.fails = lambda op, path: 0
        self.house.clock.pump([1] * 3)
        self.assertEqual({m.state for m in self.restart().commands.messages()}, {MessageState.HELD})

    def test_disk_that_hangs(self) -> None:
        """A disk that answers nothing at all keeps an operator waiting for three seconds only."""
        mid = self.house.put("a@one.test")
        self.house.commits.paused = True
        held = self.house.commands.hold(mid, "root")
        self.assertNoResult(held)
        self.house.clock.advance(ANSWER_WITHIN)
        self.assertIs(self.successResultOf(held), True)
        self.assertTrue(self.house.commands.unwritten(mid))
        self.house.commits.resume()
        self.assertEqual(self.house.commands.unwritten(mid), "")

    def test_written(self) -> None:
        """On a disk that works the answer comes when it is durable, and leaves no timer."""
        mid = self.house.put("a@one.test")
        self.house.commits.paused = True
        held = self.house.commands.hold(mid, "root")
        self.assertNoResult(held)
        self.house.commits.resume()
        self.assertIs(self.successResultOf(held), True)
        self.assertEqual(self.house.commands.unwritten(mid), "")
        self.assertNotIn(NOW + ANSWER_WITHIN, [call.getTime() for call in self.house.clock.getDelayedCalls()])


class FolderTests(FullCase):
    """Folders that go while the gateway runs."""

    def test_away(self) -> None:
        """While the spool is away, or another folder has its place, nothing counts as done: back again, what was settled is settled."""
        for replaced in (False, True):
            with self.subTest(replaced=replaced):
                self.setUp()
                mids = [self.house.put(f"{name}@one.test") for name in "abc"]
                root, away = Path(self.root), Path(self.root + ".away")
                root.rename(away)
                if replaced:
                    (root / "new").mkdir(parents=True)
                for outcome in (DELIVERED, SOFT, HARD):
                    self.house.attempt("one.test", outcome)
                self.refused()
                self.house.clock.pump([1] * 10)
                self.assertEqual(self.house.sink.of(MessageFinished), [])
                self.assertEqual(self.kinds(ConditionBegan), [ConditionKind.DISK])
                self.assertEqual(
                    root.exists() and sorted(p.name for p in root.rglob("*")), ["new"] if replaced else False
                )
                if replaced:
                    shutil.rmtree(root)
                away.rename(root)
                self.house.clock.pump([1] * 10)
                self.assertEqual(self.kinds(ConditionEnded), [ConditionKind.DISK])
                self.assertEqual({e.mid for e in self.house.sink.of(MessageFinished)}, {mids[0], mids[2]})
                house = self.restart()
                self.assertEqual(next((m.mid, m.attempts) for m in house.commands.messages()), (mids[1], 1))
                self.assertEqual(house.commands.counts().messages, 2)  # that one, and the report

    def test_removed(self) -> None:
        """Folders that are removed are made again within seconds, or at once when they are needed."""
        for name in ("tmp", "corrupt", "new", "cur"):
            with self.subTest(name):
                self.setUp()
                path = Path(self.root) / name
                shutil.rmtree(path)
                self.house.clock.pump([1] * 6)
                self.assertTrue(path.is_dir())
                shutil.rmtree(path)
                self.house.put("a@one.test")
                self.house.attempt("one.test", SOFT)
                self.assertEqual(self.restart().commands.counts().messages, 1)
                self.assertEqual(self.house.files("corrupt"), [])

    def test_hashed_folder_removed(self) -> None:
        """The folder of new messages is made again for the next one."""
        self.house.put("a@one.test")
        shutil.rmtree(Path(self.root) / "new" / "00")
        mid = self.house.put("b@two.test")
        self.assertEqual([m.mid for m in self.restart().commands.messages()], [mid])


class LeftTests(HouseCase):
    """What a finished message leaves in memory."""

    def test_nothing_is_left(self) -> None:
        """Nothing, with delay warnings and without, while others wait and when none do."""
        for settings in (QueueSettings(jitter=0.0), QueueSettings(jitter=0.0, delay_warning=0)):
            self.root = self.mktemp()
            house = House(self.root, settings).start()
            house.put("waits@later.test")
            house.attempt("later.test", SOFT)
            for _ in range(2000):
                house.put("a@one.test")
                house.attempt("one.test", DELIVERED)
            index = house.queue.index
            self.assertLess(len(index._due._later), 100)
            self.assertEqual((len(index._entries), len(index._due._due)), (1, 0))
            self.assertEqual(dict(index.by_domain), {"later.test": 1})
            house.clock.advance(60)
            house.attempt("later.test", DELIVERED)
            self.assertEqual((index._due._later, index._entries, dict(index.by_domain)), ([], {}, {}))
            self.assertEqual((house.queue.background.under_way(), house.queue.answers._waiting), ([], {}))
            self.assertLess(
                max((call.getTime() - house.clock.seconds() for call in house.clock.getDelayedCalls()), default=0), 6
            )

    def test_one_message_planned_often(self) -> None:
        """One message that is planned anew again and again leaves no trail."""
        mid = self.house.put("a@one.test")
        for _ in range(1000):
            self.house.attempt("one.test", SOFT)
            self.successResultOf(self.house.commands.retry(mid))
        self.assertLess(len(self.house.queue.index._due._later), 100)
