"""The policies known: in memory, and on disk so that they outlive the process (RFC 8461 §5.1 rests on that).

One readable file for each domain. Reading and writing happen in threads; what goes wrong there is told, and never changes
what memory says.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections import OrderedDict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import attrs
from twisted.internet.defer import Deferred, DeferredLock
from twisted.python.failure import Failure

from seg.events import Fault
from seg.interfaces import IEventSink
from seg.model import to_ascii
from seg.mtasts.errors import PolicyError
from seg.mtasts.policy import MAX_SIZE, STSPolicy, parse_policy
from seg.mtasts.record import is_policy_id
from seg.threads import InThread
from seg.tls.names import is_host_name, printable

MAX_ENTRIES = 50_000
MAX_TEXT = 64 * 1024 * 1024  # octets of policies in memory, in all
NOTED = 60.0  # seconds: a use is noted when the last one noted is so long ago
LONGEST_NAME = 200  # characters of a domain in a file name; longer ones are hashed


@attrs.frozen
class CachedPolicy:
    """One domain's policy, and when it was dealt with (POSIX seconds)."""

    domain: str
    policy_id: str
    policy: STSPolicy
    fetched: float
    checked: float  # the TXT record was last seen to bear this id
    used: float

    @property
    def expires(self) -> float:
        """When it must not be used any more (RFC 8461 §3.2: max_age counts from the fetch)."""
        return self.fetched + self.policy.max_age


class CacheFileError(ValueError):
    """A file in the cache folder is no entry; it is as if it weren't there."""


class PolicyCache:
    """Policies by domain; the ones used longest ago give way when there are too many.

    :param in_thread: runs a function in a thread, e.g. ``deferToThreadPool`` with its first arguments given.
    """

    def __init__(
        self,
        folder: Path,
        in_thread: InThread,
        sink: IEventSink,
        max_entries: int = MAX_ENTRIES,
        max_text: int = MAX_TEXT,
    ) -> None:
        self._folder = folder
        self._in_thread = in_thread
        self._sink = sink
        self._max_entries = max_entries
        self._max_text = max_text
        self._entries: OrderedDict[str, CachedPolicy] = OrderedDict()
        self._text = 0
        self._writing = DeferredLock()  # one write after the other: the last one counts
        self._told = False

    def __len__(self) -> int:
        return len(self._entries)

    def __iter__(self) -> Iterator[CachedPolicy]:
        """All entries, those used longest ago first."""
        return iter(tuple(self._entries.values()))

    async def load(self) -> None:
        """Read what earlier processes knew. A file that can't be read is told, and left for the next fetch to replace."""
        entries, faults = await self._in_thread(lambda: read_folder(self._folder))
        for fault in faults:
            self._sink.emit(Fault(f"MTA-STS cache: {fault}; the policy will be fetched again"))
        for entry in sorted(entries, key=lambda entry: entry.used):
            if entry.domain not in self._entries:
                self._keep(entry)

    def get(self, domain: str) -> CachedPolicy | None:
        """The entry of a domain, expired or not."""
        return self._entries.get(domain)

    def use(self, entry: CachedPolicy, now: float) -> None:
        """An entry was used; this is noted to the minute, and written down with its next check."""
        if entry.domain in self._entries:
            if abs(now - entry.used) >= NOTED:
                self._entries[entry.domain] = attrs.evolve(entry, used=now)
            self._entries.move_to_end(entry.domain)

    def put(self, entry: CachedPolicy) -> Deferred[None]:
        """Keep an entry, in the place of an older one; fires when it is on disk, or when that failed and was told."""
        self._keep(entry)
        return self._on_disk(lambda: write_entry(self._folder, entry))

    def remove(self, domain: str) -> Deferred[None]:
        """Forget a domain."""
        entry = self._entries.pop(domain, None)
        if entry is not None:
            self._text -= len(entry.policy.text)
        return self._on_disk(lambda: (self._folder / file_name(domain)).unlink(missing_ok=True))

    def flushed(self) -> Deferred[None]:
        """Fires when everything put so far is on disk."""
        return self._on_disk(lambda: None)

    def _keep(self, entry: CachedPolicy) -> None:
        old = self._entries.pop(entry.domain, None)
        self._text += len(entry.policy.text) - (len(old.policy.text) if old else 0)
        self._entries[entry.domain] = entry
        while len(self._entries) > self._max_entries or (self._text > self._max_text and len(self._entries) > 1):
            self.remove(next(iter(self._entries)))

    def _on_disk(self, work: Callable[[], None]) -> Deferred[None]:
        def failed(failure: Failure) -> None:
            failure.trap(OSError)
            if not self._told:  # a full disk would repeat it for every policy
                self._told = True
                text = f"MTA-STS cache: {self._folder} can't be written ({failure.getErrorMessage()})"
                self._sink.emit(Fault(f"{text}; policies are kept in memory only"))

        def done(_: object) -> None:
            self._told = False

        written: Deferred[Any] = self._writing.run(self._in_thread, work)
        return written.addCallbacks(done, failed)


# --- files ---------------------------------------------------------------------------------------


def file_name(domain: str) -> str:
    """The file for a domain: its name, which as A-labels holds nothing that a file name may not."""
    name = domain if len(domain) <= LONGEST_NAME else hashlib.sha256(domain.encode()).hexdigest()
    return f"{name}.json"


def encode_entry(entry: CachedPolicy) -> bytes:
    """An entry as a file that a person can read."""
    facts = {
        "domain": entry.domain,
        "id": entry.policy_id,
        "mode": entry.policy.mode,
        "mx": list(entry.policy.mx),
        "fetched": entry.fetched,
        "checked": entry.checked,
        "used": entry.used,
        "expires": entry.expires,
        "policy": entry.policy.text,
    }
    return json.dumps(facts, indent=1, ensure_ascii=False).encode() + b"\n"


def decode_entry(data: bytes) -> CachedPolicy:
    """The entry in a file. Only the policy's own text is believed about the policy.

    :raises CacheFileError: it isn't one.
    """
    try:
        facts = json.loads(data.decode("utf-8"))
        domain, policy_id, text = facts["domain"], facts["id"], facts["policy"]
        times = [facts[name] for name in ("fetched", "checked", "used")]
        policy = parse_policy(text.encode())
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError, PolicyError) as error:
        raise CacheFileError(printable(f"{type(error).__name__}: {error}", 100)) from None
    if not all(type(time) in (int, float) and 0 <= time < 1e11 for time in times):
        raise CacheFileError("a time that isn't one")
    if not isinstance(domain, str) or not is_host_name(domain) or domain != to_ascii(domain):
        raise CacheFileError("a domain that isn't one")
    if not isinstance(policy_id, str) or not is_policy_id(policy_id):
        raise CacheFileError("an id that isn't one")
    return CachedPolicy(domain, policy_id, policy, *map(float, times))


def read_folder(folder: Path) -> tuple[list[CachedPolicy], list[str]]:
    """All entries, and a line for each file that can't be read. Blocks."""
    entries: list[CachedPolicy] = []
    faults: list[str] = []
    try:
        paths = sorted(path for path in folder.iterdir() if path.suffix == ".json")
    except FileNotFoundError:
        return [], []  # nothing was ever kept
    except OSError as error:
        return [], [f"{folder} can't be read ({error.strerror})"]
    for path in paths:
        try:
            with path.open("rb") as file:
                entry = decode_entry(file.read(8 * MAX_SIZE))
            if path.name != file_name(entry.domain):
                raise CacheFileError(f"it holds the policy of {entry.domain}")
            entries.append(entry)
        except OSError as error:
            faults.append(f"{path.name} can't be read ({error.strerror})")
        except CacheFileError as error:
            faults.append(f"{path.name} is damaged ({error})")
    return entries, faults


def write_entry(folder: Path, entry: CachedPolicy) -> None:
    """Write an entry so that at any instant the file is the old one or the new one. Blocks.

    :raises OSError: it can't be written.
    """
    folder.mkdir(mode=0o750, parents=True, exist_ok=True)
    path = folder / file_name(entry.domain)
    part = path.with_suffix(".part")
    with part.open("wb") as file:
        file.write(encode_entry(entry))
        file.flush()
        os.fsync(file.fileno())
    part.replace(path)
