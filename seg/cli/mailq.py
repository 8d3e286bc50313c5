"""``seg mailq`` and ``seg-mailq``: the queue as Postfix's mailq shows it."""

from __future__ import annotations

import sys

import click

from seg.cli.context import CommandContext
from seg.cli.options import JSON
from seg.cli.queue_listing import MOST, show
from seg.cli.tables import print_json


@click.command()
@JSON
@click.pass_obj
def mailq(context: CommandContext, as_json: bool) -> None:
    """List the queue as mailq of Postfix does; * is being tried, ! is held."""
    gateway = context.gateway()
    print_json(gateway.get("/v1/messages", limit=MOST)) if as_json else show(gateway)


def main() -> None:
    """Run the command."""
    from seg.cli.sendmail import run

    sys.exit(run(["-bp", *sys.argv[1:]]))
