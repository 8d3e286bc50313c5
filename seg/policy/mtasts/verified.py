"""TLS to a policy host, judged between the handshake and the first octet of a request.

Twisted's own check of a host name runs inside an OpenSSL callback and can fail open. Here the handshake is made
without verification, and the HTTP protocol comes to exist only when the presented chain has been accepted.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import attrs
from OpenSSL import SSL
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import (
    IAddress,
    IHandshakeListener,
    IOpenSSLClientConnectionCreator,
    IProtocol,
    IProtocolFactory,
    IReactorTime,
    IStreamClientEndpoint,
)
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.protocols.tls import TLSMemoryBIOFactory
from twisted.python.failure import Failure
from zope.interface import implementer

from seg.mail.errors import local_fault
from seg.policy.mtasts.errors import FetchError, FetchFault
from seg.tls.context import session_facts
from seg.tls.peer import CertificateVerdict, PeerCertificates, SessionFacts

MAX_RECEIVED = 262144  # octets of an answer, header and framing included; also of one that never ends


@attrs.define(eq=False)
class FetchProgress:
    """What a fetch is doing just now, for the text of a time-out, and how far it has come, for whoever looks into it."""

    doing: str = "waiting for its turn"
    peer: str = ""  # address:port of the policy host, or the proxy
    facts: SessionFacts = attrs.field(factory=SessionFacts)  # of the TLS session with the policy host
    handshaking: bool = False  # a connection stands (through the proxy, if there is one), and TLS has begun

    def too_late(self, _: object, seconds: float) -> Any:
        """What follows when it took too long (``Deferred.addTimeout``).

        :raises FetchError: always.
        """
        raise FetchError(FetchFault.TIMEOUT, f"timed out after {seconds:.0f} s {self.doing}")


Examine = Callable[[PeerCertificates], CertificateVerdict]


@implementer(IHandshakeListener)
class VerifiedStream(Protocol):
    """Stands between TLS and the HTTP protocol: nothing passes before the peer is accepted, nor beyond a bound."""

    def __init__(self, host: str, examine: Examine, factory: IProtocolFactory, address: IAddress | None) -> None:
        self._host = host
        self._examine = examine
        self._inner_factory = factory  # `factory` is overwritten by Factory.buildProtocol
        self._address = address
        self._inner: IProtocol | None = None
        self._received = 0
        self._fault: Exception | None = None
        self._open = True
        self.cut = False  # the end came without TLS saying so: what was received may not be all
        self.facts = SessionFacts()
        self.accepted: Deferred[IProtocol] = Deferred()

    def handshakeCompleted(self) -> None:
        """Judge the peer; the HTTP protocol begins, or the connection ends."""
        assert self.transport is not None
        try:
            self.facts = session_facts(self.transport.getHandle(), self._host)  # type: ignore[attr-defined]
            found = self._examine(self.facts.peer)
        except Exception as error:  # noqa: BLE001  an examination never raises: it is ours, and must reach who waits
            self._fail(error)
            return
        if not found.ok:
            text = "certificate not accepted: " + "; ".join(found.mismatches)
            self._fail(FetchError(FetchFault.CERTIFICATE, text))
            return
        inner = self._inner_factory.buildProtocol(self._address)  # type: ignore[arg-type]
        assert inner is not None
        self._inner = inner
        inner.makeConnection(self.transport)
        self.accepted.callback(inner)

    def dataReceived(self, data: bytes) -> None:
        """Pass on, and count."""
        self._received += len(data)
        if self._received > MAX_RECEIVED:
            self._fail(FetchError(FetchFault.TOO_LARGE, f"answer of more than {MAX_RECEIVED} octets"))
        elif self._inner is not None:
            self._inner.dataReceived(data)

    def _fail(self, fault: Exception) -> None:
        if self._fault is None:
            self._fault = fault
            self.abort()

    def abort(self) -> None:
        """Close at once, if it isn't closed."""
        if self._open:
            assert self.transport is not None
            self.transport.abortConnection()  # type: ignore[attr-defined]

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """Tell whoever waits."""
        self._open = False
        self.cut = not reason.check(ConnectionDone)
        if self._inner is not None:
            self._inner.connectionLost(Failure(self._fault) if self._fault is not None else reason)
        else:
            self.accepted.errback(self._fault or _handshake_error(reason.value))


def _handshake_error(error: BaseException | None) -> Exception:
    lack = local_fault(error)
    if lack is not None:
        return lack
    if isinstance(error, SSL.Error):
        entries = error.args[0] if error.args else ()
        # OpenSSL's queue of errors: (library, function, reason), the last one nearest to the cause.
        text = str(entries[-1][-1]) if isinstance(entries, list) and entries else "protocol error"
        return FetchError(FetchFault.TLS, f"TLS handshake failed: {text}")
    cut = FetchError(FetchFault.TLS, "connection closed during the TLS handshake")
    cut.doubtful = True  # behind a proxy it may be its connection that broke
    return cut


class _CheckedFactory(Factory):
    noisy = False

    def __init__(self, host: str, examine: Examine, factory: IProtocolFactory) -> None:
        self._arguments = (host, examine, factory)
        self.connection: VerifiedStream | None = None

    def buildProtocol(self, addr: IAddress | None) -> Protocol:
        """The connection stands; the handshake follows."""
        self.connection = VerifiedStream(*self._arguments, addr)
        return self.connection


@implementer(IOpenSSLClientConnectionCreator)
@attrs.frozen(eq=False)
class _Ready:
    """Hands out the one OpenSSL connection that was made before."""

    _connection: SSL.Connection

    def clientConnectionForTLS(self, tlsProtocol: object) -> SSL.Connection:
        """It."""
        return self._connection


class VerifyingEndpoint:
    """Connects with TLS; what it fires with speaks to an accepted peer.

    :param creator: makes the OpenSSL connection, server name included.
    :param examine: judges what the peer presents.
    """

    def __init__(
        self,
        clock: IReactorTime,
        inner: IStreamClientEndpoint,
        creator: IOpenSSLClientConnectionCreator,
        host: str,
        examine: Examine,
    ) -> None:
        self._clock = clock
        self._inner = inner
        self._creator = creator
        self._host = host
        self._examine = examine

    async def connect(
        self, factory: IProtocolFactory, progress: FetchProgress, handshake: str, seconds: float | None = None
    ) -> tuple[IProtocol, VerifiedStream]:
        """The protocol that `factory` built, and the connection that carries it.

        :param handshake: what `progress` says once the connection stands.
        :param seconds: for the handshake; None: as long as whoever waits likes.
        :raises FetchError: TLS, certificate, or proxy.
        :raises Exception: whatever the endpoint fails with, or an error of ours.
        """
        checked = _CheckedFactory(self._host, self._examine, factory)
        # Made here, as an error within Twisted's own call would end the connection without telling anybody why.
        ready = _Ready(self._creator.clientConnectionForTLS(None))  # type: ignore[arg-type]
        over_tls = TLSMemoryBIOFactory(ready, True, checked, clock=self._clock)
        over_tls.noisy = False
        try:
            await self._inner.connect(over_tls)
            progress.doing, progress.handshaking = handshake, True
            assert checked.connection is not None
            accepted = checked.connection.accepted
            if seconds is not None:
                accepted.addTimeout(seconds, self._clock, progress.too_late)
            return await accepted, checked.connection
        except (CancelledError, FetchError):
            if checked.connection is not None:
                checked.connection.abort()
            raise
        finally:
            if checked.connection is not None:
                progress.facts = checked.connection.facts
