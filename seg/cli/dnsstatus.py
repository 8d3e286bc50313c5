"""``seg dnsstatus``: how many questions the DNS was asked, and how each resolver fares."""

from __future__ import annotations

from typing import Any

import click

from seg.cli.context import CommandContext
from seg.cli.options import Answering, json_or_text
from seg.cli.output import say
from seg.cli.tables import ago, plain, print_table, stamp

COUNTERS = (
    ("DNS Requests", "requests"),
    ("Network Requests", "network"),
    ("Cache Hits", "hits"),
    ("Cache Misses", "misses"),
    ("Cache Expired", "expired"),
    ("Exceptions", "failures"),
    ("  Timeouts", "timeouts"),
    ("  ServFail", "servfails"),
    ("  Bogus", "bogus"),
)

COLUMNS = (("Counters", "left"), ("Reset", "right"), ("Uptime", "right"), ("Lifetime", "right"))
RESOLVERS = (
    ("Resolver", "left"),
    ("Answers", "right"),
    ("Failures", "right"),
    ("Last answer", "left"),
    ("Validates (AD)", "left"),
)


@click.command()
@json_or_text
def dnsstatus(context: CommandContext) -> Answering:
    """Show what the DNS was asked, what the cache saved, and how each resolver fares.

    A request is a question of the gateway; a network request one that had to be put to the resolvers. Exceptions are network requests
    without an answer (of other kinds too): nothing was concluded from them, and a failure is kept for five seconds. Reset, Uptime and
    Lifetime are as in seg status detail. A resolver's numbers begin with the start, or with the commit that named it, and count the
    gateway's own probes.
    """
    facts = yield context.gateway().get("/v1/dns")
    totals = facts["totals"]
    say(f"Status as of:        {stamp(facts['at'])}")
    say(f"Counted since:       {stamp(facts['counted_since'])}")
    say(f"Last counter reset:  {stamp(facts['last_reset'])}")
    say(f"Answers cached now:  {facts['cached']:,}\n")
    rows = [(title, *(f"{totals[c][key]:,}" for c in ("reset", "uptime", "lifetime"))) for title, key in COUNTERS]
    print_table(COLUMNS, rows)
    print_table(RESOLVERS, [_row(resolver) for resolver in facts["resolvers"]])
    for resolver in facts["resolvers"]:
        if resolver["last_failure"]:
            when = ago(resolver["last_failure_at"])
            say(f"Last failure of {resolver['server']}, {when} ago: {plain(resolver['last_failure'])}")


def _row(resolver: dict[str, Any]) -> tuple[object, ...]:
    return (
        resolver["server"] + (" (asked last)" if resolver["asked_last"] else ""),
        f"{resolver['answers']:,}",
        f"{resolver['failures']:,}",
        f"{ago(resolver['last_answer'])} ago" if resolver["last_answer"] else "none yet",
        _validates(resolver),
    )


def _validates(resolver: dict[str, Any]) -> str:
    if resolver["validates"] is None:
        return "unknown"
    if resolver["believed"]:
        return "yes"
    return "not in dns.trusted" if not resolver["trusted"] else "no"
