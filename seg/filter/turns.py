"""Whose message is judged now: no client takes a filter for itself."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from twisted.internet.defer import DeferredSemaphore

AT_A_TIME = 50  # messages of one client that filters judge at a time


class FilterTurns:
    """So many messages of one client at a time; its others wait, in their order, and nobody else waits for them."""

    def __init__(self, at_a_time: int = AT_A_TIME) -> None:
        self._at_a_time = at_a_time
        self._by_client: dict[str, DeferredSemaphore] = {}

    @asynccontextmanager
    async def turn(self, client: str) -> AsyncIterator[None]:
        """Wait for a turn, and hold it."""
        turns = self._by_client.setdefault(client, DeferredSemaphore(self._at_a_time))
        await turns.acquire()
        try:
            yield
        finally:
            turns.release()
            if turns.tokens == turns.limit:
                self._by_client.pop(client, None)
