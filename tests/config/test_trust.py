"""Root obeys only files of root and its own; and what is wrong with an installation is named with its remedy."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
import sys
import tempfile
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from seg.cli.rights import as_owner_of
from seg.common.errors import ConfigurationError
from seg.config.destinations import Destinations
from seg.config.find import ConfigurationFiles, ConfigurationOrigin, find_configuration
from seg.config.installation import look_at
from seg.config.load import load_destinations, load_settings
from seg.config.schema import Settings
from seg.config.trust import distrust, of_caller

SOMEBODY = 65533  # a user who is nobody here


class TrustCase(SynchronousTestCase):
    """A folder that only we can write."""

    def setUp(self) -> None:
        if os.geteuid() != 0:
            self.skipTest("only root can give files away")
        self.folder = Path(tempfile.mkdtemp(prefix="seg-trust-"))
        self.addCleanup(shutil.rmtree, self.folder, True)
        self.etc, self.system = self.folder / "here/etc", self.folder / "system"
        self.etc.mkdir(parents=True, mode=0o755)
        self.system.mkdir(mode=0o755)
        self.file = self.etc / "seg.toml"
        self.file.write_text("")

    def find(self) -> ConfigurationFiles:
        """What is found here."""
        return find_configuration(None, here=self.etc.parent, system=self.system)


class FindTests(TrustCase):
    """`find_configuration`."""

    def test_others(self) -> None:
        """A file in the working directory that others could have written isn't used; one line says why, and how it would be."""
        places = (self.file, self.etc, self.etc.parent)
        for place in (*places, self.etc / "destinations.toml"):
            place.exists() or place.touch()
            self.assertEqual(self.find().origin, "working directory")
            mode = stat.S_IMODE(place.stat().st_mode)
            os.chown(place, SOMEBODY, 0)
            self.assertEqual(
                (self.find().origin, self.find().notice),
                ("built in", f"{place} belongs to user {SOMEBODY}: not used; name it with --config"),
            )
            os.chown(place, 0, 0)
            place.chmod(mode | 0o002)
            self.assertIn("can be written by others: not used", self.find().notice)
            place.chmod(mode | 0o020)
            self.assertEqual(self.find().notice, "")  # our own group
            os.chown(place, 0, SOMEBODY)
            self.assertIn("can be written by its group: not used", self.find().notice)
            os.chown(place, 0, 0)
            place.chmod(mode)
        self.assertEqual(find_configuration(str(self.file)).origin, "named")

    def test_links(self) -> None:
        """A link is followed: neither it nor what it leads to, nor the folder there, may be others'."""
        other = self.folder / "other"
        other.mkdir()
        (other / "seg.toml").write_text("")
        self.file.unlink()
        self.file.symlink_to(other / "seg.toml")
        self.assertEqual(self.find().origin, "working directory")
        for place in (other, other / "seg.toml"):
            os.chown(place, SOMEBODY, 0)
            self.assertIn("not used", self.find().notice)
            os.chown(place, 0, 0)
        os.chown(self.file, SOMEBODY, 0, follow_symlinks=False)
        self.assertIn("not used", self.find().notice)

    def test_system(self) -> None:
        """The system's file of a stranger is no reason to work by the defaults: nothing is done."""
        self.file.unlink()
        (self.system / "seg.toml").write_text("")
        self.assertEqual(self.find().origin, "system")
        os.chown(self.system, SOMEBODY, 0)
        error = self.assertRaises(ConfigurationError, self.find)
        self.assertIn("seg check-install", error.problems[0])


class OwnerTests(TrustCase):
    """`as_owner_of`."""

    def test_root_acts_as_the_owner(self) -> None:
        """What the configuration's owner couldn't write, root doesn't write for him, by a path or by a link; what he could is his."""
        os.chown(self.system, SOMEBODY, SOMEBODY)
        self.folder.chmod(0o755)
        with as_owner_of(self.system):
            (self.system / "tokens").write_text("x")
            self.assertRaises(PermissionError, (self.folder / "users").write_text, "x")
            (self.system / "link").symlink_to(self.folder / "victim")
            self.assertRaises(PermissionError, (self.system / "link").write_text, "x")
            self.assertEqual(os.getgroups(), [SOMEBODY])
        self.assertEqual((self.system / "tokens").stat().st_uid, SOMEBODY)
        self.assertEqual((os.geteuid(), os.getegid()), (0, os.getgid()))
        with as_owner_of(self.folder):
            (self.folder / "users").write_text("x")

    def test_commands(self) -> None:
        """seg user and seg token of root, in a configuration of the gateway's user that names root's own files, change none of them."""
        victim = self.folder / "authorized_keys"
        victim.write_text("root's\n")
        victim.chmod(0o600)
        self.folder.chmod(0o755)
        settings = self.system / "seg.toml"
        settings.write_text(f'[auth]\nusers = "{victim}"\n[control]\ntokens = "{victim}"\n')
        os.chown(self.system, SOMEBODY, SOMEBODY)
        os.chown(settings, SOMEBODY, SOMEBODY)
        for words in (["token", "add", "x"], ["user", "delete", "x"]):
            command = ["-c", "from seg.cli.main import main; main()", "--config", str(settings), *words]
            done = subprocess.run([sys.executable, *command], capture_output=True, text=True, check=False)
            self.assertEqual(done.returncode, 1, done)
            self.assertNotIn("Traceback", done.stderr)
            self.assertNotIn("root's", done.stdout + done.stderr)
        self.assertEqual(victim.read_text(), "root's\n")


class InstallationTests(TrustCase):
    """`look_at`."""

    def setUp(self) -> None:
        super().setUp()
        var = self.folder / "var"
        key, password = self.etc / "key.pem", self.etc / "password"
        self.file.write_text(f'[gateway]\nvar = "{var}"\n[[listener]]\ncertificate = "{key}"\n')
        (self.etc / "destinations.toml").write_text(
            f'[auth_profile.a]\nusername = "u"\npassword_file = "{password}"\n[auth_profile.b]\nusername = "u"\npassword = "x"\n'
        )
        for path in (key, password, self.etc / "users", self.etc / "tokens", var / "suspended.json"):
            path.parent.mkdir(exist_ok=True)
            path.write_text("")
        for name in ("spool", "changes", "run", "log", "cache", "maildrop"):
            (var / name).mkdir()
        (var / "run/seg.sock").write_text("")
        self.files = ConfigurationFiles(self.file, self.etc / "destinations.toml", ConfigurationOrigin.NAMED)

    def look(self) -> list[tuple[str, str]]:
        """What is wrong, by path and remedy."""
        found = look_at(self.files, load_settings(self.files.settings), load_destinations(self.files.destinations))
        return [(each.path, each.mend) for each in found if each.path.startswith(str(self.folder))]

    def mend(self) -> None:
        """Do what is said."""
        for _, command in self.look():
            subprocess.run(command, shell=True, check=True)

    def test_remedies(self) -> None:
        """Whatever owner and mode each file has, what is told to be wrong is mended by the commands that are told, and then nothing is."""
        self.mend()
        self.assertEqual(self.look(), [])
        paths = sorted(path for path in self.folder.rglob("*") if path != self.etc.parent and path != self.system)
        self.assertGreater(len(paths), 14)
        for path in paths:
            with self.subTest(path):
                mode = stat.S_IMODE(path.stat().st_mode)
                os.chown(path, SOMEBODY, 0)
                if path != self.folder / "var":  # its owner is the gateway's user
                    self.assertIn(str(path), [each for each, _ in self.look()], path)
                os.chown(path, 0, 0)
                path.chmod(mode | 0o006)
                self.assertEqual([each for each, _ in self.look()], [str(path)])
                self.mend()
                self.assertEqual(self.look(), [])

    def test_secrets(self) -> None:
        """A configuration file may be read by all unless a password stands in it."""
        self.mend()
        self.file.chmod(0o644)
        self.files.destinations.chmod(0o644)
        self.assertEqual([path for path, _ in self.look()], [str(self.files.destinations)])

    def test_nothing_there(self) -> None:
        """What isn't there isn't wrong."""
        nowhere = ConfigurationFiles(
            self.folder / "no/seg.toml", self.folder / "no/destinations.toml", ConfigurationOrigin.NAMED
        )
        found = look_at(nowhere, Settings(), Destinations())
        self.assertEqual([each for each in found if "/no/" in each.path], [])

    def test_caller(self) -> None:
        """Nobody is trusted but root, the caller, and who is named."""
        self.assertEqual(distrust(self.file, of_caller()), "")
        os.chown(self.file, SOMEBODY, 0)
        self.assertIn(f"belongs to user {SOMEBODY}", distrust(self.file, of_caller()))
        self.assertEqual(distrust(self.file, of_caller(SOMEBODY)), "")
