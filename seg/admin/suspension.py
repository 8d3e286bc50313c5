"""What an operator has suspended: deliveries to some destinations or all, listeners. It outlasts a restart."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Callable, Iterable
from pathlib import Path

import attrs
from twisted.internet.interfaces import IDelayedCall, IReactorTime

from seg.admin.wire.gateway import PauseAnswer, SuspensionAnswer
from seg.common.files import (
    DAMAGED_SUFFIX,
    StateAbsent,
    StateContent,
    StateDamaged,
    StateUnreadable,
    keep_aside,
    read_state_file,
    replace_file,
)
from seg.events.base import IEventSink
from seg.events.conditions import Condition
from seg.events.gateway import ConditionKind

ALL = "ALL"
TRIED_AGAIN = 60.0  # seconds


@attrs.frozen
class Pause:
    """Nothing leaves the queue, whatever else is suspended or resumed."""

    reason: str
    by: str
    since: float  # POSIX seconds


@attrs.frozen
class SuspensionState:
    """What is suspended."""

    domains: frozenset[str] = frozenset()  # names, .suffixes, or ALL
    listeners: frozenset[str] = frozenset()
    pause: Pause | None = None
    unknown: str = ""  # why nobody knows what was suspended: the file is damaged, or can't be read

    def delivery(self, domain: str) -> bool:
        """Whether nothing is to be sent to a destination."""
        return self.pause is not None or bool(self.by(domain))

    @property
    def held_back(self) -> Callable[[str], bool]:
        """The same as `delivery`; as it is asked for each message, it costs nothing when nothing is suspended."""
        return self.delivery if self.pause is not None or self.domains else self.domains.__contains__

    def by(self, domain: str) -> str:
        """What holds back a destination: ALL, its name, or ``.suffix`` as in destinations.toml; "" when nothing does."""
        if not self.domains or ALL in self.domains or domain in self.domains:
            return ALL if ALL in self.domains else domain if self.domains else ""
        parent = domain
        while parent:
            parent = parent.partition(".")[2]
            if parent and f".{parent}" in self.domains:
                return f".{parent}"
        return ""


class Suspension:
    """Keeps it in a file, and takes the safe side when that can't be read: everything is suspended then, until an operator resumes it.

    What is changed is in force at once; while it can't be written down, that is told and tried again. Blocks a little: for commands of
    people.

    :param listeners: all there are.
    :param changed: called when something else is suspended than before.
    """

    def __init__(
        self,
        path: Path,
        listeners: Iterable[str],
        sink: IEventSink,
        clock: IReactorTime,
        changed: Callable[[], None] = lambda: None,
    ) -> None:
        self.now = SuspensionState()
        self.not_written = ""  # why what is in force isn't written down; "" when it is
        self._path = path
        self._listeners = frozenset(listeners)
        self._clock = clock
        self._changed = changed
        self._condition = Condition(sink, ConditionKind.STATE_FILE, str(path))
        self._unread = ""  # why the file can't be read just now
        self._again: IDelayedCall | None = None
        self._read()

    def change(
        self,
        *,
        suspend: Iterable[str] = (),
        resume: Iterable[str] = (),
        suspend_listeners: Iterable[str] = (),
        resume_listeners: Iterable[str] = (),
    ) -> SuspensionState:
        """Suspend and resume; resuming ALL resumes everything. It is in force even if it can't be written down (`not_written`)."""
        resumed, opened = frozenset(resume), frozenset(resume_listeners)
        domains = frozenset() if ALL in resumed else self.now.domains - resumed
        listeners = self.now.listeners - opened
        return self._keep(
            SuspensionState(
                domains | frozenset(suspend),
                listeners | frozenset(suspend_listeners),
                self.now.pause,
                "" if resumed or opened else self.now.unknown,
            )
        )

    def facts(self) -> SuspensionAnswer:
        """For the API."""
        now = self.now
        paused = None if now.pause is None else PauseAnswer(**attrs.asdict(now.pause))
        return SuspensionAnswer(tuple(sorted(now.domains)), tuple(sorted(now.listeners)), paused, self.not_written)

    def pause(self, pause: Pause | None) -> SuspensionState:
        """Let nothing leave the queue; None is the end of that. Written down as `change` does it."""
        return self._keep(attrs.evolve(self.now, pause=pause))

    def apply(self) -> None:
        """Put into force what is suspended, once all that it is about is there."""
        self._changed()

    # --- the file ----------------------------------------------------------------------------------

    def _keep(self, new: SuspensionState) -> SuspensionState:
        self.now, self._unread = new, ""
        self._write()
        self._changed()
        return new

    def _write(self) -> None:
        try:
            if self._path.is_dir() and not self._path.is_symlink():
                keep_aside(self._path)
            replace_file(self._path, _encoded(self.now))
            self.not_written = ""
        except OSError as error:
            self.not_written = error.strerror or str(error)
        self._settled()

    def _read(self) -> None:
        found = read_state_file(self._path, _decoded)
        if isinstance(found, StateAbsent) and os.path.lexists(self._path.with_name(self._path.name + DAMAGED_SUFFIX)):
            found = StateDamaged("it isn't there, and what it was before is damaged")
        self._unread = ""
        if isinstance(found, StateContent):
            self.now = found.value
        elif isinstance(found, StateAbsent):
            self.now = SuspensionState()
        elif isinstance(found, StateUnreadable):
            self._unread = found.reason
            self.now = self._everything(f"can't be read ({found.reason})")
        else:
            self._take_damage(found)
            return
        self._settled()

    def _take_damage(self, found: StateDamaged) -> None:
        """The file of what is in force from now on takes the damaged one's place, which is kept aside."""
        try:
            aside = f", kept aside as {keep_aside(self._path).name}" if os.path.lexists(self._path) else ""
        except OSError as error:
            aside = f", and can't be kept aside ({error.strerror or error})"
        self.now = self._everything(f"is damaged ({found.reason}{aside})")
        self._write()

    def _everything(self, why: str) -> SuspensionState:
        return SuspensionState(frozenset({ALL}), self._listeners, None, why)

    def _settled(self) -> None:
        """Tell what is wrong with the file, and come back to it."""
        texts = []
        if self.now.unknown:
            texts.append(
                f"{self.now.unknown}: what was suspended isn't known, so all deliveries and listeners are, until seg resume"
            )
        if self.not_written:
            texts.append(
                f"can't be written ({self.not_written}): what is suspended is in force, but a restart would forget it"
            )
        if texts:
            self._condition.begin(f"{self._path} {'; it '.join(texts)}")
        else:
            self._condition.end(f"{self._path} says what is suspended")
        if (self._unread or self.not_written) and self._again is None:
            self._again = self._clock.callLater(TRIED_AGAIN, self._try_again)

    def _try_again(self) -> None:
        self._again = None
        if self._unread:
            before = self.now
            self._read()
            if self.now != before:
                self._changed()
        elif self.not_written:
            self._write()


def _encoded(now: SuspensionState) -> bytes:
    state: dict[str, object] = {"domains": sorted(now.domains), "listeners": sorted(now.listeners)}
    if now.pause is not None:
        state["pause"] = attrs.asdict(now.pause)
    if now.unknown:
        state["unknown"] = now.unknown
    return json.dumps(state).encode()


def _decoded(data: bytes) -> SuspensionState:
    """:raises ValueError: it isn't what `_encoded` writes (and the other errors that `read_state_file` knows)."""
    raw = json.loads(data)
    pause, unknown = raw.get("pause"), raw.get("unknown", "")
    names = [raw["domains"], raw["listeners"]]
    if not all(isinstance(each, list) and all(isinstance(name, str) for name in each) for each in names):
        raise ValueError("domains and listeners aren't lists of names")
    if pause is not None and not math.isfinite(pause["since"]):
        raise ValueError("a time that isn't one")
    return SuspensionState(
        frozenset(raw["domains"]),
        frozenset(raw["listeners"]),
        None if pause is None else Pause(str(pause["reason"]), str(pause["by"]), float(pause["since"])),
        str(unknown),
    )
