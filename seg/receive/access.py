"""The host access table: what a client may do, by its address or its verified name."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from ipaddress import IPv4Network, IPv6Network, ip_network

import attrs

from seg.common.errors import ConfigurationError
from seg.config.receive import Access, SenderGroup
from seg.mail.hosts import IPAddress

ALL = "ALL"


@attrs.frozen
class AccessDecision:
    """The table's word on one client."""

    group: SenderGroup
    match: str  # the entry that decided
    unlisted: bool = False  # no group is for this client

    @property
    def action(self) -> str:
        """As in the mail log: RELAY, ACCEPT, REJECT, TCPREFUSE."""
        return self.group.access.value.upper()

    @property
    def may_relay(self) -> bool:
        """Whether recipients anywhere are accepted from this client."""
        return self.group.access is Access.RELAY

    @property
    def refused(self) -> bool:
        """Whether the client is turned away at the greeting. One that no group is for may talk, to no end: every recipient is refused."""
        return self.group.access is Access.REJECT and not self.unlisted


_EVERYBODY_ELSE = AccessDecision(SenderGroup(name=ALL, access=Access.REJECT), ALL, unlisted=True)


@attrs.frozen
class _AccessEntry:
    """One entry of a group: a network, or a name."""

    text: str
    group: SenderGroup
    network: IPv4Network | IPv6Network | None = None

    @property
    def by_name(self) -> bool:
        """Whether clients are matched by their names."""
        return self.network is None and self.text != ALL

    def fits(self, client: IPAddress, name: str) -> bool:
        """Whether it is for this client; `name` is its verified name, "" if it has none."""
        if self.network is not None:
            return client.version == self.network.version and client in self.network
        if self.text == ALL:
            return True
        return bool(name) and (name == self.text or (self.text.startswith(".") and name.endswith(self.text)))


class HostAccess:
    """Sender groups in order; the first entry that fits decides, and everybody else may not.

    :raises ConfigurationError: an entry can't be read.
    """

    def __init__(self, groups: Sequence[SenderGroup]) -> None:
        problems: list[str] = []
        self._entries: list[_AccessEntry] = []
        for group, text in [(each, text) for each in groups for text in each.match]:
            try:
                self._entries.append(_entry(text, group))
            except ValueError as error:
                problems.append(f"sender group {group.name}: {error}")
        if problems:
            raise ConfigurationError(tuple(problems))
        self.needs_names = any(entry.by_name for entry in self._entries)

    def lookup(self, client: IPAddress, name: str = "") -> AccessDecision:
        """The word on a client with this verified name ("" = none)."""
        for entry in self._entries:
            if entry.fits(client, name):
                return AccessDecision(entry.group, entry.text)
        return _EVERYBODY_ELSE

    def lookup_unnamed(self, client: IPAddress) -> AccessDecision | None:
        """The word on a client whose name couldn't be looked up, or None if it depends on the name."""
        without = self.lookup(client)
        for entry in self._entries:
            if entry.fits(client, ""):
                return without
            if entry.by_name and entry.group is not without.group:
                return None
        return without


def sender_groups(groups: Sequence[SenderGroup], relay_networks: Iterable[str]) -> tuple[SenderGroup, ...]:
    """The groups of the configuration; without any, the networks that may relay are one."""
    return tuple(groups) or (SenderGroup(name="RELAYLIST", match=tuple(relay_networks), access=Access.RELAY),)


def _entry(text: str, group: SenderGroup) -> _AccessEntry:
    if text.upper() == ALL:
        return _AccessEntry(ALL, group)
    try:
        return _AccessEntry(text, group, ip_network(text, strict=False))
    except ValueError:
        if any(character.isalpha() for character in text) and "/" not in text and ":" not in text:
            return _AccessEntry(text.lower().rstrip("."), group)
        raise
