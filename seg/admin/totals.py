"""What was counted since the last reset, since the start, and ever: the counters that outlast a restart."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path

import attrs

from seg.common.files import StateContent, StateDamaged, StateUnreadable, put_aside, read_state_file, replace_file
from seg.events.base import IEventSink
from seg.events.conditions import Condition
from seg.events.gateway import ConditionKind, Fault

Numbers = dict[str, int]


@attrs.frozen
class SavedTotals:
    """What the file says."""

    since: float  # POSIX seconds: when the counting began
    lifetime: Numbers
    reset: float  # POSIX seconds
    at_reset: Numbers  # what `lifetime` was then


class Totals:
    """The counters of this run on top of those of all runs before. Blocks a little: for a few numbers.

    :param path: the file. A lost or damaged one begins anew, which is told: these numbers are for people, mail doesn't depend on them.
        One that can't be read just now is left alone, and added to when it can be.
    :param running: what this run has counted so far.
    """

    def __init__(self, path: Path, running: Callable[[], Numbers], now: Callable[[], float], sink: IEventSink) -> None:
        self._path = path
        self._running = running
        self._now = now
        self._sink = sink
        self._condition = Condition(sink, ConditionKind.STATE_FILE, str(path))
        self._known = False  # whether the file was read, or there is none
        self._kept = SavedTotals(now(), {}, now(), {})
        self._saved: SavedTotals | None = None
        self._read()

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
        """Begin the first column anew: at once, also when it can't be written down yet."""
        self._kept = attrs.evolve(self._kept, reset=self._now(), at_reset=self._sum(self._running()))
        self.save()

    def save(self) -> None:
        """Write the numbers down, if they changed; while they can't be, that is told, and the file stays as it was."""
        if not self._known:
            self._read()
        state = attrs.evolve(self._kept, lifetime=self._sum(self._running()))
        if not self._known or state == self._saved:
            return
        try:
            replace_file(self._path, json.dumps(attrs.asdict(state)).encode())
        except OSError as error:
            self._condition.begin(
                f"{self._path} can't be written ({error.strerror or error}): a restart would forget counters"
            )
            return
        self._saved = state
        self._condition.end(f"{self._path} is written again")

    def _sum(self, running: Numbers) -> Numbers:
        return {name: self._kept.lifetime.get(name, 0) + number for name, number in running.items()}

    def _read(self) -> None:
        found = read_state_file(self._path, _decoded)
        if isinstance(found, StateUnreadable):
            self._condition.begin(
                f"{self._path} can't be read ({found.reason}): the counters of earlier runs aren't shown"
            )
            return
        self._known = True
        if isinstance(found, StateContent):
            own, self._kept = self._kept, found.value
            if own.at_reset:  # an operator asked for it meanwhile
                self._kept = attrs.evolve(self._kept, reset=own.reset, at_reset=self._sum(own.at_reset))
        elif isinstance(found, StateDamaged):
            self._sink.emit(
                Fault(f"{self._path} is damaged ({found.reason}); {put_aside(self._path)}; the counters begin anew")
            )


def _decoded(data: bytes) -> SavedTotals:
    """:raises ValueError: it isn't what was written (and the other errors that `read_state_file` knows)."""
    raw = json.loads(data)
    times = [float(raw[name]) for name in ("since", "reset")]
    if not all(map(math.isfinite, times)):
        raise ValueError("a time that isn't one")
    return SavedTotals(times[0], _numbers(raw["lifetime"]), times[1], _numbers(raw["at_reset"]))


def _numbers(raw: dict[str, object]) -> Numbers:
    """:raises TypeError: one isn't a whole number."""
    for name, number in raw.items():
        if type(number) is not int:
            raise TypeError(name)
    return {name: number for name, number in raw.items() if type(number) is int}
