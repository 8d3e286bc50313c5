"""The admin API over TLS, for operators on other machines; off unless ``[control] address`` is set.

Whoever can reach the port may try: so a request is complete within a minute or is dropped, nobody without a token has more
than a small body read, and no address takes all the connections.
"""

from __future__ import annotations

import json
import socket
from collections.abc import Callable
from http import HTTPStatus
from typing import Any

from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.interfaces import IAddress, IDelayedCall, IListeningPort, IReactorTime
from twisted.protocols.tls import TLSMemoryBIOFactory
from twisted.python.failure import Failure
from twisted.web.http import HTTPChannel
from twisted.web.iweb import INonQueuedRequestFactory
from twisted.web.server import Request
from zope.interface import provider

from seg.admin.http import APIResource, RouteTable
from seg.admin.socket import UnloggedSite
from seg.admin.token_access import Credentials, TokenAccess
from seg.admin.wire.route import MAX_BODY
from seg.config.problems import SettingError
from seg.config.receive import ListenerSettings
from seg.config.schema import Control
from seg.events.base import IEventSink
from seg.events.gateway import AdminListening
from seg.mail.client import client_address, client_key
from seg.mail.hosts import IPAddress
from seg.receive.binding import bind
from seg.tls.listening import ListenerCertificates
from seg.tls.parameters import USUAL, Parameters

MAX_CONNECTIONS = 100
MAX_CONNECTIONS_PER_ADDRESS = 20
KEPT = 20  # connections for operators of this machine, and those who were let in of late
REQUEST_TIME = 60.0  # seconds from the connection, or the answer before, to the last octet of a request
LARGE_REQUEST_TIME = 600.0  # the same for a large body of somebody with a token
NAME = "[control]"  # of the listener, in messages
LINGER = 120.0  # seconds for what is left to be sent, and for the client's end


class APIChannel(HTTPChannel):
    """One connection: a client that is slow doesn't get more time by being so."""

    abortTimeout = None  # type: ignore[assignment] # `loseConnection` sees to it
    _ending: IDelayedCall | None = None

    def resetTimeout(self) -> None:
        """Nothing: octets that come one by one don't put the end off."""

    def loseConnection(self) -> None:
        """Close, whether or not the other end takes part."""
        if self._ending is None:
            transport: Any = self.transport
            self._ending = self.callLater(LINGER, transport.abortConnection)
            self.setTimeout(None)
            super().loseConnection()

    def connectionLost(self, reason: Failure) -> None:  # type: ignore[override]
        """It is closed."""
        if self._ending is not None and self._ending.active():
            self._ending.cancel()
        super().connectionLost(reason)


@provider(INonQueuedRequestFactory)
class HTTPRequest(Request):
    """One request. A body that is too large is refused before it is read."""

    _most = MAX_BODY
    _taken = 0
    _refused = False

    def gotLength(self, length: int | None) -> None:
        """The header is there, and says how long the body is (None: it will be seen)."""
        site = self._site()
        if (length is None or length > MAX_BODY) and site.door.knows(ask_of(self, complete=False)):
            self._most = site.largest
            self.channel.setTimeout(LARGE_REQUEST_TIME)
        super().gotLength(length if length is None or length <= self._most else 0)
        if length is not None and length > self._most:
            self._refuse()

    def handleContentChunk(self, data: bytes) -> None:
        """A piece of the body."""
        self._taken += len(data)
        if not self._refused and self._taken > self._most:
            self._refuse()
        if not self._refused:
            super().handleContentChunk(data)

    def requestReceived(self, command: bytes, path: bytes, version: bytes) -> None:
        """All of it is there."""
        if not self._refused:
            super().requestReceived(command, path, version)

    def _site(self) -> APISite:
        channel: Any = self.channel
        site: APISite = channel.site
        return site

    def _refuse(self) -> None:
        self._refused = True
        door, ask = self._site().door, ask_of(self, complete=False)
        text = f"the body is larger than {self._most} octets"
        if not door.knows(ask):
            door.failed(ask.address, text)
            text += "; only a token for all may send more"
        status = HTTPStatus.REQUEST_ENTITY_TOO_LARGE
        body = json.dumps({"error": text}).encode() + b"\n"
        head = (
            f"HTTP/1.1 {status} {status.phrase}\r\ncontent-type: application/json\r\n"
            f"content-length: {len(body)}\r\nconnection: close\r\n\r\n"
        )
        self.channel.writeSequence([head.encode(), body])
        self.channel.loseConnection()


class APISite(UnloggedSite):
    """The API for those whom the door lets in."""

    protocol = APIChannel  # type: ignore[assignment] # one that would know HTTP/2 as well
    requestFactory = HTTPRequest

    def __init__(self, routes: RouteTable, door: TokenAccess, reactor: IReactorTime) -> None:
        async def admit(request: Request) -> str:
            return await door.admit(ask_of(request))

        super().__init__(APIResource(routes, admit), timeout=REQUEST_TIME, reactor=reactor)
        self.displayTracebacks = False
        self.door = door
        self.largest = routes.largest

    def acceptableProtocols(self) -> list[bytes]:
        """For ALPN (RFC 7301)."""
        return [b"http/1.1"]


class LimitedTLSFactory(TLSMemoryBIOFactory):
    """Connections within TLS, so many and no more; one too many is closed at once.

    :param known: whether somebody was let in from an address of late: for those some connections are kept.
    """

    noisy = False

    def logPrefix(self) -> str:
        """What Twisted's own log calls it."""
        return "Admin API"

    def __init__(self, certificates: Any, site: APISite, known: Callable[[IPAddress], bool], reactor: Any) -> None:
        super().__init__(certificates, False, site, reactor)
        self._known = known

    def buildProtocol(self, addr: IAddress | None) -> Any:
        """A connection, if there is room for it."""
        present = [_client(protocol.getPeer()) for protocol in self.protocols]
        peer: Any = addr
        address = client_address(peer.host)
        known = address.is_loopback or self._known(address)
        most = MAX_CONNECTIONS if known else MAX_CONNECTIONS - KEPT
        if len(present) >= most or present.count(client_key(address)) >= MAX_CONNECTIONS_PER_ADDRESS:
            return None
        return super().buildProtocol(addr)


class TLSListener:
    """The listener, from the start of the gateway to its end; nothing at all when ``[control] address`` is empty.

    `certificates` are its own, by the name that the log has for it.

    :param outdated: whether certificates whose dates are wrong are taken.
    :raises ConfigurationError: they can't be used.
    """

    def __init__(self, control: Control, parameters: Parameters = USUAL, outdated: bool = False) -> None:
        self.certificates: dict[str, ListenerCertificates] = {}
        self._control = control
        self._bound: socket.socket | None = None
        self._port: IListeningPort | None = None
        if control.address:
            files = [(control.certificate, control.key)]
            self.certificates[NAME] = ListenerCertificates(files, parameters=parameters, outdated=outdated)

    def bind(self, former: TLSListener | None = None) -> None:
        """Have the port; clients wait in the kernel.

        :param former: the one that serves now: where it listens already nothing has to be had.
        :raises SettingError: it can't be had.
        """
        if self._control.address and not (former is not None and former._serves_at(self._control)):
            try:
                self._bound = bind(ListenerSettings(name=NAME, address=self._control.address, port=self._control.port))
            except SettingError as error:
                raise SettingError(("control", *error.where), error.text.removeprefix(f"listener {NAME}: ")) from error

    def serve(
        self,
        reactor: Any,
        routes: RouteTable,
        door: TokenAccess,
        sink: IEventSink,
        former: TLSListener | None = None,
        watch: Callable[[Any], None] = lambda port: None,
    ) -> None:
        """Serve the API there, once `bind` was done.

        :param watch: is given the port.
        """
        if not self._control.address:
            return
        factory = LimitedTLSFactory(self.certificates[NAME], APISite(routes, door, reactor), door.known, reactor)
        if former is not None and former._serves_at(self._control):
            self._port, former._port = former._port, None
            self._port.factory = factory  # type: ignore[union-attr] # of connections from now on
            return
        assert self._bound is not None
        bound, self._bound = self._bound, None
        try:
            self._port = reactor.adoptStreamPort(bound.fileno(), bound.family, factory)
        finally:
            bound.close()  # the reactor has a duplicate
        watch(self._port)
        address: Any = self._port.getHost()
        sink.emit(AdminListening(address.host, address.port))
        Deferred.fromCoroutine(door.prepare())

    def _serves_at(self, wanted: Control) -> bool:
        """Whether it serves at that address and port (0: any)."""
        there = (self._control.address, self._control.port) == (wanted.address, wanted.port)
        return there and self._port is not None

    async def close(self) -> None:
        """Listen no more; connections that are there go on."""
        if self._bound is not None:
            self._bound.close()
        if self._port is not None:
            await maybeDeferred(self._port.stopListening)


def ask_of(request: Request, complete: bool = True) -> Credentials:
    """What a request shows at the door.

    :param complete: it has its method and path already, not its header fields alone.
    """
    peer: Any = request.getClientAddress()
    method, path = (request.method, request.path) if complete else (b"", b"")
    return Credentials(
        client_address(peer.host),
        method.decode("latin-1"),
        path.decode("latin-1"),
        request.requestHeaders.getRawHeaders(b"authorization", []),
    )


def _client(peer: Any) -> str:
    return client_key(client_address(peer.host))
