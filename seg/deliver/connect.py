"""TCP connections for deliveries, by address: whose name it is was settled before."""

from __future__ import annotations

from ipaddress import IPv6Address
from typing import cast

from twisted.internet.defer import Deferred
from twisted.internet.endpoints import TCP4ClientEndpoint, TCP6ClientEndpoint
from twisted.internet.interfaces import IProtocolFactory, IReactorTCP
from zope.interface import implementer

from seg.interfaces import IConnector
from seg.model import IPAddress


@implementer(IConnector)
class TCPConnector:
    """Opens real TCP connections."""

    def __init__(self, reactor: IReactorTCP) -> None:
        self._reactor = reactor

    def connect(self, factory: object, address: IPAddress, port: int, source: str, timeout: float) -> Deferred[object]:
        """Connect from `source` (``""``: the system chooses) within `timeout` seconds; cancel to give up.

        Fires with the protocol that `factory` built; fails with a `twisted.internet.error.ConnectError`.
        """
        kind = TCP6ClientEndpoint if isinstance(address, IPv6Address) else TCP4ClientEndpoint
        bind = (source, 0) if source else None
        endpoint = kind(self._reactor, str(address), port, timeout, bind)
        return cast("Deferred[object]", endpoint.connect(cast(IProtocolFactory, factory)))
