"""What an operator has suspended: deliveries to some destinations or all, listeners. It outlasts a restart."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import attrs

from seg.files import replace_file

ALL = "ALL"


@attrs.frozen
class Pause:
    """Nothing leaves the queue, whatever else is suspended or resumed."""

    reason: str
    by: str
    since: float  # POSIX seconds


@attrs.frozen
class Suspended:
    """What is suspended."""

    domains: frozenset[str] = frozenset()  # or ALL
    listeners: frozenset[str] = frozenset()
    pause: Pause | None = None

    def delivery(self, domain: str) -> bool:
        """Whether nothing is to be sent to a destination."""
        return self.pause is not None or ALL in self.domains or domain in self.domains


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
        return self._keep(
            Suspended(domains | frozenset(suspend), listeners | frozenset(suspend_listeners), self.now.pause)
        )

    def facts(self) -> dict[str, Any]:
        """For the API."""
        now = self.now
        paused = None if now.pause is None else attrs.asdict(now.pause)
        return {"domains": sorted(now.domains), "listeners": sorted(now.listeners), "paused": paused}

    def pause(self, pause: Pause | None) -> Suspended:
        """Let nothing leave the queue; None is the end of that.

        :raises OSError: it can't be written down; nothing is changed then.
        """
        return self._keep(attrs.evolve(self.now, pause=pause))

    def _keep(self, new: Suspended) -> Suspended:
        state: dict[str, object] = {"domains": sorted(new.domains), "listeners": sorted(new.listeners)}
        if new.pause is not None:
            state["pause"] = attrs.asdict(new.pause)
        replace_file(self._path, json.dumps(state).encode())
        self.now = new
        return new

    def _read(self) -> Suspended:
        try:
            raw = json.loads(self._path.read_text("utf-8"))
            pause = raw.get("pause")
            return Suspended(
                frozenset(map(str, raw["domains"])),
                frozenset(map(str, raw["listeners"])),
                None if pause is None else Pause(str(pause["reason"]), str(pause["by"]), float(pause["since"])),
            )
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return Suspended()
