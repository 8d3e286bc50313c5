"""Connections open to each domain and each address, counted as the other side sees them: those that wait for the next message too."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import attrs

from seg.deliver.sender import ESMTPSender
from seg.mail.hosts import Peer

Group = str | Peer  # what has a limit: a domain, or one address of an MX host


class Crowded(Exception):
    """All that may be had of a group is in use. `room` says how much there is now.

    :param what: "connections" or "recipients".
    """

    def __init__(self, group: Group, room: Callable[[], int], what: str = "connections") -> None:
        super().__init__(f"{group} has all the {what} that it may have")
        self.group = group
        self.room = room


@attrs.define(eq=False)
class Line:
    """One connection, from before it is made until it is gone."""

    domain: str  # whose messages it carries now
    address: Peer


class Lines:
    """Every connection to other hosts, by domain and by address.

    `on_room` hears of a group whenever one of its connections is gone, or waits for another message.
    """

    def __init__(self) -> None:
        self.on_room: Callable[[Group], object] = lambda group: None
        self._groups: dict[Group, dict[Line, None]] = {}
        self._of: dict[ESMTPSender, Line] = {}

    def room(self, group: Group, limit: int) -> int:
        """How many more connections a group may have, of so many in all."""
        return max(0, limit - len(self._groups.get(group, ())))

    def over(self, group: Group, limit: int) -> bool:
        """Whether a group has more connections than so many."""
        return len(self._groups.get(group, ())) > limit

    def begin(self, domain: str, address: Peer) -> Line:
        """A connection is about to be made. It counts until `end`, or until its sender (`made`) has closed."""
        line = Line(domain, address)
        for group in (domain, address):
            self._groups.setdefault(group, {})[line] = None
        return line

    def made(self, line: Line, sender: ESMTPSender) -> None:
        """It has come about."""
        self._of[sender] = line
        sender.on_closed(self._closed)

    def end(self, line: Line) -> None:
        """It is gone, or never came about."""
        for group in (line.domain, line.address):
            self._leave(group, line)
            self.on_room(group)

    def carries(self, sender: ESMTPSender, domain: str) -> None:
        """An open connection carries another domain's messages from now on."""
        line = self._of.get(sender)
        if line is None or line.domain == domain:
            return
        former, line.domain = line.domain, domain
        self._leave(former, line)
        self._groups.setdefault(domain, {})[line] = None
        self.on_room(former)

    def rests(self, sender: ESMTPSender) -> None:
        """A connection waits for another message."""
        line = self._of.get(sender)
        if line is not None:
            self.on_room(line.domain)
            self.on_room(line.address)

    def within(self, senders: Iterable[ESMTPSender], group: Group) -> ESMTPSender | None:
        """The first of these senders that belongs to a group."""
        lines = self._groups.get(group, {})
        return next((sender for sender in senders if self._of.get(sender) in lines), None)

    def alone(self, address: Peer, domain: str) -> bool:
        """Whether all connections to an address carry messages of this domain."""
        return all(line.domain == domain for line in self._groups.get(address, ()))

    def at_work(self, group: Group, but: ESMTPSender) -> int:
        """How many connections of a group, other than this one, have been greeted and aren't on their way out."""
        lines = self._groups.get(group, {})
        return sum(
            line in lines and sender is not but and sender.greeted and not sender.leaving
            for sender, line in self._of.items()
        )

    def leaving(self, group: Group) -> ESMTPSender | None:
        """A sender of a group that is on its way out; None when there is none."""
        lines = self._groups.get(group, {})
        return next((sender for sender, line in self._of.items() if line in lines and sender.leaving), None)

    def _closed(self, sender: ESMTPSender) -> None:
        line = self._of.pop(sender, None)
        if line is not None:
            self.end(line)

    def _leave(self, group: Group, line: Line) -> None:
        lines = self._groups.get(group)
        if lines is not None:
            lines.pop(line, None)
            if not lines:
                del self._groups[group]
