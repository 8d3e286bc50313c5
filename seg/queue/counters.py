"""The ids of the mail log: MID, ICID and DCID, monotonic and unique over restarts and kill -9.

Ids are reserved in blocks: the file says up to where, and is durable before the first id of a block is used.
After a kill the next run starts behind the block; after a clean stop it goes on with the next id.
"""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable
from pathlib import Path

from zope.interface import implementer

from seg.events import Fault
from seg.interfaces import ICounters, IEventSink
from seg.queue.disk import Disk
from seg.queue.files import ENVELOPE_SUFFIX, mid_of

BLOCK = 1000
NAMES = ("mid", "icid", "dcid")


def in_thread(work: Callable[[], None]) -> threading.Thread:
    """Run something beside the reactor."""
    thread = threading.Thread(target=work, name="counters")
    thread.start()
    return thread


@implementer(ICounters)
class Counters:
    """Counters in a file. Made before the reactor runs: the constructor reads and writes.

    The next block is reserved by a thread when half of the present one is used, so that the reactor waits for
    the disk only
    if 500 ids are taken in less time than one write needs.

    :param path: the file; the spool's messages are looked for in the folder it lies in, so that a damaged or
        lost file can't bring a MID a second time while its first message is queued.
    :param sink: hears of a damaged file, and of a disk that can't be written.
    :param background: runs the writing; the double calls it at once and returns None.
    :raises OSError: the file can't be written.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        sink: IEventSink,
        background: Callable[[Callable[[], None]], threading.Thread | None] = in_thread,
        disk: Disk | None = None,
    ) -> None:
        self._path = Path(path)
        self._sink = sink
        self._background = background
        self._disk = disk or Disk()
        self._writing: threading.Thread | None = None
        self._error: OSError | None = None
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._used = self._read()
        self._reserved = dict(self._used)
        self._wanted = dict(self._used)
        self._reserve()
        self._write()
        if self._error:
            raise self._error

    def next_mid(self) -> int:
        """See `ICounters.next_mid`."""
        return self._next("mid")

    def next_icid(self) -> int:
        """See `ICounters.next_icid`."""
        return self._next("icid")

    def next_dcid(self) -> int:
        """See `ICounters.next_dcid`."""
        return self._next("dcid")

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
        wanted, tmp = self._wanted, f"{self._path}.tmp"
        try:
            self._disk.write(tmp, json.dumps(wanted).encode() + b"\n")
            self._disk.sync(tmp)
            self._disk.rename(tmp, str(self._path))
            self._disk.sync_folder(str(self._path.parent))
        except OSError as error:
            self._error = error
        self._reserved = wanted

    def _report_error(self) -> None:
        if self._error is not None:
            error, self._error = self._error, None
            self._sink.emit(Fault(f"{self._path} can't be written, ids may repeat after a crash: {error}"))

    def _read(self) -> dict[str, int]:
        """The last ids that may have been used."""
        highest = highest_mid(self._path.parent)
        try:
            used = _parse(self._path.read_bytes())
        except FileNotFoundError:
            if not highest:
                return dict.fromkeys(NAMES, 0)
            problem = "is missing though there are messages"
        except (OSError, ValueError) as error:
            problem = f"is damaged ({error})"
        else:
            return {**used, "mid": max(used["mid"], highest)}
        self._sink.emit(Fault(f"{self._path} {problem}: all ids go on above {highest}, the highest MID in the spool"))
        return dict.fromkeys(NAMES, highest)


def _parse(data: bytes) -> dict[str, int]:
    entry = json.loads(data)
    if not isinstance(entry, dict):
        raise ValueError("not a JSON object")
    values = {name: entry.get(name) for name in NAMES}
    if not all(type(value) is int and value >= 0 for value in values.values()):
        raise ValueError("a counter is missing or no whole number")
    return values  # type: ignore[return-value]


def highest_mid(spool: Path) -> int:
    """The highest MID of any file in the spool, broken ones included; 0 when there is none."""
    names = (
        entry.name.removesuffix(ENVELOPE_SUFFIX)
        for place in ("new", "cur")
        for folder in (spool / place).glob("*")
        if folder.is_dir()
        for entry in os.scandir(folder)
    )
    return max((mid_of(name) or 0 for name in names), default=0)
