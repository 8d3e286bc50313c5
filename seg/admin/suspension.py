"""What an operator has suspended: deliveries to some destinations or all, listeners. It outlasts a restart."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

import attrs

from seg.files import replace_file

ALL = "ALL"


@attrs.frozen
class Suspended:
    """What is suspended."""

    domains: frozenset[str] = frozenset()  # or ALL
    listeners: frozenset[str] = frozenset()

    def delivery(self, domain: str) -> bool:
        """Whether nothing is to be sent to a destination."""
        return ALL in self.domains or domain in self.domains


class Suspension:
    """Keeps it in a file. Blocks a little: for commands of people."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.now = self._read()

    def change(
        self,
        *,
        suspend: Iterable[str] = (),
        resume: Iterable[str] = (),
        suspend_listeners: Iterable[str] = (),
        resume_listeners: Iterable[str] = (),
    ) -> Suspended:
        """Suspend and resume; resuming ALL resumes everything.

        :raises OSError: it can't be written down; nothing is changed then.
        """
        resumed = frozenset(resume)
        domains = frozenset() if ALL in resumed else self.now.domains - resumed
        listeners = self.now.listeners - frozenset(resume_listeners)
        new = Suspended(domains | frozenset(suspend), listeners | frozenset(suspend_listeners))
        text = json.dumps({"domains": sorted(new.domains), "listeners": sorted(new.listeners)})
        replace_file(self._path, text.encode())
        self.now = new
        return new

    def _read(self) -> Suspended:
        try:
            raw = json.loads(self._path.read_text("utf-8"))
            return Suspended(frozenset(map(str, raw["domains"])), frozenset(map(str, raw["listeners"])))
        except (OSError, ValueError, KeyError, TypeError):
            return Suspended()
