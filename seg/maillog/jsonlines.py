"""The mail log's JSON twin: one object a line, with the same facts as the text.

Every object has ``time`` (ISO 8601 with zone), ``level`` (``debug``, ``info``, ``warning``) and ``event``
(the class's name in snake_case); the event's own fields follow under their names. Ids are numbers, addresses
and names strings, tuples arrays. An ``error`` becomes ``enhanced``, ``code`` (0: no reply), ``error`` (the
text) and ``remote`` (reply lines); ``opinions`` an object by provider; ``until`` and ``expires`` are ISO 8601
as well.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from json.encoder import encode_basestring_ascii
from typing import Any

import attrs

from seg.events.base import Event
from seg.mail.errors import DeliveryError
from seg.maillog.log_table import LONGEST_LINE
from seg.maillog.timestamps import TimestampCache

# Only printable ASCII leaves here, so no separator of lines that Unicode knows can break one. JSON leaves DEL as it is.
_encode: Callable[[object], str] = json.JSONEncoder(separators=(",", ":"), default=str).encode
_DEL, _DEL_ESCAPED = "\x7f", "\\u007f"
_WORDS = re.compile(r"DANE|MX|STS|TLS|DNS|[A-Z][a-z]+|[A-Z]+(?![a-z])")
_TIMES = frozenset({"until", "expires"})

Fields = tuple[tuple[str, str], ...]  # name, and the name as it stands before its value


def event_name(kind: type[Event]) -> str:
    """A class's name as ``event``: ``delivery_tls_started``."""
    return "_".join(_WORDS.findall(kind.__name__)).lower()


class JSONLines:
    """Writes events as JSON. What is the same for all events of a class is made once."""

    def __init__(self, stamps: TimestampCache) -> None:
        self._stamps = stamps
        self._fields: dict[type[Event], tuple[str, Fields]] = {}

    def line(self, event: Event, at: float, level: str) -> str:
        """One event at POSIX seconds `at`, without the line's end."""
        name, fields = self._fields.get(type(event)) or self._learn(type(event))
        _, date, zone = self._stamps[int(at)]
        parts = [f'{{"time":"{date}.{int(at * 1000) % 1000:03d}{zone}","level":"{level}","event":"{name}"']
        for field, label in fields:
            value = getattr(event, field)
            kind = type(value)
            if kind is str:
                text = value if len(value) <= LONGEST_LINE else value[:LONGEST_LINE]
                parts.append(label + encode_basestring_ascii(text))
            elif kind is int:
                parts.append(label + str(value))
            elif kind is tuple and value and type(value[0]) is int:
                parts.append(f"{label}[{','.join(map(str, value))}]")
            elif isinstance(value, str):  # a member of a closed set
                parts.append(label + encode_basestring_ascii(value))
            elif value is None:
                parts.append(f"{label}null")
            else:
                parts.append(_other(field, value))
        parts.append("}")
        return "".join(parts).replace(_DEL, _DEL_ESCAPED)

    def note(self, at: float, level: str, name: str, facts: dict[str, Any]) -> str:
        """A line about something that is no event."""
        record = _encode({"time": self._stamps.iso(at), "level": level, "event": name, **facts})
        return record.replace(_DEL, _DEL_ESCAPED)

    def _learn(self, kind: type[Event]) -> tuple[str, Fields]:
        names = [field.name for field in attrs.fields(kind)] if attrs.has(kind) else []
        learnt = event_name(kind), tuple((name, f',"{name}":') for name in names)
        self._fields[kind] = learnt
        return learnt


def _other(name: str, value: Any) -> str:
    """A field that is neither a string nor a whole number, under its name or names."""
    if isinstance(value, DeliveryError):
        record = {"enhanced": value.enhanced, "code": value.code, "error": value.text, "remote": value.remote}
        return "," + _encode(record)[1:-1]
    if name == "opinions":
        value = dict(value)
    elif name in _TIMES:
        value = TimestampCache().iso(value)
    return "," + _encode({name: value})[1:-1]
