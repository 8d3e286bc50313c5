"""The way to a syslog daemon: lines wait for it in bounded memory, and what is lost is counted."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Iterable
from typing import Final, Protocol

from twisted.internet.defer import Deferred

MOST_WAITING: Final = 4 * 1024 * 1024  # octets kept while syslog takes none
FIRST_DELAY: Final = 1.0  # seconds until it is tried again; it doubles each time
LONGEST_DELAY: Final = 60.0
STEADY: Final = 0.5  # seconds without a refusal, after which it is taken to be there


class TransportObserver(Protocol):
    """Who is told how a link fares, and words what the link itself has to say."""

    def away(self, reason: str) -> None:
        """Syslog takes no lines."""

    def back(self) -> None:
        """It takes lines again."""

    def lost(self, count: int) -> None:
        """So many lines will never get there."""

    def note(self, count: int) -> bytes:
        """The message that tells syslog the same."""


class Backlog:
    """Messages that wait. Those that come when there is no room are lost: what waits longest is what explains the rest."""

    def __init__(self, most: int) -> None:
        self._most = most
        self.size = 0  # octets
        self._messages: deque[bytes] = deque()
        self.lost = 0

    def __len__(self) -> int:
        return len(self._messages)

    def add(self, messages: Iterable[bytes]) -> bool:
        """Take messages. Returns whether all of them found room."""
        lost = self.lost
        for message in messages:
            if self.size + len(message) > self._most:
                self.lost += 1
            else:
                self.add_note(message)
        return self.lost == lost

    def add_note(self, message: bytes) -> None:
        """Take a message even when there is no room."""
        self._messages.append(message)
        self.size += len(message)

    def first(self) -> bytes:
        """The next message; it stays."""
        return self._messages[0]

    def take(self, octets: int = 0) -> list[bytes]:
        """Take the next message out, and those behind it as long as all have no more octets than this."""
        taken: list[bytes] = []
        size = 0
        while self._messages and (not taken or size + len(self._messages[0]) <= octets):
            message = self._messages.popleft()
            size += len(message)
            taken.append(message)
        self.size -= size
        return taken

    def put_back(self, messages: Iterable[bytes]) -> None:
        """Let messages be the next ones again."""
        for message in reversed(list(messages)):
            self._messages.appendleft(message)
            self.size += len(message)


class SyslogTransport(ABC):
    """Sends messages when it can. Nothing here blocks, and nothing raises."""

    def __init__(self, watcher: TransportObserver, most: int = MOST_WAITING) -> None:
        self._watcher = watcher
        self._backlog = Backlog(most)
        self._away = False  # and the watcher was told so
        self._running = False

    @abstractmethod
    def start(self) -> None:
        """Look for syslog."""

    @abstractmethod
    def stop(self) -> Deferred[None]:
        """Send what can be sent at once, and end; what can't is lost. Fires when it has ended."""

    @abstractmethod
    def _pump(self) -> None:
        """Send what waits, as far as it goes."""

    def send(self, messages: Iterable[bytes]) -> None:
        """Send messages now, or keep them until syslog takes them."""
        if not self._backlog.add(messages):
            self._went_away("it is too slow")
        self._pump()

    def _went_away(self, reason: str) -> None:
        if not self._away:
            self._away = True
            self._watcher.away(reason)

    def _takes_lines(self) -> None:
        """Say so if it was away, and what was lost meanwhile: to syslog behind the lines that were kept."""
        away, self._away = self._away, False
        lost, self._backlog.lost = self._backlog.lost, 0
        if lost:
            self._backlog.add_note(self._watcher.note(lost))
        if away:
            self._watcher.back()
        if lost:
            self._watcher.lost(lost)

    def _give_up(self) -> None:
        """Whatever waits is lost."""
        lost = self._backlog.lost + len(self._backlog)
        self._backlog = Backlog(0)
        if lost:
            self._watcher.lost(lost)


def delay_after(failures: int) -> float:
    """Seconds until the next try, after so many failures in a row."""
    return min(LONGEST_DELAY, FIRST_DELAY * 2.0 ** min(max(failures - 1, 0), 10))
