"""What change control keeps on disk, damaged in every way, while it runs and over a restart."""

from __future__ import annotations

import errno
from typing import Any
from unittest import mock

from twisted.internet.defer import Deferred

from seg.admin.changes import ChangeRoutes
from seg.admin.http import APIError
from seg.events.gateway import Fault
from tests.admin.asking import ask
from tests.change.test_control import SETTINGS, ControlCase
from tests.damage import DAMAGES, bare

LOOKS = ("/v1/changes", "/v1/configuration", "/v1/commits", "/v1/commits/1")


class DamageTests(ControlCase):
    """Staged changes and commits."""

    def ask(self, method: str, path: str, **body: Any) -> Any:
        """What the API answers; of an error its status and text, and never another exception."""
        found: list[Any] = []
        work = ask(ChangeRoutes(self.control), method, path, body=body, by="alice")
        Deferred.fromCoroutine(work).addBoth(found.append)
        self.assertEqual(len(found), 1)
        if isinstance(found[0], dict):
            return found[0]
        self.assertIsInstance(found[0].value, APIError, found[0])
        return found[0].value.status, found[0].value.text

    def restart(self) -> None:
        """The next start."""
        self.control = self.make()
        self.done(self.control.begin())

    def test_staged(self) -> None:
        """Damaged changes are told to their operator, once, and in the log, and are kept aside; he can begin anew."""
        place = self.folder / "changes/staged/alice.json"
        for name, damage in DAMAGES.items():
            self.done(self.control.stage("alice", [self.edit("tls", "required")]))
            damage(place)
            self.sink.events.clear()
            if name != "half":
                self.restart()
            status, text = self.ask("GET", "/v1/changes")
            self.assertEqual(status, 422, name)
            self.assertIn("the changes that alice staged are lost", text)
            self.assertEqual([fault.text for fault in self.sink.of(Fault)], [text])
            self.assertEqual(self.ask("GET", "/v1/changes")["diff"], "")
            self.assertIn("required", self.ask("POST", "/v1/changes", edits=[self.raw()])["diff"])
            for path in place.parent.iterdir():
                bare(path)

    def raw(self) -> dict[str, Any]:
        """A change as the API takes it."""
        return {"file": "destinations", "path": ["destination", "a.example", "tls"], "value": "required"}

    def test_commits(self) -> None:
        """A damaged commit is told once and kept aside; the others are shown, the gateway starts, and commits go on."""
        for name, damage in DAMAGES.items():
            bare(self.folder / "changes")
            self.files.settings.write_text(SETTINGS)
            self.restart()
            self.ask("POST", "/v1/changes", edits=[self.raw() | {"value": "no"}])
            for number in (1, 2):
                self.files.settings.write_text(SETTINGS + f"# {number}\n")
                self.ask("POST", "/v1/reload")
            damage(self.folder / "changes/commits/000002.json")
            damage(self.folder / "changes/commits/000003.json")
            self.sink.events.clear()
            self.restart()
            for path in LOOKS:
                self.assertIsInstance(self.ask("GET", path), dict, name)
            self.assertEqual(len(self.sink.of(Fault)), 2, name)
            self.assertEqual(self.ask("GET", "/v1/commits/2")[0], 404)
            self.ask("POST", "/v1/rollback", number=1)
            self.assertGreater(self.ask("POST", "/v1/commits", comment="back")["number"], 1, name)
            self.assertEqual(self.gateway.active[-1].settings.receive.max_recipients, 5)

    def test_folders(self) -> None:
        """Something else in the place of a folder: the gateway starts, and each question gets an answer or one line."""
        for name, damage in DAMAGES.items():
            for folder in ("changes/staged", "changes/commits", "changes"):
                bare(self.folder / "changes")
                if folder != "changes":
                    (self.folder / "changes").mkdir()
                damage(self.folder / folder)
                self.restart()
                for path in LOOKS:
                    found = self.ask("GET", path)
                    self.assertTrue(isinstance(found, dict) or "\n" not in found[1], (name, folder, found))
                self.ask("POST", "/v1/changes", edits=[self.raw()])
                self.ask("POST", "/v1/commits", comment="")
                if (self.folder / "changes").is_dir():
                    self.ask("DELETE", "/v1/changes")

    def test_system_fails(self) -> None:
        """A failure of the system loses nothing: it is told, and the files stay where they are."""
        self.done(self.control.stage("alice", [self.edit("tls", "required")]))
        with mock.patch("seg.common.files.read_regular", side_effect=OSError(errno.EIO, "it fails")):
            for path in ("/v1/changes", "/v1/configuration", "/v1/commits", "/v1/commits/1"):
                status, text = self.ask("GET", path)
                self.assertEqual(status, 500)
                self.assertIn("it fails", text)
        self.assertIn("required", self.ask("GET", "/v1/changes")["diff"])
