"""Destination controls in the INI form that other gateways export and import: ``[DEFAULT]``, and a section for each domain.

Keys are compared without case. ``[DEFAULT]`` has every key, a domain only what differs. Our own additions are
``dane_support``, ``mta_sts_support`` and what has no name there; they are left out of an export if they aren't set.
"""

from __future__ import annotations

import configparser
import re
from collections.abc import Callable, Mapping
from typing import Any

import attrs

from seg.config.destinations import DANEMode, Destinations, IPPreference, LimitPer, Profile, STSMode, TLSOption
from seg.config.problems import meant
from seg.config.syntax import parse_pattern
from seg.config.values import ValueFault, convert, specs
from seg.mail.address import to_ascii

_SECTION = re.compile(r"\s*\[(.*?)\]\s*\Z")
_SPECS = specs(Profile)

_TLS = {
    **dict.fromkeys(("0", "off"), TLSOption.NO),
    **dict.fromkeys(("1", "on"), TLSOption.PREFERRED),
    **dict.fromkeys(("2", "required", "require"), TLSOption.REQUIRED),
    **dict.fromkeys(("3", "on_verify"), TLSOption.PREFERRED_VERIFY),
    **dict.fromkeys(("4", "require_verify", "required_verify"), TLSOption.REQUIRED_VERIFY),
    **dict.fromkeys(("5", "require_verify_hosted", "required_verify_hosted"), TLSOption.REQUIRED_VERIFY_HOSTED),
}
_TLS_WORDS = ("off", "on", "required", "on_verify", "require_verify", "required_verify_hosted")
_IP = {
    "prefer_v6": IPPreference.IPV6_PREFERRED,
    "require_v6": IPPreference.IPV6_REQUIRED,
    "prefer_v4": IPPreference.IPV4_PREFERRED,
    "require_v4": IPPreference.IPV4_REQUIRED,
}
_LIMIT_PER = {
    **dict.fromkeys(("0", "host"), LimitPer.DOMAIN),
    **dict.fromkeys(("1", "mxip"), LimitPer.ADDRESS),
}
_LIMIT_WORDS = {LimitPer.DOMAIN: "host", LimitPer.ADDRESS: "MXIP"}
# Keys of the form that seg has no use for, with the value that says so; any other is told as a note.
_WITHOUT_USE = {
    "limit_apply": ("0", "system"),
    "bounce_validation": ("0", "off"),
    "certificate": (),
}


class INIError(ValueError):
    """The file has faults; `problems` holds a line for each, with line and key."""

    def __init__(self, problems: tuple[str, ...]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


@attrs.frozen
class Tables:
    """What a file says, as keys of destinations.toml."""

    default: dict[str, Any]
    entries: dict[str, dict[str, Any]]
    notes: tuple[str, ...]  # what was passed over


@attrs.define
class _Key:
    """One key of the form: ours, and how a value is read."""

    name: str
    read: Callable[[str], Any]


def _word(table: Mapping[str, Any]) -> Callable[[str], Any]:
    def read(text: str) -> Any:
        found = table.get(text.lower())
        if found is None:
            raise ValueError(f"wants one of {', '.join(table)}, not {text!r}{meant(text.lower(), table)}")
        return getattr(found, "label", None) or getattr(found, "value", found)

    return read


def _whole(name: str) -> Callable[[str], Any]:
    def read(text: str) -> int:
        if not (text.isascii() and text.isdigit()):
            raise ValueError(f"wants a whole number, not {text!r}")
        try:
            convert(_SPECS[name], int(text))
        except ValueFault as fault:
            raise ValueError(str(fault)) from None
        return int(text)

    return read


KEYS = {
    "ip_sort_pref": _Key("ip_preference", _word(_IP)),
    "max_host_concurrency": _Key("concurrent_connections", _whole("concurrent_connections")),
    "max_messages_per_connection": _Key("messages_per_connection", _whole("messages_per_connection")),
    "recipient_minutes": _Key("recipient_minutes", _whole("recipient_minutes")),
    "recipient_limit": _Key("recipient_limit", _whole("recipient_limit")),
    "limit_type": _Key("limit_per", _word(_LIMIT_PER)),
    "table_tls": _Key("tls", _word(_TLS)),
    "dane_support": _Key("dane", _word({mode.value: mode for mode in DANEMode})),
    "mta_sts_support": _Key("mta_sts", _word({mode.value: mode for mode in STSMode})),
    "bounce_profile": _Key("bounce_profile", str),
    "send_tls_req_alert": _Key("tls_alert", _word({"0": False, "off": False, "1": True, "on": True})),
}
OUR_KEYS = frozenset(key.name for key in KEYS.values())


def parse_ini(text: str, name: str = "file") -> Tables:
    """What a file says.

    :raises INIError: with every fault as ``file:line: [section] key: ...``.
    """
    parser = configparser.RawConfigParser(default_section="", interpolation=None, strict=True)
    try:
        parser.read_string(text.removeprefix("\ufeff"), name)
    except configparser.Error as error:
        raise INIError((str(error).replace("\n", " "),)) from None
    lines = _lines(text)
    problems: list[str] = []
    notes: list[str] = []
    tables: dict[str, dict[str, Any]] = {}
    for section in parser.sections():
        try:
            domain = "" if section.upper() == "DEFAULT" else parse_pattern(to_ascii(section))
        except ValueError as error:
            problems.append(f"{name}:{lines.get((section, ''), 0)}: [{section}] {error}")
            continue
        values = tables.setdefault(domain, {})
        for key, value in parser.items(section):
            where = f"{name}:{lines.get((section, key), 0)}: [{section}] {key}"
            _take(key, value.strip(), values, where, problems, notes)
    if problems:
        raise INIError(tuple(problems))
    return Tables(tables.pop("", {}), tables, tuple(notes))


def _take(key: str, value: str, values: dict[str, Any], where: str, problems: list[str], notes: list[str]) -> None:
    """One key into the values, or its fault or note."""
    known = KEYS.get(key)
    if known is None and key in _WITHOUT_USE:
        if value.lower() not in _WITHOUT_USE[key]:
            notes.append(f"{where}: there is no such setting here; it is passed over")
        return
    if known is None:
        problems.append(f"{where}: unknown key{meant(key, KEYS)}")
        return
    try:
        values[known.name] = known.read(value)
    except ValueError as error:
        problems.append(f"{where}: {error}")


def _lines(text: str) -> dict[tuple[str, str], int]:
    """The line of each section and key."""
    found: dict[tuple[str, str], int] = {}
    section = ""
    for number, line in enumerate(text.splitlines(), 1):
        header = _SECTION.match(line)
        if header:
            section = header[1]
            found.setdefault((section, ""), number)
        elif line.strip() and line.strip()[0] not in "#;":
            found.setdefault((section, re.split("[=:]", line, maxsplit=1)[0].strip().lower()), number)
    return found


def format_ini(destinations: Destinations) -> str:
    """The destination controls as a file: all of Default, and what each entry sets itself."""
    parts = [_section("DEFAULT", destinations.default, None)]
    parts += [
        _section(pattern, profile, destinations.stated.get(pattern, frozenset()))
        for pattern, profile in destinations.profiles.items()
    ]
    return "\n".join(parts)


def _section(title: str, profile: Profile, stated: frozenset[str] | None) -> str:
    """One section; `stated` are the keys that it sets itself, None for all."""
    lines = [f"[{title}]"]
    if stated is not None and "concurrent_connections" in stated:
        stated = stated | {"limit_per"}  # the form wants both
    for key, ours in KEYS.items():
        if (stated is not None and ours.name not in stated) or (stated is None and key == "bounce_profile"):
            continue
        value = _written(key, getattr(profile, ours.name))
        if value:
            lines.append(f"{key} = {value}")
    if stated is None or "concurrent_connections" in stated:
        lines.append("limit_apply = system")
    return "\n".join(lines) + "\n"


def _written(key: str, value: Any) -> str:
    if isinstance(value, TLSOption):
        return _TLS_WORDS[value - 1]
    if isinstance(value, bool):
        return str(int(value))
    if isinstance(value, LimitPer):
        return _LIMIT_WORDS[value]
    if isinstance(value, IPPreference):
        return next(word for word, preference in _IP.items() if preference is value).upper()
    if key == "recipient_limit" and not value:
        return ""  # no limit
    return str(getattr(value, "value", value))
