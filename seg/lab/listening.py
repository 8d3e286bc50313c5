"""One TCP port that a server of the lab holds open."""

from __future__ import annotations

from typing import Any, cast

from twisted.internet.interfaces import IListeningPort, IReactorTCP


class Listening:
    """Opened with its making, closed with `close`; then and before, `address` and `port` say where."""

    def __init__(self, reactor: IReactorTCP, factory: Any, address: str, port: int) -> None:
        """:param port: 0 takes any free one.

        :raises twisted.internet.error.CannotListenError: the address or port can't be had.
        """
        self._held: IListeningPort | None = reactor.listenTCP(port, factory, interface=address)
        self.address = address
        self.port = cast(int, cast(Any, self._held.getHost()).port)

    async def close(self) -> None:
        """Close it; harmless when it is closed."""
        held, self._held = self._held, None
        done = held.stopListening() if held is not None else None
        if done is not None:
            await done
