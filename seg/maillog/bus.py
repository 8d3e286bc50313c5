"""Where every stage emits its events, and where whoever wants to know of them listens."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from twisted.logger import Logger
from zope.interface import implementer

from seg.events import DebugEvent, Event
from seg.interfaces import IEventSink

Listener = Callable[[Event], object]
MOST_HELD = 1000  # events from before the listeners are there; the oldest go first


@implementer(IEventSink)
class EventBus:
    """Hands each event to all listeners, in the order in which they were added."""

    _log = Logger()

    def __init__(self) -> None:
        self.debug = False
        self._all: tuple[Listener, ...] = ()
        self._debug: tuple[Listener, ...] = ()
        self._reported: tuple[Listener, ...] = ()
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

    def add(self, listener: Listener, debug: bool = False) -> None:
        """Call `listener` with each event from now on; with `debug` also with each `DebugEvent`.

        One that was added before stays at its place; only whether it hears `DebugEvent`s changes.
        """
        if listener not in self._all:
            self._all += (listener,)
        others = tuple(other for other in self._debug if other != listener)
        self._debug = (*others, listener) if debug else others
        self.debug = bool(self._debug)

    def remove(self, listener: Listener) -> None:
        """Don't call `listener` any more. Harmless when it wasn't added."""
        self._all = tuple(other for other in self._all if other != listener)
        self._debug = tuple(other for other in self._debug if other != listener)
        self._reported = tuple(other for other in self._reported if other != listener)
        self.debug = bool(self._debug)

    def emit(self, event: Event) -> None:
        """Tell all listeners (`IEventSink.emit`). A listener that raises stops neither the others nor the
        stage."""
        if self._holding:
            self._held.append(event)
            return
        for listener in self._debug if isinstance(event, DebugEvent) else self._all:
            try:
                listener(event)
            except Exception:  # noqa: BLE001 - the caller may be in the middle of a delivery; it is logged
                self._failed(listener, event)

    def _failed(self, listener: Listener, event: Event) -> None:
        """Report the first failure of a listener; more of them would only repeat it for every event."""
        if listener not in self._reported:
            self._reported += (listener,)
            self._log.failure("A listener failed on {event!r}; it isn't reported again", event=event)
