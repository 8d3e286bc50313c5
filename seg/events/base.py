"""What every event is, and who takes them."""

from __future__ import annotations

from zope.interface import Attribute, Interface


class IEventSink(Interface):
    """Takes events. Every stage holds one; nothing else carries news."""

    debug = Attribute("bool: whether anybody hears `DebugEvent`s; don't make one otherwise")

    def emit(event: Event) -> None:
        """Take note. Cheap, never raises, never blocks."""


class Event:
    """Base of all events."""

    __slots__ = ()


class DebugEvent(Event):
    """Base of events that are only worth an object when somebody listens (`IEventSink.debug`)."""

    __slots__ = ()
