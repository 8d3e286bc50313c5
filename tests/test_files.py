"""Files that are replaced as a whole."""

from __future__ import annotations

import os
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from seg.files import replace_file, sync_folder


class ReplaceTests(SynchronousTestCase):
    """`replace_file`."""

    def setUp(self) -> None:
        """A folder."""
        self.folder = Path(self.mktemp())
        self.folder.mkdir()
        self.path = self.folder / "kept.json"

    def test_replaced(self) -> None:
        """The new text is there for the owner only, and nothing else; a part that a crash left is no hindrance."""
        (self.folder / "kept.new").write_text("half of it, and much longer")
        for text in (b"one", b"two"):
            replace_file(self.path, text)
            self.assertEqual(self.path.read_bytes(), text)
        self.assertEqual(os.listdir(self.folder), ["kept.json"])
        self.assertEqual(self.path.stat().st_mode & 0o777, 0o600)
        sync_folder(self.folder)

    def test_not_written(self) -> None:
        """When it can't be written the old one stays."""
        replace_file(self.path, b"old")
        (self.folder / "kept.new").mkdir()
        self.assertRaises(OSError, replace_file, self.path, b"new")
        self.assertEqual(self.path.read_bytes(), b"old")
        self.assertRaises(OSError, sync_folder, self.folder / "nowhere")
