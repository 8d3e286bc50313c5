"""``seg redirectrecipients``: what waits goes to another host, whatever its domain."""

from __future__ import annotations

import click

from seg.cli.bulk import counted, find, in_pieces
from seg.cli.context import CommandContext
from seg.cli.dialogue import ask, can_ask, confirm, sure
from seg.cli.options import JSON
from seg.cli.output import say
from seg.cli.tables import plain, print_json

QUESTION = "Please enter the hostname or IP address of the machine you want to send all mail to."
WARNING = """\
WARNING: a host that isn't prepared to take this mail will refuse it: it is returned to its senders, and may be lost.
Its certificate is checked as each destination's TLS option says, but neither DANE nor MTA-STS protects mail on this way."""


@click.command()
@click.option("--host", metavar="HOST", help="host, host:port, [IPv6]:port or unix:/path; '' is --normal.")
@click.option("--normal", is_flag=True, help="Undo it: what waits goes by its own route again.")
@click.option("--domain", metavar="DOMAIN", help="Only recipients at this domain.")
@click.option("--sender", metavar="ADDRESS", help="Only messages of this envelope sender ('' for reports).")
@click.option("--yes", is_flag=True, help="Don't ask.")
@JSON
@click.pass_obj
def redirectrecipients(
    context: CommandContext,
    host: str | None,
    normal: bool,
    domain: str | None,
    sender: str | None,
    yes: bool,
    as_json: bool,
) -> None:
    """Send all mail that waits now to one HOST instead of where its domains say, over restarts too; the envelopes stay as they are.

    The host is treated as an SMTP route: the TLS option of each destination holds, DANE and MTA-STS aren't applied. Held messages and
    suspended destinations stay so. Mail that comes later isn't redirected: seg smtproutes is for that.

    \b
    seg redirectrecipients --host standby.example.com:25
    seg redirectrecipients --host 192.0.2.7 --domain partner.example
    seg redirectrecipients --normal
    """
    if domain is not None and sender is not None:
        raise click.UsageError("say one of --domain, --sender")
    if normal and host:
        raise click.UsageError("say one of --host, --normal")
    if host is None and not normal:
        if not can_ask():
            raise click.UsageError("say --host HOST, or --normal")
        host = ask(QUESTION, "", lambda text: "" if text else "A host is needed.")
    wanted = {name: value for name, value in (("domain", domain), ("sender", sender)) if value is not None}
    _redirect(context, host or "", wanted, yes, as_json)


def _redirect(context: CommandContext, host: str, wanted: dict[str, str], yes: bool, as_json: bool) -> None:
    gateway = context.gateway(600.0)
    found = find(gateway, wanted)
    concerned = counted(found.total)
    if not found.total:
        raise click.ClickException("no such message waits")
    if host and not wanted and not yes and can_ask():
        say(WARNING)
        if not confirm(f'Are you sure you want to redirect all mail in the queue to "{plain(host)}"?'):
            raise click.Abort
    deed = f"redirect {concerned} to {plain(host)}" if host else f"send {concerned} by the own route"
    sure(f"Are you sure you want to {deed}?", f"this concerns {concerned}", yes)
    only = {"recipients_at": wanted["domain"]} if "domain" in wanted else {}
    result = in_pieces(gateway, "redirect", wanted, found.after_asking(not yes), as_json, host=host, **only)
    if as_json:
        print_json(result)
        return
    done = len(result["done"])
    say(f"{counted(done)} {'redirected' if host else 'by the own route again'}.")
    for mid, reason in list(result["refused"].items())[:20]:
        say(f"MID {mid}: {reason}", err=True)
