"""Following a file that grows."""

from __future__ import annotations

from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from seg.lab.maillog import Follower


class FollowerTests(SynchronousTestCase):
    """Only what is new, only whole lines."""

    def setUp(self) -> None:
        """A file that doesn't exist yet."""
        self.path = Path(self.mktemp())
        self.follower = Follower(self.path)

    def write(self, data: bytes) -> None:
        """Append to the file."""
        with self.path.open("ab") as file:
            file.write(data)

    def test_no_file(self) -> None:
        """A file that doesn't exist has no lines."""
        self.assertEqual(self.follower.new_lines(), [])

    def test_new_lines_once(self) -> None:
        """Each line comes once, and half a line only when it is whole."""
        self.write(b"one\ntw")
        self.assertEqual(self.follower.new_lines(), ["one"])
        self.write(b"o\nthree\n")
        self.assertEqual(self.follower.new_lines(), ["two", "three"])
        self.assertEqual(self.follower.new_lines(), [])

    def test_rotation(self) -> None:
        """A new file of the same name is read from its beginning."""
        self.write(b"old line\n")
        self.follower.new_lines()
        self.path.rename(self.path.with_suffix(".1"))
        self.write(b"new\n")
        self.assertEqual(self.follower.new_lines(), ["new"])
