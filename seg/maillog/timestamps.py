"""Times as the logs write them, computed once a second."""

from __future__ import annotations

import time


class TimestampCache:
    """Local time of POSIX seconds."""

    def __init__(self) -> None:
        self._second = -1
        self._ctime = ""
        self._date = ""
        self._zone = ""

    def ctime(self, at: float) -> str:
        """``Thu Sep  6 15:23:39 2024``: the day padded with a space, no zone."""
        if int(at) != self._second:
            self._renew(int(at))
        return self._ctime

    def iso(self, at: float) -> str:
        """``2024-09-06T15:23:39.250+02:00`` (ISO 8601)."""
        if int(at) != self._second:
            self._renew(int(at))
        return f"{self._date}.{int(at * 1000) % 1000:03d}{self._zone}"

    def _renew(self, second: int) -> None:
        local = time.localtime(second)
        minutes = local.tm_gmtoff // 60
        self._second = second
        self._ctime = time.asctime(local)
        self._date = time.strftime("%Y-%m-%dT%H:%M:%S", local)
        self._zone = f"{'-' if minutes < 0 else '+'}{abs(minutes) // 60:02d}:{abs(minutes) % 60:02d}"


def utc_offset(at: float) -> int:
    """Seconds that local time is ahead of UTC."""
    return time.localtime(at).tm_gmtoff


def file_stamp(at: float) -> str:
    """``20240906T152339``: local time in a file's name."""
    return time.strftime("%Y%m%dT%H%M%S", time.localtime(at))
