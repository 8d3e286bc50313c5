"""``seg status`` and ``seg version``."""

from __future__ import annotations

from typing import Any

import click

from seg.cli.context import CommandContext
from seg.cli.options import JSON, WordChoice
from seg.cli.output import say
from seg.cli.tables import ago, duration, paused_line, plain, print_json, print_table, size, stamp
from seg.common.endpoint import endpoint
from seg.version import __version__

VALIDATES = {
    True: "yes",
    False: "no: DANE is not in use (see the mail log)",
    None: "unknown: no trusted resolver has answered yet",
}
COLUMNS = ("reset", "uptime", "lifetime")


@click.command()
@click.argument("detail", required=False, type=WordChoice(["detail"]))
@click.option("--json", "as_json", is_flag=True, help="One JSON document, always with all of it, instead of text.")
@click.option(
    "--check", is_flag=True, help="Print only what needs attention; the exit status is 1 while something does."
)
@click.pass_obj
def status(context: CommandContext, detail: str | None, as_json: bool, check: bool) -> None:
    """Show whether the gateway is running, and how it is doing; with `detail`, all counters and rates.

    The counters are those since `seg resetcounters` (Reset), since the start (Uptime), and ever (Lifetime). A rate is
    what an hour would bring if it went on as in the last 1, 5 or 15 minutes. With --check the status ends with 1 while
    something of the gateway itself is wrong (a full disk, a damaged file, ...): a line for cron.
    """
    facts = context.gateway().get("/v1/status")
    if as_json:
        print_json(facts)
    else:
        for line in _attention(facts) if check else status_lines(facts):
            say(line)
        if detail and not check:
            _in_detail(facts)
    if check and facts["conditions"]:
        raise SystemExit(1)


def _attention(facts: dict[str, Any]) -> list[str]:
    """A line for each condition that lasts."""
    return [f"Needs attention:     {plain(each['text'])} (for {ago(each['since'])})" for each in facts["conditions"]]


def status_lines(facts: dict[str, Any]) -> list[str]:
    """The status as text, a line for each fact."""
    queue, counters, gauges = facts["queue"], facts["counters"], facts["gauges"]
    oldest = f", the oldest for {ago(queue['oldest'])}" if queue["oldest"] else ""
    held = f", {queue['held']} held" if queue["held"] else ""
    listeners = ", ".join(f"{x['name']} {endpoint(x['address'], x['port'])}" for x in facts["listeners"])
    dane = VALIDATES[facts["resolver_validates"]]
    return [
        f"seg {facts['version']} on {facts['hostname']}, process {facts['pid']}",
        f"Up since:            {stamp(facts['started'])} ({duration(facts['uptime'])})",
        f"Configuration:       {facts['configuration']}",
        f"Listeners:           {listeners or 'none'}",
        f"Resolver validates:  {dane}",
        *(
            [f"Exemptions:          {facts['exemptions']} in force (seg destconfig list)"]
            if facts["exemptions"]
            else []
        ),
        *(f"Certificate:         {plain(_ends(each))}" for each in facts["certificates"] if each["soon"]),
        *_suspended(facts["suspension"]),
        *_attention(facts),
        "",
        f"Queue:               {queue['messages']} messages, {queue['recipients']} recipients waiting{held}{oldest}",
        *_held_by_policy(queue),
        f"Connections now:     {gauges['connections_in']} in, {gauges['attempts']} attempts, {gauges['connections_idle']} idle",
        f"Memory:              {size(gauges['memory'])}",
        "",
        "Since the start:",
        f"  Received:          {counters['messages_received']} messages on {counters['connections_in']} connections",
        f"  Delivered:         {counters['recipients_delivered']} recipients on {counters['connections_out']} connections",
        f"  Verified by:       MTA-STS {counters['verified_by_mta_sts']}, DANE {counters['verified_by_dane']} attempts",
        f"  Delayed:           {counters['recipients_delayed']} times; {counters['policy_refusals']} sessions refused by TLS policy",
        f"  Bounced:           {counters['recipients_bounced']} recipients",
        *_observed(counters["policy_observed"]),
        *_filters(counters.get("filters", {})),
    ]


def _held_by_policy(queue: dict[str, Any]) -> list[str]:
    """What TLS policy keeps waiting."""
    count = queue["policy_held"]
    return [f"Held by TLS policy:  {count} of these messages (seg queue held-by-policy)"] if count else []


def _ends(certificate: dict[str, Any]) -> str:
    """One that should have been renewed."""
    until, left = certificate["not_after"][:10], certificate["seconds_left"]
    days = int(left // 86400)
    when = certificate["fault"] or (f"ends on {until}, in {days} day{'s' * (days != 1)}")
    return f"{certificate['file']} ({certificate['used_by']}) {when} (seg certconfig list)"


def _suspended(suspension: dict[str, Any]) -> list[str]:
    """What an operator has stopped, and how it goes on."""
    lines = []
    if suspension["paused"]:
        lines.append(f"Work queue:          {paused_line(suspension['paused'])} (seg workqueue resume)")
    if suspension["domains"]:
        lines.append(f"Deliveries:          suspended to {_some(suspension['domains'])} (seg resumedel)")
    if suspension["listeners"]:
        lines.append(f"Receiving:           suspended at {_some(suspension['listeners'])} (seg resumelistener)")
    return lines


def _some(names: list[str]) -> str:
    more = f" and {len(names) - 5} more" if len(names) > 5 else ""
    return ", ".join(plain(name) for name in names[:5]) + more


def _in_detail(facts: dict[str, Any]) -> None:
    """Counters and rates."""
    totals, rates = facts["totals"], facts["rates"]
    say(f"\nCounted since:       {stamp(facts['counted_since'])}")
    say(f"Last counter reset:  {stamp(facts['last_reset'])}\n")
    columns = (("Counters", "left"), ("Reset", "right"), ("Uptime", "right"), ("Lifetime", "right"))
    print_table(columns, [(_title(name), *(f"{totals[c][name]:,}" for c in COLUMNS)) for name in totals["uptime"]])
    columns = (("Rates (an hour)", "left"), ("1 minute", "right"), ("5 minutes", "right"), ("15 minutes", "right"))
    print_table(columns, [(_title(name), *(f"{rate[m]:,}" for m in ("1", "5", "15"))) for name, rate in rates.items()])


def _title(name: str) -> str:
    words = name.replace("_", " ").replace("mta sts", "MTA-STS").replace("dane", "DANE")
    return words[0].upper() + words[1:]


def _observed(observed: dict[str, dict[str, int]]) -> list[str]:
    """Policies that weren't enforced, and how sessions fared against them."""
    if not observed:
        return []
    said = "; ".join(f"{name} passed {c['passed']}, failed {c['failed']}" for name, c in sorted(observed.items()))
    return [f"  Only observed:     {said}"]


def _filters(filters: dict[str, dict[str, int]]) -> list[str]:
    """What each filter answered, and how often."""
    return [
        f"  Filter {name}: ".ljust(21) + ", ".join(f"{answer} {count}" for answer, count in sorted(counts.items()))
        for name, counts in sorted(filters.items())
    ]


def versions() -> dict[str, str]:
    """Our own version, and those of what we are built on."""
    from importlib.metadata import version as version_of
    from platform import python_version

    parts = {name: version_of(name) for name in ("twisted", "pyopenssl", "cryptography", "dnspython")}
    return {"seg": __version__, "python": python_version(), **parts}


@click.command()
@JSON
def version(as_json: bool) -> None:
    """Show the version of this command and of what it is built on."""
    facts = versions()
    if as_json:
        print_json(facts)
    else:
        say("\n".join(f"{name} {number}" for name, number in facts.items()))
