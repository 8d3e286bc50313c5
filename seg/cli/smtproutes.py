"""``seg smtproutes``: next hops that the operator names, instead of the MX of a domain."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from seg.cli.context import CommandContext
from seg.cli.dialogue import ask, confirm, menu
from seg.cli.import_export import FROM_FILE, TO_FILE, YES, clear, merge_or_replace, read, replaces, write
from seg.cli.options import JSON, WordChoice, to_be_asked
from seg.cli.output import say, shown_safely
from seg.cli.staged import StagedEdits, put, remove
from seg.cli.tables import plain, print_json, print_table
from seg.common.endpoint import UNIX, endpoint

FILE, TABLE = "destinations", "route"
_PREFERENCE = re.compile(r"(.+)/pri=(\d{1,5})", re.IGNORECASE)
OPERATIONS = {
    "NEW": "Create a new route.",
    "EDIT": "Edit destinations of an existing route.",
    "DELETE": "Remove a route.",
    "PRINT": "Display all routes.",
    "CLEAR": "Remove all routes.",
}
HOSTS_QUESTION = (
    "Enter the destination hosts, separated by commas: host, host:port, [192.0.2.1], host/pri=10 (lower is tried first), "
    "or USEDNS."
)


@click.group(invoke_without_command=True)
@click.pass_context
def smtproutes(context: click.Context) -> None:
    """SMTP routes: the next hops of a domain, of .domain (all below it), or of ALL others.

    DANE and MTA-STS aren't applied to a domain with a route; its TLS option is. When every host of a route is down mail
    waits: it never goes by the MX instead. USEDNS sends one domain by its MX although a wider route fits.
    What you change is staged: seg commit puts it into force.

    \b
    seg smtproutes new internal.example 10.0.0.25 10.0.1.25/pri=10
    seg smtproutes new ALL relay.example.net:587
    seg smtproutes new partner.example USEDNS
    """
    if not to_be_asked(context):
        return
    _menu(StagedEdits(context.obj.gateway()))


def route_of(hosts: Sequence[str]) -> dict[str, Any]:
    """The table of a route as it is typed.

    :raises click.UsageError: USEDNS beside hosts.
    """
    words = [word.strip() for host in hosts for word in host.split(",") if word.strip()]
    if not words:
        raise click.UsageError("name at least one host, or USEDNS")
    if any(word.upper() == "USEDNS" for word in words):
        if len(words) > 1:
            raise click.UsageError("USEDNS stands alone: the domain goes by its MX")
        return {"use_dns": True}
    return {"hosts": [_hop(word) for word in words]}


def _hop(word: str) -> str | dict[str, Any]:
    found = _PREFERENCE.fullmatch(word)
    if not found:
        return word
    from seg.config.syntax import split_port

    if found[1].startswith(UNIX):
        return {"host": found[1], "preference": int(found[2])}
    try:
        host, port = split_port(found[1])
    except ValueError as error:
        raise click.UsageError(str(error)) from None
    hop: dict[str, Any] = {"host": host, "preference": int(found[2])}
    if port is not None:
        hop["port"] = int(port) if port.isdigit() else port
    return hop


def shown_hosts(route: dict[str, Any]) -> str:
    """A route as it would be typed."""
    if route.get("use_dns"):
        return "USEDNS"
    return ", ".join(hop if isinstance(hop, str) else _shown_hop(hop) for hop in route.get("hosts", []))


def _shown_hop(hop: dict[str, Any]) -> str:
    preference = f"/pri={hop['preference']}" if hop.get("preference") else ""
    return endpoint(hop["host"], hop.get("port")) + preference


def _manner(command: Any) -> Any:
    """How the hosts are spoken to."""
    for decorate in (
        click.option("--auth", metavar="NAME", help="Authenticate by this profile (seg authconfig)."),
        click.option("--tls", type=WordChoice(["starttls", "implicit"]), help="implicit: TLS from the first octet."),
        click.option(
            "--protocol",
            type=WordChoice(["smtp", "lmtp"]),
            help="lmtp: a mail store that answers for each recipient.",
        ),
    ):
        command = decorate(command)
    return command


@smtproutes.command()
@click.argument("domain")
@click.argument("hosts", nargs=-1, required=True)
@_manner
@JSON
@click.pass_obj
def new(context: CommandContext, /, domain: str, hosts: tuple[str, ...], as_json: bool, **manner: str | None) -> None:
    """Stage a route for DOMAIN (or .DOMAIN, or ALL) to HOSTS: host, host:port, [192.0.2.1], host/pri=10, unix:/path, USEDNS,
    or /dev/null, which discards."""
    bench = StagedEdits(context.gateway())
    if _name(domain) in bench.table(FILE, TABLE):
        raise click.ClickException(f"{domain} has a route already (seg smtproutes edit {domain} HOST...)")
    bench.stage(
        [
            put(
                FILE,
                (TABLE, _name(domain)),
                {**route_of(hosts), **{name: value for name, value in _given(manner).items() if value}},
            )
        ],
        as_json,
    )


def _given(manner: dict[str, str | None]) -> dict[str, str]:
    """What was said; "" of it takes a value off."""
    return {name: value for name, value in manner.items() if value is not None}


@smtproutes.command()
@click.argument("domain")
@click.argument("hosts", nargs=-1)
@_manner
@click.option("--no-auth", is_flag=True, help="Authenticate no more: the same as --reset auth.")
@click.option(
    "--reset",
    multiple=True,
    type=WordChoice(["protocol", "tls", "auth"]),
    help="Take the default of this key again (may be repeated).",
)
@JSON
@click.pass_obj
def edit(
    context: CommandContext,
    /,
    domain: str,
    hosts: tuple[str, ...],
    no_auth: bool,
    reset: tuple[str, ...],
    as_json: bool,
    **manner: str | None,
) -> None:
    """Stage other HOSTS for the route of DOMAIN, or another way to speak to them."""
    bench = StagedEdits(context.gateway())
    old = _known(bench, domain)
    given = _given(manner)
    gone = {*reset, *(["auth"] if no_auth else []), *(name for name, value in given.items() if not value)}
    if both := gone & {name for name, value in given.items() if value}:
        raise click.UsageError(f"{', '.join(sorted(both))}: set, and taken off: which is it?")
    if not hosts and not given and not gone:
        raise click.UsageError(f"say what to change: seg smtproutes edit {domain} HOST...")
    chosen: dict[str, Any] = (
        route_of(hosts) if hosts else {name: old[name] for name in ("hosts", "use_dns") if name in old}
    )
    kept = {name: value for name, value in old.items() if name not in ("hosts", "use_dns") and "use_dns" not in chosen}
    route = {name: value for name, value in {**chosen, **kept, **given}.items() if name not in gone}
    bench.stage([put(FILE, (TABLE, _name(domain)), route)], as_json)


@smtproutes.command()
@click.argument("domains", nargs=-1, required=True)
@JSON
@click.pass_obj
def delete(context: CommandContext, domains: tuple[str, ...], as_json: bool) -> None:
    """Stage the removal of the routes of DOMAINS."""
    bench = StagedEdits(context.gateway())
    for domain in domains:
        _known(bench, domain)
    bench.stage([remove(FILE, (TABLE, _name(domain))) for domain in domains], as_json)


@smtproutes.command("print")
@JSON
@click.pass_obj
def print_(context: CommandContext, as_json: bool) -> None:
    """List every route, your changes included."""
    _print(StagedEdits(context.gateway()), as_json)


@smtproutes.command("list")
@JSON
@click.pass_obj
def list_(context: CommandContext, as_json: bool) -> None:
    """The same as print."""
    _print(StagedEdits(context.gateway()), as_json)


def _shown_manner(route: dict[str, Any]) -> str:
    """How the hosts of a route are spoken to."""
    words = [str(route.get("protocol", "smtp")).upper()]
    words += ["TLS from the first octet"] if route.get("tls") == "implicit" else []
    words += [f"AUTH by {route['auth']}"] if route.get("auth") else []
    return "-" if route.get("use_dns") else ", ".join(words)


@smtproutes.command("clear")
@YES
@JSON
@click.pass_obj
def clear_(context: CommandContext, yes: bool, as_json: bool) -> None:
    """Stage the removal of every route."""
    clear(StagedEdits(context.gateway()), FILE, TABLE, "routes", yes, as_json)


@smtproutes.command("import")
@FROM_FILE
@merge_or_replace("routes")
@JSON
@click.pass_obj
def import_(context: CommandContext, file: Path, how: str | None, as_json: bool) -> None:
    """Stage the routes of a FILE: a line for each, domain, host, host; # begins a comment."""
    routes: dict[str, dict[str, Any]] = {}
    for number, line in enumerate(read(file).splitlines(), 1):
        bare = line.partition("#")[0].strip()
        if not bare:
            continue
        words = [word for word in re.split(r"[\s,]+", bare) if word]
        if len(words) < 2:
            raise click.ClickException(f"{file}:{number}: {bare}: a route has a domain and hosts")
        routes[_name(words[0])] = route_of(words[1:])
    bench = StagedEdits(context.gateway(120.0))
    gone = [name for name in bench.table(FILE, TABLE) if name not in routes]
    replacing = replaces(how, gone, "routes", file)
    edits = [put(FILE, (TABLE, name), route) for name, route in routes.items()]
    if replacing:
        edits += [remove(FILE, (TABLE, name)) for name in gone]
    if not edits:
        raise click.ClickException(f"{file} has no route")
    bench.stage(edits, as_json)


@smtproutes.command()
@TO_FILE
@click.pass_obj
def export(context: CommandContext, file: Path | None) -> None:
    """Write the routes, as you see them, to a FILE (or to the terminal)."""
    routes = StagedEdits(context.gateway()).table(FILE, TABLE)
    write(file, "".join(f"{name} {shown_hosts(route)}\n" for name, route in routes.items()))


def _print(bench: StagedEdits, as_json: bool) -> None:
    routes = bench.table(FILE, TABLE)
    if as_json:
        print_json({"routes": [{"domain": name, **route} for name, route in routes.items()]})
    elif not routes:
        say("There are no routes: every domain goes by its MX.")
    else:
        rows = [(name, plain(shown_hosts(route)), plain(_shown_manner(route))) for name, route in routes.items()]
        print_table((("Domain", "left"), ("Destination hosts", "left"), ("By", "left")), rows)


def _menu(bench: StagedEdits) -> None:
    while True:
        routes = bench.table(FILE, TABLE)
        chosen = menu(f"There are currently {len(routes)} routes configured.", OPERATIONS)
        if not chosen:
            return
        try:
            _perform(chosen, bench, routes)
        except click.ClickException as error:
            shown_safely(error).show()


def _perform(chosen: str, bench: StagedEdits, routes: dict[str, Any]) -> None:
    if chosen == "PRINT":
        _print(bench, False)
        return
    if chosen == "CLEAR":
        if routes and confirm(f"Are you sure you want to remove all {len(routes)} routes?"):
            bench.stage([remove(FILE, (TABLE, name)) for name in routes])
        return
    question = {
        "NEW": "Enter the domain for which you want to set up a permanent route (.domain for all below it, ALL for the rest).",
        "EDIT": "Enter the domain whose route you wish to edit.",
        "DELETE": "Enter the domain whose route you wish to delete.",
    }[chosen]
    domain = ask(question, "", lambda text: "" if text else "A domain is needed.")
    if chosen == "NEW":
        if _name(domain) in routes:
            raise click.ClickException(f"{domain} has a route already")
        old = ""
    else:
        old = shown_hosts(_known(bench, domain))
    if chosen == "DELETE":
        bench.stage([remove(FILE, (TABLE, _name(domain)))])
    else:
        bench.stage([put(FILE, (TABLE, _name(domain)), route_of([ask(HOSTS_QUESTION, old)]))])


def _known(bench: StagedEdits, domain: str) -> dict[str, Any]:
    routes = bench.table(FILE, TABLE)
    if _name(domain) not in routes:
        raise click.ClickException(f"{domain} has no route (seg smtproutes print)")
    found: dict[str, Any] = routes[_name(domain)]
    return found


def _name(domain: str) -> str:
    return "ALL" if domain.upper() == "ALL" else domain.strip().lower().rstrip(".")
