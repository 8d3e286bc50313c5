"""Every verb is there, says what it does, and ends with 2 when it is used wrongly."""

from __future__ import annotations

import re
import subprocess

import click
from click.testing import CliRunner
from twisted.trial.unittest import SynchronousTestCase

from seg.cli import manual
from seg.cli.main import LazyGroup, main
from seg.cli.reference import page, updated
from seg.cli.roff import escape
from tests.programs import optional_program


class VerbTests(SynchronousTestCase):
    """``seg`` and its verbs, without a gateway."""

    def test_help(self) -> None:
        """Every verb, and every verb below it, has a help text; ``seg --help`` lists all of them in sections."""
        runner = CliRunner()
        listing = runner.invoke(main, ["--help"]).output
        for title, section in LazyGroup.sections.items():
            self.assertIn(f"{title}:\n", listing)
            for name in section:
                self.assertRegex(listing, rf"\n  {name} ")
                self.check(runner, [name])

    def check(self, runner: CliRunner, words: list[str]) -> None:
        """The help of one verb."""
        result = runner.invoke(main, [*words, "--help"])
        self.assertEqual(result.exit_code, 0, words)
        self.assertIn("Usage: ", result.output)
        command: click.Command | None = main
        for word in words:
            assert isinstance(command, click.Group)
            command = command.get_command(click.Context(command), word)
        assert command is not None
        self.assertTrue(command.help or command.short_help, words)
        if isinstance(command, click.Group):
            for verb in command.list_commands(click.Context(command)):
                self.check(runner, [*words, verb])

    def test_wrong_usage(self) -> None:
        """An unknown verb or option ends with 2; so does a gateway that isn't there, with what to do."""
        runner = CliRunner()
        for arguments in (["nothing"], ["status", "--nothing"], ["--socket", "/nowhere/seg.sock", "status"]):
            self.assertEqual(runner.invoke(main, arguments).exit_code, 2, arguments)
        self.assertIn(
            "Start it with: twistd -n seg", runner.invoke(main, ["--socket", "/nowhere/x", "tophosts"]).output
        )

    def test_completion(self) -> None:
        """Each shell has its script."""
        for shell in ("bash", "zsh", "fish"):
            self.assertIn("_SEG_COMPLETE", CliRunner().invoke(main, ["completion", shell]).output)

    def test_page_is_up_to_date(self) -> None:
        """docs/cli.md has the verbs as they are."""
        if not page().exists():
            self.skipTest("the documents aren't here")
        self.assertEqual(page().read_text("utf-8"), updated())

    def test_manual(self) -> None:
        """The manual pages have the verbs and options as they are."""
        for name, made in manual.PAGES.items():
            file = manual.FOLDER / name
            if not file.exists():
                self.skipTest("the manual pages aren't here")
            self.assertEqual(file.read_text("utf-8"), made(), f"{name}: python -m seg.cli.manual")
        for name in LazyGroup.verbs:
            self.assertRegex(manual.manual(), r"\n\.SS seg " + re.escape(name.replace("-", "\\-")) + " ")

    def test_groff(self) -> None:
        """groff has nothing to object to the manual pages."""
        groff = optional_program("groff", "--version")
        for name in manual.PAGES:
            command = [groff, "-man", "-Tutf8", "-ww", "-z", manual.FOLDER / name]
            done = subprocess.run(command, capture_output=True, timeout=60, check=False)
            self.assertEqual((done.stderr, done.returncode), (b"", 0), name)

    def test_roff(self) -> None:
        """What roff would take for its own stays text."""
        self.assertEqual([escape(words) for words in (".x", "'x", "a\\b-c")], ["\\&.x", "\\&'x", "a\\eb\\-c"])
