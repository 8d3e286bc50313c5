"""One value of a file against the key it is for: type, choice and range."""

from __future__ import annotations

import enum
import math
from typing import Any, get_origin, get_type_hints

import attrs

from seg.config.problems import nearest_first
from seg.config.units import parse_duration, parse_size


class ValueFault(Exception):
    """A value can't be used; the text says what was wanted and what was found.

    :ivar below: where in the value the fault is, if it is a table.
    """

    def __init__(self, text: str, below: tuple[str, ...] = ()) -> None:
        super().__init__(text)
        self.below = below


@attrs.frozen
class KeySpec:
    """One key: everything that the schema says of it."""

    name: str
    kind: Any  # bool, int, float, str, tuple[str, ...], dict[str, tuple[str, ...]] or an enum
    default: Any
    doc: str
    unit: str
    low: float | None
    high: float | None
    secret: bool

    @property
    def choices(self) -> tuple[str, ...]:
        """The words of an enum; () for other kinds."""
        return tuple(word(member) for member in self.kind) if _is_enum(self.kind) else ()

    @property
    def range(self) -> str:
        """The values allowed, in words, with the unit; "" when there is no limit."""
        unit = f" {self.unit}" if self.unit else ""
        if self.low is not None and self.high is not None:
            return f"from {self.low:g} to {self.high:g}{unit}"
        if self.low is not None:
            return f"at least {self.low:g}{unit}"
        return f"at most {self.high:g}{unit}" if self.high is not None else ""


def specs(section: type) -> dict[str, KeySpec]:
    """The keys of a section of the schema, in its order."""
    hints = get_type_hints(section)
    found = {}
    for field in attrs.fields(section):
        if "doc" in field.metadata:
            made = field.default.factory() if isinstance(field.default, attrs.Factory) else field.default  # type: ignore[arg-type]
            found[field.name] = KeySpec(field.name, hints[field.name], made, **field.metadata)
    return found


def word(member: enum.Enum) -> str:
    """A member of an enum as the file writes it."""
    return str(member.label) if hasattr(member, "label") else str(member.value)


def _is_enum(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, enum.Enum)


def convert(spec: KeySpec, raw: Any) -> Any:
    """The value for a key.

    :raises ValueFault: wrong type, not among the choices, or out of range.
    """
    if _is_enum(spec.kind):
        return _choice(spec, raw)
    if get_origin(spec.kind) is tuple:
        return _strings(spec, raw)
    if get_origin(spec.kind) is dict:
        return _lists(spec, raw)
    if spec.kind is bool:
        if not isinstance(raw, bool):
            raise ValueFault(f"wants true or false, found {found(spec, raw)}")
        return raw
    if spec.kind is str:
        return _string(spec, raw)
    return _number(spec, raw)


def _number(spec: KeySpec, raw: Any) -> int | float:
    """An integer or a number in range; with a unit also ``"15m"`` or ``"25 MiB"``. True isn't 1."""
    value = raw
    if isinstance(raw, str) and spec.unit in ("seconds", "octets"):
        value = parse_duration(raw) if spec.unit == "seconds" else parse_size(raw)
    if isinstance(value, bool) or not isinstance(value, int if spec.kind is int else (int, float)):
        raise ValueFault(f"wants {_wanted_number(spec)}, found {found(spec, raw)}")
    if not math.isfinite(value):
        raise ValueFault(f"wants a finite number, found {raw}")
    if (spec.low is not None and value < spec.low) or (spec.high is not None and value > spec.high):
        raise ValueFault(f"{_shown(raw)} is out of range; it must be {spec.range}")
    return float(value) if spec.kind is float else value


def _wanted_number(spec: KeySpec) -> str:
    kind = "a whole number" if spec.kind is int else "a number"
    if spec.unit == "seconds":
        return f'{kind} of seconds (or a duration such as "15m" or "72h")'
    if spec.unit == "octets":
        return f'{kind} of octets (or a size such as "25 MiB")'
    return f"{kind} of {spec.unit}" if spec.unit else kind


def _string(spec: KeySpec, raw: Any) -> str:
    if not isinstance(raw, str):
        raise ValueFault(f"wants a string, found {found(spec, raw)}")
    # Values end up in greetings, header fields and log lines: nothing may break a line there.
    if not raw.isprintable():
        raise ValueFault("holds a control character")
    return raw


def _strings(spec: KeySpec, raw: Any) -> tuple[str, ...]:
    if not isinstance(raw, list):
        raise ValueFault(f"wants an array of strings, found {found(spec, raw)}")
    return tuple(_string(spec, item) for item in raw)


def _lists(spec: KeySpec, raw: Any) -> dict[str, tuple[str, ...]]:
    """A table of arrays of strings."""
    if not isinstance(raw, dict):
        raise ValueFault(f"wants a table of arrays of strings, found {found(spec, raw)}")
    made = {}
    for name, items in raw.items():
        try:
            made[_string(spec, name)] = _strings(spec, items)
        except ValueFault as fault:
            raise ValueFault(f"{_shown(name)}: {fault}", (name,)) from None
    return made


def _choice(spec: KeySpec, raw: Any) -> enum.Enum:
    """A member of the key's enum, by its word, or by its number when its members are numbered."""
    kind: type[enum.Enum] = spec.kind
    numbered = issubclass(kind, enum.IntEnum)
    choices = {word(member): member for member in kind}
    if isinstance(raw, str):
        meant = next((name for name in choices if name.lower() == raw.lower()), None)
        if meant is not None:
            return choices[meant]
    elif numbered and isinstance(raw, int) and not isinstance(raw, bool):
        if any(member.value == raw for member in kind):
            return kind(raw)
    else:
        numbers = f", or 1 to {len(choices)}" if numbered else ""
        raise ValueFault(f"wants one of {', '.join(choices)}{numbers}; found {found(spec, raw)}")
    ordered = nearest_first(raw, choices) if isinstance(raw, str) else list(choices)
    numbers = f" (or 1 to {len(choices)})" if numbered else ""
    raise ValueFault(f"{_shown(raw)} isn't one of: {', '.join(ordered)}{numbers}")


def found(spec: KeySpec, raw: Any) -> str:
    """What stands in the file, in words; of a secret only its type."""
    names = {bool: "the boolean", int: "the integer", float: "the number", str: "the string"}
    name = names.get(type(raw))
    if name is None:
        return "an array" if isinstance(raw, list) else "a table" if isinstance(raw, dict) else "a date or time"
    return f"{name} (not shown)" if spec.secret else f"{name} {_shown(raw)}"


def _shown(raw: Any) -> str:
    """A scalar as TOML writes it, cut to a readable length."""
    if isinstance(raw, bool):
        return str(raw).lower()
    if isinstance(raw, str):
        text = "".join(c if c.isprintable() else "\\" + f"u{ord(c):04x}" for c in raw[:60])
        return f'"{text}{"..." if len(raw) > 60 else ""}"'
    return str(raw)
