"""Connections open to each domain and each address, counted as the other side sees them: those that wait for the next message too."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import attrs

from seg.deliver.smtp_client import SMTPClientProtocol
from seg.mail.hosts import PeerAddress

LimitKey = str | PeerAddress  # what has a limit: a domain, or one address of an MX host


class LimitReached(Exception):
    """All that may be had of a group is in use. `room` says how much there is now.

    :param what: "connections" or "recipients".
    """

    def __init__(self, group: LimitKey, room: Callable[[], int], what: str = "connections") -> None:
        super().__init__(f"{group} has all the {what} that it may have")
        self.group = group
        self.room = room


@attrs.define(eq=False)
class ConnectionSlot:
    """One connection, from before it is made until it is gone."""

    domain: str  # whose messages it carries now
    address: PeerAddress


class ConnectionLimits:
    """Every connection to other hosts, by domain and by address.

    `on_room` hears of a group whenever one of its connections is gone, or waits for another message.
    """

    def __init__(self) -> None:
        self.on_room: Callable[[LimitKey], object] = lambda group: None
        self._groups: dict[LimitKey, dict[ConnectionSlot, None]] = {}
        self._of: dict[SMTPClientProtocol, ConnectionSlot] = {}

    def room(self, group: LimitKey, limit: int) -> int:
        """How many more connections a group may have, of so many in all."""
        return max(0, limit - len(self._groups.get(group, ())))

    def over(self, group: LimitKey, limit: int) -> bool:
        """Whether a group has more connections than so many."""
        return len(self._groups.get(group, ())) > limit

    def begin(self, domain: str, address: PeerAddress) -> ConnectionSlot:
        """A connection is about to be made. It counts until `end`, or until its sender (`made`) has closed."""
        line = ConnectionSlot(domain, address)
        for group in (domain, address):
            self._groups.setdefault(group, {})[line] = None
        return line

    def made(self, line: ConnectionSlot, sender: SMTPClientProtocol) -> None:
        """It has come about."""
        self._of[sender] = line
        sender.on_closed(self._closed)

    def end(self, line: ConnectionSlot) -> None:
        """It is gone, or never came about."""
        for group in (line.domain, line.address):
            self._leave(group, line)
            self.on_room(group)

    def carries(self, sender: SMTPClientProtocol, domain: str) -> None:
        """An open connection carries another domain's messages from now on."""
        line = self._of.get(sender)
        if line is None or line.domain == domain:
            return
        former, line.domain = line.domain, domain
        self._leave(former, line)
        self._groups.setdefault(domain, {})[line] = None
        self.on_room(former)

    def rests(self, sender: SMTPClientProtocol) -> None:
        """A connection waits for another message."""
        line = self._of.get(sender)
        if line is not None:
            self.on_room(line.domain)
            self.on_room(line.address)

    def within(self, senders: Iterable[SMTPClientProtocol], group: LimitKey) -> SMTPClientProtocol | None:
        """The first of these senders that belongs to a group."""
        lines = self._groups.get(group, {})
        return next((sender for sender in senders if self._of.get(sender) in lines), None)

    def alone(self, address: PeerAddress, domain: str) -> bool:
        """Whether all connections to an address carry messages of this domain."""
        return all(line.domain == domain for line in self._groups.get(address, ()))

    def at_work(self, group: LimitKey, but: SMTPClientProtocol) -> int:
        """How many connections of a group, other than this one, have been greeted and aren't on their way out."""
        lines = self._groups.get(group, {})
        return sum(
            line in lines and sender is not but and sender.greeted and not sender.leaving
            for sender, line in self._of.items()
        )

    def leaving(self, group: LimitKey) -> SMTPClientProtocol | None:
        """A sender of a group that is on its way out; None when there is none."""
        lines = self._groups.get(group, {})
        return next((sender for sender, line in self._of.items() if line in lines and sender.leaving), None)

    def _closed(self, sender: SMTPClientProtocol) -> None:
        line = self._of.pop(sender, None)
        if line is not None:
            self.end(line)

    def _leave(self, group: LimitKey, line: ConnectionSlot) -> None:
        lines = self._groups.get(group)
        if lines is not None:
            lines.pop(line, None)
            if not lines:
                del self._groups[group]
