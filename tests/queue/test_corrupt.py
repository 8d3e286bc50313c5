"""What lies in corrupt/, as operators look at it and bring it back."""

from collections.abc import Coroutine
from pathlib import Path
from typing import Any, TypeVar

from twisted.internet.defer import Deferred

from seg.events.gateway import ConditionBegan, ConditionEnded, ConditionKind, OperatorActed
from seg.queue.interfaces import CorruptFile, MessageState, NotRestoredError
from tests.queue.house import DELIVERED, HouseCase

T = TypeVar("T")


class CorruptTests(HouseCase):
    """`CorruptFiles`."""

    def setUp(self) -> None:
        """Two whole messages, and one that has been tried."""
        super().setUp()
        self.fresh = self.house.put("a@one.test")
        self.tried = self.house.put("b@two.test", "c@three.test")
        self.house.attempt("three.test", DELIVERED)
        self.corrupt = Path(self.root) / "corrupt"

    def file(self, mid: int) -> Path:
        """A message's file, in new/ or cur/."""
        (found,) = Path(self.root).glob(f"[nc]*/00/{mid:012d}")
        return found

    def result(self, work: Coroutine[Deferred[Any], Any, T]) -> T:
        """What a command returns."""
        return self.successResultOf(Deferred.fromCoroutine(work))

    def listed(self) -> dict[str, CorruptFile]:
        return {each.name: each for each in self.result(self.house.corrupt.list())[1]}

    def cut(self, mid: int) -> tuple[str, bytes]:
        """A message loses its end, and is put aside at the next start; its name there, and what it was."""
        path = self.file(mid)
        whole = path.read_bytes()
        path.write_bytes(whole[:-3])
        name = f"{path.parent.parent.name}-00-{path.name}"
        self.restart()
        return name, whole

    def test_nothing(self) -> None:
        """An empty folder is no condition."""
        self.restart()
        self.assertEqual(self.result(self.house.corrupt.list()), (0, ()))
        self.assertEqual(self.house.sink.of(ConditionBegan), [])

    def test_listed(self) -> None:
        """Each with what is wrong with it, and what is known of it."""
        name, _ = self.cut(self.fresh)
        (self.corrupt / "core").write_bytes(b"x")
        (self.corrupt / "new-old").mkdir()
        listed = self.listed()
        self.assertEqual(
            {each.name: each.kind for each in listed.values()}, {name: "message", "core": "other", "new-old": "folder"}
        )
        self.assertIn("octets of content", listed[name].reason)
        self.assertEqual((listed[name].mid, listed["core"].mid), (self.fresh, 0))

    def test_shown(self) -> None:
        """One with its beginning; names are names, not paths."""
        name, whole = self.cut(self.fresh)
        shown = self.result(self.house.corrupt.show(name))
        assert shown is not None
        self.assertEqual(shown[1], whole[:-3])
        for strange in ("", ".", "..", "../counters", "nothing", "a/b", "x\0", "/etc/passwd"):
            self.assertIsNone(self.result(self.house.corrupt.show(strange)), strange)
            self.assertFalse(self.result(self.house.corrupt.delete(strange, "root")), strange)
            self.failureResultOf(Deferred.fromCoroutine(self.house.corrupt.restore(strange, "root")), NotRestoredError)

    def test_restored(self) -> None:
        """A mended message comes back without a restart, as it was; that ends the condition."""
        for mid, domain in ((self.fresh, "one.test"), (self.tried, "two.test")):
            name, whole = self.cut(mid)
            self.failureResultOf(Deferred.fromCoroutine(self.house.corrupt.restore(name, "root")), NotRestoredError)
            (self.corrupt / name).write_bytes(whole)
            self.result(self.house.corrupt.restore(name, "root"))
            self.assertEqual([e.kind for e in self.house.sink.of(ConditionEnded)], [ConditionKind.UNREADABLE])
            self.assertEqual(
                self.house.sink.of(OperatorActed)[-1], OperatorActed("root", f"queue corrupt restore {name}")
            )
            self.assertIsNone(self.house.attempt("three.test", DELIVERED))
            self.assertEqual(self.house.attempt(domain, DELIVERED), mid)
            self.assertEqual(self.house.files("corrupt"), [])

    def test_restored_over_a_restart(self) -> None:
        """What was restored is there after a restart, too."""
        name, whole = self.cut(self.tried)
        (self.corrupt / name).write_bytes(whole)
        self.result(self.house.corrupt.restore(name, "root"))
        self.restart()
        self.assertEqual(
            [line.recipients for line in self.house.commands.messages()], [("a@one.test",), ("b@two.test",)]
        )

    def test_restored_without_its_envelope(self) -> None:
        """A message that had been tried and whose envelope is lost comes back held."""
        name, whole = self.cut(self.tried)
        (self.corrupt / name).write_bytes(whole)
        (self.corrupt / f"{name}.env").unlink()
        self.result(self.house.corrupt.restore(name, "root"))
        self.assertEqual([line.state for line in self.house.commands.messages()], [MessageState.DUE, MessageState.HELD])

    def test_envelope_restored(self) -> None:
        """The mended envelope of a held message takes its place: it goes on as it was."""
        envelope = self.file(self.tried).with_name(f"{self.tried:012d}.env")
        whole = envelope.read_bytes()
        envelope.write_bytes(whole[:20])
        self.restart()
        (name,) = self.listed()
        self.failureResultOf(Deferred.fromCoroutine(self.house.corrupt.restore(name, "root")), NotRestoredError)
        (self.corrupt / name).write_bytes(whole)
        self.result(self.house.corrupt.restore(name, "root"))
        self.assertEqual(self.house.commands.counts().damaged, 0)
        self.assertEqual(envelope.read_bytes(), whole)
        self.assertIsNone(self.house.attempt("three.test", DELIVERED))
        self.assertEqual(self.house.attempt("two.test", DELIVERED), self.tried)

    def test_place_taken(self) -> None:
        """A message that is in the queue isn't overwritten."""
        name = f"new-00-{self.fresh:012d}"
        (self.corrupt / name).write_bytes(self.file(self.fresh).read_bytes())
        self.failureResultOf(Deferred.fromCoroutine(self.house.corrupt.restore(name, "root")), NotRestoredError)

    def test_deleted(self) -> None:
        """Deleted, it is gone, folders too; that ends the condition."""
        name, _ = self.cut(self.fresh)
        (self.corrupt / "new-old").mkdir()
        (self.corrupt / "new-old" / "x").touch()
        for each in (name, "new-old"):
            self.assertTrue(self.result(self.house.corrupt.delete(each, "root")))
        self.assertEqual(self.listed(), {})
        self.assertEqual([e.kind for e in self.house.sink.of(ConditionEnded)], [ConditionKind.UNREADABLE])
