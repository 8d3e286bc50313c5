"""What is suspended stays so, whatever happens to its file."""

from __future__ import annotations

import errno
import shutil
import tempfile
from pathlib import Path
from unittest import mock

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from seg.admin.suspension import ALL, TRIED_AGAIN, Pause, Suspension, SuspensionState
from seg.events.gateway import ConditionBegan, ConditionEnded
from tests.damage import DAMAGES
from tests.doubles import RecordingSink

EVERYTHING = SuspensionState(frozenset({ALL}), frozenset({"relay", "submission"}))


class SuspensionCase(SynchronousTestCase):
    """A folder, and the gateway that starts in it."""

    def setUp(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="seg-suspension-"))
        self.addCleanup(shutil.rmtree, self.folder, True)
        self.path = self.folder / "suspended.json"
        self.clock, self.sink = Clock(), RecordingSink()
        self.changes = 0

    def start(self) -> Suspension:
        """What a start makes of the file."""
        return Suspension(self.path, ["relay", "submission"], self.sink, self.clock, self._changed)

    def _changed(self) -> None:
        self.changes += 1

    def refuse(self, number: int, what: str) -> mock._patch[mock.Mock]:
        """The system refuses to read or to write."""
        return mock.patch(f"seg.admin.suspension.{what}", side_effect=OSError(number, "it fails"))


class ChangeTests(SuspensionCase):
    """`Suspension`."""

    def test_changes(self) -> None:
        """Destinations, or all; listeners; and back again. It is there after a restart."""
        suspension = self.start()
        self.assertEqual(suspension.now, SuspensionState())
        suspension.change(suspend=["a.test"], suspend_listeners=["relay"])
        self.assertEqual(self.start().now, SuspensionState(frozenset({"a.test"}), frozenset({"relay"})))
        self.assertTrue(suspension.now.delivery("a.test"))
        self.assertFalse(suspension.now.delivery("b.test"))
        suspension.change(suspend=[ALL])
        self.assertTrue(suspension.now.delivery("b.test"))
        suspension.change(resume=[ALL], resume_listeners=["relay"])
        self.assertEqual(self.start().now, SuspensionState())
        self.assertEqual((self.sink.events, self.clock.getDelayedCalls()), ([], []))

    def test_pause(self) -> None:
        """A pause stops every delivery, over a restart, and is apart from what is suspended."""
        suspension, pause = self.start(), Pause("look into the filters", "root", 5.0)
        suspension.change(suspend=["a.test"])
        suspension.pause(pause)
        self.assertEqual(self.start().now, SuspensionState(frozenset({"a.test"}), pause=pause))
        suspension.change(resume=[ALL])
        self.assertTrue(suspension.now.delivery("b.test"))
        suspension.change(suspend=["a.test"])
        suspension.pause(None)
        self.assertEqual([suspension.now.delivery(name) for name in ("a.test", "b.test")], [True, False])
        self.assertEqual(self.start().now, suspension.now)


class DamageTests(SuspensionCase):
    """The file can't be used."""

    def test_asked_cheaply(self) -> None:
        """What deliveries ask says the same as what operators see, whatever is suspended."""
        for state in (
            SuspensionState(),
            SuspensionState(listeners=frozenset({"relay"})),
            SuspensionState(pause=Pause("", "alice", 1.0)),
            SuspensionState(frozenset({"a.test", ".b.test"})),
            EVERYTHING,
        ):
            for domain in ("a.test", "x.b.test", "c.test", ""):
                self.assertIs(state.held_back(domain), state.delivery(domain))

    def test_every_damage(self) -> None:
        """All is suspended then, and told, over restarts, until an operator resumes it; the damaged file is kept aside."""
        for name, damage in DAMAGES.items():
            for path in (*self.folder.glob("suspended.json*"),):
                shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
            self.start().change(suspend=["a.test"])
            damage(self.path)
            for _ in range(2):
                self.sink.events.clear()
                suspension = self.start()
                self.assertEqual(
                    (suspension.now.domains, suspension.now.listeners), (EVERYTHING.domains, EVERYTHING.listeners), name
                )
                self.assertTrue(suspension.now.delivery("b.test"))
                (told,) = self.sink.of(ConditionBegan)
                self.assertIn("until seg resume", told.text)
                self.assertEqual(suspension.not_written, "", name)
            self.assertTrue(
                (self.folder / "suspended.json.damaged").is_symlink()
                or (self.folder / "suspended.json.damaged").exists()
            )
            suspension.change(resume=[ALL], resume_listeners=["relay", "submission"])
            self.assertEqual(len(self.sink.of(ConditionEnded)), 1)
            self.assertEqual(self.start().now, SuspensionState(), name)

    def test_killed_between(self) -> None:
        """A kill after the damaged file was put aside and before a new one was there lifts nothing."""
        (self.folder / "suspended.json.damaged").write_text("{")
        self.assertTrue(self.start().now.delivery("b.test"))

    def test_only_some_resumed(self) -> None:
        """Suspending more while nothing is known leaves all suspended; it goes on being told."""
        self.path.write_text("{")
        suspension = self.start()
        suspension.change(suspend=["a.test"])
        self.assertTrue(suspension.now.unknown)
        self.assertTrue(self.start().now.delivery("b.test"))

    def test_cannot_be_read_now(self) -> None:
        """A failure of the system leaves the file alone; all is suspended until it can be read, and then what it says."""
        self.start().change(suspend=["a.test"])
        text = self.path.read_text()
        with mock.patch("seg.common.files.read_regular", side_effect=OSError(errno.EACCES, "Permission denied")):
            suspension = self.start()
            self.clock.advance(TRIED_AGAIN)
        self.assertTrue(suspension.now.delivery("b.test"))
        self.assertEqual((self.path.read_text(), self.changes), (text, 1))
        self.clock.advance(TRIED_AGAIN)
        self.assertEqual((suspension.now, self.changes), (SuspensionState(frozenset({"a.test"})), 2))
        self.assertEqual((len(self.sink.of(ConditionBegan)), len(self.sink.of(ConditionEnded))), (1, 1))


class FullDiskTests(SuspensionCase):
    """What can't be written down."""

    def test_in_force_at_once(self) -> None:
        """Resuming on a full disk resumes, and so does every other change; it says so, and is written when there is room."""
        suspension = self.start()
        suspension.change(suspend=[ALL])
        with self.refuse(errno.ENOSPC, "replace_file"):
            suspension.change(resume=[ALL])
            self.assertFalse(suspension.now.delivery("a.test"))
            self.assertEqual(suspension.facts().not_written, "it fails")
            suspension.pause(Pause("x", "root", 1.0))
            self.assertTrue(suspension.now.delivery("a.test"))
            suspension.pause(None)
            self.clock.advance(TRIED_AGAIN)
            self.assertTrue(self.start().now.delivery("a.test"))  # as it is told
        self.clock.advance(TRIED_AGAIN)
        self.assertEqual((suspension.not_written, self.start().now), ("", SuspensionState()))
        self.assertEqual(self.sink.of(ConditionEnded)[-1].subject, str(self.path))

    def test_read_only(self) -> None:
        """Damage that can't even be put aside suspends all the same, at each start."""
        self.path.write_text("{")
        with self.refuse(errno.EROFS, "replace_file"), self.refuse(errno.EROFS, "keep_aside"):
            for _ in range(2):
                self.assertTrue(self.start().now.delivery("b.test"))
