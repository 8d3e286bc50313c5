"""A mistake in the configuration is told with file, line, key and cure: at the start, when it is staged, committed, and read again."""

from __future__ import annotations

import contextlib
import io
import shutil
import socket
import tempfile
import tomllib
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred, execute
from twisted.trial.unittest import SynchronousTestCase

from seg.admin.configuration.control import ChangeControl
from seg.admin.configuration.edits import NAMED_ARRAYS, Edit, File
from seg.admin.configuration.texts import Configuration, ConfigurationTexts, check, read_texts
from seg.common.errors import ConfigurationError
from seg.config.find import ConfigurationFiles
from seg.config.problems import SettingError
from seg.events.runtime import Runtime
from seg.gateway.service import Options
from tests.change.mistakes import MISTAKES, Mistake, lay_out
from tests.change.test_control import GatewayDouble
from tests.doubles import RecordingSink

GOOD = '[[listener]]\nname = "first"\nport = 0\n'


class MistakeCase(SynchronousTestCase):
    """A folder with a configuration and the files that it names."""

    def setUp(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="seg-mistakes-"))
        self.addCleanup(shutil.rmtree, self.folder, True)
        self.files = ConfigurationFiles(self.folder / "seg.toml", self.folder / "destinations.toml", "named")
        lay_out(self.folder)
        self.gateway = GatewayDouble()
        self.missed: list[tuple[str, tuple[str, ...]]] = []  # mistakes that aren't told as they should be

    def control(self) -> ChangeControl:
        """A gateway that works by the files as they are."""
        texts = read_texts(self.files)
        in_force = check(texts, self.files, at_start=True)
        where = self.folder / "changes"
        runtime = Runtime(None, RecordingSink(), "mx.test", in_thread=execute, posix=lambda: 1.0)
        return ChangeControl(runtime, texts, self.files, where, self.gateway, in_force)

    def write(self, settings: str | bytes, destinations: str | bytes = "") -> None:
        """Put both files there."""
        for path, text in ((self.files.settings, settings), (self.files.destinations, destinations)):
            data = text if isinstance(text, bytes) else text.encode()
            path.write_bytes(data.replace(b"FOLDER", bytes(self.folder)))

    def refused(self, work: Any) -> tuple[str, ...]:
        """The lines with which a coroutine fails."""
        error = self.failureResultOf(Deferred.fromCoroutine(work), ConfigurationError).value
        problems: tuple[str, ...] = error.problems
        return problems

    def told(self, mistake: Mistake, problems: tuple[str, ...], line: bool = True) -> None:
        """One of the lines has to name file, line, key and cure; and each to be one line."""
        file = self.files.destinations if mistake.destinations and not mistake.settings else self.files.settings
        place = f"{file}:{mistake.line}: " if line else f"{file}:"
        cure = mistake.cure.replace("FOLDER", str(self.folder))
        fitting = [each for each in problems if each.startswith(place) and mistake.key in each and cure in each]
        if not fitting or not all(each.isprintable() for each in problems):
            self.missed.append((mistake.name, problems))


class MistakeTests(MistakeCase):
    """All of `MISTAKES`."""

    def test_enough(self) -> None:
        """They are many, and each has a name of its own."""
        self.assertGreater(len({mistake.name for mistake in MISTAKES}), 100)
        self.assertEqual(len({mistake.name for mistake in MISTAKES}), len(MISTAKES))

    def test_at_the_start(self) -> None:
        """`twistd seg` ends with 1, and says it in plain lines; what can only be seen later, or is better than no gateway, doesn't stop it."""
        for mistake in MISTAKES:
            self.write(mistake.settings, mistake.destinations)
            said = io.StringIO()
            options = Options()
            if not mistake.at_start:
                options.parseOptions(["--config", str(self.files.settings)])
                continue
            with contextlib.redirect_stderr(said):
                end = self.assertRaises(SystemExit, options.parseOptions, ["--config", str(self.files.settings)])
            self.assertEqual(end.code, 1)
            self.assertNotIn("Traceback", said.getvalue())
            *lines, last = said.getvalue().splitlines()
            self.assertEqual(last, "seg: not started")
            self.told(mistake, tuple(lines))
        self.assertEqual(self.missed, [])

    def test_read_again(self) -> None:
        """A reload is refused with the same lines, and nothing changes."""
        self.write(GOOD)
        control = self.control()
        for mistake in MISTAKES:
            self.write(mistake.settings, mistake.destinations)
            self.told(mistake, self.refused(control.reload("bob")))
        self.assertEqual((self.gateway.active, self.missed), ([], []))

    def test_staged(self) -> None:
        """What isn't right can't be staged, so that no commit is held up by it."""
        self.write(GOOD)
        control = self.control()
        for mistake in MISTAKES:
            edits = [
                *self._edits(File.SETTINGS, mistake.settings),
                *self._edits(File.DESTINATIONS, mistake.destinations),
            ]
            if not edits:
                continue  # no TOML: it can't come by edits
            self.told(mistake, self.refused(control.stage("bob", edits)), line=False)
            self.assertEqual(self.successResultOf(Deferred.fromCoroutine(control.difference("bob"))), "")
        self.assertEqual(self.missed, [])

    def _edits(self, file: File, text: str | bytes) -> list[Edit]:
        try:
            data = tomllib.loads(text if isinstance(text, str) else text.decode())
        except (UnicodeDecodeError, tomllib.TOMLDecodeError):
            return []
        edits = []
        for key, value in data.items():
            if isinstance(value, list) and key not in NAMED_ARRAYS:
                return []
            if isinstance(value, list):  # entries go by their names: two of one name can't come by edits
                names = {each.get("name", "x") for each in value}
                entries = {each.get("name", "x"): each for each in value} if len(names) == len(value) else {}
                edits += [Edit(file, (key, name), self._placed(each)) for name, each in entries.items()]
            elif isinstance(value, dict) and key in ("destination", "route", "bounce_profile", "auth_profile"):
                edits += [Edit(file, (key, name), self._placed(each)) for name, each in value.items()]
            else:
                edits.append(Edit(file, (key,), self._placed(value)))
        return edits

    def _placed(self, value: Any) -> Any:
        if isinstance(value, dict):
            return {key: self._placed(each) for key, each in value.items()}
        if isinstance(value, list):
            return [self._placed(each) for each in value]
        return value.replace("FOLDER", str(self.folder)) if isinstance(value, str) else value

    def test_gone_before_the_commit(self) -> None:
        """A file that was there when it was staged, and isn't when it is committed: the same answer, and it can be staged otherwise."""
        self.write(GOOD)
        control = self.control()
        pem = self.folder / "passing.pem"
        shutil.copy(self.folder / "good.pem", pem)
        edits = [Edit(File.SETTINGS, ("listener", 0, "certificate"), str(pem))]
        self.successResultOf(Deferred.fromCoroutine(control.stage("bob", edits)))
        pem.unlink()
        (line,) = self.refused(control.commit("bob", ""))
        self.assertRegex(
            line, r"seg\.toml:4: \[\[listener\]\] certificate: .*passing\.pem: can't be read: No such file"
        )
        edits = [Edit(File.SETTINGS, ("listener", 0, "certificate"), str(self.folder / "good.pem"))]
        self.successResultOf(Deferred.fromCoroutine(control.stage("bob", edits)))
        self.successResultOf(Deferred.fromCoroutine(control.commit("bob", "")))

    def test_port_in_use(self) -> None:
        """A port that another program has: told when it is staged, and by whoever binds it."""
        self.write(GOOD)
        control = self.control()
        with socket.socket() as other:
            other.bind(("127.0.0.1", 0))
            other.listen()
            port = other.getsockname()[1]
            edits = [Edit(File.SETTINGS, ("listener", 0, "port"), port)]
            (line,) = self.refused(control.stage("bob", edits))
            self.assertRegex(
                line, rf"seg\.toml:3: \[\[listener\]\] port: .*:{port}: Address already in use; another program"
            )
            self.assertIn(f"sport = :{port}", line)
        self.successResultOf(Deferred.fromCoroutine(control.stage("bob", edits)))

    def test_refused_by_the_gateway(self) -> None:
        """A key that the gateway can't put to work is told with file and line."""

        class Refusing(GatewayDouble):
            async def prepare(self, configuration: Configuration) -> Any:
                raise SettingError(("metrics", "address"), "can't listen")

        self.gateway = Refusing()
        self.write(GOOD)
        control = self.control()
        edits = [Edit(File.SETTINGS, ("metrics",), {"address": "127.0.0.1", "port": 0})]
        self.successResultOf(Deferred.fromCoroutine(control.stage("bob", edits)))
        (line,) = self.refused(control.commit("bob", ""))
        self.assertRegex(line, r"seg\.toml:\d+: \[metrics\] address: can't listen$")

    def test_in_force(self) -> None:
        """What the running gateway goes by isn't tried again: its key may be for other eyes, its file on the way to be renewed."""
        pem = self.folder / "passing.pem"
        shutil.copy(self.folder / "good.pem", pem)
        self.write(f'{GOOD}tls = "starttls"\ncertificate = "passing.pem"\n')
        control = self.control()
        pem.unlink()
        edits = [Edit(File.SETTINGS, ("receive",), {"max_recipients": 7})]
        self.successResultOf(Deferred.fromCoroutine(control.stage("bob", edits)))

    def test_nothing_wrong(self) -> None:
        """Empty files are a configuration, a byte order mark is passed over, and relative files are found from the folder of seg.toml."""
        self.write("")
        check(read_texts(self.files), self.files, at_start=True)
        self.write("\ufeff[receive]\nmax_recipients = 7\n")
        self.assertEqual(check(read_texts(self.files), self.files, at_start=True).settings.receive.max_recipients, 7)
        texts = ConfigurationTexts(f'{GOOD}tls = "starttls"\ncertificate = "good.pem"\n', "")
        (listener,) = check(texts, self.files).settings.listener
        self.assertEqual(listener.certificate, str(self.folder / "good.pem"))
