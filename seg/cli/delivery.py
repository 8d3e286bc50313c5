"""How destinations fare, and what may go out and come in: ``tophosts``, ``hoststatus``, ``topin``, ``suspenddel`` and their kin."""

from __future__ import annotations

from typing import Any

import click

from seg.cli.bulk import counted, find, in_pieces
from seg.cli.context import CommandContext
from seg.cli.destconfig_show import next_hops
from seg.cli.dialogue import ask, can_ask, choose, sure
from seg.cli.options import JSON, RECIPIENT_HOST, Answering, WordChoice, json_or_text
from seg.cli.output import say
from seg.cli.tables import ago, paused_line, plain, print_json, print_not_written, print_table, stamp

SORTS = ("active_rcpts", "conn_out", "deliv_recip", "hard_bounced", "soft_bounced")
TITLES = {
    "active_rcpts": "Active Recipients",
    "conn_out": "Connections Out",
    "deliv_recip": "Delivered Recipients",
    "hard_bounced": "Hard Bounced Recipients",
    "soft_bounced": "Soft Bounced Events",
}


@click.command()
@click.argument("sort", type=WordChoice(SORTS), default="active_rcpts")
@click.option("-n", "--limit", type=click.IntRange(1, 1000), default=20, show_default=True, help="How many.")
@json_or_text
def tophosts(context: CommandContext, sort: str, limit: int) -> Answering:
    """The destinations with the most of something: recipients that wait (active_rcpts), connections, deliveries, bounces."""
    found = yield context.gateway().get("/v1/hosts", sort=sort, limit=limit)
    say(f"Status as of: {stamp(found['at'])}, sorted by {TITLES[sort]}")
    say("Hosts marked with '*' were down as of the last delivery attempt; (s): deliveries suspended.")
    columns = (
        ("#", "right"),
        ("Recipient Host", "left"),
        ("Active Recip.", "right"),
        ("Conn. Out", "right"),
        ("Deliv. Recip.", "right"),
        ("Soft Bounced", "right"),
        ("Hard Bounced", "right"),
    )
    rows = [
        (number, _name(h), h["active"], h["connections"], h["delivered"], h["soft_bounced"], h["hard_bounced"])
        for number, h in enumerate(found["hosts"], 1)
    ]
    print_table(columns, rows)
    if found["total"] > len(rows):
        say(f"{len(rows)} of {found['total']}; more with -n.")


def _name(host: dict[str, Any]) -> str:
    return f"{host['domain']}{'*' if host['state'] == 'down' else ''}{' (s)' if host['suspended'] else ''}"


@click.command()
@RECIPIENT_HOST
@json_or_text
def hoststatus(context: CommandContext, domain: str) -> Answering:
    """How one destination fares: up or down, counters, its MX, the last failure."""
    h = yield context.gateway().get("/v1/host", domain=domain)
    rows: list[tuple[str, object]] = [
        ("Host mail status for", f"'{plain(h['domain'])}'"),
        ("Status as of", stamp(h["at"])),
        ("Host up/down", h["state"] + (", deliveries suspended" if h["suspended"] else "")),
        ("", ""),
        ("Delivered Recipients", h["delivered"]),
        ("Soft Bounced Events", h["soft_bounced"]),
        ("Hard Bounced Recipients", h["hard_bounced"]),
        ("Hosts refused by TLS policy", h["refused_by_policy"]),
        ("Active Recipients", h["active"]),
        ("Current Outbound Connections", h["connections"]),
        ("Last Activity", f"{ago(h['last_activity'])} ago" if h["last_activity"] else "none since the start"),
    ]
    for title, value in rows:
        say(f"{title + ':':<31}{value}" if title else "")
    for title, text, at in (
        ("Last 5XX Error", h["last_5xx"], h["last_5xx_at"]),
        ("Last Failure", h["last_failure"], h["last_failure_at"]),
    ):
        if text:
            say(f"\n{title} ({ago(at)} ago):\n  {plain(text)}")
    route = context.gateway().get("/v1/destination", domain=h["domain"])["route"]
    if route is not None and not route["use_dns"]:
        say(f"\nSMTP route of {plain(route['domain'])}, instead of MX records: {next_hops(route)}")
        return
    mx = h["mx"]
    say(
        "\nMX Records:"
        + (f" ({'signed' if mx['secure'] else 'not signed'}, TTL {mx['ttl']:.0f} s)" if mx["records"] else "")
    )
    for record in mx["records"]:
        say(f"  {record['preference']:>5}  {plain(record['host'])}")
    if not mx["records"]:
        say(f"  none{': ' + plain(mx['failure']) if mx['failure'] else ''}")


@click.command()
@json_or_text
def topin(context: CommandContext) -> Answering:
    """Who is connected, and with how many connections."""
    found = yield context.gateway().get("/v1/clients")
    columns = (("#", "right"), ("Remote IP addr.", "left"), ("Listener", "left"), ("Conn. In", "right"))
    rows = [(n, c["address"], c["listener"], c["connections"]) for n, c in enumerate(found["clients"], 1)]
    print_table(columns, rows) if rows else say("Nobody is connected.")


# --- suspending ---------------------------------------------------------------------------------------------------


def _suspension(context: CommandContext, as_json: bool, **body: list[str]) -> None:
    found = context.gateway().post("/v1/suspension", **body)
    if as_json:
        print_json(found)
        return
    domains, listeners = found["domains"], found["listeners"]
    say("Deliveries suspended: " + (", ".join(plain(d) for d in domains) if domains else "none"))
    say("Listeners suspended:  " + (", ".join(plain(n) for n in listeners) if listeners else "none"))
    if found["paused"]:
        say(f"Nothing leaves the queue (seg workqueue resume). {paused_line(found['paused'])}")
    print_not_written(found)


@click.command()
@click.argument("domains", nargs=-1)
@JSON
@click.pass_obj
def suspenddel(context: CommandContext, domains: tuple[str, ...], as_json: bool) -> None:
    """Send nothing to DOMAINS (.DOMAIN: all below it; all without one) until resumed, over restarts too. What is under way is
    completed; mail goes on being taken."""
    _suspension(context, as_json, suspend=list(domains) or ["ALL"])


@click.command()
@click.argument("domains", nargs=-1)
@JSON
@click.pass_obj
def resumedel(context: CommandContext, domains: tuple[str, ...], as_json: bool) -> None:
    """Send to DOMAINS (all without one) again."""
    _suspension(context, as_json, resume=list(domains) or ["ALL"])


@click.command()
@click.argument("listeners", nargs=-1)
@JSON
@click.pass_obj
def suspendlistener(context: CommandContext, listeners: tuple[str, ...], as_json: bool) -> None:
    """Take no new connections at LISTENERS (all without one): clients are told to come again (421) and keep their mail."""
    _suspension(context, as_json, suspend_listeners=list(listeners) or ["ALL"])


@click.command()
@click.argument("listeners", nargs=-1)
@JSON
@click.pass_obj
def resumelistener(context: CommandContext, listeners: tuple[str, ...], as_json: bool) -> None:
    """Take connections at LISTENERS (all without one) again."""
    _suspension(context, as_json, resume_listeners=list(listeners) or ["ALL"])


@click.command()
@JSON
@click.pass_obj
def suspend(context: CommandContext, as_json: bool) -> None:
    """Send nothing and take no connections until resumed."""
    _suspension(context, as_json, suspend=["ALL"], suspend_listeners=["ALL"])


@click.command()
@JSON
@click.pass_obj
def resume(context: CommandContext, as_json: bool) -> None:
    """Send, and take connections, again."""
    _suspension(context, as_json, resume=["ALL"], resume_listeners=["ALL"])


@click.command()
@click.option("--domain", metavar="DOMAIN", help="Only what waits for this domain.")
@click.option("--all", "everything", is_flag=True, help="All messages.")
@JSON
@click.pass_obj
def delivernow(context: CommandContext, domain: str | None, everything: bool, as_json: bool) -> None:
    """Try messages now, whatever their schedule says. Limits of the destinations still hold."""
    if domain is not None and everything:
        raise click.UsageError("say --domain DOMAIN, or --all")
    if domain is None and not everything:
        domain = _asked_destination()
    gateway, wanted = context.gateway(600.0), {"domain": domain} if domain else {}
    answer = in_pieces(gateway, "retry", wanted, find(gateway, wanted), quiet=as_json)
    if as_json:
        print_json(answer)
    else:
        number = len(answer["done"])
        say(f"{counted(number)} {'is' if number == 1 else 'are'} due now.")


def _asked_destination() -> str | None:
    """The destination whose mail is to be tried; None: all messages."""
    if not can_ask():
        raise click.UsageError("say --domain DOMAIN, or --all")
    question = "Please choose an option for scheduling immediate delivery:"
    if choose(question, ("By recipient domain", "All messages")) == 2:
        return None
    return ask(
        "Please enter the domain to schedule for delivery.", "", lambda text: "" if text else "A domain is needed."
    )


# --- caches -------------------------------------------------------------------------------------------------------


@click.command()
@click.argument("name", required=False)
@json_or_text
def dnsflush(context: CommandContext, name: str | None) -> Answering:
    """Forget answers of the DNS: those for NAME and all below it, or all."""
    answer = yield context.gateway().post("/v1/dns/flush", **({"name": name} if name else {}))
    say(f"{answer['flushed']} answers forgotten.")


@click.command()
@click.argument("domain", required=False)
@click.option("--all", "everything", is_flag=True, help="All policies.")
@click.option("--yes", is_flag=True, help="Don't ask.")
@JSON
@click.pass_obj
def policyflush(context: CommandContext, domain: str | None, everything: bool, yes: bool, as_json: bool) -> None:
    """Forget the MTA-STS policy of DOMAIN, or all. Until it is fetched again nothing but the TLS option protects the domain: if its
    policy host is down, that may be long."""
    if (domain is None) == (not everything):
        raise click.UsageError("name a domain, or say --all")
    what = "all policies" if everything else f"the policy of {domain}"
    sure(f"Forget {what}?", f"this forgets {what}", yes or as_json)
    answer = context.gateway().post("/v1/policies/flush", **({"domain": domain} if domain else {"all": True}))
    print_json(answer) if as_json else say(f"{counted(answer['flushed'], 'policy', 'policies')} forgotten.")
