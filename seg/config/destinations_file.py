"""``etc/destinations.toml``: from a parsed document to `Destinations`, with every fault collected."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

import attrs

from seg.config.checks import queue_faults
from seg.config.destinations import DANEMode, Destinations, Exemption, Profile, STSMode, TLSOption
from seg.config.problems import Problems, meant
from seg.config.routes_file import auth_profile_from, quoted, route_from
from seg.config.schema import QueueSettings
from seg.config.settings_file import table_values
from seg.config.source import Document, KeyPath
from seg.config.syntax import parse_pattern

_TABLES = ("default", "destination", "route", "bounce_profile", "auth_profile")
_NOT_OF_A_PROFILE = ("memory", "max_report_size")  # keys of [queue] that concern the whole spool
EXEMPTION_KEYS = ("until", "reason")
_FIRST_YEAR, _LAST_YEAR = 2000, 2199  # any other is a slip, and some have no moment in UTC
_LONGEST_REASON = 200  # characters: it stands in a line of the log


def destinations_from(document: Document) -> Destinations:
    """The profiles and routes in a document.

    :raises ConfigurationError: with one line for each fault.
    """
    problems = Problems(document)
    for name, raw in document.data.items():
        if name not in _TABLES:
            hint = meant(name, _TABLES) or f"; a destination is written [destination.{quoted(name)}]"
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
        pattern: route_from(where, pattern, raw, problems)
        for pattern, where, raw in _entries("route", tables["route"], problems)
    }
    bounces = {
        name: _bounce_profile(("bounce_profile", name), raw, problems) for name, raw in tables["bounce_profile"].items()
    }
    _check_bounce_profiles(tables, bounces, problems)
    logins = {
        name: auth_profile_from(("auth_profile", name), name, raw, problems)
        for name, raw in tables["auth_profile"].items()
    }
    for pattern, route in routes.items():
        if route.manner.auth and route.manner.auth not in logins:
            hint = f"there is no [auth_profile.{quoted(route.manner.auth)}]{meant(route.manner.auth, logins)}"
            problems.add(("route", pattern, "auth"), hint)
    problems.check()
    return Destinations(
        default=default, profiles=profiles, routes=routes, auth_profiles=logins, bounce_profiles=bounces, stated=stated
    )


# --- names --------------------------------------------------------------------------------------------------


def _entries(table: str, raw: dict[str, Any], problems: Problems) -> list[tuple[str, KeyPath, dict[str, Any]]]:
    """The entries of a table as (pattern as looked up, place, content)."""
    entries: dict[str, tuple[str, KeyPath, dict[str, Any]]] = {}
    for name, content in raw.items():
        where = (table, name)
        if not isinstance(content, dict):
            problems.add(where, f"wants a table of its own: [{table}.{quoted(name)}]")
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
            problems.add(where, f"is there twice: {quoted(str(first))} and {quoted(name)} are both {pattern}")
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
    if own.get("key") and not profile.certificate:
        problems.add((*where, "key"), "a key is set, but no certificate")
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
        if key not in EXEMPTION_KEYS:
            problems.add((*where, key), f"unknown key{meant(key, EXEMPTION_KEYS)}")
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
        problems.add(where, f"wants a table of its own: [bounce_profile.{quoted(str(where[1]))}]")
        return {}
    for key in raw:
        if key in _NOT_OF_A_PROFILE:
            problems.add((*where, key), "concerns the whole spool; it belongs into [queue] of seg.toml")
    own = {key: value for key, value in raw.items() if key not in _NOT_OF_A_PROFILE}
    values = table_values(where, QueueSettings, own, problems)
    if not problems.below(where):
        for key, fault in queue_faults(attrs.evolve(QueueSettings(), **values)):
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
                (*where, "bounce_profile"), f"there is no [bounce_profile.{quoted(name)}]{meant(name, bounces)}"
            )
