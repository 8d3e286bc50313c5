"""The messages that receivers took, and waiting for them."""

from __future__ import annotations

from collections.abc import Callable

import attrs
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime


@attrs.frozen
class ReceivedMessage:
    """One message as it arrived."""

    host: str
    reverse_path: str
    recipients: tuple[str, ...]
    content: bytes  # octets of DATA, dot-stuffing undone, the final dot left out
    tls: str  # "TLSv1.3", or "" in clear
    cipher: str
    sni: str
    client: str  # address
    helo: str
    mail_parameters: tuple[str, ...]
    at: float  # POSIX seconds

    def is_for(self, domain: str) -> bool:
        """Whether any recipient is of this domain."""
        return any(recipient.rpartition("@")[2].lower() == domain.lower() for recipient in self.recipients)


Choice = Callable[[ReceivedMessage], bool]


class Arrivals:
    """All messages in the order in which they came; shared by the receivers of one internet."""

    def __init__(self, clock: IReactorTime) -> None:
        self._clock = clock
        self._watchers: list[Callable[[], None]] = []
        self.messages: list[ReceivedMessage] = []

    def take(self, message: ReceivedMessage) -> None:
        """A message is complete."""
        self.messages.append(message)
        for watcher in tuple(self._watchers):
            watcher()

    def chosen(self, choice: Choice) -> list[ReceivedMessage]:
        """Those of a kind."""
        return [message for message in self.messages if choice(message)]

    def wait_for(self, choice: Choice, count: int = 1, timeout: float = 10.0) -> Deferred[list[ReceivedMessage]]:
        """Fires with the messages of a kind once there are at least `count`.

        Fails with `twisted.internet.defer.TimeoutError` after `timeout` seconds.
        """
        done: Deferred[list[ReceivedMessage]] = Deferred()

        def look() -> None:
            found = self.chosen(choice)
            if len(found) >= count and not done.called:
                done.callback(found)

        def forget(result: object) -> object:
            self._watchers.remove(look)
            return result

        self._watchers.append(look)
        done.addTimeout(timeout, self._clock)
        done.addBoth(forget)
        look()
        return done
