"""Connections for deliveries, by address or path: whose name it is was settled before."""

from __future__ import annotations

from ipaddress import IPv6Address
from typing import Any, cast

from twisted.internet.defer import Deferred
from twisted.internet.endpoints import TCP4ClientEndpoint, TCP6ClientEndpoint, UNIXClientEndpoint
from twisted.internet.interfaces import IProtocolFactory
from zope.interface import implementer

from seg.deliver.interfaces import IConnector
from seg.mail.hosts import PeerAddress, SocketPath


@implementer(IConnector)
class Connector:
    """Opens real connections.

    :param reactor: one with TCP and unix sockets.
    """

    def __init__(self, reactor: Any) -> None:
        self._reactor = reactor

    def connect(
        self, factory: object, address: PeerAddress, port: int, source: str, timeout: float
    ) -> Deferred[object]:
        """Connect from `source` (``""``: the system chooses) within `timeout` seconds; cancel to give up.

        Fires with the protocol that `factory` built; fails with a `twisted.internet.error.ConnectError`.
        """
        if isinstance(address, SocketPath):
            local = UNIXClientEndpoint(self._reactor, str(address), timeout)
            return cast("Deferred[object]", local.connect(cast(IProtocolFactory, factory)))
        kind = TCP6ClientEndpoint if isinstance(address, IPv6Address) else TCP4ClientEndpoint
        bind = (source, 0) if source else None
        endpoint = kind(self._reactor, str(address), port, timeout, bind)
        return cast("Deferred[object]", endpoint.connect(cast(IProtocolFactory, factory)))
