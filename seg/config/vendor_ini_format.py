"""Destination controls written in the INI form that `seg.config.vendor_ini` reads.

What the form has no word for stands below a comment that says so, under names of ours; what isn't part of such a file at all
(bounce profiles themselves, SMTP routes) is named in a comment at its top.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import attrs

from seg.config.destinations import Destinations, IPPreference, LimitPer, Profile, TLSOption
from seg.config.values import word
from seg.config.vendor_ini import EXTENSIONS, IP, KEYS, Annotation

_TLS_WORDS = ("off", "on", "required", "on_verify", "require_verify", "required_verify_hosted")
_LIMIT_WORDS = {LimitPer.DOMAIN: "host", LimitPer.ADDRESS: "MXIP"}
_IF_SET = frozenset(
    {"dane", "mta_sts"}
)  # in DEFAULT only what it sets: with tls = no it would be a fault, or be inherited


def format_ini(destinations: Destinations) -> str:
    """The destination controls as a file: all of Default, and what each entry sets itself."""
    head = "".join(f"; {line}\n" for line in left_out(destinations))
    parts = [head] if head else []
    parts += [
        "\n".join(_section(name, profile, stated).lines) + "\n" for name, profile, stated in _profiles(destinations)
    ]
    return "\n".join(parts)


def left_out(destinations: Destinations) -> tuple[str, ...]:
    """What such a file doesn't hold, as lines for people."""
    lines = []
    if destinations.bounce_profiles:
        names = ", ".join(destinations.bounce_profiles)
        lines.append(f"Bounce profiles are named here, but not defined; destinations.toml has {names}.")
    if destinations.routes:
        lines.append("SMTP routes aren't part of this file: seg smtproutes export")
    return tuple(lines)


def extended(destinations: Destinations) -> tuple[str, ...]:
    """The sections with keys that only seg knows."""
    return tuple(name for name, profile, stated in _profiles(destinations) if _section(name, profile, stated).extra)


def _profiles(destinations: Destinations) -> Iterator[tuple[str, Profile, frozenset[str]]]:
    yield "DEFAULT", destinations.default, destinations.stated.get("Default", frozenset())
    for pattern, profile in destinations.profiles.items():
        yield pattern, profile, destinations.stated.get(pattern, frozenset())


@attrs.frozen
class _Section:
    """The lines of one section: those that any gateway reads, and those that only seg knows."""

    plain: list[str]
    extra: list[str]

    @property
    def lines(self) -> list[str]:
        return [*self.plain, Annotation.EXTENSIONS.line, *self.extra] if self.extra else self.plain


def _section(title: str, profile: Profile, stated: frozenset[str]) -> _Section:
    """One section; `stated` are the keys that it sets itself."""
    default = title == "DEFAULT"
    plain, extra = [f"[{title}]"], []
    for key, ours in KEYS.items():
        value = getattr(profile, ours.name)
        line = f"{key} = {_written(value)}"
        if ours.name in stated and _is_foreign(key, value, default):
            extra.append(line)
        elif ours.name in stated or (default and ours.name not in _IF_SET and not _is_foreign(key, value, default)):
            plain.append(line)
        elif key == "limit_type" and "concurrent_connections" in stated:
            plain += [Annotation.INHERITED.line, line]  # the form wants both
    if default or "concurrent_connections" in stated:
        plain.append("limit_apply = system")
    for key, ours in EXTENSIONS.items():
        if ours.name in stated:
            extra.append(f"{key} = {_written(getattr(profile, ours.name))}")
    if profile.exemption is not None:
        extra.append(f"exemption_until = {_moment(profile.exemption.until)}")
        extra.append(f"exemption_reason = {_written(profile.exemption.reason)}")
    return _Section(plain, extra)


def _is_foreign(key: str, value: Any, default: bool) -> bool:
    """Whether the form doesn't allow a key of its own there: no limit is a key that isn't there; some are for DEFAULT, or for domains, alone."""
    if key == "recipient_limit":
        return value == 0
    return (key == "bounce_profile" and (default or not value)) or (key == "send_tls_req_alert" and not default)


def _moment(at: float) -> str:
    moment = datetime.fromtimestamp(at, UTC)
    midnight = (moment.hour, moment.minute, moment.second, moment.microsecond) == (0, 0, 0, 0)
    return moment.date().isoformat() if midnight else moment.isoformat()


def _written(value: Any) -> str:
    if isinstance(value, TLSOption):
        return _TLS_WORDS[value - 1]
    if isinstance(value, bool):
        return str(int(value))
    if isinstance(value, LimitPer):
        return _LIMIT_WORDS[value]
    if isinstance(value, IPPreference):
        return next(form for form, preference in IP.items() if preference is value).upper()
    if isinstance(value, str) and type(value) is str:
        return f'"{value}"' if not value or value != value.strip() or value[0] == value[-1] == '"' else value
    return word(value) if hasattr(value, "value") else str(value)
