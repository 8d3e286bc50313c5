"""In which order destinations get their turns."""

from __future__ import annotations

from collections import OrderedDict

from seg.deliver.destination import ConcurrencyWindow
from seg.deliver.slots import Slots


class DestinationTurns:
    """Destinations with due work, in turn; those that have nothing under way, and those that let us wait, can be told from the others."""

    def __init__(self) -> None:
        self._waiting: OrderedDict[str, None] = OrderedDict()
        self._first: OrderedDict[str, None] = OrderedDict()  # of these, the ones that have nothing under way
        self._silent: OrderedDict[str, None] = OrderedDict()  # those that let us wait when we last tried

    def add(self, domain: str, destination: ConcurrencyWindow | None) -> None:
        """A destination has due work; it keeps its place if it waits already.

        :param destination: what is known of it, None for nothing.
        """
        if destination is not None and destination.silent:
            self._remove(domain)
            self._silent[domain] = None
            return
        if self._silent:
            self._silent.pop(domain, None)
        self._waiting[domain] = None
        if destination is None or not destination.active:
            self._first[domain] = None
        else:
            self._first.pop(domain, None)

    def next(self, slots: Slots) -> str | None:
        """Whose turn it is, as far as there is room; it doesn't wait any more."""
        if slots.room(first=False):
            if self._silent and slots.room_for_silent(others_wait=bool(self._waiting)):
                line = self._silent
            else:
                line = self._waiting
        elif slots.room(first=True):
            line = self._first
        else:
            return None
        if not line:
            return None
        domain = next(iter(line))
        del line[domain]
        self._remove(domain)
        return domain

    def _remove(self, domain: str) -> None:
        self._waiting.pop(domain, None)
        self._first.pop(domain, None)
