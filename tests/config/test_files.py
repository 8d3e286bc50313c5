"""Files on disk: where they are found, and what is said when they can't be read."""

import os
from pathlib import Path
from unittest import skipIf

from twisted.trial.unittest import SynchronousTestCase

from seg.common.errors import ConfigurationError
from seg.config.destinations import Destinations
from seg.config.find import ConfigurationFiles, find_configuration, shipped_folder
from seg.config.load import load_destinations, load_settings
from seg.config.relative import whole_settings
from seg.config.schema import Settings


class ReadTests(SynchronousTestCase):
    """Files that can't be read at all."""

    def fault(self, path: Path) -> str:
        """The one line that loading a file gives."""
        error = self.assertRaises(ConfigurationError, load_settings, path)
        self.assertEqual(len(error.problems), 1)
        return str(error)

    def test_missing(self) -> None:
        """A missing file is said to be missing."""
        self.assertEqual(
            self.fault(Path("nowhere/seg.toml")),
            "nowhere/seg.toml: no such file; seg setup writes a first configuration",
        )

    def test_folder(self) -> None:
        """A folder in place of a file is named as such."""
        folder = Path(self.mktemp())
        folder.mkdir()
        self.assertEqual(self.fault(folder), f"{folder}: is a folder, not a file")

    def test_below_a_file(self) -> None:
        """Other errors of the system are told in its words."""
        file = Path(self.mktemp())
        file.write_text("")
        self.assertEqual(self.fault(file / "seg.toml"), f"{file}/seg.toml: can't be read: Not a directory")

    @skipIf(os.geteuid() == 0, "root may read everything")
    def test_unreadable(self) -> None:
        """A file without permission says so."""
        file = Path(self.mktemp())
        file.write_text("")
        file.chmod(0)
        self.assertEqual(self.fault(file), f"{file}: can't be read: Permission denied")

    def test_not_utf8(self) -> None:
        """A file in another encoding is refused with the line of the first bad octet."""
        file = Path(self.mktemp())
        file.write_bytes(b"[gateway]\n# M\xfcnchen\n")
        self.assertEqual(self.fault(file), f"{file}:2: not UTF-8 text (octet 0xfc); save it as UTF-8")

    def test_byte_order_mark(self) -> None:
        """A byte order mark, as some editors write it, does no harm."""
        file = Path(self.mktemp())
        file.write_bytes(b"\xef\xbb\xbf[gateway]\n")
        self.assertEqual(load_settings(file), whole_settings(Settings(), file))

    def test_nested_too_deeply(self) -> None:
        """A file nested beyond reason is a fault, not a crash."""
        file = Path(self.mktemp())
        file.write_text("a = " + "[" * 20000 + "]" * 20000)
        self.assertIn("nested too deeply", self.fault(file))


class FindTests(SynchronousTestCase):
    """The order in which places are looked at."""

    def setUp(self) -> None:
        self.root = Path(self.mktemp())
        self.system = self.root / "system"
        (self.root / "etc").mkdir(parents=True)
        self.system.mkdir()

    def find(self, explicit: str | None = None) -> ConfigurationFiles:
        """What is found with the test's own places."""
        return find_configuration(explicit, here=self.root, system=self.system)

    def test_named(self) -> None:
        """A file that was named is taken, there or not; nothing else answers for it."""
        (self.root / "etc" / "seg.toml").touch()
        found = self.find("/srv/mail/my.toml")
        self.assertEqual(
            (found.settings, found.destinations),
            (Path("/srv/mail/my.toml"), Path("/srv/mail/destinations.toml")),
        )

    def test_named_folder(self) -> None:
        """A folder that was named is where both files are."""
        self.assertEqual(self.find(str(self.system)).settings, self.system / "seg.toml")

    def test_order(self) -> None:
        """The working directory comes first, then the system's folder, then the shipped defaults."""
        self.assertEqual(self.find().origin, "built in")
        (self.system / "seg.toml").touch()
        self.assertEqual((self.find().origin, self.find().settings), ("system", self.system / "seg.toml"))
        (self.root / "etc" / "seg.toml").touch()
        self.assertEqual(
            (self.find().origin, self.find().destinations),
            ("working directory", self.root / "etc" / "destinations.toml"),
        )

    def test_dangling_link_isnt_passed_over(self) -> None:
        """A link to nowhere is a fault of that file, not a reason to take another one."""
        (self.root / "etc" / "seg.toml").symlink_to("nowhere")
        self.assertRaises(ConfigurationError, load_settings, self.find().settings)

    def test_shipped_files_work(self) -> None:
        """The files as shipped load without a change and mean the defaults."""
        found = self.find()
        self.assertEqual(found.settings.parent, shipped_folder())
        self.assertEqual(load_settings(found.settings), whole_settings(Settings(), found.settings))
        self.assertEqual(load_settings(found.settings).gateway.var, str(Path("var").absolute()))
        self.assertEqual(load_destinations(found.destinations), Destinations())
