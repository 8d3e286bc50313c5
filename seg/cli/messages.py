"""Single messages: why one waits, its content, and what to do with those of a destination or a sender."""

from __future__ import annotations

import base64
import sys
import time
from pathlib import Path
from typing import Any, BinaryIO

import click

from seg.cli.bulk import counted, find, in_pieces
from seg.cli.client import GatewayClient
from seg.cli.context import CommandContext
from seg.cli.dialogue import ask as ask_for
from seg.cli.dialogue import can_ask, choose, sure
from seg.cli.options import JSON, MID, Answering, json_or_text
from seg.cli.output import say
from seg.cli.tables import ago, paused_line, plain, print_json, print_table, size, stamp, times, until
from seg.mail.causes import CauseKind, PolicyResult, cause_named

PIECE = 1024 * 1024  # octets asked for at a time


# --- why ----------------------------------------------------------------------------------------------------------


@click.command()
@MID
@json_or_text
def why(context: CommandContext, mid: int) -> Answering:
    """Why message MID hasn't gone yet: attempts, hosts, what each policy said, the next try, and what to do."""
    found = yield context.gateway().get(f"/v1/messages/{mid}/why")
    sender = found["sender"] or "<> (a report)"
    say(f"MID {mid} from {plain(sender)}, {size(found['size'])}, here for {ago(found['arrived'])}")
    say(f"State: {found['state']}; returned to its sender {until(found['expires'])} ({stamp(found['expires'])})")
    if found["state"] == "held":
        say(f"It is held: seg queue release {mid} lets it go on.")
    if found["paused"]:
        say(f"Nothing leaves the queue until: seg workqueue resume. {paused_line(found['paused'])}")
    for place in found["destinations"]:
        _tell_place(mid, place, found["paused"] is not None)


def _tell_place(mid: int, place: dict[str, Any], paused: bool) -> None:
    suspended = ", deliveries suspended" if place["suspended"] else ""
    say(f"\n{plain(place['domain'])} ({place['state']}{suspended}; profile {plain(place['entry'])})")
    if place["limited"]:
        say(f"  Limit reached: {plain(place['limited'])}")
    for recipient in place["recipients"]:
        tries = recipient["attempts"]
        tried = "not tried yet" if not tries else f"tried {times(tries)}"
        say(f"  <{plain(recipient['address'])}>: {tried}; next try {until(recipient['due'])}")
        if recipient["via"]:
            say(f"    redirected to {plain(recipient['via'])} (seg redirectrecipients --normal undoes it)")
        if recipient["error"]:
            say(f"    last failure: {plain(recipient['error'])}")
    for host in place["hosts"]:
        say(f"  {plain(host['host'])}, {ago(host['at'])} ago: {plain(host['outcome'])}")
        for provider, word in host["opinions"]:
            say(f"    {provider}: {plain(word)}")
    if not place["hosts"] and any(recipient["attempts"] for recipient in place["recipients"]):
        say("  (what each policy said is in the mail log, and here again after the next try)")
    say(f"  What to do: {'seg workqueue resume' if paused else _advice(mid, place)}")


def _advice(mid: int, place: dict[str, Any]) -> str:
    domain = plain(place["domain"])
    causes = {cause_named(r["cause"]) for r in place["recipients"] if r.get("cause")}
    if place["suspended"]:
        return f"seg resumedel {domain}"
    if CauseKind.AUTH_PROFILE in causes:
        return "mend the AUTH profile (seg authconfig), then seg delivernow --domain " + domain
    refused = any(host.get("result") == PolicyResult.REFUSED for host in place["hosts"])
    if refused or any(cause.by_policy for cause in causes):
        return f"seg explain {domain} shows what is wrong now, and advises"
    if place["state"] == "down":
        return f"its hosts can't be reached: seg hoststatus {domain}; it is tried again by itself"
    if not any(recipient["error"] for recipient in place["recipients"]):
        return "nothing: it is tried as soon as the destination's limits allow"
    return f"nothing, it is tried again by itself; seg queue retry {mid} tries it now"


# --- content ------------------------------------------------------------------------------------------------------


def copy_content(gateway: GatewayClient, mid: int, out: BinaryIO, most: int = 2**40) -> int:
    """Write the octets of a message, at most so many; the whole size."""
    offset = 0
    while True:
        answer = gateway.get(f"/v1/messages/{mid}/content", offset=offset, limit=min(PIECE, most - offset))
        data = base64.b64decode(answer["data"])
        out.write(data)
        offset += len(data)
        if not data or offset >= answer["size"] or offset >= most:
            return int(answer["size"])


@click.command()
@MID
@click.option("--limit", type=click.IntRange(1), default=65536, show_default=True, help="Most octets shown.")
@click.option("--raw", is_flag=True, help="The octets as they are, all of them, for a file or a program.")
@click.pass_obj
def showmessage(context: CommandContext, mid: int, limit: int, raw: bool) -> None:
    """Show message MID as it is in the queue."""
    gateway = context.gateway()
    if raw:
        copy_content(gateway, mid, sys.stdout.buffer)
        sys.stdout.flush()
        return
    import io

    buffer = io.BytesIO()
    whole = copy_content(gateway, mid, buffer, limit)
    for line in buffer.getvalue().decode("utf-8", "backslashreplace").split("\r\n"):
        say(plain(line.expandtabs()))
    if whole > limit:
        say(f"... {size(limit)} of {size(whole)}; more with --limit, all with --raw", err=True)


@click.command()
@MID
@click.option("-o", "--output", type=click.Path(dir_okay=False, path_type=Path), help="Instead of oldmessage_MID.mbox.")
@JSON
@click.pass_obj
def archivemessage(context: CommandContext, mid: int, output: Path | None, as_json: bool) -> None:
    """Copy message MID into an mbox file. It stays in the queue."""
    import io

    gateway = context.gateway()
    facts = gateway.get(f"/v1/messages/{mid}")
    path = output or Path(f"oldmessage_{mid}.mbox")
    buffer = io.BytesIO()
    copy_content(gateway, mid, buffer)
    body = buffer.getvalue().replace(b"\r\n", b"\n")
    quoted = b"\n".join(b">" + line if line.lstrip(b">").startswith(b"From ") else line for line in body.split(b"\n"))
    head = f"From {facts['sender'] or 'MAILER-DAEMON'} {time.asctime(time.gmtime(facts['arrived']))}\n"
    try:
        with path.open("xb") as file:
            file.write(head.encode("utf-8") + quoted + b"\n")
    except FileExistsError:
        raise click.ClickException(f"{path} is there already; name another with --output") from None
    except OSError as error:
        raise click.ClickException(f"{path} can't be written: {error.strerror}") from None
    print_json({"mid": mid, "file": str(path)}) if as_json else say(f"Message {mid} has been archived in {path}.")


@click.command()
@json_or_text
def oldmessage(context: CommandContext) -> Answering:
    """Show the message that has waited longest."""
    gateway = context.gateway()
    found = gateway.get("/v1/messages", limit=1)["messages"]
    if not found:
        raise click.ClickException("the queue is empty")
    facts = yield gateway.get(f"/v1/messages/{found[0]['mid']}")
    say(f"MID {facts['mid']}: {ago(facts['arrived'])} old")
    for line in facts["header"].splitlines():
        say(plain(line))


# --- many ---------------------------------------------------------------------------------------------------------


@click.command()
@click.option("--domain", metavar="DOMAIN", help="By recipient host.")
@click.option("--sender", metavar="ADDRESS", help="By envelope sender ('' for reports).")
@click.option("--limit", type=click.IntRange(1, 100000), default=100, show_default=True, help="Most messages shown.")
@json_or_text
def showrecipients(context: CommandContext, domain: str | None, sender: str | None, limit: int) -> Answering:
    """List what waits, by recipient host, by sender, or all."""
    found = yield context.gateway().get("/v1/messages", domain=domain, sender=sender, limit=limit)
    columns = (("MID", "right"), ("Bytes", "right"), ("Atmps", "right"), ("Sender", "left"), ("Recipients", "left"))
    rows = [(m["mid"], m["size"], m["attempts"], m["sender"] or "<>", _recipients(m)) for m in found["messages"]]
    print_table(columns, rows) if rows else say("Nothing waits.")
    if found["total"] > len(rows):
        say(f"The first {len(rows)} of {found['total']}; more with --limit.")


def _recipients(message: dict[str, Any]) -> str:
    more = message["waiting"] > len(message["recipients"])
    return ", ".join(message["recipients"]) + (", ..." if more else "")


def _selection(question: str, domain: str | None, sender: str | None, everything: bool) -> dict[str, Any]:
    """What was named, or is asked for."""
    if sum((domain is not None, sender is not None, everything)) > 1:
        raise click.UsageError("say one of --domain, --sender, --all")
    if domain is not None:
        return {"domain": domain}
    if sender is not None:
        return {"sender": sender}
    if everything:
        return {"all": True}
    if not can_ask():
        raise click.UsageError("say --domain DOMAIN, --sender ADDRESS, or --all")
    chosen = choose(
        f"Please select how you would like to {question}:", ("By recipient host.", "By Envelope From address.", "All.")
    )
    if chosen == 1:
        return {
            "domain": ask_for(
                "Please enter the hostname for the messages.", "", lambda t: "" if t else "A name is needed."
            )
        }
    if chosen == 2:
        return {"sender": ask_for("Please enter the Envelope From address.", "")}
    return {"all": True}


def _bulk(context: CommandContext, action: str, done: str, chosen: dict[str, Any], yes: bool, as_json: bool) -> None:
    """Say how many it will hit, ask once, and do it in pieces with progress."""
    gateway = context.gateway(600.0)
    wanted = {name: value for name, value in chosen.items() if name != "all"}
    found = find(gateway, wanted)
    if not found.total:
        raise click.ClickException("no such message waits")
    concerned = counted(found.total)
    sure(f"Are you sure you want to {action} {concerned}?", f"this concerns {concerned}", yes)
    result = in_pieces(gateway, action, wanted, found.after_asking(not yes), quiet=as_json)
    if as_json:
        print_json(result)
        return
    say(f"{counted(len(result['done']))} {done}.")
    for mid, reason in list(result["refused"].items())[:20]:
        say(f"MID {mid}: {reason}", err=True)


def _bulk_options(command: Any) -> Any:
    for decorate in (
        click.option("--domain", metavar="DOMAIN", help="By recipient host."),
        click.option("--sender", metavar="ADDRESS", help="By envelope sender ('' for reports)."),
        click.option("--all", "everything", is_flag=True, help="All messages."),
        click.option("--yes", is_flag=True, help="Don't ask."),
        JSON,
        click.pass_obj,
    ):
        command = decorate(command)
    return command


@click.command()
@_bulk_options
def deleterecipients(
    context: CommandContext, domain: str | None, sender: str | None, everything: bool, yes: bool, as_json: bool
) -> None:
    """Delete messages for good, by recipient host, by sender, or all. Nobody is told."""
    chosen = _selection("delete messages", domain, sender, everything)
    _bulk(context, "delete", "deleted", chosen, yes, as_json)


@click.command()
@_bulk_options
def bouncerecipients(
    context: CommandContext, domain: str | None, sender: str | None, everything: bool, yes: bool, as_json: bool
) -> None:
    """Return messages to their senders now, by recipient host, by sender, or all."""
    chosen = _selection("bounce messages", domain, sender, everything)
    _bulk(context, "bounce", "bounced", chosen, yes, as_json)


@click.command()
@MID
@click.option("--yes", is_flag=True, help="Don't ask.")
@json_or_text
def removemessage(context: CommandContext, mid: int, yes: bool) -> Answering:
    """Show message MID, and delete it for good. Nobody is told."""
    gateway = context.gateway()
    facts = gateway.get(f"/v1/messages/{mid}")
    if not yes and can_ask():
        say(f"MID {mid} from {plain(facts['sender'] or '<>')}, {ago(facts['arrived'])} old")
        for line in facts["header"].splitlines():
            say(plain(line))
    sure("Remove this message?", f"this deletes MID {mid}", yes)
    yield gateway.post("/v1/messages", action="delete", mids=[mid])
    say(f"Message {mid} has been removed.")
