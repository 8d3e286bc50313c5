"""Tables that come from files, go to files, and are emptied; and questions before what can't be taken back."""

from __future__ import annotations

from pathlib import Path
from unittest import mock

import click
from twisted.trial.unittest import SynchronousTestCase

from seg.cli import dialogue
from seg.cli import import_export as exchange


class ExchangeTests(SynchronousTestCase):
    """What destconfig and smtproutes share."""

    def answers(self, *lines: str) -> None:
        """Somebody sits there and types these."""
        typed = iter(lines)
        self.patch(exchange, "can_ask", lambda: True)
        self.patch(dialogue, "can_ask", lambda: True)
        self.patch(dialogue, "_line", lambda prompt: next(typed))

    def test_said(self) -> None:
        """What was said is done without a question; nothing is asked where nothing would go."""
        for how, gone, wanted in (("merge", ["a"], False), ("replace", ["a"], True), (None, [], False)):
            self.assertEqual(exchange.replaces(how, gone, "entries", Path("x")), wanted)

    def test_asked(self) -> None:
        """Rows that the file doesn't have are kept unless the answer is no."""
        for answer, wanted in (("", False), ("y", False), ("n", True)):
            self.answers(answer)
            self.assertEqual(exchange.replaces(None, ["a.example"], "entries", Path("x")), wanted)

    def test_nobody_to_ask(self) -> None:
        """A script has to say it."""
        self.patch(exchange, "can_ask", lambda: False)
        error = self.assertRaises(click.UsageError, exchange.replaces, None, ["a"], "routes", Path("x.txt"))
        self.assertEqual(error.message, "1 routes aren't in x.txt: say --merge to keep or --replace to remove them")

    def test_sure(self) -> None:
        """--yes asks nothing; no ends it; a script without --yes is told what it would have done."""
        dialogue.sure("Really?", "this removes all", yes=True)
        self.answers("y")
        dialogue.sure("Really?", "this removes all", yes=False)
        self.answers("")
        self.assertRaises(click.Abort, dialogue.sure, "Really?", "this removes all", yes=False)
        with mock.patch.object(dialogue, "can_ask", lambda: False):
            error = self.assertRaises(click.UsageError, dialogue.sure, "Really?", "this removes all", yes=False)
        self.assertEqual(error.message, "this removes all: without a terminal say --yes")

    def test_files(self) -> None:
        """A file that can't be read or written is named."""
        self.assertIn(
            "/nowhere/x can't be read", str(self.assertRaises(click.ClickException, exchange.read, Path("/nowhere/x")))
        )
        error = self.assertRaises(click.ClickException, exchange.write, Path("/nowhere/x"), "text")
        self.assertEqual(error.message, "/nowhere/x can't be written: No such file or directory")
        path = Path(self.mktemp())
        exchange.write(path, "text\n")
        self.assertEqual(exchange.read(path), "text\n")
        path.write_bytes(b"\xff")
        self.assertRaises(click.ClickException, exchange.read, path)
