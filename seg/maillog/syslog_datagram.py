"""Syslog over datagrams: to the daemon of this machine (``/dev/log``), and over UDP (RFC 5426)."""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Callable
from typing import Any, Final, Protocol

from twisted.internet.defer import Deferred, maybeDeferred, succeed
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.python.failure import Failure

from seg.maillog.syslog_link import MOST_WAITING, STEADY, SyslogTransport, TransportObserver, delay_after

FULL_WAIT: Final = 0.02  # seconds until a full socket is tried again
RENEW: Final = 300.0  # seconds after which a host's address is looked up anew

_FULL = (errno.EAGAIN, errno.ENOBUFS, errno.ENOMEM, errno.EINTR)


class DatagramSocket(Protocol):
    """A connected socket that doesn't block."""

    def send(self, message: bytes, /) -> int:
        """Send a datagram."""

    def getsockopt(self, level: int, option: int, /) -> int:
        """The error that waits."""

    def close(self) -> object:
        """Close it."""


Connect = Callable[[], "Deferred[DatagramSocket]"]


def connect_unix(path: str) -> Deferred[DatagramSocket]:
    """A socket to the daemon behind a path; fails with `OSError`."""
    return maybeDeferred(_connected, socket.AF_UNIX, path)  # a datagram socket connects without waiting


def connect_udp(host: str, port: int, in_thread: Callable[[Callable[[], Any]], Deferred[Any]]) -> Deferred[Any]:
    """A socket to a host; fails with `OSError`.

    :param in_thread: looks the name up.
    """

    def look_up() -> list[Any]:
        return socket.getaddrinfo(host, port, type=socket.SOCK_DGRAM)

    def connect(found: list[Any]) -> DatagramSocket:
        family, _, _, _, address = found[0]  # the order is that of RFC 6724
        return _connected(family, address)

    return in_thread(look_up).addCallback(connect)


def _connected(family: int, address: Any) -> DatagramSocket:
    made = socket.socket(family, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK)
    try:
        made.connect(address)
    except OSError:
        made.close()
        raise
    return made


class DatagramLink(SyslogTransport):
    """Sends a datagram for each message.

    :param connect: makes the socket.
    :param proving: whether only time shows that datagrams arrive. A unix socket says at once when nobody reads it. With UDP
        at best an ICMP message comes back, and is told by the next call: so one message goes alone, and others follow when
        there was no answer for a moment. Whether they arrive nobody knows.
    """

    def __init__(
        self,
        connect: Connect,
        clock: IReactorTime,
        watcher: TransportObserver,
        proving: bool,
        most: int = MOST_WAITING,
    ) -> None:
        super().__init__(watcher, most)
        self._connect = connect
        self._clock = clock
        self._proving = proving
        self._socket: DatagramSocket | None = None
        self._made_at = 0.0
        self._renewing = False
        self._doubtful = False  # the next message goes alone
        self._last: list[bytes] = []  # the message sent last, if its refusal would be heard of by the next call
        self._failures = 0
        self._call: IDelayedCall | None = None  # until it is over nothing is sent

    def start(self) -> None:
        """Look for syslog."""
        self._running = True
        self._open()

    def stop(self) -> Deferred[None]:
        """End. What couldn't be sent until now is lost."""
        if self._running:
            if not self._doubtful:
                self._resume()
            self._running = False
            self._close()
            self._give_up()
        return succeed(None)

    def _open(self) -> None:
        self._call = None
        self._connect().addCallbacks(self._opened, lambda failure: self._failed(_error_of(failure)))

    def _opened(self, made: DatagramSocket) -> None:
        if not self._running:
            made.close()
            return
        self._socket, self._made_at = made, self._clock.seconds()
        if not self._doubtful:
            self._failures = 0
            self._takes_lines()
        self._pump()

    def _close(self) -> None:
        if self._call is not None:
            self._call.cancel()
            self._call = None
        made, self._socket = self._socket, None
        if made is not None:
            made.close()

    def _failed(self, error: OSError) -> None:
        """Syslog isn't there: try again later."""
        if not self._running:
            return
        self._close()
        if error.errno == errno.ECONNREFUSED:
            self._backlog.put_back(self._last)
        self._last = []
        self._doubtful = self._proving
        self._failures += 1
        self._call = self._clock.callLater(delay_after(self._failures), self._open)
        self._went_away(error.strerror or str(error))

    def _resume(self) -> None:
        if self._call is not None and self._call.active():
            self._call.cancel()
        self._call = None
        self._pump()

    def _pump(self) -> None:
        if self._socket is None or self._call is not None:
            return
        if self._doubtful:
            self._prove()
            return
        while self._backlog and self._socket is not None:
            if not self._send_first(self._socket):
                return
            message = self._backlog.take()
            self._last = message if self._proving else []
        if self._away or self._backlog.lost:
            self._takes_lines()  # it was only slow
            self._pump()
        elif self._proving and self._clock.seconds() - self._made_at >= RENEW:
            self._renew()

    def _send_first(self, to: DatagramSocket) -> bool:
        """Send the first message that waits. Returns whether it is done with."""
        try:
            to.send(self._backlog.first())
        except OSError as error:
            if error.errno == errno.EMSGSIZE:
                self._backlog.lost += 1  # it will never go
                return True
            if error.errno in _FULL:
                self._call = self._clock.callLater(FULL_WAIT, self._resume)
            else:
                self._failed(error)
            return False
        return True

    def _prove(self) -> None:
        """Send one message, and wait for a refusal."""
        if self._backlog and self._socket is not None and self._send_first(self._socket):
            self._call = self._clock.callLater(STEADY, self._proven)

    def _proven(self) -> None:
        self._call = None
        assert self._socket is not None  # whoever closes it cancels the call
        error = self._socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if error:
            self._failed(OSError(error, os.strerror(error)))
            return
        self._backlog.take()
        self._doubtful = False
        self._failures = 0
        self._takes_lines()
        self._pump()

    def _renew(self) -> None:
        """Look the host's address up again, and go on with the old one until it is known."""
        self._made_at = self._clock.seconds()
        if not self._renewing:
            self._renewing = True
            self._connect().addBoth(self._renewed)

    def _renewed(self, made: DatagramSocket | Failure) -> None:
        self._renewing = False
        if isinstance(made, Failure):
            return  # the old address may still be right
        if self._running and self._socket is not None:
            self._socket, made = made, self._socket
            self._last = []
        made.close()


def _error_of(failure: Failure) -> OSError:
    """Why there is no socket."""
    error = failure.value
    return error if isinstance(error, OSError) else OSError(0, failure.getErrorMessage())
