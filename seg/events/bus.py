"""Where every stage emits its events, and where whoever wants to know of them listens."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import attrs
from twisted.logger import Logger
from zope.interface import implementer

from seg.events.base import DebugEvent, Event, IEventSink

BusListener = Callable[[Event], object]
MOST_HELD = 1000  # events from before the listeners are there; the oldest go first


@attrs.frozen
class _Hearing:
    """What a listener wants to hear."""

    listener: BusListener
    debug: bool  # `DebugEvent`s, too
    kinds: tuple[type[Event], ...]  # nothing else than these; empty: all

    def of(self, kind: type[Event]) -> bool:
        """Whether it wants to hear of events of a class."""
        return (self.debug or not issubclass(kind, DebugEvent)) and (not self.kinds or issubclass(kind, self.kinds))


@implementer(IEventSink)
class EventBus:
    """Hands each event to all listeners that want to hear of its class, in the order in which they were added."""

    _log = Logger()

    def __init__(self) -> None:
        self.debug = False
        self._all: tuple[_Hearing, ...] = ()
        self._of: dict[type[Event], tuple[BusListener, ...]] = {}  # found once for each class
        self._reported: tuple[BusListener, ...] = ()
        self._holding = False
        self._held: deque[Event] = deque(maxlen=MOST_HELD)

    def hold(self) -> None:
        """Keep all events until `hand_out`: those who want to know of them aren't there yet. Nobody hears of them before, and nobody twice."""
        self._holding = True

    def hand_out(self) -> None:
        """Tell the listeners there are now what was kept, and keep nothing any more."""
        self._holding = False
        while self._held:
            self.emit(self._held.popleft())

    def add(self, listener: BusListener, debug: bool = False, kinds: Iterable[type[Event]] = ()) -> None:
        """Call `listener` with each event from now on; with `debug` also with each `DebugEvent`; with `kinds` with nothing but events
        of these classes: what it doesn't want to hear costs nothing then.

        One that was added before stays at its place; only what it hears changes.
        """
        hearing = _Hearing(listener, debug, tuple(kinds))
        if any(other.listener == listener for other in self._all):
            self._use(tuple(hearing if other.listener == listener else other for other in self._all))
        else:
            self._use((*self._all, hearing))

    def subscribe(self, handlers: Mapping[type[Event], Callable[[Any], object]]) -> None:
        """Call each of these with events of its class, and with nothing else."""
        kinds: dict[Callable[[Any], object], list[type[Event]]] = {}
        for kind, handler in handlers.items():
            kinds.setdefault(handler, []).append(kind)
        for handler, each in kinds.items():
            self.add(handler, kinds=each)

    def remove(self, listener: BusListener) -> None:
        """Don't call `listener` any more. Harmless when it wasn't added."""
        self._use(tuple(other for other in self._all if other.listener != listener))
        self._reported = tuple(other for other in self._reported if other != listener)

    def _use(self, hearings: tuple[_Hearing, ...]) -> None:
        self._all = hearings
        self._of = {}
        self.debug = any(hearing.debug for hearing in hearings)

    def emit(self, event: Event) -> None:
        """Tell those who want to hear of it (`IEventSink.emit`). A listener that raises stops neither the others nor the stage."""
        if self._holding:
            self._held.append(event)
            return
        kind = type(event)
        listeners = self._of.get(kind)
        if listeners is None:
            listeners = self._of[kind] = tuple(hearing.listener for hearing in self._all if hearing.of(kind))
        for listener in listeners:
            try:
                listener(event)
            except Exception:  # noqa: BLE001 - the caller may be in the middle of a delivery; it is logged
                self._failed(listener, event)

    def _failed(self, listener: BusListener, event: Event) -> None:
        """Report the first failure of a listener; more of them would only repeat it for every event."""
        if listener not in self._reported:
            self._reported += (listener,)
            self._log.failure("A listener failed on {event!r}; it isn't reported again", event=event)
