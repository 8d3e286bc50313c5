"""``seg workqueue``: messages that are in but not queued yet; and to let nothing out for a while, for a reason."""

from __future__ import annotations

from typing import Any

import click

from seg.cli.client import GatewayClient
from seg.cli.context import CommandContext
from seg.cli.dialogue import ask, can_ask, menu
from seg.cli.options import JSON, Answering, json_or_text
from seg.cli.output import say
from seg.cli.rates import as_lines, count, interval, watch
from seg.cli.tables import paused_line, print_json, print_not_written, stamp

PATH = "/v1/workqueue"
OPERATIONS = {
    "STATUS": "Display work queue status",
    "PAUSE": "Pause the work queue",
    "RESUME": "Resume the work queue",
    "RATE": "Display work queue statistics over time",
}
RATE = (("Pending", "pending"), ("In", "entered_delta"), ("Out", "left_delta"), ("Queue", "queued"))


@click.group(invoke_without_command=True)
@click.pass_context
def workqueue(context: click.Context) -> None:
    """The work queue: messages that are whole but not queued yet, because filters judge them or they are being written.

    It can't be paused by itself, as its clients wait for their 250: while it is paused mail is received, filtered and queued, but nothing
    leaves the queue, whatever its destination, until seg workqueue resume.
    """
    if context.invoked_subcommand is not None:
        return
    gateway = context.obj.gateway()
    facts = gateway.get(PATH)
    _print(facts)
    if not can_ask():
        return
    chosen = menu("", OPERATIONS)
    if chosen == "STATUS":
        _print(gateway.get(PATH))
    elif chosen == "PAUSE":
        _change(gateway, False, pause=_reason())
    elif chosen == "RESUME":
        _change(gateway, False, resume=True)
    elif chosen == "RATE":
        _rate(gateway, 10, None, False)


@workqueue.command("status")
@json_or_text
def status_(context: CommandContext) -> Answering:
    """Whether it is paused, and how many messages are in it."""
    facts = yield context.gateway().get(PATH)
    _print(facts)


@workqueue.command("rate")
@interval
@count
@as_lines
@click.pass_obj
def rate_(context: CommandContext, interval: int, count: int | None, as_json: bool) -> None:
    """How many messages are in it, came in and went out (queued, refused or dropped) since the line before, a line every few seconds."""
    _rate(context.gateway(), interval, count, as_json)


@workqueue.command()
@click.option("--reason", metavar="TEXT", help="Why; it is shown until the end of the pause.")
@JSON
@click.pass_obj
def pause(context: CommandContext, reason: str | None, as_json: bool) -> None:
    """Let nothing leave the queue until seg workqueue resume, over restarts too; mail goes on being received, filtered and queued."""
    if reason is None:
        if not can_ask():
            raise click.UsageError("say why: --reason TEXT")
        reason = _reason()
    _change(context.gateway(), as_json, pause=reason)


@workqueue.command()
@JSON
@click.pass_obj
def resume(context: CommandContext, as_json: bool) -> None:
    """End the pause. What is suspended by seg suspenddel stays so."""
    _change(context.gateway(), as_json, resume=True)


def _reason() -> str:
    return ask("Enter a reason for pausing the work queue.", "", lambda text: "" if text else "A reason is needed.")


def _change(gateway: GatewayClient, as_json: bool, **body: object) -> None:
    facts = gateway.post(PATH, **body)
    print_json(facts) if as_json else _print(facts)


def _print(facts: dict[str, Any]) -> None:
    pause = facts["paused"]
    say(f"Status as of:  {stamp(facts['at'])}")
    say(f"Status:        {paused_line(pause) if pause else 'Operational'}")
    print_not_written(facts)
    say(f"Messages:      {facts['pending']} with the filters or being written, {facts['queued']} queued")


def _rate(gateway: GatewayClient, interval: int, count: int | None, as_json: bool) -> None:
    kept = ("pending", "entered", "left", "queued")

    def look() -> dict[str, Any]:
        facts = gateway.get(PATH)
        return {name: facts[name] for name in kept}

    watch(look, ("entered", "left"), RATE, interval, count, as_json)
