"""Memory: how much of it there is, what share of that the queue's records may take, and that running out of it is told.

A ``MemoryError`` is a fault of ours (`seg.mail.errors.local_fault`): whoever meets one defers, and goes on.
"""

from __future__ import annotations

import os
import resource
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import attrs
from twisted.internet.interfaces import IDelayedCall
from twisted.logger import ILogObserver, Logger, LogPublisher, globalLogPublisher
from twisted.python.failure import Failure
from zope.interface import implementer

from seg.events.base import IEventSink
from seg.events.conditions import Condition
from seg.events.gateway import ConditionKind

SHARE: Final = 2  # the queue's records may have one part of so many of the memory that is free when the gateway starts
LEAST: Final = 16 * 1024 * 1024  # octets that they have in any case
CALM: Final = 30.0  # seconds without another shortage after which it is told that it is over
OUT: Final = "memory has run out: new mail and attempts are put off, and nothing is lost; give the gateway more (MemoryMax=, ulimit -v)"
TOO_LITTLE: Final = (
    "out of memory: the queue on disk needs more than there is, about half a KiB for each message beside 120 MiB; give the gateway more "
    "(MemoryMax=, ulimit -v) and start it again: nothing was changed"
)

_log = Logger()


@attrs.frozen
class Budget:
    """One limit of memory."""

    source: str  # what sets it, for people
    octets: int
    used: int  # octets of what it counts, now

    @property
    def free(self) -> int:
        """Octets left."""
        return max(0, self.octets - self.used)


def budgets(proc: Path = Path("/proc/self"), cgroups: Path = Path("/sys/fs/cgroup")) -> tuple[Budget, ...]:
    """All limits that hold for this process and can be read, the machine's memory among them; the tightest one first."""
    resident, whole, data = _used(proc)
    found = [Budget("the machine's memory", os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"), resident)]
    for source, which, used in (("ulimit -v", resource.RLIMIT_AS, whole), ("ulimit -d", resource.RLIMIT_DATA, data)):
        soft = resource.getrlimit(which)[0]
        if soft != resource.RLIM_INFINITY:
            found.append(Budget(source, soft, used))
    found += [Budget("the control group's limit", octets, resident) for octets in _cgroup_limits(proc, cgroups)]
    return tuple(sorted(found, key=lambda budget: budget.free))


def room_for_queue() -> int:
    """Octets that the records of the queue may take (`SHARE`); to be asked before the queue is read."""
    return max(LEAST, budgets()[0].free // SHARE)


def note(error: BaseException | None) -> None:
    """Have it told (see `MemoryWatch`) if this error is for want of memory; for those who deal with it and log nothing."""
    if isinstance(error, MemoryError):
        _log.warn("out of memory", shortage=True)


@implementer(ILogObserver)
class MemoryWatch:
    """Tells while memory is out (Condition MEMORY): a ``MemoryError`` was logged, wherever it came up.

    :param reactor: the clock; called from threads.
    """

    def __init__(self, reactor: Any, sink: IEventSink, publisher: LogPublisher = globalLogPublisher) -> None:
        self._reactor = reactor
        self._publisher = publisher
        self._condition = Condition(sink, ConditionKind.MEMORY, "process")
        self._calming: IDelayedCall | None = None

    def start(self) -> None:
        """Begin to watch."""
        self._publisher.addObserver(self)

    def stop(self) -> None:
        """Watch no more."""
        self._publisher.removeObserver(self)
        if self._calming is not None and self._calming.active():
            self._calming.cancel()

    def __call__(self, event: Any) -> None:
        """See `ILogObserver`."""
        failure = event.get("log_failure")
        if event.get("shortage") or (isinstance(failure, Failure) and failure.check(MemoryError)):
            self._reactor.callFromThread(self._met)

    def _met(self) -> None:
        if self._calming is not None and self._calming.active():
            self._calming.reset(CALM)
        else:
            self._calming = self._reactor.callLater(CALM, self._calm)
        self._condition.begin(OUT)

    def _calm(self) -> None:
        self._condition.end("memory suffices again")


def _used(proc: Path) -> tuple[int, int, int]:
    """Octets: resident, of the address space, of data (proc(5), statm)."""
    try:
        pages = (proc / "statm").read_text("ascii").split()
    except OSError:  # no Linux
        return 0, 0, 0
    size = os.sysconf("SC_PAGE_SIZE")
    return int(pages[1]) * size, int(pages[0]) * size, int(pages[5]) * size


def _cgroup_limits(proc: Path, root: Path) -> Iterator[int]:
    """The limits of this process's control groups and those above them (version 2, and version 1 beside it)."""
    try:
        lines = (proc / "cgroup").read_text("utf-8").splitlines()
    except OSError:
        return
    for line in lines:
        _, _, rest = line.partition(":")
        kinds, _, path = rest.partition(":")
        if kinds and "memory" not in kinds.split(","):
            continue
        folder, name = (root / "memory", "memory.limit_in_bytes") if kinds else (root, "memory.max")
        steps = [step for step in path.split("/") if step not in ("", "..")]
        for depth in range(len(steps), -1, -1):
            try:
                said = folder.joinpath(*steps[:depth], name).read_text("ascii").strip()
            except (OSError, ValueError):
                continue
            if said.isdigit() and int(said) < 2**60:  # "max", and version 1's largest number, are none
                yield int(said)
