"""``seg rate`` and ``seg hostrate``: what happens from one moment to the next, a line for each."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import click

from seg.cli.context import CommandContext
from seg.cli.options import RECIPIENT_HOST, Answering, json_or_text
from seg.cli.output import say
from seg.cli.tables import plain, print_json, stamp

Row = dict[str, Any]
Column = tuple[str, str]  # title, key

OVERALL: tuple[Column, ...] = (
    ("Conn. In", "connections_in"),
    ("Conn. Out", "attempts"),
    ("Received", "messages_received"),
    ("Delta", "messages_received_delta"),
    ("Delivered", "recipients_delivered"),
    ("Delta", "recipients_delivered_delta"),
    ("Delayed", "recipients_delayed"),
    ("Delta", "recipients_delayed_delta"),
    ("Queue", "queued"),
)
OF_HOST: tuple[Column, ...] = (
    ("State", "state"),
    ("Conn. Out", "connections"),
    ("Active", "active"),
    ("Delta", "active_delta"),
    ("Delivered", "delivered_delta"),
    ("Hard Bounced", "hard_bounced_delta"),
    ("Soft Bounced", "soft_bounced_delta"),
)
STAMP = 25  # of a time: 2026-11-25 18:35:38 +0000
WIDTH = 12

interval = click.option(
    "-i", "--interval", type=click.IntRange(1, 3600), default=15, show_default=True, help="Seconds between lines."
)
count = click.option("-n", "--count", type=click.IntRange(1), help="End after so many lines; else Ctrl-C ends it.")
as_lines = click.option("--json", "as_json", is_flag=True, help="One JSON object a line instead of a table.")


@click.command()
@interval
@count
@as_lines
@click.pass_obj
def rate(context: CommandContext, interval: int, count: int | None, as_json: bool) -> None:
    """Show how much mail comes in and goes out, a line every few seconds.

    Delta is what happened since the line before.
    """
    gateway = context.gateway()

    def look() -> Row:
        facts = gateway.get("/v1/status")
        row = {"queued": facts["queue"]["messages"]}
        for name in ("connections_in", "attempts"):
            row[name] = facts["gauges"][name]
        for name in ("messages_received", "recipients_delivered", "recipients_delayed", "recipients_bounced"):
            row[name] = facts["counters"][name]
        return row

    counted = ("messages_received", "recipients_delivered", "recipients_delayed", "recipients_bounced")
    watch(look, counted, OVERALL, interval, count, as_json)


@click.command()
@RECIPIENT_HOST
@interval
@count
@as_lines
@click.pass_obj
def hostrate(context: CommandContext, domain: str, interval: int, count: int | None, as_json: bool) -> None:
    """Show how deliveries to DOMAIN go, a line every few seconds.

    Delivered and bounced are recipients (soft bounces: events) since the line before.
    """
    gateway = context.gateway()
    kept = ("state", "connections", "active", "delivered", "hard_bounced", "soft_bounced")

    def look() -> Row:
        facts = gateway.get("/v1/host", domain=domain)
        return {name: facts[name] for name in kept}

    watch(look, ("active", "delivered", "hard_bounced", "soft_bounced"), OF_HOST, interval, count, as_json)


def watch(
    look: Callable[[], Row],
    counted: tuple[str, ...],
    columns: tuple[Column, ...],
    interval: int,
    count: int | None,
    as_json: bool,
) -> None:
    """Print a line now and every `interval` seconds, with what was added to each of `counted`."""
    if not as_json:
        say(f"{'Time':<{STAMP}}" + "".join(f"{title:>{WIDTH}}" for title, _ in columns))
    before: Row | None = None
    shown = 0
    while True:
        row = look()
        row.update({f"{name}_delta": row[name] - before[name] if before else 0 for name in counted})
        row["at"] = time.time()
        if as_json:
            print_json(row, None)
        else:
            cells = "".join(f"{plain(row[key]):>{WIDTH}}" for _, key in columns)
            say(f"{stamp(row['at']):<{STAMP}}{cells}")
        before, shown = row, shown + 1
        if shown == count:
            return
        time.sleep(interval)


@click.command()
@json_or_text
def resetcounters(context: CommandContext) -> Answering:
    """Begin the column Reset of `seg status detail` anew; Uptime and Lifetime go on."""
    done = yield context.gateway().post("/v1/counters/reset")
    say(f"Counters reset at {stamp(done['last_reset'])}.")
