"""``seg queue held-by-policy``: what TLS policy keeps waiting, and what to do about it."""

from __future__ import annotations

from typing import Any

import click

from seg.cli.context import CommandContext
from seg.cli.options import Answering, json_or_text
from seg.cli.output import say
from seg.cli.tables import ago, plain, print_table, until

COLUMNS = (
    ("Domain", "left"),
    ("Since", "right"),
    ("Msgs", "right"),
    ("Rcpts", "right"),
    ("Next try", "left"),
    ("Returned", "left"),
    ("Cause", "left"),
    ("Hosts", "left"),
)
IMPORTANCE = ("Domain", "Cause", "Next try", "Returned", "Msgs", "Since", "Hosts")


@click.command("held-by-policy")
@click.option("--domain", metavar="DOMAIN", help="Only this domain.")
@click.option("-n", "--limit", type=click.IntRange(1, 1000), default=100, show_default=True, help="Most domains shown.")
@json_or_text
def held_by_policy(context: CommandContext, domain: str | None, limit: int) -> Answering:
    """What TLS policy keeps waiting, a domain a row: since when, why, and what you can do."""
    found = yield context.gateway().get("/v1/held-by-policy", domain=domain, limit=limit)
    rows = found["domains"]
    if not rows:
        say("TLS policy keeps no mail waiting" + (f" for {plain(domain)}." if domain else "."))
        return
    print_table(COLUMNS, [_row(row) for row in rows], IMPORTANCE, tallest=2)
    if found["total"] > len(rows):
        say(f"{len(rows)} of {found['total']} domains; more with -n.")
    say("\nWhat can be done:")
    causes = {each["cause"]: each for row in rows for each in row["causes"]}
    for each in causes.values():
        say(f"  {each['cause']}: {each['text']}.\n    {each['remedy'][0].upper()}{each['remedy'][1:]}.")
    say(
        "\nseg explain DOMAIN tries a domain without sending anything; seg delivernow --domain DOMAIN tries its mail again."
    )


def _row(row: dict[str, Any]) -> tuple[object, ...]:
    return (
        row["domain"],
        ago(row["since"]),
        row["messages"],
        row["recipients"],
        "held" if row["next"] is None else until(row["next"]),
        until(row["returned"]),
        ", ".join(each["cause"] for each in row["causes"]),
        " ".join(each["host"] for each in row["hosts"]),
    )
