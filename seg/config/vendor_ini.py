"""Destination controls in the INI form that other gateways export and import: ``[DEFAULT]``, and a section for each domain.

Keys are compared without case. ``[DEFAULT]`` has every key, a domain only what differs. What has no name there has one of
ours: every key of a profile can be said, so that what `seg.config.vendor_ini_format` writes is read as it was.
"""

from __future__ import annotations

import configparser
import enum
import re
from collections.abc import Callable, Mapping
from datetime import date, datetime
from typing import Any

import attrs

from seg.config.destinations import DANEFailure, DANEMode, IPPreference, LimitPer, Profile, STSMode, TLSOption
from seg.config.problems import meant
from seg.config.syntax import parse_pattern
from seg.config.values import ValueFault, convert, specs
from seg.mail.address import to_ascii

_SECTION = re.compile(r"\s*\[(.*?)\]\s*\Z")
_COMMENT = re.compile(r"\s*;\s*(.*?)\s*\Z")
_SPECS = specs(Profile)

_TLS = {
    **dict.fromkeys(("0", "off"), TLSOption.NO),
    **dict.fromkeys(("1", "on"), TLSOption.PREFERRED),
    **dict.fromkeys(("2", "required", "require"), TLSOption.REQUIRED),
    **dict.fromkeys(("3", "on_verify"), TLSOption.PREFERRED_VERIFY),
    **dict.fromkeys(("4", "require_verify", "required_verify"), TLSOption.REQUIRED_VERIFY),
    **dict.fromkeys(("5", "require_verify_hosted", "required_verify_hosted"), TLSOption.REQUIRED_VERIFY_HOSTED),
}
IP = {
    "prefer_v6": IPPreference.IPV6_PREFERRED,
    "require_v6": IPPreference.IPV6_REQUIRED,
    "prefer_v4": IPPreference.IPV4_PREFERRED,
    "require_v4": IPPreference.IPV4_REQUIRED,
}
_LIMIT_PER = {
    **dict.fromkeys(("0", "host"), LimitPer.DOMAIN),
    **dict.fromkeys(("1", "mxip"), LimitPer.ADDRESS),
}
# Keys of the form that seg has no use for, with the value that says so; any other is told as a note.
_WITHOUT_USE = {
    "limit_apply": ("0", "system"),
    "bounce_validation": ("0", "off"),
    "certificate": (),
}


class Annotation(enum.StrEnum):
    """A comment of the form that `seg.config.vendor_ini_format` writes: to other gateways it is a comment, here it counts."""

    INHERITED = "limit_type is inherited from DEFAULT"  # max_host_concurrency wants it beside it: the domain doesn't set it itself
    EXTENSIONS = "What follows is of seg alone; other gateways don't know it here:"

    @property
    def line(self) -> str:
        """As it stands in a file."""
        return f"; {self.value}"

    @classmethod
    def of(cls, line: str) -> Annotation | None:
        """The annotation that a line is, None for any other line."""
        comment = _COMMENT.match(line)
        return next((each for each in cls if comment and each.value == comment[1]), None)


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


def _text(text: str) -> str:
    """A text; what begins or ends with a space, is empty or quoted stands in quotation marks."""
    return text[1:-1] if len(text) > 1 and text[0] == text[-1] == '"' else text


def moment(text: str) -> date:
    """A date, or a date and time.

    :raises ValueError: it is neither.
    """
    for kind in (date, datetime):
        try:
            return kind.fromisoformat(text)
        except ValueError:
            continue
    raise ValueError(f"wants a date such as 2026-12-31 or 2026-12-31T18:00:00+01:00, not {text!r}")


KEYS = {
    "ip_sort_pref": _Key("ip_preference", _word(IP)),
    "max_host_concurrency": _Key("concurrent_connections", _whole("concurrent_connections")),
    "max_messages_per_connection": _Key("messages_per_connection", _whole("messages_per_connection")),
    "recipient_minutes": _Key("recipient_minutes", _whole("recipient_minutes")),
    "recipient_limit": _Key("recipient_limit", _whole("recipient_limit")),
    "limit_type": _Key("limit_per", _word(_LIMIT_PER)),
    "table_tls": _Key("tls", _word(_TLS)),
    "dane_support": _Key("dane", _word({mode.value: mode for mode in DANEMode})),
    "mta_sts_support": _Key("mta_sts", _word({mode.value: mode for mode in STSMode})),
    "bounce_profile": _Key("bounce_profile", _text),
    "send_tls_req_alert": _Key("tls_alert", _word({"0": False, "off": False, "1": True, "on": True})),
}
VENDOR_KEYS = frozenset(key.name for key in KEYS.values())  # our names of what the form can say
# What the form has no name for. `certificate` is the name of one of theirs, ours is a file.
EXTENSIONS = {
    "dane_opportunistic_failure": _Key(
        "dane_opportunistic_failure", _word({failure.value: failure for failure in DANEFailure})
    ),
    "source_address": _Key("source_address", _text),
    "source_address6": _Key("source_address6", _text),
    "ehlo_name": _Key("ehlo_name", _text),
    "certificate_file": _Key("certificate", _text),
    "key_file": _Key("key", _text),
    "exemption_until": _Key("until", moment),
    "exemption_reason": _Key("reason", _text),
}
_ALL_KEYS = {**KEYS, **EXTENSIONS}


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
        if domain in tables:
            where = f"{name}:{lines.get((section, ''), 0)}: [{section}]"
            problems.append(f"{where} is there twice: both are {domain or 'DEFAULT'}")
            continue
        values = tables[domain] = {}
        for key, value in parser.items(section):
            where = f"{name}:{lines.get((section, key), 0)}: [{section}] {key}"
            _take(key, value.strip(), values, where, problems, notes)
        _exemption(values, f"{name}:{lines.get((section, ''), 0)}: [{section}]", problems)
    if problems:
        raise INIError(tuple(problems))
    for section in _inheriting(text):
        values = tables.get(parse_pattern(to_ascii(section)), {})
        if values.get("limit_per") == tables.get("", {}).get("limit_per", LimitPer.DOMAIN.value):
            values.pop("limit_per", None)
    return Tables(tables.pop("", {}), tables, tuple(notes))


def _take(key: str, value: str, values: dict[str, Any], where: str, problems: list[str], notes: list[str]) -> None:
    """One key into the values, or its fault or note."""
    known = _ALL_KEYS.get(key)
    if known is None and key in _WITHOUT_USE:
        if value.lower() not in _WITHOUT_USE[key]:
            notes.append(f"{where}: there is no such setting here; it is passed over")
        return
    if known is None:
        problems.append(f"{where}: unknown key{meant(key, _ALL_KEYS)}")
        return
    try:
        values[known.name] = known.read(value)
    except ValueError as error:
        problems.append(f"{where}: {error}")


def _exemption(values: dict[str, Any], where: str, problems: list[str]) -> None:
    """The two keys of an exemption as the table that it is."""
    found = {name: values.pop(name) for name in ("until", "reason") if name in values}
    if len(found) == 1:
        problems.append(f"{where} an exemption has an end and a reason: exemption_until, exemption_reason")
    elif found:
        values["exemption"] = found


def _inheriting(text: str) -> list[str]:
    """The domains of which a comment says that limit_type isn't their own."""
    found = []
    section = ""
    for line in text.splitlines():
        header = _SECTION.match(line)
        section = header[1] if header else section
        if Annotation.of(line) is Annotation.INHERITED and section and section.upper() != "DEFAULT":
            found.append(section)
    return found


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
