"""What the destination controls say: ``seg destconfig list`` and ``detail``."""

from __future__ import annotations

from typing import Any

import click

from seg.cli.bulk import counted
from seg.cli.context import CommandContext
from seg.cli.options import DOMAIN, Answering, json_or_text
from seg.cli.output import say
from seg.cli.tables import plain, print_table
from seg.common.endpoint import endpoint

LABELS = {
    "tls": "TLS Support",
    "dane": "DANE Support",
    "mta_sts": "MTA-STS Support",
    "dane_opportunistic_failure": "When opportunistic DANE fails",
    "ip_preference": "IP Address Preference",
    "concurrent_connections": "Concurrent Connections",
    "messages_per_connection": "Messages Per Connection",
    "recipient_limit": "Recipients (0: no limit)",
    "recipient_minutes": "... in so many minutes",
    "limit_per": "Limits are applied to each",
    "source_address": "Source address, IPv4",
    "source_address6": "Source address, IPv6",
    "ehlo_name": "Name in EHLO",
    "bounce_profile": "Bounce Profile",
    "tls_alert": "Alert when required TLS fails",
    "certificate": "Certificate shown to servers",
    "key": "... and its key",
}
LIMITS = ("concurrent_connections", "messages_per_connection", "recipient_limit", "recipient_minutes", "limit_per")
COLUMNS = (
    ("Domain", "left"),
    ("IP Address Preference", "left"),
    ("Destination Limits", "left"),
    ("TLS Support", "left"),
    ("DANE Support", "left"),
    ("MTA-STS Support", "left"),
    ("Exemption", "left"),
)
IMPORTANCE = ("Domain", "TLS Support", "DANE Support", "MTA-STS Support", "Exemption")


@click.command("list")
@json_or_text
def list_(context: CommandContext) -> Answering:
    """List every entry; what one inherits from the Default profile is in brackets."""
    found = yield context.gateway().get("/v1/destinations")
    print_table(COLUMNS, [_row(entry) for entry in found["destinations"]], IMPORTANCE, tallest=2)
    for route in found["routes"]:
        say(f"SMTP route for {plain(route['domain'])}: {next_hops(route)}")
    say("(...) is inherited from Default.")


def _row(entry: dict[str, Any]) -> tuple[str, ...]:
    limits = (
        f"{counted(entry['concurrent_connections'], 'connection')}, "
        f"{counted(entry['messages_per_connection'])} per connection"
    )
    if entry["recipient_limit"]:
        limits += (
            f", {counted(entry['recipient_limit'], 'recipient')} in {counted(entry['recipient_minutes'], 'minute')}"
        )
    if entry["limit_per"] == "address":
        limits += ", for each MX address"
    own_limits = set(LIMITS) & set(entry["stated"])
    return (
        entry["domain"],
        _value(entry, "ip_preference"),
        limits if own_limits or entry["domain"] == "Default" else f"({limits})",
        _value(entry, "tls"),
        _value(entry, "dane"),
        _value(entry, "mta_sts"),
        _exemption(entry["exemption"]),
    )


def _value(entry: dict[str, Any], name: str) -> str:
    """A value, in brackets when it is inherited."""
    return str(entry[name]) if name in entry["stated"] or entry["domain"] == "Default" else f"({entry[name]})"


def _exemption(exemption: dict[str, Any] | None) -> str:
    if exemption is None:
        return "-"
    return f"{'until' if exemption['in_force'] else 'ended'} {exemption['end']}: {exemption['reason']}"


def _place(hop: dict[str, Any]) -> str:
    """A next hop as a route may name it."""
    return endpoint(plain(hop["host"]), hop["port"])


def next_hops(route: dict[str, Any]) -> str:
    """Where a route leads."""
    if route["use_dns"]:
        return "none, by its MX (use_dns)"
    if not route["hosts"]:
        return "/dev/null"
    return ", ".join(
        _place(hop) + (f" (preference {hop['preference']})" if hop["preference"] else "") for hop in route["hosts"]
    )


@click.command()
@DOMAIN
@json_or_text
def detail(context: CommandContext, domain: str) -> Answering:
    """Show what holds for one DOMAIN, and where each value comes from."""
    found = yield context.gateway().get("/v1/destination", domain=domain)
    profile, entry = found["profile"], found["entry"]
    name = entry if found["domain"] == entry.lower() else found["domain"]
    say(f"{plain(name)}: by the entry {plain(entry)}")
    for name, label in LABELS.items():
        stated = name in profile["stated"]
        origin = entry if stated else "Default" if entry != "Default" else "built in"
        value = "-" if profile[name] == "" else plain(profile[name])
        say(f"  {label + ':':<31}{value}  ({plain(origin)})")
    say(f"  {'Exemption:':<31}{plain(_exemption(profile['exemption']))}")
    route = found["route"]
    where = (
        f"{next_hops(route)} (route for {plain(route['domain'])}; DANE and MTA-STS are not applied)"
        if route
        else "by MX"
    )
    say(f"  {'Next hop:':<31}{where}")
