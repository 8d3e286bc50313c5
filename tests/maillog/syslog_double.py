"""Doubles around a link to syslog: who is told of it, and the socket below it."""

from __future__ import annotations

import errno
import os

from twisted.internet.defer import Deferred, fail, succeed


class Told:
    """A `Watcher` that writes down what it is told."""

    def __init__(self) -> None:
        self.news: list[str] = []

    def away(self, reason: str) -> None:
        """Noted."""
        self.news.append(f"away: {reason}")

    def back(self) -> None:
        """Noted."""
        self.news.append("back")

    def lost(self, count: int) -> None:
        """Noted."""
        self.news.append(f"lost {count}")

    def note(self, count: int) -> bytes:
        """Recognisable."""
        return b"NOTE %d" % count


class Daemon:
    """What listens, or doesn't: sockets to it send into `got`.

    - `gone`: nobody is there. A unix socket can't be made then; over UDP only the next call hears of it.
    - `room`: datagrams that fit until somebody reads.
    - `most`: octets that a datagram may have.
    """

    def __init__(self, unix: bool) -> None:
        self.unix = unix
        self.got: list[bytes] = []
        self.gone = False
        self.room = 10**6
        self.most = 10**6
        self.made = 0
        self.open = 0
        self.unknown = False  # its name can't be looked up

    def connect(self) -> Deferred[DaemonSocket]:
        """A socket to it."""
        if self.unknown:
            return fail(LookupError("no such host"))
        if self.gone and self.unix:
            return fail(OSError(errno.ENOENT, os.strerror(errno.ENOENT)))
        self.made += 1
        self.open += 1
        return succeed(DaemonSocket(self))


class DaemonSocket:
    """A connected socket."""

    def __init__(self, daemon: Daemon) -> None:
        self._daemon = daemon
        self._error = 0

    def send(self, message: bytes) -> int:
        """A datagram goes, or an earlier one's refusal is told."""
        daemon = self._daemon
        if self._error:
            raise self._told()
        if len(message) > daemon.most:
            raise OSError(errno.EMSGSIZE, os.strerror(errno.EMSGSIZE))
        if not daemon.room:
            raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN))
        if daemon.gone:
            self._error = errno.ECONNREFUSED
            if daemon.unix:
                raise self._told()
            return len(message)
        daemon.room -= 1
        daemon.got.append(message)
        return len(message)

    def _told(self) -> OSError:
        error, self._error = self._error, 0
        return OSError(error, os.strerror(error))

    def getsockopt(self, level: int, option: int) -> int:
        """The error that waits; it is forgotten then."""
        error, self._error = self._error, 0
        return error

    def close(self) -> None:
        """Counted."""
        self._daemon.open -= 1
