"""File descriptors: how many there are, which limits follow from that, and that listeners stop accepting before they run out."""

from __future__ import annotations

import contextlib
import errno
import os
import resource
import socket
from collections.abc import Callable
from functools import partial
from typing import Any, Final

import attrs
from twisted.internet.interfaces import IDelayedCall, IReactorTime

from seg.config.schema import Settings
from seg.events.base import IEventSink
from seg.events.conditions import Condition
from seg.events.gateway import ConditionKind

HIGHEST: Final = 1_000_000  # descriptors; more are never of use, and some systems call a billion their hard limit
OWN: Final = 40  # that the gateway has open without any mail: reactor, listeners, logs, locks
SLACK: Final = 8  # more than `kept` have to be free before a listener that was paused accepts again
COUNTED_EVERY: Final = 1.0  # seconds for which a count holds; what was accepted since is added
LOOK: Final = 0.25  # seconds between two looks while listeners are paused
ACCEPTS: Final = 10  # connections that a port takes in one turn of the reactor; each costs a millisecond or two
SPARES: Final = 3  # descriptors that the control socket gives up, so that a command is answered in any case
CALM: Final = 30.0  # seconds without another shortage after which it is told that it is over
PAUSE: Final = 1.0  # seconds that a port rests when the system can't give it a connection
SHORT: Final = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})


def raise_limit() -> int:
    """Raise the soft limit of open files to the hard one; the limit that holds now."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = HIGHEST if hard == resource.RLIM_INFINITY else min(hard, HIGHEST)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        with contextlib.suppress(OSError, ValueError):  # the system's own limit is lower: what it is stays
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
            soft = wanted
    return HIGHEST if soft == resource.RLIM_INFINITY else soft


@attrs.frozen
class Limits:
    """What is in force: the configuration's limits, or fewer where the descriptors don't suffice.

    :ivar kept: descriptors that are never spent on new clients: for the spool, deliveries under way, DNS, policy hosts, logs and operators.
    """

    files: int
    kept: int
    connections_in: int
    connections_in_of_one: int
    connections_out: int

    @property
    def told(self) -> str:
        """The figures in one line."""
        return (
            f"{self.connections_in} connections in and {self.connections_out} out are in force, as the limit of open files is "
            f"{self.files} (LimitNOFILE=, ulimit -Hn)"
        )


def limits_in_force(files: int, settings: Settings) -> Limits:
    """The limits that follow from so many descriptors."""
    receive, delivery = settings.receive, settings.delivery
    kept = min(64 + 4 * settings.mta_sts.max_fetches, files // 2)
    room = max(2, files - OWN - kept)
    wanted_in, wanted_out = receive.max_connections, delivery.max_connections
    if wanted_in + wanted_out > room:
        wanted = wanted_in + wanted_out
        wanted_in, wanted_out = max(1, wanted_in * room // wanted), max(1, wanted_out * room // wanted)
    return Limits(files, kept, wanted_in, min(receive.max_connections_per_address, wanted_in), wanted_out)


def open_descriptors() -> int:
    """How many this process has open."""
    return len(os.listdir("/proc/self/fd" if os.path.isdir("/proc/self/fd") else "/dev/fd")) - 1  # that of the listing


class Descriptors:
    """Watches the descriptors of the process: pauses the ports of listeners while too few are free.

    :param files: the limit.
    :param count: how many are open.
    """

    def __init__(
        self, files: int, clock: IReactorTime, sink: IEventSink, count: Callable[[], int] = open_descriptors
    ) -> None:
        self._files = files
        self._clock = clock
        self._count = count
        self._kept = 0
        self._used = 0
        self._counted_at: float | None = None
        self._ports: list[Any] = []
        self._look: IDelayedCall | None = None
        self._resting: set[IDelayedCall] = set()
        self._spares: list[int] = []
        self._refill: IDelayedCall | None = None
        self._calming: IDelayedCall | None = None
        self._few = Condition(sink, ConditionKind.DESCRIPTORS, "limit")
        self._short = Condition(sink, ConditionKind.DESCRIPTORS, "listeners")

    def limits(self, settings: Settings) -> Limits:
        """What these settings come to."""
        return limits_in_force(self._files, settings)

    def use(self, settings: Settings) -> Limits:
        """Work by these settings, and tell if not all that they ask for can be had."""
        limits = self.limits(settings)
        self._kept = limits.kept
        wanted = settings.receive.max_connections, settings.delivery.max_connections
        if wanted == (limits.connections_in, limits.connections_out):
            self._few.end("the configured limits of connections are in force")
        else:
            self._few.begin(f"{limits.told}; configured are {wanted[0]} and {wanted[1]}")
        return limits

    # --- ports ------------------------------------------------------------------------------------

    def watch(self, port: Any) -> None:
        """A listener's port: it accepts only while enough descriptors are free."""
        self._ports = [each for each in self._ports if each.connected]
        self._ports.append(port)
        _guard(port, self._may_accept, lambda: self._rest(port))

    def keep_open(self, port: Any) -> None:
        """The operators' port: it accepts always, with descriptors that are kept for it if there are no others."""
        self._fill_spares()
        _guard(port, lambda: True, lambda: self._give_up_spares() or self._rest(port))

    def stop(self) -> None:
        """Watch no more."""
        for call in (self._look, self._refill, self._calming, *self._resting):
            if call is not None and call.active():
                call.cancel()
        self._look = None
        self._resting.clear()
        while self._spares:
            os.close(self._spares.pop())

    def _may_accept(self) -> bool:
        """Whether one more client may be taken; counts it."""
        if self._look is not None:
            return False
        if not self._enough(0):
            self._pause()
            return False
        self._used += 1
        return True

    def _enough(self, slack: int) -> bool:
        now = self._clock.seconds()
        if self._counted_at is None or now - self._counted_at >= COUNTED_EVERY or not self._is_free(slack):
            if self._counted_at is None or now - self._counted_at >= LOOK:
                self._counted_at = now
                try:
                    self._used = self._count()
                except OSError:
                    self._used = self._files
            self._fill_spares()
        return self._is_free(slack)

    def _is_free(self, slack: int) -> bool:
        return self._files - self._used >= self._kept + slack

    def _pause(self) -> None:
        self._short.begin("too few file descriptors are free: listeners accept no new clients, who wait in the kernel")
        for port in self._ports:
            if port.connected:
                port.stopReading()
        self._look = self._clock.callLater(LOOK, self._look_again)

    def _look_again(self) -> None:
        if not self._enough(SLACK):
            self._look = self._clock.callLater(LOOK, self._look_again)
            return
        self._look = None
        self._calm_soon()
        for port in self._ports:
            _go_on(port)

    def _calm_soon(self) -> None:
        """The shortage is over once it hasn't come back for a while."""
        if self._calming is not None and self._calming.active():
            self._calming.reset(CALM)
        else:
            self._calming = self._clock.callLater(CALM, self._calm)

    def _calm(self) -> None:
        if self._look is None and not self._resting:
            self._short.end("enough file descriptors are free again")

    def _rest(self, port: Any) -> bool:
        """The system has no connection to give: ask again later, as the port stays ready all the time."""
        self._short.begin(
            "the system can't open more connections: listeners accept no new clients, who wait in the kernel"
        )
        port.stopReading()

        def over() -> None:
            self._resting.discard(call)
            self._calm_soon()
            if self._look is None:
                _go_on(port)

        call = self._clock.callLater(PAUSE, over)
        self._resting.add(call)
        return False

    # --- what is kept for operators ------------------------------------------------------------------

    def _fill_spares(self) -> None:
        with contextlib.suppress(OSError):
            while len(self._spares) < SPARES:
                self._spares.append(os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC))

    def _give_up_spares(self) -> bool:
        """Whether there were any; they are opened again soon."""
        found = bool(self._spares)
        while self._spares:
            os.close(self._spares.pop())
        if found and (self._refill is None or not self._refill.active()):
            self._refill = self._clock.callLater(PAUSE, self._fill_spares)
        return found


def _go_on(port: Any) -> None:
    if port.connected and not port.disconnecting:
        port.startReading()


class _ListeningSocket(socket.socket):
    """A socket whose `accept` asks first, and doesn't fail for want of descriptors: Twisted would try again at once, and for ever."""

    may_accept: Callable[[], bool]
    on_short: Callable[[], bool]  # whether something was done about it

    def accept(self) -> tuple[socket.socket, Any]:
        """The next connection.

        :raises BlockingIOError: there is none for now.
        """
        if not self.may_accept():
            raise BlockingIOError(errno.EAGAIN, "paused")
        try:
            return super().accept()
        except OSError as error:
            if error.errno not in SHORT:
                raise
            if not self.on_short():
                raise BlockingIOError(errno.EAGAIN, "paused") from error
        return super().accept()


def _guard(port: Any, may_accept: Callable[[], bool], on_short: Callable[[], bool]) -> None:
    """Have a port accept by these rules."""
    plain = port.socket
    listening = _ListeningSocket(plain.family, plain.type, plain.proto, fileno=plain.detach())
    listening.setblocking(False)
    listening.may_accept, listening.on_short = may_accept, on_short
    port.socket, port.fileno = listening, listening.fileno
    port.doRead = partial(_accept_few, port, port.doRead)


def _accept_few(port: Any, accept: Callable[[], object]) -> object:
    """Accept a few connections. Twisted's port takes 100 at once, and 20 more each time that this wasn't enough, while others wait;
    those that come too fast wait in the kernel's line."""
    port.numberAccepts = min(ACCEPTS, port.numberAccepts)
    return accept()
