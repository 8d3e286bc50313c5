"""Who guesses passwords has to wait longer and longer, and then to come again later.

Failures count for ten minutes, for the client's address (an IPv6 client has its /64) and for the user name. Either makes the
next answer slower. Only the address is turned away: else everybody could lock everybody out. A right password wipes out
what this user failed at from this address, and nothing else: somebody with an account of their own gets no more guesses.
"""

from __future__ import annotations

import enum
from collections.abc import Callable

from seg.common.bounded import BoundedMap
from seg.common.recent import Recent
from seg.common.windows import TimeWindow
from seg.mail.client import client_key
from seg.mail.hosts import IPAddress

WINDOW = 600.0  # seconds for which a failure counts
FREE = 3  # failures before answers are delayed
MOST = 10  # failures of an address before it is turned away
LONGEST_DELAY = 30.0  # seconds
KNOWN = 86400.0  # seconds for which a client that was let in is known
MAX_ENTRIES = 20_000  # addresses, and names; those that failed longest ago are forgotten


class AttemptState(enum.Enum):
    """Whether a check may begin."""

    FREE = "free"  # it has begun: `leave` must follow
    BUSY = "busy"  # as many are under way as may still fail: ask again soon
    LOCKED = "locked"  # too many failed


class Backoff:
    """Counts failures.

    :param seconds: the present time.
    """

    def __init__(self, seconds: Callable[[], float], max_entries: int = MAX_ENTRIES) -> None:
        self._seconds = seconds
        self._by_address = _Failures(max_entries)
        self._by_user = _Failures(max_entries)
        self._under_way: dict[str, int] = {}  # checks, by address
        self._let_in: Recent[str, bool] = Recent(KNOWN, seconds, max_entries)  # clients that were let in

    def locked(self, address: IPAddress) -> bool:
        """Whether this client is turned away now."""
        return self._by_address.count(client_key(address), self._now()) >= MOST

    def known(self, address: IPAddress) -> bool:
        """Whether this client was let in of late: places are kept for those."""
        return self._let_in.get(client_key(address)) is not None

    def delay(self, address: IPAddress, user: str) -> float:
        """Seconds to wait before the next check."""
        now = self._now()
        failures = max(self._by_address.count(client_key(address), now), self._by_user.count(user, now))
        return 0.0 if failures < FREE else min(LONGEST_DELAY, 2.0 ** (failures - FREE))

    def enter(self, address: IPAddress) -> AttemptState:
        """Begin a check, if it may be: however many are sent at once, no more fail than one after the other could."""
        key = client_key(address)
        failures, under_way = self._by_address.count(key, self._now()), self._under_way.get(key, 0)
        if failures >= MOST:
            return AttemptState.LOCKED
        if failures + under_way >= MOST:
            return AttemptState.BUSY
        self._under_way[key] = under_way + 1
        return AttemptState.FREE

    def leave(self, address: IPAddress) -> None:
        """The check is over."""
        key = client_key(address)
        self._under_way[key] -= 1
        if not self._under_way[key]:
            del self._under_way[key]

    def failed(self, address: IPAddress, user: str) -> None:
        """It was a wrong guess."""
        key, now = client_key(address), self._now()
        self._by_address.add(key, user, now)
        self._by_user.add(user, key, now)

    def succeeded(self, address: IPAddress, user: str) -> None:
        """It was right."""
        key = client_key(address)
        self._by_address.forget(key, user)
        self._by_user.forget(user, key)
        self._let_in.learn(key, True)

    def _now(self) -> float:
        return self._seconds()


class _Failures:
    """When something failed, and together with what; bounded in both directions."""

    def __init__(self, max_entries: int) -> None:
        self._entries: BoundedMap[str, TimeWindow[str]] = BoundedMap(max_entries)

    def add(self, key: str, other: str, now: float) -> None:
        self._entries.renew(key, _window).append((now, other))

    def count(self, key: str, now: float) -> int:
        entry = self._entries.get(key)
        if entry is None:
            return 0
        if not entry.since(now - WINDOW):
            del self._entries[key]
        return len(entry)

    def forget(self, key: str, other: str) -> None:
        kept = TimeWindow((each for each in self._entries.pop(key, ()) if each[1] != other), MOST)
        if kept:
            self._entries[key] = kept


def _window() -> TimeWindow[str]:
    return TimeWindow(maxlen=MOST)
