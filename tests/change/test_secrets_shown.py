"""No answer of the admin API, log line, message or repr tells a password of the configuration."""

from __future__ import annotations

import json
import logging
import shutil
import tempfile
from pathlib import Path
from typing import Any

from hypothesis import given, settings
from twisted.internet.defer import Deferred, execute
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from seg.admin.changes import ChangeRoutes
from seg.admin.configuration.control import ChangeControl
from seg.admin.configuration.edits import Edit, File
from seg.admin.configuration.staging import edit_as_json
from seg.admin.configuration.texts import ConfigurationTexts, read_texts
from seg.admin.http import APIError
from seg.common.errors import ConfigurationError
from seg.config.find import ConfigurationFiles
from seg.config.load import parse_destinations, parse_settings
from seg.events.runtime import Runtime
from seg.maillog.lines import LINES
from tests.admin.asking import ask
from tests.change.test_control import GatewayDouble
from tests.config.test_secrets import MIDDLE, files, tells
from tests.doubles import RecordingSink

ROOMY = "[receive]\nmax_recipients = 5\n"
PROXY, PASSWORD = ("mta_sts", "proxy"), ("auth_profile", "hop", "password")


class ShownTests(SynchronousTestCase):
    """Change control through its API, with a password in each file."""

    def setUp(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="seg-secret-"))
        self.addCleanup(shutil.rmtree, self.folder, True)
        self.sink = RecordingSink()
        self.outputs: list[str] = []
        logging.disable(logging.NOTSET)

    def start(self, settings_text: str, destinations_text: str) -> None:
        """A gateway with these files."""
        self.files = ConfigurationFiles(self.folder / "seg.toml", self.folder / "destinations.toml", "named")
        self.files.settings.write_bytes(settings_text.encode())
        self.files.destinations.write_bytes(destinations_text.encode())
        shutil.rmtree(self.folder / "changes", True)
        self.control = ChangeControl(
            Runtime(None, self.sink, "mx.test", in_thread=execute, posix=lambda: 1.0),
            read_texts(self.files),
            self.files,
            self.folder / "changes",
            GatewayDouble(),
        )
        self.successResultOf(Deferred.fromCoroutine(self.control.begin()))

    def ask(self, method: str, path: str, **body: Any) -> Any:
        """What the API answers, an error too; all of it is kept as output."""
        work = ask(ChangeRoutes(self.control), method, path, body=body, by="alice")
        answer = self.successResultOf(Deferred.fromCoroutine(self._answer(work)))
        self.outputs.append(json.dumps(answer, ensure_ascii=False))
        return answer

    async def _answer(self, work: Any) -> Any:
        try:
            return await work
        except APIError as error:
            self.outputs += [str(error), repr(error), Failure().getTraceback()]
            return {"error": str(error), **error.details}

    def everything(self) -> None:
        """Every operation that shows the configuration, before, while and after it is changed, and when a file is faulty."""
        edits = [
            Edit(File.SETTINGS, PROXY, f"http://u:{MIDDLE}@h.example:1"),
            Edit(File.DESTINATIONS, (*PASSWORD[:2], "username"), "us"),
            Edit(File.DESTINATIONS, PASSWORD, MIDDLE + "x"),
            Edit(File.SETTINGS, ("receive", "max_recipients"), 7),
        ]
        self.outputs += [repr(edits), repr(self.control.running)]
        for method, path in (("GET", "/v1/configuration"), ("GET", "/v1/changes"), ("GET", "/v1/commits")):
            self.ask(method, path)
        self.ask("POST", "/v1/changes", edits=[edit_as_json(edit) for edit in edits])
        self.ask("GET", "/v1/configuration")
        self.ask("GET", "/v1/changes")
        self.outputs.append(repr(self.successResultOf(Deferred.fromCoroutine(self.control.staged("alice")))))
        self.ask("POST", "/v1/commits", comment="x")
        for number in (1, 2):
            self.ask("GET", f"/v1/commits/{number}")
        self.ask("POST", "/v1/rollback", number=1)
        self.ask("GET", "/v1/changes")
        for damage in (f"\n{MIDDLE}", f'\nproxy = "{MIDDLE}', f"\nmta_sts = {{ proxy = '{MIDDLE}' }}\n"):
            for path in (self.files.settings, self.files.destinations):
                kept = path.read_bytes()
                path.write_bytes(kept + damage.encode())
                self.ask("POST", "/v1/reload")
                self.ask("POST", "/v1/commits", comment="x")
                path.write_bytes(kept)
        self.ask("DELETE", "/v1/changes")
        wrong = {"file": "settings", "path": list(PROXY), "value": {"$toml": MIDDLE}}
        self.ask("POST", "/v1/changes", edits=[wrong])
        for value in (MIDDLE, [MIDDLE], {"x": MIDDLE}, f"http://{MIDDLE}:x", f"https://u:{MIDDLE}@h:1"):
            self.ask("POST", "/v1/changes", edits=[{"file": "settings", "path": list(PROXY), "value": value}])
        self.outputs += [
            line
            for event in self.sink.events
            if (entry := LINES.get(type(event)))
            for line in (str(entry), repr(event))
        ]

    def assert_nothing_told(self, context: str) -> None:
        """No output has it."""
        for output in self.outputs:
            self.assertFalse(tells(output), f"{context}\n---\n{output}")

    def test_every_place(self) -> None:
        """With the usual spelling."""
        self.start(
            f'{ROOMY}[mta_sts]\nproxy = "http://u:{MIDDLE}@h.example:1" # {MIDDLE}\n',
            f'[auth_profile.hop]\nusername = "us"\n"password" = """{MIDDLE}"""\n',
        )
        self.everything()
        self.assert_nothing_told("")
        self.assertTrue(any("max_recipients = 7" in output for output in self.outputs))
        self.assertTrue(any("*** (changed)" in output for output in self.outputs))

    @settings(max_examples=25, deadline=None)
    @given(files())
    def test_any_spelling(self, found: tuple[str, str]) -> None:
        """With any spelling, in whichever file it may stand."""
        text = found[0]
        for one, other in ((text, ""), ("", text)):
            try:
                parse_settings(one)
                parse_destinations(other)
            except ConfigurationError:
                continue  # such a file is never in force
            self.outputs.clear()
            self.sink.events.clear()
            self.start(one, other)
            self.everything()
            self.assert_nothing_told(text)

    def test_files(self) -> None:
        """What is kept of the configuration, only the gateway's user reads."""
        self.start(ROOMY, "")
        self.everything()
        kept = list((self.folder / "changes").rglob("*"))
        self.assertGreater(len(kept), 3)
        for path in kept:
            self.assertEqual(path.stat().st_mode & 0o077, 0, path)

    def test_texts(self) -> None:
        """The repr of what carries the files through the program hasn't them."""
        self.assertNotIn(MIDDLE, repr(ConfigurationTexts(MIDDLE, MIDDLE)))
