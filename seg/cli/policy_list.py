"""``seg policyshow``: the MTA-STS policies known."""

from __future__ import annotations

from typing import Any

import click

from seg.cli.client import GatewayClient
from seg.cli.context import CommandContext
from seg.cli.options import JSON
from seg.cli.output import say
from seg.cli.tables import ago, duration, plain, print_json, print_long, print_table, until

PAGE = 500  # policies asked for at a time
COLUMNS = (("Domain", "left"), ("Mode", "left"), ("Id", "left"), ("MX", "left"), ("Expires", "left"))


@click.command()
@click.argument("domain", required=False)
@click.option("--limit", type=click.IntRange(1, 100000), default=100, show_default=True, help="Most policies shown.")
@JSON
@click.pass_obj
def policyshow(context: CommandContext, domain: str | None, limit: int, as_json: bool) -> None:
    """The MTA-STS policies known: of one DOMAIN in full, or all in a table, by domain."""
    gateway = context.gateway()
    if domain is None:
        _in_json(gateway, limit) if as_json else _in_table(gateway, limit)
        return
    found = gateway.get("/v1/policies", domain=domain)
    if as_json:
        print_json(found)
        return
    for policy in found["policies"]:
        _print_one(policy)


def _in_json(gateway: GatewayClient, limit: int) -> None:
    """One document, whatever the number of pages that it takes."""
    found = gateway.get("/v1/policies", limit=min(limit, PAGE))
    policies = found["policies"]
    while found["next"] and len(policies) < limit:
        found = _behind(gateway, found, limit - len(policies))
        policies += found["policies"]
    print_json({"total": found["total"], "policies": policies, "next": found["next"]})


def _in_table(gateway: GatewayClient, limit: int) -> None:
    """A table, page by page as they come."""
    found = gateway.get("/v1/policies", limit=min(limit, PAGE))
    if not found["policies"]:
        say("No MTA-STS policy is known.")
        return
    shown = len(found["policies"])
    if not found["next"] or shown >= limit:
        print_table(COLUMNS, _rows(found))
    else:
        print_long(COLUMNS, _rows(found), header=True)
    while found["next"] and shown < limit:
        found = _behind(gateway, found, limit - shown)
        shown += len(found["policies"])
        print_long(COLUMNS, _rows(found), header=False)
    if found["next"]:
        say(f"The first {shown} of {found['total']} policies; more with --limit.")


def _behind(gateway: GatewayClient, found: dict[str, Any], wanted: int) -> dict[str, Any]:
    answer: dict[str, Any] = gateway.get("/v1/policies", limit=min(wanted, PAGE), after=found["next"])
    return answer


def _rows(found: dict[str, Any]) -> list[tuple[object, ...]]:
    return [(p["domain"], p["mode"], p["id"], ", ".join(p["mx"]), until(p["expires"])) for p in found["policies"]]


def _print_one(policy: dict[str, Any]) -> None:
    times = f"fetched {ago(policy['fetched'])} ago, checked {ago(policy['checked'])} ago"
    say(f"{plain(policy['domain'])}: id {plain(policy['id'])}, {times}")
    say(f"version: STSv1\nmode: {policy['mode']}")
    hosts = "".join(f"mx: {plain(mx)}\n" for mx in policy["mx"])
    say(f"{hosts}max_age: {policy['max_age']} ({duration(policy['max_age'])})")
