"""Stage, commit, drop, undo, and what happens when two want to."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred, execute
from twisted.trial.unittest import SynchronousTestCase

from seg.admin.configuration.control import ChangeControl, Conflict, NothingStaged
from seg.admin.configuration.edits import Edit, File
from seg.admin.configuration.texts import Configuration, read_texts
from seg.common.errors import ConfigurationError
from seg.config.find import ConfigurationFiles
from seg.events.gateway import Fault, OperatorActed
from seg.events.runtime import Runtime
from tests.doubles import RecordingSink

SETTINGS = "[receive]\nmax_recipients = 5\n"
DESTINATIONS = '[destination."a.example"]\ntls = "no"  # why\n'


class GatewayDouble:
    """Takes configurations, or refuses."""

    def __init__(self) -> None:
        self.active: list[Configuration] = []
        self.discarded = 0
        self.problem = ""
        self.waits: Deferred[None] | None = None

    async def prepare(self, configuration: Configuration) -> ReadyDouble:
        """Take it, unless there is a problem."""
        if self.waits is not None:
            await self.waits
        if self.problem:
            raise ConfigurationError((self.problem,))
        return ReadyDouble(self, configuration)


class ReadyDouble:
    """A configuration that was taken."""

    def __init__(self, gateway: GatewayDouble, configuration: Configuration) -> None:
        self._gateway = gateway
        self._configuration = configuration

    def activate(self) -> Sequence[str]:
        """Note it."""
        self._gateway.active.append(self._configuration)
        return ["log"]

    def discard(self) -> None:
        """Note that."""
        self._gateway.discarded += 1


class ControlCase(SynchronousTestCase):
    """A configuration in a folder, and two operators."""

    def setUp(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="seg-change-"))
        self.addCleanup(shutil.rmtree, self.folder, True)
        self.files = ConfigurationFiles(self.folder / "seg.toml", self.folder / "destinations.toml", "named")
        self.files.settings.write_text(SETTINGS)
        self.files.settings.chmod(0o640)
        self.files.destinations.write_text(DESTINATIONS)
        self.gateway = GatewayDouble()
        self.sink = RecordingSink()
        self.control = self.make()
        self.done(self.control.begin())

    def make(self) -> ChangeControl:
        """The control, as after a start."""
        return ChangeControl(
            Runtime(None, self.sink, "mx.test", in_thread=execute, posix=lambda: 1000.0),
            read_texts(self.files),
            self.files,
            self.folder / "changes",
            self.gateway,
        )

    def done(self, work: Any) -> Any:
        """The result of a coroutine that needs no more time."""
        return self.successResultOf(Deferred.fromCoroutine(work))

    def refused(self, work: Any, kind: type[Exception]) -> Any:
        """The exception of one that fails."""
        return self.failureResultOf(Deferred.fromCoroutine(work), kind).value

    def edit(self, key: str, value: Any, domain: str = "a.example") -> Edit:
        """A key of a destination."""
        return Edit(File.DESTINATIONS, ("destination", domain, key), value)


class ControlTests(ControlCase):
    """`ChangeControl`."""

    def test_commit(self) -> None:
        """What is staged takes effect with the commit: in the files, with their comments and permissions, and in the gateway."""
        diff = self.done(self.control.stage("alice", [self.edit("tls", "required")]))
        self.assertIn('-tls = "no"  # why\n+tls = "required"  # why', diff)
        self.done(self.control.stage("alice", [Edit(File.SETTINGS, ("receive", "max_recipients"), 7)]))
        self.assertEqual((self.files.destinations.read_text(), self.gateway.active), (DESTINATIONS, []))
        outcome = self.done(self.control.commit("alice", "ticket 1"))
        self.assertEqual((outcome.commit.number, outcome.at_next_start), (2, ("log",)))
        self.assertEqual(self.files.destinations.read_text(), DESTINATIONS.replace('"no"', '"required"'))
        self.assertEqual(self.files.settings.stat().st_mode & 0o777, 0o640)
        (active,) = self.gateway.active
        self.assertEqual(active.settings.receive.max_recipients, 7)
        self.assertEqual(active.destinations.profile("a.example").tls.label, "required")
        self.assertEqual(self.sink.of(OperatorActed), [OperatorActed("alice", "commit 2: ticket 1")])
        self.refused(self.control.commit("alice", ""), NothingStaged)
        self.assertEqual(list(self.folder.glob(".*")), [])

    def test_faults(self) -> None:
        """An edit with a fault isn't staged; the fault has file, line and key."""
        error = self.refused(self.control.stage("alice", [self.edit("tls", "requird")]), ConfigurationError)
        self.assertIn('destinations.toml:2: [destination."a.example"] tls:', error.problems[0])
        error = self.refused(self.control.stage("alice", [self.edit("nothing", None)]), ConfigurationError)
        self.assertIn("isn't there", error.problems[0])
        self.assertIsNone(self.done(self.control.staged("alice")))

    def test_gateway_refuses(self) -> None:
        """What the gateway can't work by is not written, and stays staged."""
        self.done(self.control.stage("alice", [self.edit("tls", "required")]))
        self.gateway.problem = "listener x: can't listen at ..."
        self.refused(self.control.commit("alice", ""), ConfigurationError)
        self.assertEqual(self.files.destinations.read_text(), DESTINATIONS)
        self.assertNotEqual(self.done(self.control.difference("alice")), "")

    def test_disk_refuses(self) -> None:
        """If a file can't be written nothing is changed, on disk or in the gateway."""
        self.done(self.control.stage("alice", [self.edit("tls", "required")]))
        (self.folder / ".destinations.toml.new").mkdir()
        error = self.refused(self.control.commit("alice", ""), ConfigurationError)
        self.assertIn("can't be written", error.problems[0])
        self.assertEqual((self.gateway.active, self.gateway.discarded), ([], 1))
        self.assertEqual(self.files.destinations.read_text(), DESTINATIONS)

    def test_second_file_refuses(self) -> None:
        """If the second file can't be put in its place, the first is put back."""
        edits = [self.edit("tls", "required"), Edit(File.SETTINGS, ("receive", "max_recipients"), 7)]
        self.done(self.control.stage("alice", edits))
        original = Path.replace

        def replace(path: Path, target: Path) -> Path:
            if "destinations" in path.name:
                raise OSError(28, "No space left on device", str(path))
            return original(path, target)

        self.patch(Path, "replace", replace)
        self.refused(self.control.commit("alice", ""), ConfigurationError)
        self.assertEqual(self.files.settings.read_text(), SETTINGS)
        self.assertEqual(self.gateway.active, [])

    def test_two_operators(self) -> None:
        """Of two commits one wins; the other is told what came in, and may put his own on top if it touches other keys."""
        self.done(self.control.stage("alice", [self.edit("tls", "required")]))
        self.done(self.control.stage("bob", [self.edit("tls", "preferred", "b.example")]))
        self.assertEqual(self.done(self.control.others("alice")), ["bob"])
        self.done(self.control.commit("alice", ""))
        error = self.refused(self.control.commit("bob", ""), Conflict)
        self.assertIn('+tls = "required"', error.theirs)
        self.assertIn("b.example", error.yours)
        self.done(self.control.rebase("bob"))
        self.done(self.control.commit("bob", ""))
        text = self.files.destinations.read_text()
        self.assertIn("b.example", text)
        self.assertIn('tls = "required"  # why', text)

    def test_same_key(self) -> None:
        """Where both changed the same key, it is said which."""
        self.done(self.control.stage("alice", [self.edit("tls", "required")]))
        self.done(self.control.stage("bob", [self.edit("tls", "preferred")]))
        self.done(self.control.commit("alice", ""))
        error = self.refused(self.control.rebase("bob"), Conflict)
        self.assertEqual(str(error), 'others changed the same: destination."a.example".tls')

    def test_at_the_same_time(self) -> None:
        """Two commits at once: one is carried out, then the other is refused."""
        self.done(self.control.stage("alice", [self.edit("tls", "required")]))
        self.done(self.control.stage("bob", [self.edit("dane", "none")]))
        self.gateway.waits = Deferred()
        first = Deferred.fromCoroutine(self.control.commit("alice", ""))
        second = Deferred.fromCoroutine(self.control.commit("bob", ""))
        self.assertNoResult(first)
        self.gateway.waits.callback(None)
        self.successResultOf(first)
        self.failureResultOf(second, Conflict)

    def test_edited_by_hand(self) -> None:
        """A file edited by hand is never overwritten: it is read by a reload, or refused with what is wrong."""
        self.done(self.control.stage("alice", [self.edit("dane", "none")]))
        self.files.destinations.write_text(DESTINATIONS.replace("no", "required"))
        error = self.refused(self.control.commit("alice", ""), Conflict)
        self.assertIn("seg reload", str(error))
        self.assertIn("required", error.theirs)
        outcome = self.done(self.control.reload("alice"))
        self.assertEqual(outcome.commit.comment, "files read again")
        self.assertIsNone(self.done(self.control.reload("alice")))
        self.files.destinations.write_text("[destination]\nx = 1\n")
        self.refused(self.control.reload("alice"), ConfigurationError)
        self.assertEqual(len(self.gateway.active), 1)

    def test_clear(self) -> None:
        """What is cleared is gone; clearing nothing is said so. Edits that come to nothing are nothing."""
        self.done(self.control.stage("alice", [self.edit("tls", "required")]))
        self.done(self.control.clear("alice"))
        self.refused(self.control.clear("alice"), NothingStaged)
        self.done(self.control.stage("alice", [self.edit("tls", "required")]))
        self.assertEqual(self.done(self.control.stage("alice", [self.edit("tls", "no")])), "")
        self.refused(self.control.commit("alice", ""), NothingStaged)

    def test_rollback(self) -> None:
        """A rollback stages the files of a commit, all of them, and may be undone like any other."""
        self.done(self.control.stage("alice", [self.edit("tls", "required")]))
        self.done(self.control.commit("alice", "one"))
        self.done(self.control.stage("alice", [self.edit("tls", "preferred")]))
        self.done(self.control.commit("alice", "two"))
        diff = self.done(self.control.roll_back("bob", 1))
        self.assertIn('+tls = "no"  # why', diff)
        self.done(self.control.commit("bob", "back"))
        self.assertEqual(self.files.destinations.read_text(), DESTINATIONS)
        found = self.done(self.control.commits(10))
        self.assertEqual([c.comment for c in found], ["back", "two", "one", "found in the files at the start"])
        commit, diff = self.done(self.control.detail(3))
        self.assertEqual((commit.by, commit.when), ("alice", 1000.0))
        self.assertIn('+tls = "preferred"', diff)
        self.assertIsNone(self.done(self.control.detail(99)))
        self.refused(self.control.roll_back("bob", 99), NothingStaged)

    def test_rollback_behind(self) -> None:
        """A rollback that was overtaken isn't mixed with what came in."""
        self.done(self.control.stage("alice", [self.edit("tls", "required")]))
        self.done(self.control.commit("alice", "one"))
        self.done(self.control.roll_back("bob", 1))
        self.done(self.control.stage("alice", [self.edit("dane", "none")]))
        self.done(self.control.commit("alice", "two"))
        self.refused(self.control.rebase("bob"), Conflict)

    def test_restart(self) -> None:
        """What is staged outlasts a restart; what was edited while the gateway was down is noted as a commit of nobody."""
        self.done(self.control.stage("a/../b. ü", [self.edit("tls", "required")]))
        again = self.make()
        self.done(again.begin())
        self.assertNotEqual(self.done(again.difference("a/../b. ü")), "")
        self.assertEqual(self.done(again.others("x")), ["a/../b. ü"])
        self.assertEqual(len(self.done(again.commits(9))), 1)
        self.files.settings.write_text(SETTINGS + "# more\n")
        later = self.make()
        self.done(later.begin())
        self.assertEqual(len(self.done(later.commits(9))), 2)
        self.refused(later.commit("a/../b. ü", ""), Conflict)

    def test_history_on_a_full_disk(self) -> None:
        """A commit that is in force and can't be kept is in force all the same, with a warning."""
        self.done(self.control.stage("alice", [self.edit("tls", "required")]))
        (self.folder / "changes/commits/000002.new").mkdir()
        outcome = self.done(self.control.commit("alice", "x"))
        self.assertEqual(outcome.commit.number, 0)
        self.assertIn("can't be kept", self.sink.of(Fault)[0].text)
        self.assertEqual(len(self.gateway.active), 1)

    def test_secrets(self) -> None:
        """No diff shows a password."""
        diff = self.done(
            self.control.stage("alice", [Edit(File.SETTINGS, ("mta_sts", "proxy"), "http://u:secret@p.example:1")])
        )
        self.assertIn('+proxy = "***"', diff)
        self.assertNotIn("secret", diff)
