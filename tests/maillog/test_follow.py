"""Following a log."""

import os
from collections.abc import Callable
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from seg.maillog import follow as module
from seg.maillog.follow import follow, last_lines


class Done(Exception):
    """Ends the wait of a test."""


class FollowTests(SynchronousTestCase):
    """What is read while others write, move and delete."""

    def setUp(self) -> None:
        self.path = Path(self.mktemp())

    def append(self, text: str) -> None:
        """Write to the file as the gateway does."""
        with self.path.open("ab") as file:
            file.write(text.encode("utf-8"))

    def heard(self, *steps: Callable[[], object], lines: int | None = 0) -> list[str]:
        """What is read while, at each wait, the next step is done."""
        left = iter(steps)

        def sleep(seconds: float) -> None:
            step = next(left, None)
            if step is None:
                raise Done
            step()

        found: list[str] = []
        try:
            for line in follow(self.path, lines, sleep=sleep):
                found.append(line)
        except Done:
            pass
        return found

    def test_last_lines(self) -> None:
        """The wanted number of last lines comes first, an unfinished one counted."""
        self.append("a\nb\nc\n")
        wanted = {
            0: [],
            1: ["c"],
            2: ["b", "c"],
            3: ["a", "b", "c"],
            9: ["a", "b", "c"],
            None: ["a", "b", "c"],
        }
        for lines, found in wanted.items():
            self.assertEqual(list(last_lines(self.path, lines)), found, lines)
        self.append("d")
        self.assertEqual(list(last_lines(self.path, 2)), ["c", "d"])

    def test_missing(self) -> None:
        """A missing file is empty, or waited for."""
        self.assertEqual(list(last_lines(self.path, 10)), [])
        self.assertEqual(self.heard(lambda: None, lambda: self.append("a\n")), ["a"])

    def test_new_lines(self) -> None:
        """New lines come as they are written, and an unfinished one when it is finished."""
        self.append("old\n")
        self.assertEqual(self.heard(lambda: self.append("a\nb"), lambda: self.append("c\n")), ["a", "bc"])

    def test_rotation(self) -> None:
        """After a rotation the rest of the old file comes, then the new one from its start."""

        def rotate() -> None:
            self.append("last\n")
            self.path.rename(self.path.with_name(self.path.name + ".old"))
            self.append("first\n")

        self.append("old\n")
        self.assertEqual(self.heard(rotate, lambda: self.append("next\n")), ["last", "first", "next"])

    def test_moved_and_not_yet_begun(self) -> None:
        """Between the move of the old file and the start of the new one, what still comes to the old one is
        read."""
        self.append("old\n")
        old = self.path.open("ab")
        self.addCleanup(old.close)

        def late() -> None:
            old.write(b"late\n")
            old.flush()

        away = self.path.with_name(self.path.name + ".old")
        steps = (lambda: self.path.rename(away), late, lambda: self.append("new\n"))
        self.assertEqual(self.heard(*steps), ["late", "new"])

    def test_truncation(self) -> None:
        """A file emptied in place is read from its start."""
        self.append("a long line\n")

        def empty() -> None:
            os.truncate(self.path, 0)
            self.append("b\n")

        self.assertEqual(self.heard(empty), ["b"])

    def test_line_without_end(self) -> None:
        """A line that doesn't end is given out in parts, so that memory is bounded."""
        self.patch(module, "LONGEST_PART", 10)
        self.append("x" * 25)
        self.assertEqual("".join(last_lines(self.path, None)), "x" * 25)

    def test_not_utf8(self) -> None:
        """Octets that aren't UTF-8 are shown escaped."""
        self.path.write_bytes(b"a\xff\n")
        self.assertEqual(list(last_lines(self.path, 10)), ["a\\xff"])

    @settings(max_examples=60, deadline=None)
    @given(st.lists(st.text("ab", max_size=9), max_size=12), st.integers(1, 14), st.integers(1, 9))
    def test_any_block_size(self, content: list[str], lines: int, block: int) -> None:
        """Wherever blocks end, the last lines are the last lines."""
        self.patch(module, "BLOCK", block)
        self.path.write_text("".join(line + "\n" for line in content))
        self.assertEqual(list(last_lines(self.path, lines)), content[-lines:])
