"""``seg policyreport``: what would have failed if the policies that are only watched were enforced."""

from __future__ import annotations

from typing import Any

import click

from seg.cli.context import CommandContext
from seg.cli.options import Answering, json_or_text
from seg.cli.output import say
from seg.cli.tables import ago, plain, print_table, stamp

COLUMNS = (
    ("Domain", "left"),
    ("Sessions", "right"),
    ("Last", "right"),
    ("Policy", "left"),
    ("Cause", "left"),
    ("Host", "left"),
    ("Meaning", "left"),
)
IMPORTANCE = ("Domain", "Cause", "Sessions", "Last", "Policy", "Host")


@click.command()
@click.option(
    "--days", type=click.IntRange(1, 31), default=7, show_default=True, help="Of so many days, today included."
)
@click.option("--domain", metavar="DOMAIN", help="Only this domain.")
@click.option("-n", "--limit", type=click.IntRange(1, 1000), default=100, show_default=True, help="Most domains shown.")
@json_or_text
def policyreport(context: CommandContext, days: int, domain: str | None, limit: int) -> Answering:
    """What would have failed under enforcement, a domain a row: MTA-STS in testing, dane or mta_sts = "monitor", exemptions, TLS option 4.

    Counted since the start of the gateway, in memory, for 31 days and 5000 domains at most. A session is one message (or more) on a
    connection to one host, which was delivered all the same.
    """
    found = yield context.gateway().get("/v1/policy-report", days=days, domain=domain, limit=limit)
    rows = found["domains"]
    since = stamp(found["since"])
    if not rows:
        say(f"Nothing would have failed since {since}" + (f" for {plain(domain)}." if domain else "."))
        return
    print_table(COLUMNS, [line for row in rows for line in _lines(row)], IMPORTANCE, tallest=3)
    if found["total"] > len(rows):
        say(f"{len(rows)} of {found['total']} domains; more with -n.")
    say(f"Counted since {since}. All of it was delivered; under enforcement it would have waited.")


def _lines(row: dict[str, Any]) -> list[tuple[object, ...]]:
    """The domain with its most frequent cause, and a line for each further one."""
    return [
        (
            "" if number else row["domain"],
            each["sessions"],
            f"{ago(each['last'])} ago",
            each["provider"],
            each["cause"],
            each["host"],
            each["text"],
        )
        for number, each in enumerate(row["causes"])
    ]
