"""The screen of ``seg explain``: profile, route, each host with what every policy said, what would happen, and what to do. Pure."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from typing import Any

from seg.cli.output import styled
from seg.cli.tables import plain
from seg.common.endpoint import endpoint_in_words

Document = dict[str, Any]
WIDTH = 110
_SHOWN_AS = {"static": "tls"}
_COLOURS = {"pass": "green", "fail": "red", "unknown": "yellow"}


def explain_lines(document: Document) -> Iterator[str]:
    """All of it; colours are dropped by click where there is no terminal."""
    yield styled(document["domain"], bold=True)
    yield from _profile(document["profile"])
    yield from _route(document)
    for host in document["hosts"]:
        yield ""
        yield from _host(host)
    yield ""
    yield _now(document)
    yield from _advice(document["advice"])


def _profile(profile: Document) -> Iterator[str]:
    yield (
        f"Profile {plain(profile['entry'])}: TLS {profile['tls']}, DANE {profile['dane']}, MTA-STS {profile['mta_sts']}"
        + (", fall-through when DANE fails" if profile["dane_opportunistic_failure"] != "defer" else "")
    )
    if profile["exemption"]:
        yield styled(f"  {plain(profile['exemption'])}", fg="yellow")


def _route(document: Document) -> Iterator[str]:
    route, error = document["route"], document["error"]
    if error is not None:
        yield styled(f"Route: none. {error['enhanced']} {plain(error['text'])}", fg="red")
    elif route is not None:
        kinds = {
            "mx": f"MX records, {'signed (DNSSEC)' if route['secure'] else 'not signed'}",
            "implicit mx": "no MX record, so the domain itself",
            "address literal": "an address literal",
            "smtp route": "an SMTP route of destinations.toml; DANE and MTA-STS are not applied",
        }
        yield f"Route: {kinds[route['kind']]}"


def _host(host: Document) -> Iterator[str]:
    alias = f", alias of {host['expanded']}" if host["expanded"] not in ("", host["name"]) else ""
    signed = "signed" if host["address_secure"] else "not signed"
    yield styled(host["name"], bold=True) + f" (preference {host['preference']}{alias}, address {signed})"
    for opinion in host["opinions"]:
        yield f"  {_SHOWN_AS.get(opinion['provider'], opinion['provider']) + ':':<10}{plain(opinion['text'])}"
    if not host["usable"]:
        yield "  " + styled(f"not contacted: {plain(host['refusal'])}", fg="red")
        return
    yield f"  {'demands:':<10}{'; '.join(host['demands'])}"
    for tried in host["tried"]:
        yield from _tried(tried)
    if not host["tried"]:
        yield "  not tried"


def _tried(tried: Document) -> Iterator[str]:
    where = endpoint_in_words(tried["address"], tried["port"])
    if tried["given_up"]:
        failed = " and ".join(tried["given_up"]["policies"]).upper()
        yield f"  {where}: " + styled(f"{failed} failed, and was given up (fall-through):", fg="yellow")
        yield from (f"    {plain(line)}" for line in tried["given_up"]["mismatches"])
    verdict = tried["verdict"]
    if verdict is None:
        yield f"  {where}: " + styled(plain(tried["error"]), fg="yellow")
        return
    colour = "green" if tried["good"] else "red"
    cipher = f" ({tried['cipher']})" if tried["tls"] else ""
    yield f"  {where}: " + styled(plain(verdict["reason"]), fg=colour) + cipher
    certificate = tried["certificate"]
    if certificate is not None:
        names = ", ".join(plain(name) for name in certificate["names"][:8]) or "(none)"
        yield f"    certificate: names {names}; issuer {plain(certificate['issuer'])}; valid until {certificate['not_after'][:10]}"
    for line in dict.fromkeys(verdict["mismatches"]):
        yield f"    {plain(line)}"
    for observed in verdict["observed"]:
        outcome = "would pass" if observed["ok"] else "would fail"
        yield f"    {observed['policy']}, not enforced, {outcome}: {plain(observed['text'])}"


def _now(document: Document) -> str:
    now = {**document["now"], "text": document["now"]["text"].partition("; ")[0]}  # the rest stands with the host above
    what = {
        "delivered": f"delivered to {now['host']}, {plain(now['text'])}",
        "deferred": f"deferred, to be tried again: {now['enhanced']} {plain(now['text'])}",
        "bounced": f"returned to its sender: {now['enhanced']} {plain(now['text'])}",
    }[now["outcome"]]
    return styled("A message now: ", bold=True) + styled(what, fg=_COLOURS[document["result"]])


def _advice(advice: list[str]) -> Iterator[str]:
    if advice:
        yield styled("What you can do:", bold=True)
    for line in advice:
        yield from textwrap.wrap(plain(line), WIDTH, initial_indent="  - ", subsequent_indent="    ")
