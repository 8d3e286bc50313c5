"""``seg queue``: what waits, why, and what to do with it."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any

import click

from seg.cli.bulk import Selection, counted, find, in_pieces
from seg.cli.client import GatewayClient
from seg.cli.context import CommandContext
from seg.cli.corrupt import corrupt
from seg.cli.dialogue import sure
from seg.cli.messages import why
from seg.cli.options import JSON, MID, Answering, WordChoice, json_or_text
from seg.cli.output import say
from seg.cli.policy_holds import held_by_policy
from seg.cli.tables import ago, plain, print_json, print_long, print_table, size, stamp, times, until
from seg.mail.causes import POLICY_CAUSES

COLUMNS = (
    ("MID", "right"),
    ("Size", "right"),
    ("Age", "right"),
    ("State", "left"),
    ("Tries", "right"),
    ("Next try", "left"),
    ("Sender", "left"),
    ("Waiting recipients", "left"),
    ("Last failure", "left"),
)
IMPORTANCE = ("MID", "Waiting recipients", "Last failure", "State", "Next try", "Age", "Sender")

PAGE = 500  # messages asked for at a time
LONG = 600.0  # seconds for a piece, on a slow disk


@click.group()
def queue() -> None:
    """Look at the queue and act on it."""


@queue.command("list")
@click.option("--domain", metavar="DOMAIN", help="Only messages with a recipient waiting in this domain.")
@click.option("--sender", metavar="ADDRESS", help="Only messages of this sender ('' for reports).")
@click.option("--held", is_flag=True, help="Only messages that are held.")
@click.option(
    "--cause",
    metavar="NAME",
    type=WordChoice(POLICY_CAUSES),
    help="Only messages that TLS policy keeps waiting for this cause (seg queue held-by-policy).",
)
@click.option("--limit", type=click.IntRange(1, 100000), default=100, show_default=True, help="Most messages shown.")
@JSON
@click.pass_obj
def list_(
    context: CommandContext,
    domain: str | None,
    sender: str | None,
    held: bool,
    cause: str | None,
    limit: int,
    as_json: bool,
) -> None:
    """List the messages that wait, the oldest first."""
    gateway = context.gateway()
    wanted = {"domain": domain, "sender": sender, "held": 1 if held else None, "cause": cause}
    found = gateway.get("/v1/messages", limit=limit if as_json else min(limit, PAGE), **wanted)
    if as_json:
        print_json(found)
        return
    if not found["messages"]:
        say("No such message waits." if domain or held or cause or sender is not None else "The queue is empty.")
        return
    shown = _print(gateway, wanted, found["messages"], limit)
    total = max(shown, found["total"])  # more may have come meanwhile
    say(f"{counted(total)}." if shown == total else f"The first {shown} of {total} messages; more with --limit.")


def _print(gateway: GatewayClient, wanted: Mapping[str, object], messages: list[dict[str, Any]], limit: int) -> int:
    """Print these and those behind them, as they come, up to a limit; how many they were."""
    if limit <= PAGE:
        print_table(COLUMNS, [_row(message) for message in messages], IMPORTANCE, tallest=4)
        return len(messages)
    shown = 0
    while messages:
        print_long(COLUMNS, [_row(message) for message in messages], header=not shown)
        shown += len(messages)
        more, last = min(limit - shown, PAGE), messages[-1]["mid"]
        messages = gateway.get("/v1/messages", limit=more, after=last, **wanted)["messages"] if more else []
    return shown


def _row(message: dict[str, Any]) -> tuple[object, ...]:
    recipients = message["recipients"]
    more = message["waiting"] - len(recipients)
    return (
        message["mid"],
        size(message["size"]),
        ago(message["arrived"]),
        message["state"],
        message["attempts"],
        until(message["due"]) if message["state"] in ("waiting", "due") else "-",
        f"<{message['sender']}>",
        " ".join(recipients) + (f" and {more} more" if more > 0 else ""),
        message["error"] or "-",
    )


@queue.command()
@MID
@json_or_text
def show(context: CommandContext, mid: int) -> Answering:
    """Show one message: its envelope, how each recipient fares, and its header."""
    message = yield context.gateway().get(f"/v1/messages/{mid}")
    say(f"MID {message['mid']} from <{plain(message['sender'])}>, {size(message['size'])}, {message['state']}")
    say(
        f"Received {stamp(message['arrived'])} ({ago(message['arrived'])} ago) from {message['client'] or 'the gateway itself'}"
    )
    say(f"Returned to its sender if not delivered by {stamp(message['expires'])} ({until(message['expires'])})")
    for recipient in message["recipients"]:
        say(
            f"\nRID {recipient['rid']} <{plain(recipient['address'])}>: {recipient['state']}, tried {times(recipient['attempts'])}"
        )
        if recipient["state"] == "pending" and not message["held"]:
            say(f"  Next try {until(recipient['due'])}")
        if recipient["via"]:
            say(f"  Redirected to {plain(recipient['via'])}")
        if recipient["error"]:
            say(f"  Last failure: {plain(recipient['error'])}")
    say("\n" + "\n".join(plain(line.expandtabs()) for line in message["header"].splitlines()))


def _chosen(mids: tuple[int, ...], domain: str | None, everything: bool) -> dict[str, Any]:
    """The messages that the arguments name, as the API wants it; all of them: {}.

    :raises click.UsageError: nothing was named, or two ways at once.
    """
    if sum((bool(mids), domain is not None, everything)) != 1:
        raise click.UsageError("name messages by their MIDs, or by --domain, or all of them by --all")
    if mids:
        return {"mids": list(mids)}
    return {"domain": domain} if domain is not None else {}


def _selection(command: Any) -> Any:
    """The arguments that all acting verbs share."""
    for decorate in (
        click.argument("mids", type=click.IntRange(1), nargs=-1, metavar="[MID]..."),
        click.option("--domain", metavar="DOMAIN", help="All messages with a recipient waiting in this domain."),
        click.option("--all", "everything", is_flag=True, help="All messages."),
        JSON,
        click.pass_obj,
    ):
        command = decorate(command)
    return command


def _act(
    gateway: GatewayClient,
    chosen: dict[str, Any],
    action: str,
    done: str,
    as_json: bool,
    found: Selection | None = None,
) -> None:
    """Do it to each message, tell what came of it; exit status 1 if any was refused or there was none.

    :param found: what `chosen` finds, if that is known.
    """
    if "mids" in chosen:
        answer = gateway.post("/v1/messages", action=action, **chosen)
    else:
        answer = in_pieces(gateway, action, chosen, found or find(gateway, chosen), quiet=as_json)
    number, refused = len(answer["done"]), answer["refused"]
    if as_json:
        print_json(answer)
    else:
        for mid, reason in refused.items():
            say(f"MID {mid}: {reason}", err=True)
        for mid, reason in answer.get("not_written", {}).items():
            say(f"MID {mid}: in force, not written down yet: {reason}", err=True)
        say(f"{counted(number)} {done}." if number or refused else "No such message waits.")
    if refused or not number:
        sys.exit(1)


@queue.command()
@_selection
def hold(context: CommandContext, mids: tuple[int, ...], domain: str | None, everything: bool, as_json: bool) -> None:
    """Keep messages from being tried until they are released."""
    _act(context.gateway(LONG), _chosen(mids, domain, everything), "hold", "held", as_json)


@queue.command()
@_selection
def release(
    context: CommandContext, mids: tuple[int, ...], domain: str | None, everything: bool, as_json: bool
) -> None:
    """Let held messages go on."""
    _act(context.gateway(LONG), _chosen(mids, domain, everything), "release", "released", as_json)


@queue.command()
@_selection
def retry(context: CommandContext, mids: tuple[int, ...], domain: str | None, everything: bool, as_json: bool) -> None:
    """Try messages now, whatever their schedule says; limits of the destination still hold."""
    _act(context.gateway(LONG), _chosen(mids, domain, everything), "retry", "due now", as_json)


@queue.command()
@_selection
@click.option("--yes", is_flag=True, help="Don't ask.")
def delete(
    context: CommandContext, mids: tuple[int, ...], domain: str | None, everything: bool, as_json: bool, yes: bool
) -> None:
    """Remove messages for good. Nobody is told: neither sender nor recipient."""
    gateway = context.gateway(LONG)
    chosen = _chosen(mids, domain, everything)
    found = Selection(len(mids)) if mids else find(gateway, chosen)
    if found.total:
        sure(f"Delete {counted(found.total)} for good?", f"this deletes {counted(found.total)}", yes)
    _act(gateway, chosen, "delete", "deleted", as_json, found.after_asking(not yes))


queue.add_command(why)
queue.add_command(held_by_policy)
queue.add_command(corrupt)
