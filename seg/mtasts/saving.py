"""Policies on their way to the disk: one writer for all, so that the last word of each counts."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from twisted.internet.defer import Deferred, succeed
from twisted.logger import Logger

from seg.conditions import Condition
from seg.mtasts.entry import CachedPolicy, remove_entry, write_entry
from seg.threads import InThread

MAX_UNSAVED = 16 * 1024 * 1024  # octets of the policies that couldn't be written yet, about
WRITTEN_AT_A_TIME = 20


class PolicySaving:
    """Writes and removes files in a thread. What can't be written stays here, and is tried again with the next one.

    :param trouble: that the disk doesn't let us.
    """

    log = Logger()

    def __init__(self, folder: Path, in_thread: InThread, trouble: Condition) -> None:
        self._folder = folder
        self._in_thread = in_thread
        self._trouble = trouble
        self._unsaved: OrderedDict[str, CachedPolicy | None] = OrderedDict()  # None: to be removed
        self._in_flight: dict[str, CachedPolicy | None] = {}  # what is being written
        self._writing: list[Deferred[None]] | None = None  # who waits for the writer; None: it doesn't run

    def get(self, domain: str) -> CachedPolicy | None:
        """A policy that isn't on disk yet."""
        return self._unsaved.get(domain) or self._in_flight.get(domain)

    @property
    def octets(self) -> int:
        """Memory that they take, about."""
        return sum(entry.size for entry in self._unsaved.values() if entry is not None)

    def put(self, domain: str, entry: CachedPolicy | None) -> None:
        """Have a policy written (None: removed) with the next `flushed`, in the place of what was to be written for its domain."""
        self._unsaved[domain] = entry
        self._unsaved.move_to_end(domain)
        if len(self._unsaved) % 64 == 0 and self.octets > MAX_UNSAVED:
            self._unsaved.popitem(last=False)  # the disk is broken, or far behind: it is fetched again

    def flushed(self) -> Deferred[None]:
        """Fires when everything put so far is on disk, or couldn't be written and was told."""
        if not self._unsaved and self._writing is None:
            return succeed(None)
        waiting: Deferred[None] = Deferred()
        if self._writing is not None:
            self._writing.append(waiting)
        else:
            self._writing = [waiting]
            Deferred.fromCoroutine(self._write_all()).addErrback(
                lambda failure: self.log.failure("writing policies", failure)
            )
        return waiting

    async def _write_all(self) -> None:
        """Write until nothing is left, or the disk doesn't let us."""
        error: OSError | None = None
        try:
            while self._unsaved and error is None:
                error = await self._write_some()
            if error is not None:
                why = error.strerror or error
                self._trouble.begin(f"{self._folder} can't be written ({why}): policies are kept in memory only")
            else:
                self._trouble.end("policies can be written again")
        finally:
            waiting, self._writing = self._writing, None
            for each in waiting or ():
                each.callback(None)

    async def _write_some(self) -> OSError | None:
        count = min(WRITTEN_AT_A_TIME, len(self._unsaved))
        self._in_flight = dict(self._unsaved.popitem(last=False) for _ in range(count))
        failed: Iterable[str] = self._in_flight
        try:
            failed, error = await self._in_thread(_writer(self._folder, self._in_flight))
        finally:
            for domain in failed:
                self._unsaved.setdefault(domain, self._in_flight[domain])
            self._in_flight = {}
        return error


def _writer(folder: Path, batch: Mapping[str, CachedPolicy | None]) -> Callable[[], tuple[list[str], OSError | None]]:
    """Writes and removes; what it couldn't, and why."""

    def write() -> tuple[list[str], OSError | None]:
        done: set[str] = set()
        try:
            for domain, entry in batch.items():
                if entry is None:
                    remove_entry(folder, domain)
                else:
                    write_entry(folder, entry)
                done.add(domain)
        except OSError as error:
            return [domain for domain in batch if domain not in done], error
        return [], None

    return write
