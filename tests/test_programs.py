"""What real programs are worth to a test: they have to run, not only to be there."""

from __future__ import annotations

from pathlib import Path
from unittest import SkipTest

from twisted.trial.unittest import SynchronousTestCase

from tests import programs


class OptionalProgramTests(SynchronousTestCase):
    """`optional_program`."""

    def setUp(self) -> None:
        self.folder = Path(self.mktemp()).absolute()
        self.folder.mkdir()
        self.patch(programs, "PATH", str(self.folder))

    def program(self, text: str, mode: int = 0o755) -> None:
        """Make the program ``tool``."""
        (self.folder / "tool").write_text(text)
        (self.folder / "tool").chmod(mode)

    def test_every_test(self) -> None:
        """No test takes a program for usable because a file of its name is there."""
        for path in Path(__file__).parent.rglob("test_*.py"):
            if path != Path(__file__):
                self.assertNotIn("which(", path.read_text("utf-8"), path)

    def test_runs(self) -> None:
        """One that runs and shows what is asked for, on either output, whatever its exit status."""
        self.program("#!/bin/sh\necho version 1; echo TLS supported >&2; exit 3\n")
        self.assertEqual(
            programs.optional_program("tool", "--support", shows="TLS supported"), str(self.folder / "tool")
        )

    def test_skipped(self) -> None:
        """One that is absent, can't be executed, lacks its interpreter or library, or can't do what is asked for."""
        self.assertRaises(SkipTest, programs.optional_program, "tool")
        for text in ("#!/nonexistent/interpreter\n", "#!/bin/sh\nexit 127\n", "#!/bin/sh\necho version 1\n"):
            self.program(text)
            self.assertRaises(SkipTest, programs.optional_program, "tool", shows="TLS supported")
