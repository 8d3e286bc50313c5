"""The ids of the mail log: MID, ICID and DCID, monotonic and unique over restarts and kill -9.

Ids are reserved in blocks: the file says up to where, and is durable before the first id of a block is used.
After a kill the next run starts behind the block; after a clean stop it goes on with the next id.
"""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

from zope.interface import implementer

from seg.common.files import StateAbsent, StateContent, StateUnreadable, keep_aside, read_state_file
from seg.common.threads import NoThread, start_thread
from seg.events.base import IEventSink
from seg.events.conditions import Condition
from seg.events.gateway import ConditionKind, Fault
from seg.mail.ids import IMessageIds
from seg.queue.disk import Disk
from seg.queue.operations import RESERVE
from seg.queue.paths import ENVELOPE_SUFFIX, aside_name, mid_of

BLOCK = 1000
NAMES = ("mid", "icid", "dcid")
LARGEST = 4096  # octets of the file
EPOCH = 1_577_836_800  # POSIX seconds of 2020-01-01, from which ids count when the file is lost
RATE = 100  # ids a second since then: a gateway that took fewer on the average gets none a second time


def in_thread(work: Callable[[], None]) -> threading.Thread | None:
    """Run something beside the reactor; None where the system gives no thread now."""
    thread = threading.Thread(target=work, name="counters")
    try:
        start_thread(thread)
    except NoThread:
        return None
    return thread


@implementer(IMessageIds)
class MessageIds:
    """Counters in a file. Made before the reactor runs: the constructor reads and writes.

    The next block is reserved by a thread when half of the present one is used, so that the reactor waits for
    the disk only if 500 ids are taken in less time than one write needs.

    When the file can't be written (a full disk), ids are given all the same: a delivery has to go on. `unreserved` says so, and new
    mail must not be taken then, as its MID might come again after a crash.

    :param path: the file; the spool's messages are looked for in the folder it lies in, so that a damaged or
        lost file can't bring a MID a second time while its first message is queued.
    :param sink: hears of a damaged file, and of a disk that can't be written.
    :param background: runs the writing; the double calls it at once and returns None.
    :param seconds: POSIX seconds, for the floor of all ids when the file is lost.
    :param known: whether this gateway ran before, so that ids may have been used though neither file nor messages are there.
    :raises OSError: the folder can't be made or looked at.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        sink: IEventSink,
        background: Callable[[Callable[[], None]], threading.Thread | None] = in_thread,
        disk: Disk | None = None,
        seconds: Callable[[], float] = time.time,
        known: bool = False,
    ) -> None:
        self._path = Path(path)
        self._sink = sink
        self._background = background
        self._disk = disk or Disk()
        self._seconds = seconds
        self._writing: threading.Thread | None = None
        self._error: OSError | None = None  # not told yet
        self._damage = Condition(sink, ConditionKind.STATE_FILE, self._path.name)
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._used = self._read(known)
        self._reserved = dict(self._used)
        self._durable = dict(self._used)
        self._wanted = dict(self._used)
        self.reserve()
        if self._error is not None:  # a full disk: what was set aside is enough for this file
            with suppress(OSError):
                self._disk.unlink(str(self._path.with_name(RESERVE)))
            self.reserve()
        self._report_error()

    def next_mid(self) -> int:
        """See `IMessageIds.next_mid`."""
        return self._next("mid")

    def next_icid(self) -> int:
        """See `IMessageIds.next_icid`."""
        return self._next("icid")

    def next_dcid(self) -> int:
        """See `IMessageIds.next_dcid`."""
        return self._next("dcid")

    @property
    def unreserved(self) -> bool:
        """Whether the last MID given might be given again after a crash, as the file couldn't be written."""
        return self._used["mid"] > self._durable["mid"]

    def reserve(self) -> None:
        """Try to write the file now. Blocks."""
        self._finish_writing()
        self._reserve()
        self._write()

    def close(self) -> None:
        """Write down the ids really used, so that a clean restart leaves no gap. Blocks; no id may be taken
        after it."""
        self._finish_writing()
        self._wanted = dict(self._used)
        self._write()

    def _next(self, name: str) -> int:
        used = self._used[name] + 1
        if used > self._reserved[name]:
            self._finish_writing()
        if used > self._reserved[name]:
            self._reserve()
            self._write()
        self._report_error()
        # When the disk can't be written the id is given all the same: it is unique as long as this process
        # lives, and a message that is queued under it keeps it from being used again.
        self._used[name] = used
        if self._reserved[name] - used <= BLOCK // 2 and not self._is_writing():
            self._reserve()
            self._writing = self._background(self._write)
        return used

    def _reserve(self) -> None:
        self._wanted = {name: self._used[name] + BLOCK for name in NAMES}

    def _is_writing(self) -> bool:
        return self._writing is not None and self._writing.is_alive()

    def _finish_writing(self) -> None:
        if self._writing is not None:
            self._writing.join()
            self._writing = None

    def _write(self) -> None:
        """Make what is wanted durable; then it counts. A failure is reported by the next id."""
        wanted = self._wanted
        try:
            self._disk.replace(str(self._path), json.dumps(wanted).encode() + b"\n")
        except OSError as error:
            self._error = error
        else:
            self._error = None
            self._durable = wanted
        self._reserved = wanted

    def _report_error(self) -> None:
        if self._error is not None:
            error, self._error = self._error, None
            self._sink.emit(Fault(f"{self._path} can't be written, ids may repeat after a crash: {error}"))

    def _read(self, known: bool) -> dict[str, int]:
        """The last ids that may have been used."""
        highest = highest_mid(self._path.parent)
        found = read_state_file(self._path, _parse, LARGEST)
        if isinstance(found, StateContent):
            return {**found.value, "mid": max(found.value["mid"], highest)}
        if isinstance(found, StateAbsent):
            if not (highest or known):
                return dict.fromkeys(NAMES, 0)
            problem = "is missing though the gateway ran before"
        else:
            problem = f"can't be used ({found.reason})"
            with suppress(OSError):  # then it is in the way of the new one, and `_write` fails
                if not isinstance(found, StateUnreadable):
                    problem += f", and is kept as {keep_aside(self._path).name}"
        floor = max(highest, int((self._seconds() - EPOCH) * RATE), 0)
        self._damage.begin(f"{self._path} {problem}: all ids go on above {floor}, so that none comes twice")
        return dict.fromkeys(NAMES, floor)


def _parse(data: bytes) -> dict[str, int]:
    entry = json.loads(data)
    if not isinstance(entry, dict):
        raise ValueError("not a JSON object")
    values = {name: entry.get(name) for name in NAMES}
    if not all(type(value) is int and 0 <= value < 10**15 for value in values.values()):
        raise ValueError("a counter is missing or no whole number")
    return values  # type: ignore[return-value]


def highest_mid(spool: Path) -> int:
    """The highest MID of any file in the spool, broken ones and those kept aside included; 0 when there is none."""
    return max((mid_of(name.removesuffix(ENVELOPE_SUFFIX)) or 0 for name in _names(spool)), default=0)


def _names(spool: Path) -> Iterator[str]:
    """The names of all message files; a folder that can't be listed is passed over."""
    for place in ("new", "cur"):
        for folder in _list(spool / place):
            yield from _list(spool / place / folder)
    for name in _list(spool / "corrupt"):
        known = aside_name(name)
        if known is not None:
            yield known.name


def _list(folder: Path) -> list[str]:
    try:
        return os.listdir(folder)
    except OSError:  # no folder, or one that the scan will tell of
        return []
