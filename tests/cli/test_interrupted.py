"""Ctrl-C ends every verb with 130, as a shell has it; NO_COLOR leaves the colours out everywhere."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from typing import Any
from unittest import mock

import click
from click.testing import CliRunner
from twisted.trial.unittest import SynchronousTestCase

from seg.cli import output, tables
from seg.cli.main import INTERRUPTED, main


def verbs(group: click.Group = main, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    """Every verb with its whole name."""
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        if isinstance(command, click.Group):
            yield from verbs(command, (*path, name))
        else:
            yield (*path, name), command


class InterruptedTests(SynchronousTestCase):
    """Ctrl-C."""

    def test_every_verb(self) -> None:
        """Whatever a verb is doing then: no word, no traceback, and 130."""

        def interrupted(context: click.Context) -> Any:
            raise KeyboardInterrupt

        seen = 0
        for path, command in verbs():
            with mock.patch.multiple(command, invoke=interrupted, parse_args=lambda context, args: []):
                result = CliRunner().invoke(main, list(path))
            self.assertEqual((result.exit_code, result.output), (INTERRUPTED, ""), path)
            seen += 1
        self.assertGreater(seen, 90)

    def test_at_a_question(self) -> None:
        """At a question too; an end of the input is no Ctrl-C."""
        for raised, status in ((KeyboardInterrupt, INTERRUPTED), (EOFError, 1)):

            def asks(context: click.Context, raised: type[BaseException] = raised) -> None:
                with mock.patch("click.termui.visible_prompt_func", side_effect=raised):
                    click.prompt("Which?")

            command = main.get_command(click.Context(main), "version")
            with mock.patch.object(command, "invoke", asks):
                self.assertEqual(CliRunner().invoke(main, ["version"]).exit_code, status)

    def test_following(self) -> None:
        """`seg tail -f` is ended by nothing else, and says so."""
        with self._configured() as options, mock.patch("seg.maillog.follow.follow", side_effect=KeyboardInterrupt):
            self.assertEqual(CliRunner().invoke(main, [*options, "tail", "-f"]).exit_code, INTERRUPTED)

    def test_misspelt(self) -> None:
        """A verb that isn't there is answered with the nearest."""
        for typed, meant in (("stauts", "status"), ("destconf", "destconfig"), ("que", "queue"), ("xyzzy", "")):
            result = CliRunner().invoke(main, [typed])
            self.assertEqual(result.exit_code, 2)
            self.assertEqual("did you mean" in result.output, bool(meant), result.output)
            self.assertIn(f"did you mean {meant}?" if meant else "seg --help", result.output)

    def _configured(self) -> Any:
        folder = self.mktemp()
        os.makedirs(folder)
        for name in ("seg.toml", "destinations.toml"):
            with open(os.path.join(folder, name), "w", encoding="utf-8"):
                pass
        return mock.MagicMock(__enter__=lambda _: ["--config", folder])


class ColourTests(SynchronousTestCase):
    """https://no-color.org"""

    def test_no_color(self) -> None:
        """With NO_COLOR set no escape is written, by lines and by tables; an empty one doesn't count."""
        for value, wanted in (("", True), ("1", False), ("0", False)):
            written: list[str] = []
            with (
                mock.patch.dict(os.environ, {"NO_COLOR": value, "TERM": "xterm"}),
                mock.patch.object(click, "echo", lambda text, written=written, **how: written.append(text)),
                mock.patch.object(output.sys.stdout, "isatty", lambda: True, create=True),
            ):
                output.say("careful", fg="red", bold=True)
                output.say(f"one {output.styled('word', fg='green')} of it")
                with mock.patch.object(tables.sys, "stdout", mock.MagicMock(isatty=lambda: True)):
                    tables.print_table((("Name", "left"),), [("a",)])
            for text in written:
                self.assertEqual("\x1b" in text, wanted, (value, text))
            self.assertTrue(all(re.search(r"careful|word|Name", text) for text in written))
