"""Syslog over TCP: RFC 6587, with octet counting."""

from __future__ import annotations

from typing import Any, Final

from twisted.application.internet import ClientService
from twisted.internet.defer import Deferred, succeed
from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import IDelayedCall, IPullProducer, IReactorTime, IStreamClientEndpoint
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.python.failure import Failure
from zope.interface import implementer

from seg.maillog.syslog_format import octet_counted
from seg.maillog.syslog_link import MOST_WAITING, STEADY, SyslogTransport, TransportObserver, delay_after

LARGEST_WRITE: Final = 65536  # octets handed to the transport at a time
LONGEST_END: Final = 2.0  # seconds that the last lines may take
SOUND: Final = 30.0  # seconds; a connection that didn't last so long is no reason to hurry with the next


class StreamLink(SyslogTransport):
    """Sends messages over a connection, and makes another when it breaks.

    The transport asks for more when the kernel has taken what it had, so what waits is counted here and nowhere else. What the
    kernel took and the other side didn't read is lost with a connection: TCP doesn't tell. What the kernel hadn't taken
    whole is sent again.
    """

    def __init__(
        self, endpoint: IStreamClientEndpoint, clock: IReactorTime, watcher: TransportObserver, most: int = MOST_WAITING
    ) -> None:
        super().__init__(watcher, most)
        self._clock = clock
        self._connection: _Connection | None = None
        self._steady: IDelayedCall | None = None
        self._under_way: list[bytes] = []  # given to the transport, not all of it to the kernel
        self._failures = 0
        self._made_at = 0.0
        factory = Factory.forProtocol(lambda: _Connection(self))
        factory.noisy = False
        self._service = ClientService(
            _ReportingEndpoint(endpoint, self), factory, lambda _: delay_after(self._failures), clock
        )

    def start(self) -> None:
        """Connect, and keep connected."""
        self._running = True
        self._service.startService()

    def stop(self) -> Deferred[None]:
        """Send what waits, within moments, and close."""
        if not self._running:
            return succeed(None)
        self._running = False
        connection = self._connection
        if connection is not None:
            connection.idle()
            rest = self._backlog.take(self._backlog.size)
            self._under_way += rest
            connection.write(rest)
        ended: Deferred[None] = Deferred()

        def end(_: object = None) -> None:
            if not ended.called:
                if cut.active():
                    cut.cancel()
                self._give_up()
                ended.callback(None)

        def give_up() -> None:
            """The other side doesn't read: end all the same."""
            if self._connection is not None:
                self._connection.abort()
            end()

        cut = self._clock.callLater(LONGEST_END, give_up)
        self._service.stopService().addBoth(end)
        return ended

    # --- what the connection tells -----------------------------------------------------------------------

    def connected(self, connection: _Connection) -> None:
        """There is a connection; whether it lasts shows in a moment (a proxy may accept it for nobody)."""
        self._connection = connection
        self._made_at = self._clock.seconds()
        self._steady = self._clock.callLater(STEADY, self._lasts)

    def _lasts(self) -> None:
        self._steady = None
        self._takes_lines()
        self._pump()

    def disconnected(self, reason: Failure) -> None:
        """The connection is gone, or there was none."""
        if self._steady is not None:
            self._steady.cancel()
            self._steady = None
        if self._connection is not None and self._clock.seconds() - self._made_at >= SOUND:
            self._failures = 0
        self._failures += 1
        self._connection = None
        if self._running or not reason.check(ConnectionDone):  # else all was written before we closed it
            self._backlog.put_back(self._under_way)
        self._under_way = []
        if self._running:
            self._went_away(reason.getErrorMessage().rstrip("."))

    def _pump(self) -> None:
        if self._connection is not None and self._steady is None and self._backlog:
            self._connection.busy()

    def more(self) -> list[bytes]:
        """What is sent next; what was sent before has gone."""
        self._under_way = self._backlog.take(LARGEST_WRITE)
        if not self._under_way and self._away:
            self._takes_lines()  # it was only slow
            self._under_way = self._backlog.take(LARGEST_WRITE)
        return self._under_way


@implementer(IPullProducer)
class _Connection(Protocol):
    """One connection. Syslog says nothing; what comes is not read."""

    transport: Any

    def __init__(self, link: StreamLink) -> None:
        self._link = link
        self._producing = False

    def connectionMade(self) -> None:
        self.transport.setTcpKeepAlive(True)
        self._link.connected(self)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self._producing = False
        self._link.disconnected(reason)

    def busy(self) -> None:
        """Have lines fetched as fast as the other side reads."""
        if not self._producing:
            self._producing = True
            self.transport.registerProducer(self, False)

    def idle(self) -> None:
        """Have none fetched."""
        if self._producing:
            self._producing = False
            self.transport.unregisterProducer()

    def resumeProducing(self) -> None:
        """The kernel has all that was written (`IPullProducer.resumeProducing`)."""
        messages = self._link.more()
        if messages:
            self.write(messages)
        else:
            self.idle()

    def stopProducing(self) -> None:
        """The connection is gone (`IProducer.stopProducing`)."""

    def write(self, messages: list[bytes]) -> None:
        """Write messages."""
        self.transport.write(b"".join(map(octet_counted, messages)))

    def abort(self) -> None:
        """Close without writing more."""
        self.transport.abortConnection()


@implementer(IStreamClientEndpoint)
class _ReportingEndpoint:
    """An endpoint that tells the link why there is no connection."""

    def __init__(self, endpoint: IStreamClientEndpoint, link: StreamLink) -> None:
        self._endpoint = endpoint
        self._link = link

    def connect(self, protocolFactory: Any) -> Deferred[Any]:
        """Connect (`IStreamClientEndpoint.connect`)."""

        def failed(failure: Failure) -> Failure:
            self._link.disconnected(failure)
            return failure

        made: Deferred[Any] = self._endpoint.connect(protocolFactory)
        return made.addErrback(failed)
