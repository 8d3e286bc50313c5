"""Times as the logs write them, computed once a second."""

from __future__ import annotations

import time
from typing import NamedTuple


class LocalSecond(NamedTuple):
    """One second in local time."""

    ctime: str  # ``Thu Sep  6 15:23:39 2024``: the day padded with a space, no zone
    date: str  # ``2024-09-06T15:23:39``
    zone: str  # ``+02:00``


class TimestampCache(dict[int, LocalSecond]):
    """Local time by POSIX seconds. It remembers the last one, which all lines of that second need; that costs them no call."""

    def __missing__(self, second: int) -> LocalSecond:
        local = time.localtime(second)
        minutes = local.tm_gmtoff // 60
        zone = f"{'-' if minutes < 0 else '+'}{abs(minutes) // 60:02d}:{abs(minutes) % 60:02d}"
        self.clear()
        found = self[second] = LocalSecond(time.asctime(local), time.strftime("%Y-%m-%dT%H:%M:%S", local), zone)
        return found

    def ctime(self, at: float) -> str:
        """``Thu Sep  6 15:23:39 2024``."""
        return self[int(at)].ctime

    def iso(self, at: float) -> str:
        """``2024-09-06T15:23:39.250+02:00`` (ISO 8601)."""
        _, date, zone = self[int(at)]
        return f"{date}.{int(at * 1000) % 1000:03d}{zone}"


def utc_offset(at: float) -> int:
    """Seconds that local time is ahead of UTC."""
    return time.localtime(at).tm_gmtoff


def file_stamp(at: float) -> str:
    """``20240906T152339``: local time in a file's name."""
    return time.strftime("%Y%m%dT%H%M%S", time.localtime(at))
