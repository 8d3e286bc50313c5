"""Dates as mail writes them."""

from __future__ import annotations

import time
from functools import lru_cache

_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


@lru_cache(maxsize=4)
def date_time(seconds: int) -> str:
    """POSIX seconds as a date-time of RFC 5322 §3.3, in UTC."""
    year, month, day, hour, minute, second, weekday, _, _ = time.gmtime(seconds)
    return f"{_DAYS[weekday]}, {day} {_MONTHS[month - 1]} {year} {hour:02}:{minute:02}:{second:02} +0000"
