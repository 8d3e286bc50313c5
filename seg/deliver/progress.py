"""How far an attempt has come, for whoever has to decide how long it may hold a slot."""

from __future__ import annotations

from collections.abc import Callable

from seg.deliver.smtp_client import SMTPClientProtocol
from seg.mail.errors import Temporary


class AttemptProgress:
    """One attempt: since when it waits for an answer, whether a server has greeted it, and whether it may still be given up.

    :param seconds: the present time, of the clock that the senders have.
    """

    def __init__(self, seconds: Callable[[], float] = lambda: 0.0) -> None:
        self.begun = seconds()
        self.greeted = False  # a server's greeting was heard, in this attempt or on the connection that it uses
        self.ours = False  # a failure of our own stood in its way: it says nothing about the destination
        self.given_up: Temporary | None = None  # why, if it was
        self.on_greeted: Callable[[], object] = lambda: None
        self._seconds = seconds
        self._since = self.begun
        self._sender: SMTPClientProtocol | None = None

    @property
    def waiting_since(self) -> float:
        """When the answer that it waits for was asked for: of the DNS, of a policy host, of a server."""
        return self._since if self._sender is None else max(self._since, self._sender.waiting_since)

    @property
    def content_under_way(self) -> bool:
        """Whether content goes out, or has gone out and its reply is awaited."""
        return self._sender is not None and self._sender.content_under_way

    @property
    def behind_dot(self) -> bool:
        """Whether all of the content has gone out, so that giving up leaves it in doubt who has the message (RFC 1047)."""
        return self._sender is not None and self._sender.behind_dot

    def asks(self) -> None:
        """Something is asked from now on."""
        self._since = self._seconds()

    def talks(self, sender: SMTPClientProtocol) -> None:
        """It waits for what this connection's server says."""
        self._since = self._seconds()
        self._sender = sender

    def parts(self) -> None:
        """It has nothing more to do with that connection."""
        self._since = self._seconds()
        self._sender = None

    def heard(self) -> None:
        """A server has greeted."""
        if not self.greeted:
            self.greeted = True
            self.on_greeted()

    def give_up(self, error: Temporary) -> None:
        """The attempt is to end. A connection that it uses is dropped, which gives each recipient under way its outcome."""
        self.given_up = error
        if self._sender is not None:
            self._sender.give_up(error)
