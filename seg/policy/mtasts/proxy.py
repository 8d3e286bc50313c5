"""Through an HTTP proxy: CONNECT (RFC 9110 §9.3.6), and then the same connection as if it were direct.

The TLS session inside is end to end. The proxy's password appears in no text, log or repr.
"""

from __future__ import annotations

import base64
import re
from urllib.parse import unquote, urlsplit

import attrs
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IAddress, IProtocol, IProtocolFactory, IStreamClientEndpoint, ITCPTransport
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.python.failure import Failure
from zope.interface import implementer

from seg.common.echoes import WITHHELD, EchoedSecrets
from seg.common.endpoint import endpoint
from seg.config.syntax import check_proxy
from seg.mail.errors import local_fault
from seg.policy.mtasts.errors import FetchError, FetchFault
from seg.tls.names import printable

MAX_HEAD = 16384  # octets of the proxy's answer

_BASIC = b"Basic "
_END_OF_HEAD = re.compile(rb"\r?\n\r?\n")
UNREACHED = b"500"  # tinyproxy's "Unable to connect": it knows no such host, or nobody answers there
_STATUS = re.compile(rb"HTTP/1\.[01] ([0-9]{3})(?: ([^\r\n]*))?\r?\n")


@attrs.frozen
class Proxy:
    """The operator's proxy."""

    host: str
    port: int
    authorization: bytes = attrs.field(default=b"", repr=False)  # value of the Proxy-Authorization field

    @property
    def where(self) -> str:
        """``host:port``."""
        return endpoint(self.host, self.port)

    @property
    def echoes(self) -> EchoedSecrets:
        """Finds the password in what the proxy says."""
        encoded = self.authorization.removeprefix(_BASIC)
        echoes = EchoedSecrets(base64.b64decode(encoded).partition(b":")[2])
        echoes.add_sent(encoded)
        return echoes

    def __str__(self) -> str:
        return f"http://{self.where}"


def parse_proxy(text: str) -> Proxy | None:
    """The proxy of ``http://[user:password@]host:port``; None for an empty text.

    :raises ValueError: it isn't such a URL; the message tells no part of it.
    """
    if not text:
        return None
    check_proxy(text)
    parts = urlsplit(text)
    authorization = b""
    if parts.username is not None:
        credentials = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
        authorization = _BASIC + base64.b64encode(credentials.encode())  # RFC 7617 §2
    return Proxy(parts.hostname or "", parts.port or 0, authorization)


class _Tunnel(Protocol):
    """Asks for the tunnel, then stands aside: what comes is the inner protocol's."""

    def __init__(
        self,
        request: bytes,
        factory: IProtocolFactory,
        address: IAddress | None,
        opened: Deferred[IProtocol],
        echoes: EchoedSecrets,
    ) -> None:
        self._request = request
        self._echoes = echoes
        self._inner_factory = factory  # `factory` is overwritten by Factory.buildProtocol
        self._address = address
        self._opened: Deferred[IProtocol] | None = opened
        self._inner: IProtocol | None = None
        self._head = b""

    def connectionMade(self) -> None:
        """Ask."""
        assert self.transport is not None
        if ITCPTransport.providedBy(self.transport):
            self.transport.setTcpNoDelay(True)
        self.transport.write(self._request)

    def dataReceived(self, data: bytes) -> None:
        """The proxy's answer, and behind it whatever the tunnel brings."""
        if self._inner is not None:
            self._inner.dataReceived(data)
            return
        if self._opened is None:
            return  # given up
        seen = max(0, len(self._head) - 3)  # an end that began there may be complete now
        self._head += data
        end = _END_OF_HEAD.search(self._head, seen)
        if end is not None and end.end() <= MAX_HEAD:
            self._answered(self._head[: end.end()], self._head[end.end() :])
        elif end is not None or len(self._head) > MAX_HEAD:
            self._give_up(f"answered with more than {MAX_HEAD} octets of header")

    def _answered(self, head: bytes, rest: bytes) -> None:
        status = _STATUS.match(head)
        if status is None:
            self._give_up("answered with something that is not HTTP")
        elif not status[1].startswith(b"2"):
            reason = (status[2] or b"").decode("ascii", "backslashreplace")
            if self._echoes.stand_in(reason):
                reason = WITHHELD
            text = printable(f"refused: {status[1].decode()} {reason}".rstrip(), 100)
            self._give_up(text, doubtful=status[1] != b"407", of_host=status[1] == UNREACHED)
        elif rest:  # the policy host waits for us to speak first: this is the proxy's own
            self._give_up("sent data of its own into the tunnel")
        else:
            self._open()

    def _open(self) -> None:
        opened, self._opened = self._opened, None
        inner = self._inner_factory.buildProtocol(self._address)  # type: ignore[arg-type]
        assert opened is not None
        assert inner is not None
        assert self.transport is not None
        self._inner = inner
        inner.makeConnection(self.transport)
        opened.callback(inner)

    def _give_up(self, text: str, doubtful: bool = False, of_host: bool = False) -> None:
        opened, self._opened = self._opened, None
        self._head = b""
        self.abort()
        assert opened is not None
        error = FetchError(FetchFault.PROXY, text)
        error.doubtful, error.of_host = doubtful, of_host
        opened.errback(error)

    def abort(self) -> None:
        """Close at once."""
        assert self.transport is not None
        self.transport.abortConnection()  # type: ignore[attr-defined]

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """The inner protocol's end, or the proxy's before there was one."""
        opened, self._opened = self._opened, None
        if self._inner is not None:
            self._inner.connectionLost(reason)
        elif opened is not None:
            opened.errback(FetchError(FetchFault.PROXY, "closed the connection without an answer"))


class _TunnelFactory(Factory):
    """Builds the one tunnel of a connection; `tunnel` is it."""

    noisy = False

    def __init__(self, request: bytes, factory: IProtocolFactory, echoes: EchoedSecrets) -> None:
        self._request = request
        self._echoes = echoes
        self._inner_factory = factory
        self.opened: Deferred[IProtocol] = Deferred()
        self.tunnel: _Tunnel | None = None

    def buildProtocol(self, addr: IAddress | None) -> Protocol:
        """The connection to the proxy stands."""
        self.tunnel = _Tunnel(self._request, self._inner_factory, addr, self.opened, self._echoes)
        return self.tunnel


@implementer(IStreamClientEndpoint)
class ConnectEndpoint:
    """Reaches a host by name and port through a proxy.

    :param to_proxy: how the proxy is reached.
    """

    def __init__(self, to_proxy: IStreamClientEndpoint, proxy: Proxy, host: str, port: int) -> None:
        self._to_proxy = to_proxy
        self._proxy = proxy
        self._target = endpoint(host, port)

    def connect(self, protocolFactory: IProtocolFactory) -> Deferred[IProtocol]:
        """Connect; fails with a `FetchError` that names the proxy and what it said, or with a `LocalFault`."""
        return Deferred.fromCoroutine(self._connect(protocolFactory))

    async def _connect(self, factory: IProtocolFactory) -> IProtocol:
        tunnels = _TunnelFactory(self._request(), factory, self._proxy.echoes)
        try:
            await self._to_proxy.connect(tunnels)
            return await tunnels.opened
        except CancelledError:
            if tunnels.tunnel is not None:
                tunnels.tunnel.abort()
            raise
        except FetchError as error:
            failed = self._failed(error.cause, error.doubtful)
            failed.of_host = error.of_host
            raise failed from None
        except Exception as error:  # noqa: BLE001  an endpoint may fail with anything
            lack = local_fault(error)
            if lack is not None:
                raise lack from None
            raise self._failed(f"can't be reached: {str(error).rstrip('.')}") from None

    def _request(self) -> bytes:
        lines = [f"CONNECT {self._target} HTTP/1.1".encode(), f"Host: {self._target}".encode()]
        if self._proxy.authorization:
            lines.append(b"Proxy-Authorization: " + self._proxy.authorization)
        return b"\r\n".join(lines) + b"\r\n\r\n"

    def _failed(self, cause: str, doubtful: bool = False) -> FetchError:
        error = FetchError(FetchFault.PROXY, f"proxy {self._proxy} {cause}")
        error.doubtful = doubtful
        return error
