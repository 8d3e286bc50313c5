"""``seg queue corrupt``: what the queue has put aside because nothing could be made of it."""

from __future__ import annotations

import sys
from typing import Any

import click

from seg.cli.bulk import counted
from seg.cli.context import CommandContext
from seg.cli.dialogue import sure
from seg.cli.options import JSON, Answering, json_or_text
from seg.cli.output import say
from seg.cli.tables import ago, plain, print_json, print_table, size, stamp

COLUMNS = (
    ("Name", "left"),
    ("MID", "right"),
    ("Size", "right"),
    ("Age", "right"),
    ("Sender", "left"),
    ("Recipients", "left"),
    ("What is wrong", "left"),
)
NAMES = click.argument("names", nargs=-1, metavar="[NAME]...")
ALL = click.option("--all", "everything", is_flag=True, help="All of them.")


@click.group()
def corrupt() -> None:
    """Files that were put aside, as the queue can't read them as messages."""


@corrupt.command("list")
@json_or_text
def list_(context: CommandContext) -> Answering:
    """List the files that were put aside, and what is wrong with each."""
    found = yield context.gateway().get("/v1/corrupt")
    if not found["files"]:
        say("Nothing was put aside.")
        return
    print_table(COLUMNS, [_row(each) for each in found["files"]])
    say(f"{counted(found['total'], 'file')}.")


def _row(file: dict[str, Any]) -> tuple[object, ...]:
    known = bool(file["recipients"])
    return (
        plain(file["name"]),
        file["mid"] or "-",
        size(file["size"]),
        ago(file["modified"]),
        f"<{plain(file['sender'])}>" if known else "-",
        plain(" ".join(file["recipients"][:3])) if known else "-",
        plain(file["reason"]),
    )


@corrupt.command()
@click.argument("name")
@json_or_text
def show(context: CommandContext, name: str) -> Answering:
    """Show one file: what is wrong with it, and its beginning."""
    file = yield context.gateway().get("/v1/corrupt/file", name=name)
    say(f"{plain(file['name'])}: {file['kind']}, {size(file['size'])}, changed {stamp(file['modified'])}")
    say(f"What is wrong: {plain(file['reason'])}")
    if file["recipients"]:
        say(f"From <{plain(file['sender'])}> to {plain(', '.join(file['recipients']))}")
    say("\n" + "\n".join(plain(line.expandtabs()) for line in file["head"].splitlines()))


@corrupt.command()
@NAMES
@ALL
@JSON
@click.pass_obj
def restore(context: CommandContext, names: tuple[str, ...], everything: bool, as_json: bool) -> None:
    """Bring files that were mended back into the queue."""
    _act(context, "restore", "restored", names, everything, as_json)


@corrupt.command()
@NAMES
@ALL
@click.option("--yes", is_flag=True, help="Don't ask.")
@JSON
@click.pass_obj
def delete(context: CommandContext, names: tuple[str, ...], everything: bool, yes: bool, as_json: bool) -> None:
    """Remove files for good. Nobody is told: neither sender nor recipient."""
    what = "all files" if everything else counted(len(names), "file")
    if names or everything:
        sure(f"Delete {what} for good?", f"this deletes {what}", yes)
    _act(context, "delete", "deleted", names, everything, as_json)


def _act(
    context: CommandContext, action: str, done: str, names: tuple[str, ...], everything: bool, as_json: bool
) -> None:
    """Do it to each, tell what came of it; exit status 1 if any was refused or there was none."""
    if bool(names) == everything:
        raise click.UsageError("name files, or all of them by --all")
    chosen: dict[str, Any] = {"all": True} if everything else {"names": list(names)}
    answer = context.gateway(600.0).post("/v1/corrupt", action=action, **chosen)
    if as_json:
        print_json(answer)
    else:
        for name, reason in answer["refused"].items():
            say(f"{plain(name)}: {plain(reason)}", err=True)
        count = len(answer["done"])
        say(f"{counted(count, 'file')} {done}.")
    if answer["refused"] or not answer["done"]:
        sys.exit(1)
