"""The file of what is known to have DANE, so that a restart forgets nothing of it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger

from seg.common.files import StateContent, StateDamaged, StateUnreadable, put_aside, read_state_file, replace_file
from seg.common.threads import InThread
from seg.events.base import IEventSink
from seg.events.conditions import Condition
from seg.events.gateway import ConditionKind
from seg.policy.dane.memory import MOST, SeenDANE

INTERVAL = 60.0  # seconds between a change and the writing of all that has changed by then
STALE = 86400.0  # seconds for which what is over stays in the file: the clock may be ahead
LONGEST_NAME = 255
LATEST = 1e11  # POSIX seconds that may stand there
LARGEST = 32 * 1024 * 1024  # octets: `MOST` of the longest names
VERSION = 1


class SeenDANEFile:
    """Reads it at the start, and writes it in a thread: once a minute at most, when something has changed, and at the end.

    While it can't be read it isn't written either. A damaged one is kept aside; what is seen from then on is known.

    :param path: the file.
    """

    log = Logger()

    def __init__(self, seen: SeenDANE, path: Path, clock: IReactorTime, in_thread: InThread, sink: IEventSink) -> None:
        self._seen = seen
        self._path = path
        self._clock = clock
        self._in_thread = in_thread
        self._condition = Condition(sink, ConditionKind.STATE_FILE, str(path))
        self._readable = False
        self._dirty = False
        self._running = False
        self._due: IDelayedCall | None = None
        self._working: Deferred[None] | None = None

    async def begin(self) -> None:
        """Read it. From then on changes are written."""
        self._running = True
        self._seen.changed = self._changed
        await self._read()

    async def end(self) -> None:
        """Write what isn't written yet. Nothing is written from then on."""
        self._running = False
        if self._due is not None:
            self._due.cancel()
            self._due = None
        if self._working is not None:
            await self._working
        if self._dirty and self._readable:
            await self._write()

    def _changed(self) -> None:
        self._dirty = True
        self._plan()

    def _plan(self) -> None:
        if self._running and self._due is None and self._working is None:
            self._due = self._clock.callLater(INTERVAL, self._work)

    def _work(self) -> None:
        self._due = None
        working = self._working = Deferred()
        done = Deferred.fromCoroutine(self._read_and_write())
        done.addErrback(lambda failure: self.log.failure("{path} isn't kept", failure, path=self._path))
        done.addCallback(lambda _: self._worked(working))

    def _worked(self, working: Deferred[None]) -> None:
        self._working = None
        working.callback(None)
        if self._dirty:
            self._plan()

    async def _read_and_write(self) -> None:
        if not self._readable:
            await self._read()
        if self._readable and self._dirty:
            await self._write()

    async def _read(self) -> None:
        found = await self._in_thread(lambda: read_state_file(self._path, _decoded, LARGEST))
        if isinstance(found, StateUnreadable):
            self._condition.begin(
                f"{self._path} can't be read ({found.reason}): which domains had DANE before the start isn't known"
            )
            self._changed()  # come back to it
            return
        self._readable = True
        if isinstance(found, StateContent):
            self._seen.add(found.value)
            self._condition.end(f"{self._path} is read")
        elif isinstance(found, StateDamaged):
            aside = await self._in_thread(lambda: put_aside(self._path))
            self._condition.begin(
                f"{self._path} is damaged ({found.reason}; {aside}): which domains have DANE is known only as it is seen anew"
            )
            self._changed()  # a good one takes its place

    async def _write(self) -> None:
        names, now = self._seen.until(), self._seen.seconds()
        self._dirty = False
        try:
            await self._in_thread(lambda: replace_file(self._path, _encoded(names, now - STALE)))
        except OSError as error:
            self._dirty = True
            self._condition.begin(
                f"{self._path} can't be written ({error.strerror or error}): a restart would forget which domains have DANE"
            )
        else:
            self._condition.end(f"{self._path} is written again")


def _encoded(names: Sequence[tuple[str, float]], since: float) -> bytes:
    """:param since: what was over before isn't written."""
    kept = {name: int(until) for name, until in names if until >= since and len(name) <= LONGEST_NAME}
    return json.dumps({"version": VERSION, "seen": kept}, separators=(",\n", ": ")).encode("ascii") + b"\n"


def _decoded(data: bytes) -> Mapping[str, float]:
    """:raises ValueError: it isn't what was written (and the other errors that `read_state_file` knows)."""
    raw = json.loads(data.decode("ascii"))
    if raw["version"] != VERSION:
        raise ValueError("another version's")
    seen: dict[str, float] = {}
    for name, until in raw["seen"].items():
        if type(until) not in (int, float) or not 0 <= until <= LATEST or not 0 < len(name) <= LONGEST_NAME:
            raise ValueError("an entry that can't be")
        seen[name] = float(until)
    if len(seen) > MOST:
        raise ValueError(f"more than {MOST} names")
    return seen
