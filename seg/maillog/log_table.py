"""What the mail log can say of one class of events."""

from __future__ import annotations

import enum
import re
from collections.abc import Callable
from operator import attrgetter
from typing import Any

import attrs

from seg.events.base import Event

LONGEST_LINE = 16384  # characters; a thousand recipients fit

_FIELD = re.compile(r"\{(\w+)\}")


class Level(enum.StrEnum):
    """The level of a line, as written."""

    DEBUG = "Debug"
    INFO = "Info"
    WARNING = "Warning"

    def __init__(self, word: str) -> None:
        self.prefix = f" {word}: "  # as it stands behind the time
        self.word = word.lower()  # as JSON has it
        self.weight = ("Debug", "Info", "Warning").index(word)


LogLine = tuple[Level, str]  # the text may hold anything that a peer sent: `clean` it before it is written
Renderer = Callable[[Any], tuple[LogLine, ...]]


@attrs.frozen
class LineTemplate:
    """The form of one line, for the documentation: ``{name}`` stands for a value, ``[...]`` for what may be
    missing."""

    level: Level
    template: str


@attrs.frozen
class LogEntry:
    """One class of events with its lines."""

    event: type[Event]
    when: str  # a sentence for the documentation
    forms: tuple[LineTemplate, ...]
    example: Event
    render: Renderer

    @property
    def level(self) -> Level:
        """The level of the event as a whole: that of its weightiest line."""
        return max((form.level for form in self.forms), key=lambda level: level.weight)


def plain(level: Level, template: str, example: Event, when: str) -> LogEntry:
    """An entry with one line, whose template is filled with the event's fields (``{icid}``)."""
    return LogEntry(type(example), when, (LineTemplate(level, template),), example, _filling(level, template))


def _filling(level: Level, template: str) -> Renderer:
    """Fills a template, in the quickest way there is: most lines are made so."""
    names = _FIELD.findall(template)
    pattern = _FIELD.sub("%s", template.replace("%", "%%"))
    if not names:
        return lambda event: ((level, pattern % ()),)
    values = attrgetter(*names)
    if len(names) == 1:
        return lambda event: ((level, pattern % (values(event),)),)
    return lambda event: ((level, pattern % values(event)),)


def entry(render: Renderer, example: Event, when: str, *forms: tuple[Level, str]) -> LogEntry:
    """An entry whose lines a function makes; `forms` describe them."""
    return LogEntry(type(example), when, tuple(LineTemplate(*form) for form in forms), example, render)


def clean(text: str) -> str:
    """A text that stays on its line: whatever isn't printable is escaped (CR LF is ``\\r\\n``), and its
    length is bounded.

    Line and paragraph separators, C1 controls, bidirectional controls and lone surrogates count as not
    printable, so the result can always be written as UTF-8 and no reader takes it for two lines.
    """
    if text.isprintable() and len(text) <= LONGEST_LINE:
        return text
    if len(text) > LONGEST_LINE:
        text = f"{text[:LONGEST_LINE]}... ({len(text) - LONGEST_LINE} more characters)"
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)
