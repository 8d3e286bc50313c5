"""``etc/destinations.toml``: from a parsed document to `Destinations`, with every fault collected."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

import attrs

from seg.config.checks import queue_faults
from seg.config.destinations import DANEMode, Destinations, Exemption, NextHop, Profile, SMTPRoute, STSMode, TLSOption
from seg.config.problems import Problems, meant
from seg.config.schema import Queue
from seg.config.settings_file import table_values
from seg.config.source import Document, KeyPath
from seg.config.syntax import parse_host, parse_pattern, parse_port, split_port

_TABLES = ("default", "destination", "route", "bounce_profile")
_NOT_OF_A_PROFILE = ("memory", "max_report_size")  # keys of [queue] that concern the whole spool
_HOP_KEYS = ("host", "port", "preference", "use_mx")
_EXEMPTION_KEYS = ("until", "reason")
_FIRST_YEAR, _LAST_YEAR = 2000, 2199  # any other is a slip, and some have no moment in UTC
_LONGEST_REASON = 200  # characters: it stands in a line of the log


def destinations_from(document: Document) -> Destinations:
    """The profiles and routes in a document.

    :raises ConfigurationError: with one line for each fault.
    """
    problems = Problems(document)
    for name, raw in document.data.items():
        if name not in _TABLES:
            hint = meant(name, _TABLES) or f"; a destination is written [destination.{_quote(name)}]"
            problems.add((name,), f"unknown table{hint}", None if isinstance(raw, dict) else name)
    tables = {name: document.data.get(name, {}) for name in _TABLES}
    for name in [name for name, raw in tables.items() if not isinstance(raw, dict)]:
        problems.add((name,), "wants a table")
        tables[name] = {}
    if "exemption" in tables["default"]:
        problems.add(("default", "exemption"), 'is for one destination, never for all: put it into [destination."..."]')
        tables["default"] = {key: value for key, value in tables["default"].items() if key != "exemption"}
    base = table_values(("default",), Profile, tables["default"], problems)
    default = _profile(("default",), "Default", {}, base, problems)
    stated = {"Default": frozenset(base)}
    profiles = {}
    for pattern, where, raw in _entries("destination", tables["destination"], problems):
        own = _own_values(where, raw, problems)
        profiles[pattern] = _profile(where, pattern, base, own, problems)
        stated[pattern] = frozenset(own)
    routes = {
        pattern: _route(where, pattern, raw, problems)
        for pattern, where, raw in _entries("route", tables["route"], problems)
    }
    bounces = {
        name: _bounce_profile(("bounce_profile", name), raw, problems) for name, raw in tables["bounce_profile"].items()
    }
    _check_bounce_profiles(tables, bounces, problems)
    problems.check()
    return Destinations(default=default, profiles=profiles, routes=routes, bounce_profiles=bounces, stated=stated)


def _quote(name: str) -> str:
    return '"' + name.replace('"', "") + '"'


# --- names --------------------------------------------------------------------------------------------------


def _entries(table: str, raw: dict[str, Any], problems: Problems) -> list[tuple[str, KeyPath, dict[str, Any]]]:
    """The entries of a table as (pattern as looked up, place, content)."""
    entries: dict[str, tuple[str, KeyPath, dict[str, Any]]] = {}
    for name, content in raw.items():
        where = (table, name)
        if not isinstance(content, dict):
            problems.add(where, f"wants a table of its own: [{table}.{_quote(name)}]")
            continue
        if content and "exemption" not in content and all(isinstance(item, dict) for item in content.values()):
            problems.add(where, f'quote the domain: [{table}."{_spelled_out(name, content)}"]')
            continue
        try:
            pattern = _pattern(table, name)
        except ValueError as error:
            problems.add(where, str(error))
            continue
        if pattern in entries:
            first = entries[pattern][1][1]
            problems.add(where, f"is there twice: {_quote(str(first))} and {_quote(name)} are both {pattern}")
            continue
        entries[pattern] = (pattern, where, content)
    return list(entries.values())


def _pattern(table: str, name: str) -> str:
    """The key that `Destinations` looks up."""
    if name.upper() in ("ALL", "DEFAULT"):
        if table == "route" and name.upper() == "ALL":
            return "ALL"
        raise ValueError(
            "is no domain; " + ("the default profile is [default]" if table == "destination" else 'write [route."ALL"]')
        )
    return parse_pattern(name)


def _spelled_out(name: str, content: dict[str, Any]) -> str:
    """The domain that somebody wrote without quotes, so that TOML took its dots for nested tables."""
    inner: Any = content
    while isinstance(inner, dict) and len(inner) == 1 and isinstance(next(iter(inner.values())), dict):
        label, inner = next(iter(inner.items()))
        name += "." + label
    return name


# --- profiles -----------------------------------------------------------------------------------------------


def _profile(where: KeyPath, name: str, inherited: dict[str, Any], own: dict[str, Any], problems: Problems) -> Profile:
    """A profile: what it says itself over what it inherits.

    With ``tls = "no"`` there is nothing that DANE or MTA-STS could rule: inherited they are off, asked for
    they are a fault.
    """
    profile = Profile(name=name, **{**inherited, **own})
    if profile.tls is not TLSOption.NO:
        return profile
    for key, off in (("dane", DANEMode.NONE), ("mta_sts", STSMode.OFF)):
        if own.get(key, off) is not off:
            origin = "" if "tls" in own else ", which is inherited from [default]"
            problems.add(
                (*where, key),
                f'"{own[key]}" can\'t work with tls = "no"{origin}: it needs TLS; '
                f'set tls to preferred or more, or {key} to "{off}"',
            )
    return attrs.evolve(profile, dane=DANEMode.NONE, mta_sts=STSMode.OFF)


def _own_values(where: KeyPath, raw: dict[str, Any], problems: Problems) -> dict[str, Any]:
    """What a destination says itself."""
    plain = {key: value for key, value in raw.items() if key != "exemption"}
    values = table_values(where, Profile, plain, problems)
    if "exemption" in raw:
        values["exemption"] = _exemption((*where, "exemption"), raw["exemption"], problems)
    return values


def _exemption(where: KeyPath, raw: Any, problems: Problems) -> Exemption | None:
    """``{ until = 2026-12-31, reason = "..." }``, or None after a fault."""
    if not isinstance(raw, dict):
        problems.add(where, 'wants { until = 2026-12-31, reason = "why, for whoever comes upon it later" }')
        return None
    for key in raw:
        if key not in _EXEMPTION_KEYS:
            problems.add((*where, key), f"unknown key{meant(key, _EXEMPTION_KEYS)}")
    until, reason = _moment(raw.get("until")), raw.get("reason")
    if until is None:
        problems.add(
            (*where, "until"), "wants a date or a date and time without quotes: 2026-12-31, 2026-12-31T18:00:00+01:00"
        )
    if not isinstance(reason, str) or not reason.strip() or not reason.isprintable() or len(reason) > _LONGEST_REASON:
        problems.add((*where, "reason"), f"wants a reason in one line of at most {_LONGEST_REASON} characters")
        return None
    return None if until is None else Exemption(until, reason.strip())


def _moment(raw: Any) -> float | None:
    """A date (its beginning) or a date and time as POSIX seconds; UTC where no offset is given. None for anything else."""
    if isinstance(raw, date) and not isinstance(raw, datetime):
        raw = datetime(raw.year, raw.month, raw.day)
    if not isinstance(raw, datetime) or not _FIRST_YEAR <= raw.year <= _LAST_YEAR:
        return None
    return (raw if raw.tzinfo is not None else raw.replace(tzinfo=UTC)).timestamp()


def _bounce_profile(where: KeyPath, raw: Any, problems: Problems) -> dict[str, Any]:
    """What one bounce profile sets."""
    if not isinstance(raw, dict):
        problems.add(where, f"wants a table of its own: [bounce_profile.{_quote(str(where[1]))}]")
        return {}
    for key in raw:
        if key in _NOT_OF_A_PROFILE:
            problems.add((*where, key), "concerns the whole spool; it belongs into [queue] of seg.toml")
    own = {key: value for key, value in raw.items() if key not in _NOT_OF_A_PROFILE}
    values = table_values(where, Queue, own, problems)
    if not problems.below(where):
        for key, fault in queue_faults(attrs.evolve(Queue(), **values)):
            problems.add((*where, key), fault)
    return values


def _check_bounce_profiles(tables: dict[str, Any], bounces: dict[str, Any], problems: Problems) -> None:
    """Every bounce profile that is named has to be there."""
    places: list[tuple[KeyPath, Any]] = [(("default",), tables["default"])]
    places += [(("destination", name), raw) for name, raw in tables["destination"].items()]
    for where, raw in places:
        name = raw.get("bounce_profile") if isinstance(raw, dict) else None
        if isinstance(name, str) and name and name not in bounces:
            problems.add(
                (*where, "bounce_profile"), f"there is no [bounce_profile.{_quote(name)}]{meant(name, bounces)}"
            )


# --- routes -------------------------------------------------------------------------------------------------


def _route(where: KeyPath, pattern: str, raw: dict[str, Any], problems: Problems) -> SMTPRoute:
    """One SMTP route: ``hosts = [...]``, or ``use_dns = true``."""
    for key in raw:
        if key not in ("hosts", "use_dns"):
            problems.add((*where, key), f"unknown key{meant(key, ('hosts', 'use_dns'))}")
    use_dns, hosts = raw.get("use_dns", False), raw.get("hosts", [])
    if not isinstance(use_dns, bool):
        problems.add((*where, "use_dns"), "wants true or false")
    elif use_dns and "hosts" in raw:
        problems.add((*where, "use_dns"), "a route has hosts or use_dns = true, not both")
    elif not use_dns and not hosts:
        problems.add(where, 'names no next hop; write hosts = ["relay.example.com:25"], or use_dns = true')
    if not isinstance(hosts, list):
        problems.add((*where, "hosts"), 'wants an array, such as ["relay.example.com:25"]')
        hosts = []
    hops = [_hop((*where, "hosts", number), item, problems) for number, item in enumerate(hosts)]
    return SMTPRoute(pattern, tuple(hop for hop in hops if hop), use_dns is True)


def _hop(where: KeyPath, raw: Any, problems: Problems) -> NextHop | None:
    """One next hop, or None after a fault."""
    try:
        if isinstance(raw, str):
            host, port = split_port(raw)
            return NextHop(parse_host(host), parse_port(port) if port is not None else 25)
        if isinstance(raw, dict):
            return _hop_table(raw)
        raise ValueError('wants "host", "host:port" or { host = "...", port = 25, preference = 0, use_mx = false }')
    except ValueError as error:
        problems.add(where, str(error))
        return None


def _hop_table(raw: dict[str, Any]) -> NextHop:
    """A next hop in its long form. Raises ValueError."""
    for key in raw:
        if key not in _HOP_KEYS:
            raise ValueError(f"unknown key {key}{meant(key, _HOP_KEYS)}")
    host, use_mx = raw.get("host"), raw.get("use_mx", False)
    if not isinstance(host, str) or not host:
        raise ValueError("lacks host, a host name or an IP address")
    if not isinstance(use_mx, bool):
        raise ValueError("use_mx wants true or false")
    hop = NextHop(parse_host(host), _whole(raw, "port", 25, 1), _whole(raw, "preference", 0, 0), use_mx)
    if use_mx and (":" in hop.host or hop.host.replace(".", "").isdigit()):
        raise ValueError(f"use_mx makes no sense for an IP address ({hop.host})")
    return hop


def _whole(raw: dict[str, Any], key: str, default: int, low: int) -> int:
    value = raw.get(key, default)
    if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= 65535:
        raise ValueError(f"{key} wants a whole number from {low} to 65535")
    return value
