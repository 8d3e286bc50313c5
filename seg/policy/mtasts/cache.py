"""The policies known: on disk, so that they outlive the process (RFC 8461 §5.1 rests on that), and the ones in use in memory as well.

Of each policy memory knows its mode and times all the time (`KnownPolicy`); the hosts that it lists are read back from disk when they are asked
for. So no flood of other domains' policies makes one forgotten before it ends, short of `MAX_ENTRIES`. Reading and writing happen in
threads; what goes wrong there never makes a policy that may be in force count as none (`PolicyLost`).
"""

from __future__ import annotations

import contextlib
import os
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import attrs
from twisted.internet.defer import Deferred

from seg.common.bounded import BoundedMap, WeightedMap
from seg.common.files import StateAbsent, StateContent, StateDamaged, StateFile, keep_aside
from seg.common.threads import InThread
from seg.events.base import Event, IEventSink
from seg.events.conditions import Condition
from seg.events.gateway import ConditionKind, Fault
from seg.events.policy import STSSucceeded
from seg.mail.errors import LocalFault
from seg.policy.mtasts.entry import SUFFIX, CachedPolicy, KnownPolicy, Rank, file_name, is_entry_name, read_entry
from seg.policy.mtasts.policy import Mode
from seg.policy.mtasts.saving import PolicySaving

MAX_ENTRIES = 50_000
MAX_MEMORY = 16 * 1024 * 1024  # octets of the policies in memory, about
MOST_TOLD = 20  # damaged files that get a line each
MAX_LOST = 10_000  # files of which it is remembered what is wrong
NOTED = 60.0  # seconds: a use is noted when the last one noted is so long ago
AT_A_TIME = 200  # files read in one turn of a thread


class PolicyLost(LocalFault):
    """A policy may be in force, but can't be had from the disk: fetch it anew, or defer."""


class PolicyCache:
    """Policies by domain.

    :param in_thread: runs a function in a thread, e.g. ``deferToThreadPool`` with its first arguments given.
    """

    def __init__(
        self,
        folder: Path,
        in_thread: InThread,
        sink: IEventSink,
        max_entries: int = MAX_ENTRIES,
        max_memory: int = MAX_MEMORY,
    ) -> None:
        self._folder = folder
        self._in_thread = in_thread
        self._sink = sink
        self._max_entries = max_entries
        self._known: dict[str, KnownPolicy] = {}
        self._ranks: tuple[OrderedDict[str, None], ...] = tuple(OrderedDict() for _ in Rank)
        # Those used longest ago give way.
        self._memory: WeightedMap[str, CachedPolicy] = WeightedMap(max_entries, max_memory, _size)
        write, reserve = (Condition(sink, ConditionKind.POLICIES, subject) for subject in ("write", "reserve"))
        self._saving = PolicySaving(folder, in_thread, write, reserve)
        self._listed = False  # the names of all files are known
        self._unread: OrderedDict[str, None] = OrderedDict()  # names of files that weren't read yet, or couldn't be
        self._lost: BoundedMap[str, str] = BoundedMap(MAX_LOST)  # name of a file that is damaged -> what is wrong
        self._trouble = {
            subject: Condition(sink, ConditionKind.POLICIES, subject) for subject in ("read", "room", "damaged")
        }

    def __len__(self) -> int:
        return len(self._known)

    def __iter__(self) -> Iterator[KnownPolicy]:
        """What is known of all."""
        return iter(tuple(self._known.values()))

    def known(self, domain: str) -> KnownPolicy | None:
        """What is known of one, expired or not."""
        return self._known.get(domain)

    # --- reading -----------------------------------------------------------------------------------

    async def load(self) -> None:
        """Learn what earlier processes knew, some files at a time; until all is read, whoever asks for a domain has its file read."""
        names, why = await self._in_thread(lambda: _names(self._folder))
        if names is None:
            self._trouble["read"].begin(
                f"{self._folder} can't be read ({why}): mail waits for domains whose policy isn't known"
            )
            return
        self._listed = True
        self._unread.update(dict.fromkeys(name for name in names if name not in self._lost))
        await self._read_all()

    async def begin(self) -> None:
        """Learn what earlier processes knew, and see that there is room for policies that are fetched while the disk is full."""
        await self.load()
        await self._saving.keep_reserve()

    async def maintain(self) -> None:
        """Try again what couldn't be read or written."""
        await self._saving.flushed()
        await self._saving.keep_reserve()
        if not self._listed:
            await self.load()
        elif self._unread:
            await self._read_all()

    async def _read_all(self) -> None:
        failed: dict[str, str] = {}
        waiting = list(self._unread)
        for start in range(0, len(waiting), AT_A_TIME):
            names = [name for name in waiting[start : start + AT_A_TIME] if name in self._unread]
            for name, found in await self._in_thread(_reader(self._folder, names)):
                if name not in self._unread:
                    continue  # somebody asked for it, or it was replaced meanwhile
                why = self._take(name, found)
                if why:
                    failed[name] = why
        if failed:
            name, why = next(iter(failed.items()))
            self._trouble["read"].begin(
                f"{self._folder / name} can't be read ({why}): mail waits for domains whose policy isn't known"
            )
        else:
            self._trouble["read"].end("all files can be read again")

    def _take(self, name: str, found: StateFile[CachedPolicy]) -> str:
        """Keep what a file holds; why that isn't known, or ""."""
        if isinstance(found, StateContent):
            self._unread.pop(name, None)
            if found.value.domain not in self._known:
                self._keep(found.value)
        elif isinstance(found, StateDamaged):
            self._unread.pop(name, None)
            self._damaged(name, found.reason)
        elif isinstance(found, StateAbsent):
            self._unread.pop(name, None)
        else:
            return found.reason
        return ""

    def _damaged(self, name: str, reason: str) -> None:
        if name not in self._lost and len(self._lost) < MOST_TOLD:
            self._sink.emit(Fault(f"MTA-STS cache: {name} is damaged ({reason}); the policy will be fetched again"))
        self._lost[name] = reason
        self._trouble["damaged"].begin(
            f"files in {self._folder} are damaged: mail waits until their policies are fetched again"
        )

    async def get(self, domain: str) -> CachedPolicy | None:
        """The entry of a domain, expired or not, once it is on disk (if the disk lets us); None where there is none.

        :raises PolicyLost: there is, or may be, one that can't be read.
        """
        if self._saving.untried(domain):
            await self.flushed()
        entry = self._at_hand(domain)
        if entry is not None:
            return entry
        name = file_name(domain)
        if name in self._lost:
            raise PolicyLost(f"MTA-STS policy not known: {name} in the cache is damaged ({self._lost[name]})")
        if domain not in self._known and self._listed and name not in self._unread:
            return None
        ((_, found),) = await self._in_thread(_reader(self._folder, [name]))
        return self._at_hand(domain) or self._found(domain, name, found)

    async def read(self, domains: Iterable[str]) -> list[CachedPolicy]:
        """The entries of these domains, as far as they can be had; for people."""
        found = []
        for domain in domains:
            with contextlib.suppress(PolicyLost):
                entry = await self.get(domain)
                if entry is not None:
                    found.append(entry)
        return found

    def _at_hand(self, domain: str) -> CachedPolicy | None:
        entry = self._saving.get(domain) or self._memory.use(domain)
        known = self._known.get(domain)
        if entry is None or known is None:
            return None
        return attrs.evolve(entry, checked=known.checked, used=known.used, delivered=known.delivered)

    def _found(self, domain: str, name: str, found: StateFile[CachedPolicy]) -> CachedPolicy | None:
        """What came of reading the file of one domain."""
        known = self._known.get(domain)
        if isinstance(found, StateContent) and known is not None:
            self._memory[found.value.domain] = found.value
            return self._at_hand(domain)
        why = self._take(name, found)
        if isinstance(found, StateContent):
            return self._at_hand(domain)
        if isinstance(found, StateAbsent):
            if known is None:
                return None
            why = "it is gone"
        if known is not None and known.mode is not Mode.ENFORCE:
            return None  # nothing that was enforced is lost with it
        raise PolicyLost(f"MTA-STS policy not known: {name} in the cache can't be read ({why or 'it is damaged'})")

    # --- keeping -----------------------------------------------------------------------------------

    def heard(self, event: Event) -> None:
        """A listener of all events: policies by which mail went are the last to go."""
        if isinstance(event, STSSucceeded):
            known = self._known.get(event.domain)
            if known is not None and not known.delivered:
                self._unrank(known)
                known.delivered = True
                self._rank(known)

    def over(self, domain: str) -> None:
        """A policy is over: it is among the first to go."""
        known = self._known.get(domain)
        if known is not None:
            self._unrank(known)
            known.over = True
            self._rank(known)

    def use(self, domain: str, now: float) -> None:
        """A policy was used; this is noted to the minute, and written down with its next check."""
        known = self._known.get(domain)
        if known is not None:
            if abs(now - known.used) >= NOTED:
                known.used = now
            if known.over:  # the clock was set right
                self._unrank(known)
                known.over = False
                self._rank(known)
            self._ranks[known.rank].move_to_end(domain)

    async def check(self, domain: str, now: float) -> None:
        """Its record was seen to bear the same id; this is written down.

        :raises PolicyLost: the policy can't be had.
        """
        known = self._known.get(domain)
        if known is not None:
            known.checked = now
        entry = await self.get(domain)
        if entry is not None and domain in self._known:
            self._saving.put(domain, entry)
            await self.flushed()

    def put(self, entry: CachedPolicy) -> Deferred[None]:
        """Keep an entry, in the place of an older one; fires when it is on disk, or when that failed and was told."""
        name = file_name(entry.domain)
        self._unread.pop(name, None)
        if self._lost.pop(name, None) is not None and not self._lost:
            self._trouble["damaged"].end("what was damaged has been fetched again")
        self._keep(entry)
        if entry.domain in self._known:
            self._saving.put(entry.domain, entry, fetched=True)
        return self.flushed()

    def remove(self, domain: str) -> Deferred[None]:
        """Forget a domain."""
        self.forget(domain)
        return self.flushed()

    def forget(self, domain: str) -> None:
        """Forget a domain; its file goes as soon as it can."""
        known = self._known.pop(domain, None)
        if known is not None:
            self._unrank(known)
        self._memory.pop(domain, None)
        name = file_name(domain)
        self._unread.pop(name, None)
        if self._lost.pop(name, None) is not None and not self._lost:
            self._trouble["damaged"].end("what was damaged is forgotten")
        if len(self._known) < self._max_entries * 9 // 10:
            self._trouble["room"].end("there is room for further policies again")
        self._saving.put(domain, None)

    async def flush(self, domain: str | None) -> int:
        """Forget a domain, or all, whatever became of the files; how many there were."""
        if domain is None:
            chosen = [*self._known, *(name.removesuffix(SUFFIX) for name in (*self._lost, *self._unread))]
        else:
            name = file_name(domain)
            chosen = [domain] if domain in self._known or name in self._lost or name in self._unread else []
        for each in chosen:
            self.forget(each)
        await self.flushed()
        return len(chosen)

    def _rank(self, known: KnownPolicy) -> None:
        self._ranks[known.rank][known.domain] = None

    def _unrank(self, known: KnownPolicy) -> None:
        self._ranks[known.rank].pop(known.domain, None)

    def _keep(self, entry: CachedPolicy) -> None:
        old = self._known.get(entry.domain)
        if old is not None:
            self._unrank(old)
        known = self._known[entry.domain] = KnownPolicy.of(entry)
        self._rank(known)
        self._memory[entry.domain] = entry
        while len(self._known) > self._max_entries:
            self._evict()

    def _evict(self) -> None:
        """Forget the policy that is missed least: of the lowest rank that which was used longest ago."""
        domain = next(domain for rank in self._ranks for domain in rank)
        known = self._known[domain]
        if known.mode is Mode.ENFORCE and not known.over:
            self._trouble["room"].begin(
                f"more than {self._max_entries} MTA-STS policies: ones in force are forgotten, those by which no mail went first"
            )
        self.forget(domain)

    def flushed(self) -> Deferred[None]:
        """Fires when everything put so far is on disk, or couldn't be written and was told."""
        return self._saving.flushed()


def _size(entry: CachedPolicy) -> int:
    return entry.size


def _names(folder: Path) -> tuple[list[str] | None, str]:
    """The files that may be entries, or why that isn't known. Blocks."""
    try:
        return sorted(name for name in os.listdir(folder) if is_entry_name(name)), ""
    except FileNotFoundError:
        return [], ""  # nothing was ever kept
    except NotADirectoryError:
        with contextlib.suppress(OSError):
            keep_aside(folder)
        return [], ""
    except OSError as error:
        return None, error.strerror or str(error)


def _reader(folder: Path, names: Iterable[str]) -> Callable[[], list[tuple[str, StateFile[CachedPolicy]]]]:
    return lambda: [(name, read_entry(folder, name)) for name in names]
