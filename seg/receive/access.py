"""The host access table: which clients may relay."""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

import attrs

from seg.errors import ConfigurationError
from seg.model import IPAddress


@attrs.frozen
class Admission:
    """The table's word on one client."""

    action: str  # RELAY, or REJECT: the session goes on, but every recipient is refused
    group: str
    match: str  # the entry that decided

    @property
    def may_relay(self) -> bool:
        """Whether recipients anywhere are accepted from this client."""
        return self.action == "RELAY"


_EVERYBODY_ELSE = Admission("REJECT", "ALL", "ALL")


class HostAccess:
    """Networks that may relay; all others may not.

    :raises ConfigurationError: a network can't be read.
    """

    def __init__(self, relay_networks: Iterable[str]) -> None:
        problems: list[str] = []
        self._entries = []
        for text in relay_networks:
            try:
                self._entries.append((ip_network(text, strict=False), Admission("RELAY", "RELAYLIST", text)))
            except ValueError as error:
                problems.append(f"receive.relay_networks: {error}")
        if problems:
            raise ConfigurationError(tuple(problems))

    def admit(self, client: IPAddress) -> Admission:
        """The first entry that holds the client's address."""
        for network, admission in self._entries:
            if client.version == network.version and client in network:
                return admission
        return _EVERYBODY_ELSE


def client_address(host: str) -> IPAddress:
    """A peer's address without zone; ``::ffff:192.0.2.1`` is the IPv4 address that it stands for."""
    address = ip_address(host)
    if isinstance(address, IPv4Address):
        return address
    return address.ipv4_mapped or IPv6Address(int(address))
