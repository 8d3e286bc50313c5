"""What was counted since the last reset, since the start, and ever: the counters that outlast a restart."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import attrs

from seg.files import replace_file

Numbers = dict[str, int]


@attrs.frozen
class Kept:
    """What the file says."""

    since: float  # POSIX seconds: when the counting began
    lifetime: Numbers
    reset: float  # POSIX seconds
    at_reset: Numbers  # what `lifetime` was then


class Totals:
    """The counters of this run on top of those of all runs before. Blocks a little: for a few numbers.

    :param path: the file. A lost or damaged one begins anew: these numbers are for people, mail doesn't depend on them.
    :param running: what this run has counted so far.
    """

    def __init__(self, path: Path, running: Callable[[], Numbers], now: Callable[[], float]) -> None:
        self._path = path
        self._running = running
        self._now = now
        self._kept = self._read()
        self._saved: Kept | None = None

    def columns(self) -> dict[str, Numbers]:
        """Each counter since the last reset, since the start (uptime), and ever (lifetime)."""
        running = self._running()
        lifetime = self._sum(running)
        at_reset = self._kept.at_reset
        return {
            "reset": {name: number - at_reset.get(name, 0) for name, number in lifetime.items()},
            "uptime": running,
            "lifetime": lifetime,
        }

    @property
    def last_reset(self) -> float:
        """POSIX seconds; the beginning, if there was none."""
        return self._kept.reset

    @property
    def since(self) -> float:
        """When the counting began, in POSIX seconds."""
        return self._kept.since

    def reset(self) -> None:
        """Begin the first column anew.

        :raises OSError: it can't be written down.
        """
        self._kept = attrs.evolve(self._kept, reset=self._now(), at_reset=self._sum(self._running()))
        self.save()

    def save(self) -> None:
        """Write the numbers down, if they changed.

        :raises OSError: the file can't be written; it is as it was.
        """
        state = attrs.evolve(self._kept, lifetime=self._sum(self._running()))
        if state == self._saved:
            return
        replace_file(self._path, json.dumps(attrs.asdict(state)).encode())
        self._saved = state

    def _sum(self, running: Numbers) -> Numbers:
        return {name: self._kept.lifetime.get(name, 0) + number for name, number in running.items()}

    def _read(self) -> Kept:
        try:
            raw = json.loads(self._path.read_text("utf-8"))
            return Kept(float(raw["since"]), _numbers(raw["lifetime"]), float(raw["reset"]), _numbers(raw["at_reset"]))
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            now = self._now()
            return Kept(now, {}, now, {})


def _numbers(raw: dict[str, object]) -> Numbers:
    """:raises TypeError: one isn't a whole number."""
    for name, number in raw.items():
        if type(number) is not int:
            raise TypeError(name)
    return {name: number for name, number in raw.items() if type(number) is int}
