"""Whole tables that come from an operator's file or go to one, and tables that are emptied: the same for destinations and routes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import click

from seg.cli.dialogue import can_ask, confirm, sure
from seg.cli.output import say
from seg.cli.staged import StagedEdits, remove

Command = TypeVar("Command", bound=Callable[..., Any])
SHOWN = 10  # names in a question

FROM_FILE = click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
TO_FILE = click.argument("file", type=click.Path(dir_okay=False, path_type=Path), required=False)
YES = click.option("--yes", is_flag=True, help="Don't ask.")


def merge_or_replace(noun: str) -> Callable[[Command], Command]:
    """The two options of an import; `noun` is what the table has, "entries"."""

    def decorate(command: Command) -> Command:
        command = click.option(
            "--replace", "how", flag_value="replace", help=f"Remove {noun} that the file doesn't have."
        )(command)
        return click.option("--merge", "how", flag_value="merge", help=f"Keep {noun} that the file doesn't have.")(
            command
        )

    return decorate


def read(file: Path) -> str:
    """:raises click.ClickException: it can't be read, or isn't UTF-8."""
    try:
        return file.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise click.ClickException(f"{file} can't be read: {error}") from None


def write(file: Path | None, text: str) -> None:
    """To the file, or to the terminal.

    :raises click.ClickException: it can't be written.
    """
    if file is None:
        say(text, nl=False)
        return
    try:
        file.write_text(text, "utf-8")
    except OSError as error:
        raise click.ClickException(f"{file} can't be written: {error.strerror}") from None
    say(f"Written to {file}.")


def replaces(how: str | None, gone: Sequence[str], noun: str, file: Path) -> bool:
    """Whether the rows that the file doesn't have are to go; asks when it wasn't said.

    :raises click.UsageError: it wasn't said, and nobody can be asked.
    """
    if how is None and gone:
        told = f"{len(gone)} {noun} aren't in {file}"
        if not can_ask():
            raise click.UsageError(f"{told}: say --merge to keep or --replace to remove them")
        say(f"{told}: {', '.join(gone[:SHOWN])}{', ...' if len(gone) > SHOWN else ''}")
        return not confirm("Keep them?", True)
    return how == "replace"


def clear(bench: StagedEdits, file: str, table: str, noun: str, yes: bool, as_json: bool) -> None:
    """Stage the removal of every row.

    :raises click.ClickException: there is none.
    """
    names = bench.table(file, table)
    if not names:
        raise click.ClickException(f"there are no {noun}")
    sure(f"Remove all {len(names)} {noun}?", f"this removes {len(names)} {noun}", yes)
    bench.stage([remove(file, (table, name)) for name in names], as_json)
