"""Change control: ``seg changes``, ``commit``, ``clearchanges``, ``commitdetail``, ``rollbackconfig``, ``reload``, ``showconfig``."""

from __future__ import annotations

import difflib
import sys
from pathlib import Path
from typing import Any

import click

from seg.cli.client import GatewayClient, GatewayError
from seg.cli.context import CommandContext
from seg.cli.dialogue import sure
from seg.cli.options import JSON, Answering, WordChoice, json_or_text
from seg.cli.output import prompt, say
from seg.cli.tables import plain, print_json, print_table, stamp

HINT = "Nothing takes effect until: seg commit"


def show_diff(diff: str) -> None:
    """A diff, in colours on a terminal."""
    for line in diff.splitlines():
        colour = {"+": "green", "-": "red", "@": "cyan"}.get(line[:1])
        say(plain(line), fg=None if line.startswith(("+++", "---")) else colour)


def stage(gateway: GatewayClient, edits: list[dict[str, Any]], as_json: bool = False) -> None:
    """Stage edits, and show what they changed (`seg changes` shows all that is staged)."""
    before = {} if as_json else gateway.get("/v1/configuration")
    answer = gateway.post("/v1/changes", edits=edits)
    if as_json:
        print_json(answer)
        return
    if not answer["diff"]:
        say("This is what is in use already: nothing is staged.")
        return
    show_diff(_own_change(before, gateway.get("/v1/configuration")) or answer["diff"])
    say(HINT)


def _own_change(before: dict[str, Any], after: dict[str, Any]) -> str:
    """What one command changed, as a diff; "" when it can't be seen (a password that changed)."""
    lines: list[str] = []
    for file in ("settings", "destinations"):
        name = Path(after["files"][file]).name
        old, new = before[file].splitlines(), after[file].splitlines()
        lines += difflib.unified_diff(old, new, f"{name} (before)", name, lineterm="")
    return "\n".join(lines)


@click.group(invoke_without_command=True)
@JSON
@click.pass_context
def changes(context: click.Context, as_json: bool) -> None:
    """Show your changes that aren't committed yet, as a diff."""
    if context.invoked_subcommand is not None:
        return
    found = context.obj.gateway().get("/v1/changes")
    if as_json:
        print_json(found)
        return
    show_diff(found["diff"])
    if not found["diff"]:
        say("No changes pending.")
    else:
        say(f"Staged by {plain(found['by'])} since {stamp(found['since'])}. {HINT}")
    if found["behind"]:
        say("Somebody else committed meanwhile: seg changes rebase puts yours on top.")
    if found["others"]:
        say(f"Others have changes too: {', '.join(plain(name) for name in found['others'])}.")


@changes.command()
@json_or_text
def rebase(context: CommandContext) -> Answering:
    """Put your changes on top of what others committed meanwhile. Refused where both changed the same key."""
    answer = yield _told(lambda: context.gateway().post("/v1/changes/rebase"))
    show_diff(answer["diff"])
    say(HINT)


@click.command()
@click.argument("words", nargs=-1, metavar="[COMMENT]...")
@click.option("-m", "--comment", metavar="TEXT", help="What the change is for; kept with it.")
@JSON
@click.pass_obj
def commit(context: CommandContext, words: tuple[str, ...], comment: str | None, as_json: bool) -> None:
    """Commit your changes: the whole configuration is checked, written, and in force for the next connection and the next
    message. No restart, no connection dropped. If anything is wrong, nothing changes.

    \b
    seg commit -m "TLS for partner.example, ticket 4711"
    """
    gateway = context.gateway(120.0)
    text = comment if comment is not None else " ".join(words)
    if not text and not as_json and sys.stdin.isatty():
        say("Please enter some comments describing your changes:")
        text = prompt("[]", default="", show_default=False, prompt_suffix="> ")
    answer = _told(lambda: gateway.post("/v1/commits", comment=text))
    if as_json:
        print_json(answer)
        return
    say(f"Changes committed: {stamp(answer['when'])} (commit {answer['number']})")
    _tell_waiting(answer)


@click.command()
@JSON
@click.option("--yes", is_flag=True, help="Don't ask.")
@click.pass_obj
def clearchanges(context: CommandContext, as_json: bool, yes: bool) -> None:
    """Drop your changes that aren't committed: it asks before, and without a terminal or with --json it refuses unless --yes is said."""
    gateway = context.gateway()
    pending = "" if yes and as_json else gateway.get("/v1/changes")["diff"]
    if pending:
        if not as_json:
            show_diff(pending)
        question = "Are you sure you want to clear all changes since the last commit?"
        sure(question, "this drops your changes that aren't committed", yes, as_json)
    answer = gateway.delete("/v1/changes")
    if as_json:
        print_json(answer)
    else:
        say("Changes cleared.")


@click.command()
@click.argument("number", type=click.IntRange(1), required=False)
@json_or_text
def commitdetail(context: CommandContext, number: int | None) -> Answering:
    """Show what a commit changed; the last one without a NUMBER."""
    gateway = context.gateway()
    if number is None:
        commits = gateway.get("/v1/commits", limit=1)["commits"]
        if not commits:
            raise click.ClickException("there is no commit yet")
        number = commits[0]["number"]
    found = yield gateway.get(f"/v1/commits/{number}")
    say(f"Commit {found['number']} by {plain(found['by'])}, {stamp(found['when'])}: {plain(found['comment'])}")
    show_diff(found["diff"])


@click.command()
@click.argument("number", type=click.IntRange(1), required=False)
@click.option("--limit", type=click.IntRange(1, 100), default=10, show_default=True, help="Most commits listed.")
@click.option("--commit", "at_once", is_flag=True, help="Commit it at once.")
@click.option("--yes", is_flag=True, help="Don't ask before changes of yours are replaced that aren't committed.")
@JSON
@click.pass_obj
def rollbackconfig(
    context: CommandContext, number: int | None, limit: int, at_once: bool, yes: bool, as_json: bool
) -> None:
    """List the last commits, or stage the configuration as it was after commit NUMBER.

    Changes of yours that aren't committed are replaced: it asks before, and without a terminal (also with --json) it refuses unless --yes is
    said.
    """
    gateway = context.gateway(120.0)
    asks = not as_json and sys.stdin.isatty()
    if number is None:
        commits = gateway.get("/v1/commits", limit=limit)["commits"]
        if as_json:
            print_json({"commits": commits})
            return
        columns = (("Number", "right"), ("Committed On", "left"), ("User", "left"), ("Description", "left"))
        print_table(columns, [(c["number"], stamp(c["when"]), c["by"], c["comment"]) for c in commits])
        if not asks or not commits:
            return
        number = prompt("Enter the number of the configuration to go back to", type=int)
    pending = "" if yes else gateway.get("/v1/changes")["diff"]
    if pending:
        if not as_json:
            show_diff(pending)
        told = "this replaces your changes that aren't committed"
        sure("This replaces your changes above. Are you sure?", told, yes, as_json)
    answer = _told(lambda: gateway.post("/v1/rollback", number=number))
    if as_json and not at_once:
        print_json(answer)
        return
    if not answer["diff"]:
        say("That is the configuration in use: nothing is staged.")
        return
    if not as_json:
        show_diff(answer["diff"])
    if not at_once and not (asks and click.confirm("Do you want to commit this configuration now?", default=False)):
        say(HINT)
        return
    done = _told(lambda: gateway.post("/v1/commits", comment=f"back to commit {number}"))
    if as_json:
        print_json(done)
        return
    say(f"Changes committed: {stamp(done['when'])} (commit {done['number']})")
    _tell_waiting(done)


@click.command()
@JSON
@click.pass_obj
def reload(context: CommandContext, as_json: bool) -> None:
    """Read the files again after you edited them by hand. If they have faults, what is in use stays in use."""
    answer = _told(lambda: context.gateway(120.0).post("/v1/reload"))
    if as_json:
        print_json(answer)
    elif not answer["changed"]:
        say("The files are as they were read last.")
    else:
        say(f"Read again and in force (commit {answer['number']}).")
        _tell_waiting(answer)


@click.command()
@click.argument("file", type=WordChoice(["settings", "destinations"]), required=False)
@json_or_text
def showconfig(context: CommandContext, file: str | None) -> Answering:
    """Show the configuration as you see it: in use, with your changes. Passwords are left out."""
    found = yield context.gateway().get("/v1/configuration")
    for name in [file] if file else ["settings", "destinations"]:
        if not file:
            say(f"# ===== {found['files'][name]}", bold=True)
        say(found[name])


def _tell_waiting(answer: dict[str, Any]) -> None:
    if answer["at_next_start"]:
        say(f"In force at the next start only: {', '.join(answer['at_next_start'])}.")


def _told(call: Any) -> Any:
    """The answer; of a conflict both sides are shown.

    :raises GatewayError: it was refused.
    """
    try:
        return call()
    except GatewayError as error:
        for name, title in (("theirs", "What came in meanwhile:"), ("yours", "Your changes:")):
            if error.answer.get(name):
                say(title, err=True)
                say("\n".join(plain(line) for line in error.answer[name].splitlines()), err=True)
        raise
