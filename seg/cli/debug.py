"""``seg debug``: the SMTP dialogue with one destination, in the mail log."""

from __future__ import annotations

import click

from seg.cli.bulk import counted
from seg.cli.context import CommandContext
from seg.cli.options import JSON
from seg.cli.output import say
from seg.cli.tables import print_json, print_table


@click.command()
@click.argument("domain", required=False)
@click.option(
    "-n",
    "--sessions",
    type=click.IntRange(0, 1000),
    default=1,
    show_default=True,
    help="How many; 0 ends the watching.",
)
@JSON
@click.pass_obj
def debug(context: CommandContext, domain: str | None, sessions: int, as_json: bool) -> None:
    """Write the SMTP dialogue of the next sessions with DOMAIN into the mail log; without DOMAIN, show what is watched.

    A watched session is always a new connection. What AUTH carries, and the messages themselves, are left out.

    \b
    seg debug example.com -n 3
    seg delivernow --domain example.com
    seg grep -t ' debug example.com: '
    """
    gateway = context.gateway()
    found = gateway.post("/v1/debug", domain=domain, sessions=sessions) if domain else gateway.get("/v1/debug")
    watched = found["domains"]
    if as_json:
        print_json(found)
    elif domain and not sessions:
        say(f"{domain} is not watched any more.")
    elif domain:
        say(f"The next {counted(sessions, 'session')} with {domain} will be in the mail log: seg tail -f")
    elif watched:
        print_table((("Domain", "left"), ("Sessions", "right")), sorted(watched.items()))
    else:
        say("No destination is watched: seg debug example.com")
