"""``docs/cli.md``: every verb with its usage, made from the help texts. Run as ``python -m seg.cli.reference``."""

from __future__ import annotations

import re
from pathlib import Path

import click

from seg.cli.main import LazyGroup, main
from seg.config.marked import replace_block

COMMAND = "python -m seg.cli.reference"


def reference() -> str:
    """The verbs in their sections."""
    context = click.Context(main, info_name="seg")
    parts = []
    for title, section in LazyGroup.sections.items():
        rows = [row for name in section for row in _rows(context, name)]
        parts.append("\n".join([f"## {title}", "", "| command | what it does |", "|---|---|", *rows]))
    return "\n\n".join(parts)


def _rows(context: click.Context, name: str) -> list[str]:
    command = main.get_command(context, name)
    assert command is not None  # it stands in a section
    inner = click.Context(command, info_name=name, parent=context)
    if isinstance(command, click.Group):
        verbs = [command.get_command(inner, verb) for verb in command.list_commands(inner)]
        rows = [_row(f"{name} {verb.name}", verb, inner) for verb in verbs if verb is not None]
        return [_row(name, command, context), *rows] if command.params else rows  # it does something by itself
    return [_row(name, command, context)]


def _row(words: str, command: click.Command, parent: click.Context) -> str:
    context = click.Context(command, info_name=words.split()[-1], parent=parent)
    arguments = [
        parameter.make_metavar(context) for parameter in command.params if isinstance(parameter, click.Argument)
    ]
    usage = " ".join(["seg", words, *arguments])
    text = re.sub(r"\s+", " ", (command.short_help or command.help or "").split("\n\n")[0]).strip()
    return f"| `{usage.replace('|', chr(92) + '|')}` | {text.replace('|', chr(92) + '|')} |"


def page() -> Path:
    """Where it is kept."""
    return Path(__file__).parents[2] / "docs" / "cli.md"


def updated() -> str:
    """The page with the verbs as they are."""
    return replace_block(page().read_text("utf-8"), COMMAND, reference())


if __name__ == "__main__":
    page().write_text(updated(), "utf-8")
