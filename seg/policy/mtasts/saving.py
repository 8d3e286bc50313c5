"""Policies on their way to the disk: one writer for all, so that the last word of each counts."""

from __future__ import annotations

import errno
import sys
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from itertools import islice
from pathlib import Path

from twisted.internet.defer import Deferred, succeed
from twisted.logger import Logger

from seg.common.bounded import WeightedMap
from seg.common.threads import InThread
from seg.events.conditions import Condition
from seg.policy.mtasts.entry import CachedPolicy, remove_entry, write_entry
from seg.policy.mtasts.policy import Mode
from seg.policy.mtasts.reserve import PolicyReserve

NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT})
MAX_UNSAVED = 16 * 1024 * 1024  # octets of the policies that couldn't be written yet, about
WRITTEN_AT_A_TIME = 20


class PolicySaving:
    """Writes and removes files in a thread. What can't be written stays here, and is tried again with the next one; on a full disk what was
    fetched and is to be enforced goes into the reserve.

    :param trouble: that the disk doesn't let us.
    :param no_reserve: that there is no room for the reserve.
    """

    log = Logger()

    def __init__(self, folder: Path, in_thread: InThread, trouble: Condition, no_reserve: Condition) -> None:
        self._folder = folder
        self._reserve = PolicyReserve(folder)
        self._in_thread = in_thread
        self._trouble = trouble
        self._no_reserve = no_reserve
        self._whole = False  # nothing is lacking of the reserve
        self._fetched: dict[
            str, None
        ] = {}  # those of the unsaved that are enforced and that the disk has no other like
        # None: to be removed. When the disk is broken, or far behind, the oldest give way: they are fetched again.
        self._unsaved: WeightedMap[str, CachedPolicy | None] = WeightedMap(sys.maxsize, MAX_UNSAVED, _size, self._gone)
        self._untried: set[str] = set()  # those of the fetched that wait for a first try
        self._in_flight: dict[str, CachedPolicy | None] = {}  # what is being written
        self._writing: list[Deferred[None]] | None = None  # who waits for the writer; None: it doesn't run

    def get(self, domain: str) -> CachedPolicy | None:
        """A policy that isn't on disk yet."""
        return self._unsaved.get(domain) or self._in_flight.get(domain)

    def untried(self, domain: str) -> bool:
        """Whether a policy to be enforced was fetched a moment ago, and isn't on disk yet though it may be soon."""
        return domain in self._untried

    @property
    def octets(self) -> int:
        """Memory that they take, about."""
        return self._unsaved.weight

    async def keep_reserve(self) -> None:
        """Make what is lacking of the reserve, if it was used or hasn't been looked at."""
        if self._whole:
            return
        try:
            await self._in_thread(self._reserve.fill)
        except OSError as error:
            self._no_reserve.begin(
                f"{self._reserve.place} can't be written ({error.strerror or error}): policies fetched on a full disk are kept in memory only"
            )
        else:
            self._whole = True
            self._no_reserve.end("there is room for policies that are fetched on a full disk")

    def put(self, domain: str, entry: CachedPolicy | None, fetched: bool = False) -> None:
        """Have a policy written (None: removed) with the next `flushed`, in the place of what was to be written for its domain.

        :param fetched: it isn't only what is known of it that has changed.
        """
        self._unsaved[domain] = entry
        if entry is None or entry.policy.mode is not Mode.ENFORCE:
            self._fetched.pop(domain, None)
        elif fetched:
            self._fetched[domain] = None
            self._untried.add(domain)

    def _gone(self, domain: str, entry: CachedPolicy | None) -> None:
        self._fetched.pop(domain, None)

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
                if error.errno in NO_ROOM:
                    await self._write_into_reserve()
                self._tell(error)
            else:
                self._trouble.end("policies can be written again")
        finally:
            waiting, self._writing = self._writing, None
            self._untried.clear()
            for each in waiting or ():
                each.callback(None)

    def _tell(self, error: OSError) -> None:
        kept = "policies are kept in memory only"
        if error.errno in NO_ROOM and not self._fetched:
            kept = "new policies to be enforced are written into the reserve, others are kept in memory only"
        self._trouble.begin(f"{self._folder} can't be written ({error.strerror or error}): {kept}")

    async def _write_into_reserve(self) -> None:
        """Write down what was fetched, also what comes meanwhile, as long as the reserve lasts."""
        tried: set[str] = set()
        self._whole = False
        while batch := {
            domain: entry for domain in self._fetched if domain not in tried and (entry := self._unsaved[domain])
        }:
            done = await self._in_thread(partial(self._reserve.write, batch.values()))
            for domain in done:
                if self._unsaved.get(domain) is batch[domain]:
                    del self._unsaved[domain], self._fetched[domain]
            tried.update(batch)

    async def _write_some(self) -> OSError | None:
        count = min(WRITTEN_AT_A_TIME, len(self._unsaved))
        self._in_flight = {domain: self._unsaved.pop(domain) for domain in tuple(islice(self._unsaved, count))}
        failed: Iterable[str] = self._in_flight
        try:
            failed, error = await self._in_thread(_writer(self._folder, self._in_flight))
        finally:
            for domain in failed:
                self._unsaved.setdefault(domain, self._in_flight[domain])
            for domain in self._in_flight.keys() - self._unsaved.keys():
                self._fetched.pop(domain, None)
            self._in_flight = {}
        return error


def _size(entry: CachedPolicy | None) -> int:
    return 0 if entry is None else entry.size


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
