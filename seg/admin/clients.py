"""Clients over the API: who is connected."""

from __future__ import annotations

from collections.abc import Callable

from seg.admin.http import RouteTable
from seg.admin.wire import operations
from seg.admin.wire.gateway import ClientsAnswer, ConnectedClient
from seg.admin.wire.route import NoParameters


class ClientRoutes:
    """Answers who is connected.

    :param clients: (listener, address, connections) of each client.
    :param now: POSIX seconds.
    """

    def __init__(self, clients: Callable[[], list[tuple[str, str, int]]], now: Callable[[], float]) -> None:
        self._clients = clients
        self._now = now

    def add_to(self, table: RouteTable) -> None:
        """Serve it."""
        table.add(operations.LIST_CLIENTS, self.clients)

    async def clients(self, asked: NoParameters, by: str) -> ClientsAnswer:
        """Who is connected."""
        return ClientsAnswer(self._now(), [ConnectedClient(*each) for each in self._clients()])
