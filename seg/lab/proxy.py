"""A small HTTP proxy that knows CONNECT only (RFC 9110 §9.3.6), with or without a password."""

from __future__ import annotations

import base64
from collections.abc import Callable, Sequence

from twisted.internet.interfaces import IAddress, IReactorTCP
from twisted.internet.protocol import ClientFactory, Factory, Protocol, connectionDone
from twisted.python.failure import Failure

from seg.lab.listening import Listening

MAX_HEAD = 16384


class ConnectProxy:
    """Connects clients to where they ask, by the lab's own names. `requests` holds every CONNECT target."""

    def __init__(
        self,
        reactor: IReactorTCP,
        resolve: Callable[[str], Sequence[str]],
        *,
        user: str = "",
        password: str = "",
        refuse: int = 0,
    ) -> None:
        """:param resolve: addresses of a host name (`seg.lab.dnsserver.NameServer.addresses`).
        :param user: with one, 407 answers whoever doesn't say it with its password.
        :param refuse: status with which every request is refused, e.g. 403.
        """
        self.reactor = reactor
        self.resolve = resolve
        self.refuse = refuse
        credentials = base64.b64encode(f"{user}:{password}".encode())
        self.authorization = b"basic " + credentials if user else b""
        self.requests: list[str] = []
        self._listening: Listening | None = None
        self._open: set[_Client] = set()
        self.address = ""
        self.port = 0

    def start(self, address: str = "127.0.0.1", port: int = 0) -> None:
        """Listen.

        :raises twisted.internet.error.CannotListenError: the address or port can't be had.
        """
        factory = Factory.forProtocol(lambda: _Client(self, self._open))
        factory.noisy = False
        self._listening = Listening(self.reactor, factory, address, port)
        self.address, self.port = address, self._listening.port

    async def stop(self) -> None:
        """Close the port and every tunnel."""
        if self._listening is not None:
            await self._listening.close()
        for client in tuple(self._open):
            client.abort()


class _Client(Protocol):
    def __init__(self, proxy: ConnectProxy, opened: set[_Client]) -> None:
        self._proxy, self._opened = proxy, opened
        self._head = b""
        self._asked = False
        self._upstream: Protocol | None = None

    def connectionMade(self) -> None:
        self._opened.add(self)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self._opened.discard(self)
        if self._upstream is not None and self._upstream.transport is not None:
            self._upstream.transport.loseConnection()

    def abort(self) -> None:
        assert self.transport is not None
        self.transport.abortConnection()  # type: ignore[attr-defined]

    def dataReceived(self, data: bytes) -> None:
        if self._upstream is not None and self._upstream.transport is not None:
            self._upstream.transport.write(data)
            return
        self._head += data
        head, end, rest = self._head.partition(b"\r\n\r\n")
        if len(self._head) > MAX_HEAD:
            self.abort()
        elif end and not self._asked:
            self._asked, self._head = True, rest
            self._request(head)

    def _request(self, head: bytes) -> None:
        line, *fields = head.split(b"\r\n")
        method, _, rest = line.partition(b" ")
        target = rest.partition(b" ")[0].decode("latin-1")
        self._proxy.requests.append(target)
        authorization = b""
        for field in fields:
            name, _, value = field.partition(b":")
            if name.strip().lower() == b"proxy-authorization":
                scheme, _, secret = value.strip().partition(b" ")
                authorization = scheme.lower() + b" " + secret.strip()
        host, _, port = target.rpartition(":")
        addresses = self._proxy.resolve(host) if port.isdigit() else ()
        if method != b"CONNECT":
            self._say(405, "CONNECT only")
        elif self._proxy.refuse:
            self._say(self._proxy.refuse, "refused")
        elif self._proxy.authorization and authorization != self._proxy.authorization:
            self._say(407, "Proxy Authentication Required", "Proxy-Authenticate: Basic realm=lab\r\n")
        elif not addresses:
            self._say(502, "no such host")
        else:
            self._proxy.reactor.connectTCP(addresses[0], int(port), _Upstreams(self))

    def _say(self, status: int, text: str, fields: str = "") -> None:
        assert self.transport is not None
        self.transport.write(f"HTTP/1.1 {status} {text}\r\n{fields}Content-Length: 0\r\n\r\n".encode())
        self.transport.loseConnection()

    def tunnel_opened(self, upstream: Protocol) -> None:
        """The tunnel stands."""
        assert self.transport is not None
        self._upstream = upstream
        self.transport.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
        if self._head:
            assert upstream.transport is not None
            upstream.transport.write(self._head)

    def failed(self) -> None:
        """The target can't be reached."""
        if self.transport is not None:
            self._say(502, "no connection")

    def back(self, data: bytes) -> None:
        """Octets from the target."""
        if self.transport is not None:
            self.transport.write(data)

    def over(self) -> None:
        """The target closed."""
        if self.transport is not None:
            self.transport.loseConnection()


class _Upstream(Protocol):
    def __init__(self, client: _Client) -> None:
        self._client = client

    def connectionMade(self) -> None:
        self._client.tunnel_opened(self)

    def dataReceived(self, data: bytes) -> None:
        self._client.back(data)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self._client.over()


class _Upstreams(ClientFactory):
    noisy = False

    def __init__(self, client: _Client) -> None:
        self._client = client

    def buildProtocol(self, addr: IAddress | None) -> _Upstream:
        return _Upstream(self._client)

    def clientConnectionFailed(self, connector: object, reason: Failure) -> None:
        self._client.failed()
