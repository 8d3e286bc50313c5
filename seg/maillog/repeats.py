"""One line for what happens again and again: the first ones as they are, then a count a minute.

A full disk or a filter that is away would else fill the very disk with lines that say the same, one for each message of a flood.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from types import MappingProxyType

import attrs
from twisted.internet.interfaces import IDelayedCall, IReactorTime

from seg.events.base import Event
from seg.events.gateway import ConditionBegan, ConditionEnded, Fault, Repeated
from seg.events.receive import FilterAway, MessageAborted, ReceiveFailed

MINUTE = 60.0  # seconds
MOST_TEXTS = 500  # told apart at a time; what comes above that is told as it is
_NUMBER = re.compile(r"\d+")


@attrs.frozen
class Repeatable:
    """A class of events of which only so many alike are told in a minute."""

    most: int
    text: Callable[[Event], str]  # what they are alike by, but for the numbers in it
    fault: bool = False  # an operator should mend it


def _fault(event: Event) -> str:
    assert isinstance(event, Fault)
    return event.text


def _failed(event: Event) -> str:
    assert isinstance(event, ReceiveFailed)
    return f"Receiving Failed: {event.text}"


def _aborted(event: Event) -> str:
    assert isinstance(event, MessageAborted)
    return f"Message aborted: {event.text}"


def _away(event: Event) -> str:
    assert isinstance(event, FilterAway)
    return f"filter {event.name} is away, so {event.decision}: {event.cause}"


def _condition(event: Event) -> str:
    assert isinstance(event, ConditionBegan | ConditionEnded)
    over = " is over" if isinstance(event, ConditionEnded) else ""
    return f"Condition {event.kind}{over}: {event.subject}{': ' * bool(event.subject)}{event.text}"


REPEATABLE: Mapping[type[Event], Repeatable] = MappingProxyType(
    {
        Fault: Repeatable(1, _fault, fault=True),
        ConditionBegan: Repeatable(10, _condition, fault=True),
        ConditionEnded: Repeatable(10, _condition),
        FilterAway: Repeatable(20, _away, fault=True),
        ReceiveFailed: Repeatable(20, _failed),
        MessageAborted: Repeatable(20, _aborted),
    }
)


@attrs.define
class _Count:
    told: int = 0
    left_out: int = 0
    last: str = ""  # text of the last one left out
    name: str = ""
    fault: bool = False


class Repeats:
    """Decides which events are told, and tells how many weren't.

    :param tell: gets a count, once a minute for each text.
    """

    def __init__(self, clock: IReactorTime, tell: Callable[[Repeated], object]) -> None:
        self._clock = clock
        self._tell = tell
        self._counts: dict[tuple[type[Event], str], _Count] = {}
        self._call: IDelayedCall | None = None

    def admits(self, event: Event) -> bool:
        """Whether an event is told."""
        kind = REPEATABLE.get(type(event))
        if kind is None:
            return True
        text = kind.text(event)
        key = (type(event), _NUMBER.sub("0", text))
        count = self._counts.get(key)
        if count is None:
            if len(self._counts) >= MOST_TEXTS:
                return True
            count = self._counts[key] = _Count(name=type(event).__name__, fault=kind.fault)
            if self._call is None:
                self._call = self._clock.callLater(MINUTE, self._due)
        if count.told < kind.most:
            count.told += 1
            return True
        count.left_out += 1
        count.last = text
        return False

    def _due(self) -> None:
        """A minute is over: tell the counts. What goes on is only counted from now on, until a minute comes without it."""
        self._call = None
        for key, count in list(self._counts.items()):
            if not count.left_out:
                del self._counts[key]
                continue
            self._tell(Repeated(count.name, count.last, count.left_out, count.fault))
            count.left_out = 0
        if self._counts:
            self._call = self._clock.callLater(MINUTE, self._due)

    def end(self) -> None:
        """Tell what was left out so far, and forget it."""
        if self._call is not None:
            self._call.cancel()
        self._due()
        if self._call is not None:
            self._call.cancel()
            self._call = None
        self._counts.clear()
