"""How many recipients each client has had accepted within the hour; bounded."""

from __future__ import annotations

from collections.abc import Callable

from seg.common.bounded import BoundedMap
from seg.mail.client import client_key
from seg.mail.hosts import IPAddress

HOUR = 3600.0
MOST = 100_000  # clients remembered; those seen longest ago give way


class RecipientRateLimit:
    """Counts by client (`seg.mail.client.client_key`), in windows of an hour from the first recipient on.

    :param now: seconds.
    """

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._windows: BoundedMap[str, tuple[float, int]] = BoundedMap(MOST)

    def count(self, client: IPAddress, limit: int) -> bool:
        """One more recipient; False, and not counted, when that would be more than `limit` (0 = no limit)."""
        if not limit:
            return True
        now, key = self._now(), client_key(client)
        begin, number = self._windows.get(key, (now, 0))
        if now - begin >= HOUR:
            begin, number = now, 0
        if number >= limit:
            return False
        self._windows[key] = (begin, number + 1)
        return True
