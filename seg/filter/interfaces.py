"""What a filter promises, and what it may use (``docs/filters.md``)."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Any

import attrs
from zope.interface import Attribute, Interface

from seg.config.schema import Filter
from seg.events.base import IEventSink
from seg.filter.answers import Answer as FilterAnswer
from seg.filter.message import FilteredMessage


@attrs.frozen
class FilterContext:
    """What a filter may use of the gateway (`IMessageFilterFactory.create`)."""

    settings: Filter  # its table
    hostname: str  # the gateway's name
    sink: IEventSink
    reactor: Any


class IMessageFilter(Interface):
    """Judges messages before their 250, and may change them (``docs/filters.md``)."""

    def judge(message: FilteredMessage) -> Awaitable[FilterAnswer]:
        """What is to become of the message: one of the classes in `seg.filter.answers`.

        Must not block. May be cancelled at any time: the client is gone, the gateway stops, the time is up. Whatever it raises
        counts as no answer, and `when_away` of the filter's table decides.
        """


class IMessageFilterFactory(Interface):
    """Makes filters of a third party. Registered as a Twisted plugin (with `twisted.plugin.IPlugin`), it is found when a
    ``[[filter]]`` table in seg.toml has its name as `kind`."""

    name = Attribute("str: the kind of filter that it makes")

    def create(context: FilterContext) -> IMessageFilter:
        """One filter; called once at the start for each table. Must not connect yet: a filter that is away then comes
        back later. Whatever it raises stops the start with its text."""
