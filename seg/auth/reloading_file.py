"""A file of lines on people, as the gateway knows it: read when it is first asked for, and again when it has changed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Generic, Protocol, TypeVar

import attrs
from twisted.internet.defer import Deferred, DeferredLock

from seg.auth.users_file import read_text, too_open
from seg.common.files import NO_FILE, FileSignature, signature_of
from seg.common.threads import InThread
from seg.config.trust import fault_of, of_caller
from seg.events.base import IEventSink
from seg.events.conditions import Condition
from seg.events.gateway import ConditionKind, Fault


class Contents(Protocol):
    """What a file holds."""

    @property
    def faults(self) -> tuple[str, ...]:
        """A line for people for each line that was passed over."""


T = TypeVar("T", bound=Contents)
MOST_TOLD = 20  # lines passed over that are told one by one


class Unreadable(Exception):
    """The file is there and can't be read; the text is one line for people."""


@attrs.frozen
class FileFormat(Generic[T]):
    """How a file is read, and what is said of it."""

    title: str  # "users file"
    parse: Callable[[str], T]
    harm: str  # as long as nothing can be read: "nobody can log in"
    remedy: str  # when it isn't there: "seg user add"
    secret: bool = True  # only its owner should be able to read it
    needed: bool = True  # else it is well if it isn't there, or is empty
    stale: Callable[[], bool] = lambda: (
        False
    )  # whether something else has changed that its contents were made of; in a thread


@attrs.frozen
class FileRead(Generic[T]):
    """What one look at the file found."""

    mark: FileSignature
    contents: T | None  # None: it hasn't changed
    faults: tuple[str, ...] = ()
    damage: str = ""  # what can't be used, and what that means


class ReloadingFile(Generic[T]):
    """The contents of a file, which is touched in threads only.

    :param in_thread: runs a function in a thread.
    :param seconds: the present time.
    :param rest: seconds between two looks at the file; 0: it is looked at whenever somebody asks.
    """

    def __init__(
        self,
        path: Path,
        kind: FileFormat[T],
        in_thread: InThread,
        sink: IEventSink,
        seconds: Callable[[], float],
        rest: float,
    ) -> None:
        self._path = path
        self._kind = kind
        self._in_thread = in_thread
        self._sink = sink
        self._seconds = seconds
        self._rest = rest
        self._looking = DeferredLock()
        self._looked: float | None = None  # when; None: never
        self._mark: FileSignature | None = None
        self._condition = Condition(sink, ConditionKind.STATE_FILE, str(path))
        self._fault = ""  # why the file can't be read, as told
        self.last: T | None = None  # what the last look found; None: nothing that can be read

    async def contents(self) -> T:
        """What the file holds now; nothing when it isn't there.

        :raises Unreadable: it is there and can't be read; what it said before doesn't count any more.
        """
        if self._due():
            await self._looking.run(self._look)
        if self.last is None:
            raise Unreadable(self._fault)
        return self.last

    def _due(self) -> bool:
        return self._looked is None or not 0 <= self._seconds() - self._looked < self._rest

    def _look(self) -> Deferred[None] | None:
        if not self._due():  # somebody else looked, while we waited for our turn
            return None
        looked: Deferred[FileRead[T]] = self._in_thread(lambda: look(self._path, self._kind, self._mark))
        return looked.addCallbacks(self._found, lambda failure: self._unreadable(failure.trap(OSError), failure.value))

    def _found(self, found: FileRead[T]) -> None:
        self._looked = self._seconds()
        self._mark, self._fault = found.mark, ""
        if found.contents is not None:
            self.last = found.contents
        self._tell(found)

    def _tell(self, found: FileRead[T]) -> None:
        """What is wrong with the file; while lines of it, or all of it, can't be used, that is a condition."""
        title = f"{self._kind.title} {self._path}"
        for fault in found.faults[:MOST_TOLD]:
            self._sink.emit(Fault(f"{title}: {fault}"))
        if len(found.faults) > MOST_TOLD:
            self._sink.emit(Fault(f"{title}: and {len(found.faults) - MOST_TOLD} more like these"))
        if found.damage:
            self._condition.begin(f"{title}: {found.damage}")
        elif found.contents is not None:
            self._condition.end(f"{title} can be read")

    def _unreadable(self, _: object, error: OSError) -> None:
        self._looked = self._seconds()
        self._mark = self.last = None
        fault = f"{self._kind.title} {self._path}: it can't be read ({error.strerror or error})"
        self._condition.begin(f"{fault}; {self._kind.harm} until it can be")
        self._fault = fault


def look(path: Path, kind: FileFormat[T], known: FileSignature | None) -> FileRead[T]:
    """Read the file if it isn't as it was. Blocks.

    :raises OSError: it is there and can't be read.
    """
    try:
        mark = signature_of(path)
        if mark == known and not kind.stale():
            return FileRead(mark, None)
        if fault := fault_of(path.stat(), of_caller()):
            raise OSError(f"it {fault}")
        text = read_text(path)
        contents = kind.parse(text)
        faults = tuple(f"{fault}; the line is passed over" for fault in contents.faults)
        damage = f"{len(faults)} of its lines can't be used and are passed over" if faults else ""
        if not text and kind.needed:
            damage = f"it is empty, so {kind.harm} ({kind.remedy})"
        if kind.secret and too_open(path):
            faults = ("others than its owner may read it (chmod 600)", *faults)
        return FileRead(mark, contents, faults, damage)
    except FileNotFoundError:
        fault = f"it isn't there, so {kind.harm} ({kind.remedy})"
        faults = (fault,) if kind.needed else ()
        return FileRead(NO_FILE, kind.parse(""), faults) if known != NO_FILE else FileRead(NO_FILE, None)
