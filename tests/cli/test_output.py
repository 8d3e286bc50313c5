"""Nothing that other hosts, messages or files say steers the terminal of an operator, whichever verb shows it."""

from __future__ import annotations

import ast
import json
import shlex
import sys
from pathlib import Path
from typing import Any
from unittest import mock

import click
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

import seg.cli
from seg.cli import main as cli
from seg.cli.client import GatewayClient
from seg.cli.options import Answering, json_or_text
from seg.cli.output import print_json, say, shown_safely, visible
from tests.cli.transcripts import KeptGateway, kept

EVIL = "\x1b[2J\x1b]0;x\x07\x00\r\x7f\x9b31m\u202e\u2066\u200e\ufeff\u2028\ud800\x85"
FORBIDDEN = {*map(chr, range(32)), *map(chr, range(127, 160)), *EVIL} - set("\n\t[2J]0;x31m")
# Where bytes are wanted as they are (showmessage --raw, completion), and what isn't for a terminal at all.
NOT_A_VERB = ("demo", "sendmail", "completion", "reference", "manual", "output")


def steering(text: str) -> set[str]:
    """What of a text would steer a terminal."""
    return set(text) & FORBIDDEN


def made_evil(value: Any) -> Any:
    """An answer of the API with evil text in every field."""
    if isinstance(value, dict):
        return {name: made_evil(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [made_evil(inner) for inner in value]
    return value + EVIL if isinstance(value, str) else value


class VisibleTests(SynchronousTestCase):
    """`visible`, `say` and `print_json`."""

    @given(st.text(st.characters(), max_size=30))
    def test_any_text(self, text: str) -> None:
        """No text steers; what doesn't steer stays as it is; JSON says the same as before."""
        shown = visible(text)
        self.assertEqual(steering(shown), set())
        if not steering(text):
            self.assertEqual(visible(shown), shown)
        with CliRunner().isolation(color=True) as streams:
            print_json({"x": text})
            say(text, fg="red")
            say(text, err=True)
            sys.stdout.flush()
            output = streams[0].getvalue().decode()
        document, _, rest = output.partition("\n}\n")
        self.assertEqual(json.loads(document + "}"), {"x": text})
        self.assertEqual(steering(document + rest.replace("\x1b[31m", "").replace("\x1b[0m", "")), set())

    def test_kept(self) -> None:
        """Letters of all scripts, tabs and line ends are shown as they are."""
        for text in ("a\tb\nc", "münchen", "日本", "שלום", "\U0001f600"):
            self.assertEqual(visible(text), text)

    def test_errors(self) -> None:
        """The message of an error is shown so, too."""
        self.assertEqual(steering(shown_safely(click.ClickException(EVIL)).format_message()), set())
        self.assertEqual(steering(shown_safely(click.UsageError(EVIL)).format_message()), set())


class VerbTests(SynchronousTestCase):
    """Every verb."""

    def run_with(self, words: list[str], gateway: Any) -> str:
        """All that it writes to the terminal; it may fail at words that it doesn't know."""
        with mock.patch.object(cli.CommandContext, "gateway", lambda *_: gateway):
            result = CliRunner().invoke(cli.main, words, prog_name="seg", color=True)
        return (
            result.output.replace("\x1b[0m", "")
            .replace("\x1b[1m", "")
            .replace("\x1b[31m", "")
            .replace("\x1b[32m", "")
            .replace("\x1b[33m", "")
            .replace("\x1b[36m", "")
        )

    def test_evil_answers(self) -> None:
        """Each verb that docs/cli.md shows, with evil data in every text of the gateway's answer."""
        shown = 0
        for transcript in kept()[1]:
            answers = {path: (name, made_evil(answer)) for path, (name, answer) in transcript["answers"].items()}
            for more in ([], ["--json"]):
                output = self.run_with([*shlex.split(transcript["command"])[1:], *more], KeptGateway(answers))
                self.assertEqual(steering(output), set(), transcript["command"])
                shown += "\\x1b" in output or "\\u001b" in output
        self.assertGreater(shown, 30)

    def test_evil_errors(self) -> None:
        """Each verb, when the gateway refuses with an evil text."""

        class RefusingGateway(GatewayClient):
            def __init__(self) -> None:
                pass

            def get(self, path: str, **query: object) -> Any:
                raise click.ClickException(EVIL)

            def post(self, path: str, **body: object) -> Any:
                raise click.ClickException(EVIL)

        for transcript in kept()[1]:
            words = shlex.split(transcript["command"])[1:]
            self.assertEqual(steering(self.run_with(words, RefusingGateway())), set(), words)
        for evil in (
            ["status", "\x1b[2J"],
            ["\x1b[2Jstatus"],
            ["--\x9bx"],
            ["queue", "show", "1\u202e"],
            ["grep", "(\x1b"],
        ):
            self.assertEqual(steering(self.run_with(evil, RefusingGateway())), set(), evil)

    def test_one_writer(self) -> None:
        """No module of the command writes to the terminal by another way than `seg.cli.output`."""
        for path in sorted(Path(seg.cli.__file__).parent.glob("*.py")):
            if path.stem.startswith(NOT_A_VERB):
                continue
            for node in ast.walk(ast.parse(path.read_text("utf-8"))):
                if isinstance(node, ast.Call):
                    called = ast.unparse(node.func)
                    self.assertNotIn(
                        called,
                        (
                            "print",
                            "click.echo",
                            "click.secho",
                            "click.prompt",
                            "click.style",
                            "sys.stderr.write",
                            "sys.stdout.write",
                        ),
                        path,
                    )


class AnsweringTests(SynchronousTestCase):
    """`json_or_text`."""

    def test_both(self) -> None:
        """With --json the answer is printed and nothing else is told; without it is told to a person."""
        told: list[Any] = []

        @click.command()
        @click.argument("name")
        @json_or_text
        def verb(context: Any, name: str) -> Answering:
            """A verb."""
            answer = yield {"name": name, "of": context}
            told.append(answer)
            click.echo(f"It is {answer['name']}.")

        for words, output, number in ((["a"], "It is a.\n", 1), (["a", "--json"], None, 1)):
            result = CliRunner().invoke(verb, words, obj=7)
            self.assertEqual(result.exit_code, 0, result.output)
            self.assertEqual(len(told), number)
            if output is None:
                self.assertEqual(json.loads(result.output), {"name": "a", "of": 7})
            else:
                self.assertEqual(result.output, output)
        self.assertEqual(verb.help, "A verb.")
