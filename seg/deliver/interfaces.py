"""What delivery asks of the network and of the routes."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Any

from twisted.internet.defer import Deferred
from zope.interface import Interface

from seg.mail.hosts import PeerAddress, Route


class IConnector(Interface):
    """Opens connections for deliveries; the double for tests connects to memory."""

    def connect(factory: object, address: PeerAddress, port: int, source: str, timeout: float) -> Deferred[Any]:
        """Connect; fires with the protocol that `factory` built. Fails with `twisted.internet.error.ConnectError` kinds."""


class IRouter(Interface):
    """Finds the next hops of a domain (RFC 5321 §5.1, RFC 7505, the operator's routes)."""

    def route(domain: str, via: str = "") -> Awaitable[Route]:
        """The hosts to be tried, in order.

        :param via: where an operator redirected the mail to, instead of the domain's own route.
        :raises Temporary: lookup failed, or no usable host is left: defer.
        :raises Permanent: null MX (5.1.10), NXDOMAIN (5.1.2), loop (5.4.6).
        """
