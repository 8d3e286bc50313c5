"""One domain's policy as it is kept: what is in its file, and what memory knows of it all the time."""

from __future__ import annotations

import enum
import hashlib
import json
from pathlib import Path

import attrs

from seg.common.files import StateFile, keep_aside, read_state_file, replace_file
from seg.mail.address import to_ascii
from seg.policy.mtasts.errors import PolicyError
from seg.policy.mtasts.policy import MAX_SIZE, Mode, STSPolicy, parse_policy
from seg.policy.mtasts.record import is_policy_id
from seg.tls.names import is_host_name, printable

LARGEST_FILE = 8 * MAX_SIZE  # octets; a larger one is damage
LONGEST_NAME = 200  # characters of a domain in a file name; longer ones are hashed
SUFFIX = ".json"


@attrs.frozen
class CachedPolicy:
    """One domain's policy, and when it was dealt with (POSIX seconds)."""

    domain: str
    policy_id: str
    policy: STSPolicy
    fetched: float
    checked: float  # the TXT record was last seen to bear this id
    used: float
    delivered: bool = False  # mail went by it

    @property
    def expires(self) -> float:
        """When it must not be used any more (RFC 8461 §3.2: max_age counts from the fetch)."""
        return self.fetched + self.policy.max_age

    @property
    def size(self) -> int:
        """Octets of memory that it takes, about."""
        return 600 + sum(64 + len(pattern) for pattern in self.policy.mx)


class Rank(enum.IntEnum):
    """What goes first when there are too many."""

    NONE = 0
    TESTING = 1
    UNTRIED = 2  # enforce, and no mail ever went by it
    ENFORCED = 3


_RANKS = {Mode.NONE: Rank.NONE, Mode.TESTING: Rank.TESTING, Mode.ENFORCE: Rank.UNTRIED}


@attrs.define
class KnownPolicy:
    """What memory knows of each policy; the hosts that it lists may be on disk only."""

    domain: str
    policy_id: str
    mode: Mode
    max_age: int
    fetched: float
    checked: float
    used: float
    delivered: bool
    over: bool = False  # it isn't in force any more

    @classmethod
    def of(cls, entry: CachedPolicy) -> KnownPolicy:
        """What to know of an entry."""
        policy = entry.policy
        times = (entry.fetched, entry.checked, entry.used)
        return cls(entry.domain, entry.policy_id, policy.mode, policy.max_age, *times, entry.delivered)

    @property
    def expires(self) -> float:
        """When it must not be used any more."""
        return self.fetched + self.max_age

    @property
    def rank(self) -> Rank:
        """How dear it is."""
        rank = Rank.NONE if self.over else _RANKS[self.mode]
        return Rank.ENFORCED if rank is Rank.UNTRIED and self.delivered else rank


class CacheFileError(ValueError):
    """A file in the cache folder is no entry."""


def file_name(domain: str) -> str:
    """The file of a domain (a host name in A-labels)."""
    if len(domain) > LONGEST_NAME:
        domain = hashlib.sha256(domain.encode()).hexdigest()
    return f"{domain}{SUFFIX}"


def is_entry_name(name: str) -> bool:
    """Whether a file may be an entry by its name."""
    domain = name.removesuffix(SUFFIX)
    return domain != name and is_host_name(domain)


def encode_entry(entry: CachedPolicy) -> bytes:
    """An entry as readable JSON."""
    facts = {
        "domain": entry.domain,
        "id": entry.policy_id,
        "mode": entry.policy.mode,
        "mx": list(entry.policy.mx),
        "fetched": entry.fetched,
        "checked": entry.checked,
        "used": entry.used,
        "delivered": entry.delivered,
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
        delivered = facts.get("delivered", False) is True
        policy = parse_policy(text.encode())
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError, PolicyError) as error:
        raise CacheFileError(printable(f"{type(error).__name__}: {error}", 100)) from None
    if not all(type(time) in (int, float) and 0 <= time < 1e11 for time in times):
        raise CacheFileError("a time that isn't one")
    if not isinstance(domain, str) or not is_host_name(domain) or domain != to_ascii(domain):
        raise CacheFileError("a domain that isn't one")
    if not isinstance(policy_id, str) or not is_policy_id(policy_id):
        raise CacheFileError("an id that isn't one")
    fetched, checked, used = map(float, times)
    return CachedPolicy(domain, policy_id, policy, fetched, checked, used, delivered)


def read_entry(folder: Path, name: str) -> StateFile[CachedPolicy]:
    """What stands in a file of the folder. Blocks; never raises for what stands there."""

    def parse(data: bytes) -> CachedPolicy:
        entry = decode_entry(data)
        if name != file_name(entry.domain):
            raise CacheFileError(f"it holds the policy of {entry.domain}")
        return entry

    return read_state_file(folder / name, parse, LARGEST_FILE)


def write_entry(folder: Path, entry: CachedPolicy) -> None:
    """Write an entry so that at any instant the file is the old one or the new one. Blocks.

    :raises OSError: it can't be written.
    """
    folder.mkdir(mode=0o750, parents=True, exist_ok=True)
    path = folder / file_name(entry.domain)
    clear_place(path)
    replace_file(path, encode_entry(entry))


def remove_entry(folder: Path, domain: str) -> None:
    """Remove the file of a domain, if there is one. Blocks.

    :raises OSError: it can't be removed.
    """
    path = folder / file_name(domain)
    clear_place(path)
    path.unlink(missing_ok=True)


def clear_place(path: Path) -> None:
    """Put a folder aside that stands in a file's place: nothing can replace it."""
    if path.is_dir() and not path.is_symlink():
        keep_aside(path)
