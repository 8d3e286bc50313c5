"""Whose commands are worked off now: every session gets a small slice, and none holds the reactor up.

A client may send thousands of commands in one segment. A slice is a few of them, or a few milliseconds; a session with more to do waits
for its next slice behind the others, and isn't read from meanwhile. Sessions that come with something new go before those
that have had a slice and want more: who says little is answered at once, however many there are that say much.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from typing import Protocol

from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

STEPS = 20  # commands, chunks and pieces of content in one slice
SLICE = 0.005  # seconds of one slice; and of all slices between two looks at the sockets
HANDSHAKES = (
    10  # that begin between two looks at the sockets; each costs a millisecond or two, and can't be cut into slices
)


class Worker(Protocol):
    """A session."""

    def take_turn(self, most: int, until: float) -> bool:
        """Work off `most` steps, or until `ClientTurns.seconds` says `until`; whether there is more to do now."""

    def break_off(self, error: BaseException) -> None:
        """Something went wrong that nobody thought of, or memory ran out: end the connection."""


class ClientTurns:
    """Hands out slices; one for all listeners.

    :param seconds: of a clock that is exact and doesn't jump.
    """

    _log = Logger()

    def __init__(self, clock: IReactorTime, seconds: Callable[[], float] = time.perf_counter) -> None:
        self.seconds = seconds
        self._clock = clock
        self._fresh: deque[Worker] = deque()  # with something new
        self._more: deque[Worker] = deque()  # that didn't come to an end with their slice
        self._waiting: set[Worker] = set()  # all of them
        self._spent = 0.0  # seconds since the sockets were looked at
        self._called = False
        self._begun = 0  # handshakes, since the sockets were looked at
        self._lobby: deque[Callable[[], None]] = deque()  # those that have to wait

    def begin_handshake(self, begin: Callable[[], None]) -> None:
        """Begin a TLS handshake now, if few others do, or soon."""
        if self._begun < HANDSHAKES and not self._lobby:
            self._begun += 1
            begin()
        else:
            self._lobby.append(begin)
        self._call()

    def ask(self, worker: Worker) -> None:
        """There is something to do: it is done at once, if there is time, or soon."""
        if worker in self._waiting:
            return
        if self._spent < SLICE and not self._fresh:
            self._serve(worker)
        else:
            self._waiting.add(worker)
            self._fresh.append(worker)
        if not self._called and (self._waiting or self._lobby or self._begun):
            self._call()

    def _call(self) -> None:
        if (self._waiting or self._lobby or self._begun) and not self._called:
            self._called = True
            self._clock.callLater(0, self._run)

    def _run(self) -> None:
        """The sockets have been looked at: a slice for as many as there is time for, and for one of those that want more in any case."""
        self._called = False
        self._spent = 0.0
        self._begun = min(HANDSHAKES, len(self._lobby))
        for _ in range(self._begun):
            self._lobby.popleft()()
        starving = bool(self._more)
        for _ in range(len(self._waiting)):
            if self._spent >= SLICE:
                break
            queue = self._fresh or self._more
            starving = starving and queue is self._fresh
            self._serve_next(queue)
        if starving:
            self._serve_next(self._more)
        self._call()

    def _serve_next(self, queue: deque[Worker]) -> None:
        worker = queue.popleft()
        self._waiting.discard(worker)
        self._serve(worker)

    def _serve(self, worker: Worker) -> None:
        began = self.seconds()
        try:
            more = worker.take_turn(STEPS, began + SLICE)
        except Exception as error:  # noqa: BLE001 - one session must not take the others with it; it is logged
            more = False
            try:
                self._log.failure("A session failed")
            finally:
                worker.break_off(error)
        self._spent += self.seconds() - began
        if more and worker not in self._waiting:
            self._waiting.add(worker)
            self._more.append(worker)
