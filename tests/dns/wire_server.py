"""A DNS server on loopback that sends what a test wants, octet by octet if need be."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import dns.flags
import dns.message
import dns.rrset
from twisted.internet import error
from twisted.internet.defer import gatherResults, maybeDeferred
from twisted.internet.protocol import DatagramProtocol, Factory
from twisted.protocols.basic import Int16StringReceiver

Send = Callable[[bytes], None]
Respond = Callable[[dns.message.Message, Send], None]


def reply(query: dns.message.Message, *records: str, ad: bool = False, authority: str = "") -> dns.message.Message:
    """A response with records ``owner type data``; `authority` is one more of them."""
    response = dns.message.make_response(query, recursion_available=True)
    for section, texts in (
        (response.answer, records),
        (response.authority, (authority,) if authority else ()),
    ):
        for text in texts:
            owner, rdtype, data = text.split(None, 2)
            rrset = response.find_rrset(
                section, dns.name.from_text(owner), 1, dns.rdatatype.from_text(rdtype), create=True
            )
            rrset.add(dns.rdata.from_text(1, rrset.rdtype, data, origin=dns.name.root, relativize=False), 300)
    if ad:
        response.flags |= dns.flags.AD
    return response


class WireServer:
    """Hands queries to `udp` and `tcp`; each may send as often as it likes, or never."""

    def __init__(self, reactor: Any, udp: Respond, tcp: Respond | None = None, interface: str = "127.0.0.1") -> None:
        self.udp, self.tcp = udp, tcp
        self.interface = interface
        self.queries: list[tuple[str, dns.message.Message]] = []
        for last in (False, False, True):
            self._datagrams = reactor.listenUDP(0, _Datagrams(self), interface=interface)
            self.port: int = self._datagrams.getHost().port
            try:
                self._streams = reactor.listenTCP(self.port, _Streams(self), interface=interface)
                break
            except error.CannotListenError:
                self._datagrams.stopListening()
                if last:
                    raise
        self.connections: list[_Stream] = []

    @property
    def address(self) -> str:
        """As in the configuration."""
        return f"{self.interface}:{self.port}"

    def stop(self) -> Any:
        """Close everything."""
        for connection in self.connections:
            connection.transport.abortConnection()
        ports = (self._datagrams, self._streams)
        return gatherResults([maybeDeferred(port.stopListening) for port in ports])


class _Datagrams(DatagramProtocol):
    noisy = False

    def __init__(self, server: WireServer) -> None:
        self._server = server

    def datagramReceived(self, datagram: bytes, addr: Any) -> None:
        query = dns.message.from_wire(datagram)
        self._server.queries.append(("udp", query))
        self._server.udp(query, lambda wire: self.transport.write(wire, addr))


class _Stream(Int16StringReceiver):
    def __init__(self, server: WireServer) -> None:
        self._server = server

    def connectionMade(self) -> None:
        self._server.connections.append(self)

    def stringReceived(self, string: bytes) -> None:
        query = dns.message.from_wire(string)
        self._server.queries.append(("tcp", query))
        if self._server.tcp is None:
            self.transport.abortConnection()
        else:
            self._server.tcp(query, self.transport.write)


class _Streams(Factory):
    noisy = False

    def __init__(self, server: WireServer) -> None:
        self._server = server

    def buildProtocol(self, addr: Any) -> _Stream:
        return _Stream(self._server)
