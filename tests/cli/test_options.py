"""Words that verbs take: as they are printed, however they are written."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from unittest import mock

import click
from click.testing import CliRunner
from twisted.trial.unittest import SynchronousTestCase

from seg.cli.bulk import counted
from seg.cli.main import CommandContext, main
from seg.cli.options import WordChoice
from seg.cli.sendmail_options import UsageFault, parse
from seg.mail.causes import CauseKind
from tests.cli.test_queue_list import PagingGateway


def words_of(command: click.Command, path: str = "seg") -> Iterator[tuple[str, click.Parameter]]:
    """Every parameter of every verb that takes one of some words."""
    for parameter in command.params:
        if isinstance(parameter.type, click.Choice):
            yield f"{path} {parameter.name}", parameter
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            below = command.get_command(context, name)
            assert below is not None
            yield from words_of(below, f"{path} {name}")


class WordTests(SynchronousTestCase):
    """One of some words."""

    def test_every_verb(self) -> None:
        """Each is taken as it is printed, in capitals, and with the other kind of stroke; a wrong one is answered with the nearest."""
        found = dict(words_of(main))
        self.assertIn("seg queue list cause", found)
        self.assertGreater(len(found), 8)
        for place, parameter in found.items():
            self.assertIsInstance(parameter.type, WordChoice, place)
            assert isinstance(parameter.type, WordChoice)
            for word in parameter.type.choices:
                for typed in (word, word.upper(), word.replace("-", "_"), word.replace("_", "-")):
                    self.assertEqual(parameter.type.convert(typed, parameter, None), word, place)
            word = parameter.type.choices[0]
            error = self.assertRaises(click.BadParameter, parameter.type.convert, word + "x", parameter, None)
            self.assertIn(f"did you mean {word}?", str(error), place)

    def test_counted(self) -> None:
        """One is one."""
        for number, words, text in (
            (1, (), "1 message"),
            (0, ("file",), "0 files"),
            (2, ("policy", "policies"), "2 policies"),
        ):
            self.assertEqual(counted(number, *words), text)

    def test_sendmail(self) -> None:
        """A long option that isn't there is named whole."""
        self.assertIn("there is no option --nonsense", str(self.assertRaises(UsageFault, parse, ["--nonsense", "a@b"])))

    def test_cause(self) -> None:
        """``queue list --cause`` asks for the cause that the listing prints."""
        asked: list[Any] = []

        class Gateway(PagingGateway):
            def get(self, path: str, limit: int, after: int = 0, **query: object) -> Any:
                asked.append(query["cause"])
                return super().get(path, limit, after)

        for typed in ("tls-not-offered", "TLS_NOT_OFFERED"):
            with mock.patch.object(CommandContext, "gateway", lambda *_: Gateway(1)):
                self.assertEqual(CliRunner().invoke(main, ["queue", "list", "--cause", typed]).exit_code, 0)
        self.assertEqual(set(asked), {CauseKind.TLS_NOT_OFFERED.value})
        result = CliRunner().invoke(main, ["queue", "list", "--cause", "tls-not-ofered"])
        self.assertEqual(result.exit_code, 2)
        self.assertIn(
            "there is no 'tls-not-ofered'; did you mean tls-not-offered? There are tls-not-offered, ", result.output
        )
