"""What one reader of the mail log is told of an event: by its level, by kinds of events, with or without details."""

from __future__ import annotations

import enum
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from twisted.logger import Logger

from seg.config.log import LogLevel, SubscriptionLevel
from seg.events.base import DebugEvent, Event
from seg.events.receive import MessageReceived
from seg.maillog.jsonlines import JSONLines, event_name
from seg.maillog.lines import KINDS, render_unknown, without_details
from seg.maillog.log_table import LONGEST_LINE, Level, LogLine, Renderer, clean
from seg.maillog.timestamps import TimestampCache


class Urgency(enum.Enum):
    """Whether events of a class are told."""

    NOT = enum.auto()
    SOON = enum.auto()
    AT_ONCE = enum.auto()


class _Wanted(dict[type[Event], Urgency]):
    """Whether events of a class are told, decided once; a class that was met before costs no call."""

    def __init__(self, decide: Callable[[type[Event]], Urgency]) -> None:
        super().__init__()
        self._decide = decide

    def __missing__(self, kind: type[Event]) -> Urgency:
        wanted = self[kind] = self._decide(kind)
        return wanted


class FormattedEvent(NamedTuple):
    """An event as it is told."""

    at: float  # POSIX seconds
    kind: type[Event]
    level: Level  # of the event as a whole
    lines: list[LogLine]  # cleaned, the level lets all of them through; none where only JSON is wanted
    record: str  # JSON, without the line's end; "" where only text is wanted


class EventFormatter:
    """Chooses and renders.

    :param least: the least weighty lines told.
    :param kinds: kinds of events (`seg.maillog.lines.KINDS`); empty: all, those of third parties too.
    """

    _log = Logger()

    def __init__(self, least: Level, details: bool, kinds: Sequence[str], text: bool, json: bool) -> None:
        self.debug = least is Level.DEBUG
        self._least = least.weight
        self._details = details
        self._text = text
        self._json = json
        self._others = not kinds
        chosen = [entry for kind in kinds or KINDS for entry in KINDS[kind]]
        self._known: dict[type[Event], tuple[Level, Renderer]] = {
            entry.event: (entry.level, entry.render) for entry in chosen
        }
        self.wanted: Mapping[type[Event], Urgency] = _Wanted(self._decide)  # whether events of a class are told
        self._records = JSONLines(TimestampCache())
        self._broken = False

    def _decide(self, kind: type[Event]) -> Urgency:
        known = self._known.get(kind)
        level = known[0] if known else _level_of_unknown(kind)
        if level.weight < self._least or not (known or self._others):
            return Urgency.NOT
        return Urgency.AT_ONCE if level is Level.WARNING else Urgency.SOON

    def tell(self, event: Event, at: float) -> FormattedEvent:
        """An event at POSIX seconds `at`; one that can't be told as it should be is told raw."""
        kind = type(event)
        try:
            level, render = self._known.get(kind) or (_level_of_unknown(kind), render_unknown)
            if kind is MessageReceived and not self._details:
                event = without_details(event)  # type: ignore[arg-type]
            least = self._least
            lines = (
                [
                    (each, text if text.isprintable() and len(text) <= LONGEST_LINE else clean(text))
                    for each, text in render(event)
                    if each.weight >= least
                ]
                if self._text
                else []
            )
            record = self._records.line(event, at, level.word) if self._json else ""
        except Exception:  # noqa: BLE001 - one event must not take the others with it; it is logged
            return self._raw(event, at)
        return FormattedEvent(at, kind, level, lines, record)

    def _raw(self, event: Event, at: float) -> FormattedEvent:
        """An event that can't be told as it should be; the reason is reported once."""
        level, text = render_unknown(event)[0]
        if not self._broken:
            self._broken = True
            self._log.failure("An event can't be written as it should be: {event!r}", event=event)
        record = self.note(at, level, event_name(type(event)), text=text) if self._json else ""
        return FormattedEvent(at, type(event), level, [(level, clean(text))] if self._text else [], record)

    def note(self, at: float, level: Level, name: str, **facts: str | int) -> str:
        """JSON about something that is no event."""
        return self._records.note(at, level.word, name, facts)


def level_of(choice: LogLevel | SubscriptionLevel) -> Level:
    """The least weighty lines told, as the configuration chooses them."""
    return Level(choice.value.capitalize())


def _level_of_unknown(kind: type[Event]) -> Level:
    return Level.DEBUG if issubclass(kind, DebugEvent) else Level.INFO
