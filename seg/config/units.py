"""Durations and sizes with their unit: ``"72h"``, ``"1h30m"``, ``"25 MiB"``."""

from __future__ import annotations

import re

_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, "w": 604800.0}
_OCTETS = {"b": 1, "kb": 10**3, "mb": 10**6, "gb": 10**9, "kib": 2**10, "mib": 2**20, "gib": 2**30}
_PART = re.compile(r"([0-9]{1,12}(?:\.[0-9]{1,6})?)\s*(ms|s|m|h|d|w)\s*")
_SIZE = re.compile(r"([0-9]{1,15}(?:\.[0-9]{1,6})?)\s*([kmg]?i?b)", re.IGNORECASE)


def parse_duration(text: str) -> float | None:
    """Seconds in a text such as ``15m`` or ``1h30m`` (ms, s, m, h, d, w); None when it isn't one."""
    text = text.strip()
    total, position = 0.0, 0
    while part := _PART.match(text, position):
        total += float(part.group(1)) * _SECONDS[part.group(2)]
        position = part.end()
    return total if position == len(text) and position else None


def parse_size(text: str) -> int | None:
    """Octets in a text such as ``25 MiB`` (KiB, MiB, GiB by 1024) or ``10 kB`` (by 1000); None when it isn't
    one."""
    found = _SIZE.fullmatch(text.strip())
    factor = _OCTETS.get(found.group(2).lower()) if found else None
    return round(float(found.group(1)) * factor) if found and factor else None


def show_duration(seconds: float) -> str:
    """Seconds in the largest unit that leaves a whole number: ``72h``, ``90s``."""
    for unit in ("d", "h", "m", "s"):
        if seconds >= _SECONDS[unit] and seconds % _SECONDS[unit] == 0:
            return f"{int(seconds / _SECONDS[unit])}{unit}"
    return f"{seconds:g}s"


def show_size(octets: int) -> str:
    """Octets in the largest binary unit that leaves a whole number: ``25 MiB``."""
    for unit in ("GiB", "MiB", "KiB"):
        if octets and octets % _OCTETS[unit.lower()] == 0:
            return f"{octets // _OCTETS[unit.lower()]} {unit}"
    return f"{octets} B"
