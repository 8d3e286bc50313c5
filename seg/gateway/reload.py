"""A new configuration put into force while mail flows: all that can fail is done before anything is changed.

Each part of the gateway that a configuration reaches prepares itself for the new one; when all are ready, they work by it, in the same order
(`seg.gateway.reloadable` has the list). When one can't, those before it give up what they got.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

import attrs

from seg.admin.configuration.texts import Configuration
from seg.config.schema import Settings

# Sections of seg.toml, or keys of one, that are read at the start only.
AT_THE_START = ("gateway", "control.socket")


@attrs.frozen
class PreparedPart:
    """A part that is ready for a new configuration; one of both follows."""

    activate: Callable[[], object] = lambda: None  # works by it; never fails
    discard: Callable[[], object] = lambda: None  # leaves all as it is


class IReloadable(Protocol):
    """A part of the gateway that a configuration reaches."""

    async def __call__(self, new: Configuration) -> PreparedPart:
        """Do all that can fail, and change nothing.

        :raises ConfigurationError: it can't work.
        """


class Reloader:
    """Takes configurations (`seg.admin.configuration.control.IReloader`).

    :param parts: in the order in which they change.
    :param settings: those in force.
    """

    def __init__(self, parts: Sequence[IReloadable], settings: Callable[[], Settings]) -> None:
        self._parts = parts
        self._settings = settings

    async def prepare(self, configuration: Configuration) -> PreparedReload:
        """Have all parts get ready.

        :raises ConfigurationError: it can't work; nothing is changed.
        """
        ready: list[PreparedPart] = []
        try:
            for part in self._parts:
                ready.append(await part(configuration))
        except BaseException:
            PreparedReload(ready, ()).discard()
            raise
        return PreparedReload(ready, waiting_for_a_start(self._settings(), configuration.settings))


@attrs.frozen
class PreparedReload:
    """A configuration that only waits to be put into force."""

    _parts: Sequence[PreparedPart]
    _waiting: Sequence[str]

    def activate(self) -> Sequence[str]:
        """Work by it. Returns the settings that wait for the next start."""
        for part in self._parts:
            part.activate()
        return self._waiting

    def discard(self) -> None:
        """Leave all as it is."""
        for part in reversed(self._parts):
            part.discard()


def waiting_for_a_start(old: Settings, new: Settings) -> tuple[str, ...]:
    """What differs and is read at the start only, as section or section.key."""
    waiting = []
    for place in AT_THE_START:
        section, _, key = place.partition(".")
        before, after = getattr(old, section), getattr(new, section)
        if (getattr(before, key) != getattr(after, key)) if key else before != after:
            waiting.append(place)
    return tuple(waiting)
