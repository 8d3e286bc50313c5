"""Which addresses a stranger's DNS may send the gateway to: no machine's inside, and nothing that is no host (RFC 6890, RFC 5735).

Whoever publishes an MX record or the address of a policy host chooses where the gateway connects. Without these rules he could make it speak to
services of this machine, or to those that a cloud offers to its machines only. Pure.
"""

from __future__ import annotations

import enum
import functools
import ipaddress
from collections.abc import Iterator

import attrs

from seg.mail.hosts import IPAddress


class AddressKind(enum.StrEnum):
    """What an address is, in the words of a refusal."""

    PUBLIC = "public"
    PRIVATE = (
        "private"  # of networks that aren't routed on the Internet (RFC 1918, RFC 4193, RFC 6598, documentation, ...)
    )
    OWN = "own"  # of this machine
    LOOPBACK = "loopback"
    UNSPECIFIED = "unspecified"  # RFC 1122 §3.2.1.3: 0.0.0.0/8; systems connect such to themselves
    LINK_LOCAL = "link-local"  # most clouds' metadata services among them
    METADATA = "cloud metadata"  # those of other clouds
    MULTICAST = "multicast"
    BROADCAST = "broadcast"
    RESERVED = "reserved"


_OF_THIS_MACHINE = frozenset({AddressKind.OWN, AddressKind.LOOPBACK, AddressKind.UNSPECIFIED})
_NETWORKS: tuple[tuple[str, AddressKind], ...] = (  # the first that holds an address says what it is
    ("255.255.255.255/32", AddressKind.BROADCAST),
    ("0.0.0.0/8", AddressKind.UNSPECIFIED),
    ("127.0.0.0/8", AddressKind.LOOPBACK),
    ("169.254.0.0/16", AddressKind.LINK_LOCAL),
    ("100.100.100.200/32", AddressKind.METADATA),  # Alibaba
    ("168.63.129.16/32", AddressKind.METADATA),  # Azure
    ("192.0.0.192/32", AddressKind.METADATA),  # Oracle
    ("224.0.0.0/4", AddressKind.MULTICAST),
    ("240.0.0.0/4", AddressKind.RESERVED),
    ("::/128", AddressKind.UNSPECIFIED),
    ("::1/128", AddressKind.LOOPBACK),
    ("fe80::/10", AddressKind.LINK_LOCAL),
    ("fd00:ec2::254/128", AddressKind.METADATA),  # Amazon
    ("fd20:ce::254/128", AddressKind.METADATA),  # Google
    ("ff00::/8", AddressKind.MULTICAST),
    ("fec0::/10", AddressKind.PRIVATE),  # site-local (RFC 3879)
    ("64:ff9b:1::/48", AddressKind.PRIVATE),  # local translation (RFC 8215)
)
_TABLE = {
    version: tuple(
        (network, kind)
        for network, kind in ((ipaddress.ip_network(text), kind) for text, kind in _NETWORKS)
        if network.version == version
    )
    for version in (4, 6)
}
# Behind IPv6 addresses of these networks stands an IPv4 host: (network, how far to the right its 32 bits are).
_TRANSLATED = (
    (ipaddress.IPv6Network("::ffff:0:0/96"), 0),  # IPv4-mapped (RFC 4291 §2.5.5.2)
    (ipaddress.IPv6Network("::/96"), 0),  # IPv4-compatible (RFC 4291 §2.5.5.1)
    (ipaddress.IPv6Network("::ffff:0:0:0/96"), 0),  # IPv4-translated (RFC 2765 §2.1)
    (ipaddress.IPv6Network("64:ff9b::/96"), 0),  # NAT64 (RFC 6052 §2.1)
    (ipaddress.IPv6Network("64:ff9b:1::/48"), 0),  # NAT64 of a site (RFC 8215), with a prefix of 96 bits
    (ipaddress.IPv6Network("2002::/16"), 80),  # 6to4 (RFC 3056 §2)
)
_TEREDO = ipaddress.IPv6Network("2001::/32")  # RFC 4380 §4: the client's address stands there inverted
_ISATAP = (0x00005EFE, 0x02005EFE)  # RFC 5214 §6.1: the first half of the interface identifier
_WHOLE = 0xFFFFFFFF


def _embedded(address: ipaddress.IPv6Address) -> Iterator[ipaddress.IPv4Address]:
    """The IPv4 addresses that packets for an IPv6 address may end at."""
    number = int(address)
    for network, shift in _TRANSLATED:
        if address in network:
            yield ipaddress.IPv4Address(number >> shift & _WHOLE)
    if address in _TEREDO:
        yield ipaddress.IPv4Address(~number & _WHOLE)
        yield ipaddress.IPv4Address(number >> 64 & _WHOLE)  # the server
    if number >> 32 & _WHOLE in _ISATAP:
        yield ipaddress.IPv4Address(number & _WHOLE)


def _plain_kind(address: IPAddress) -> AddressKind:
    """What an address is for any machine."""
    for network, kind in _TABLE[address.version]:
        if address in network:
            return kind
    return AddressKind.PUBLIC if address.is_global else AddressKind.PRIVATE


@functools.lru_cache(maxsize=8192)
def kind_of(address: IPAddress, own: frozenset[IPAddress] = frozenset()) -> AddressKind:
    """What an address is for this machine. What stands behind a translated one counts before what the IPv6 address itself is.
    It is remembered: the same addresses are met with every message.

    :param own: the addresses of this machine.
    """
    address = _without_scope(address)
    kind = AddressKind.OWN if address in own else _plain_kind(address)
    if isinstance(address, ipaddress.IPv6Address) and kind in (AddressKind.PUBLIC, AddressKind.PRIVATE):
        for inner in _embedded(address):
            found = kind_of(inner, own)
            if found not in (AddressKind.PUBLIC, kind):
                return found
    return kind


def _without_scope(address: IPAddress) -> IPAddress:
    if isinstance(address, ipaddress.IPv6Address) and address.scope_id:
        return ipaddress.IPv6Address(int(address))
    return address


@attrs.frozen
class AddressRules:
    """Where the gateway connects when somebody else says where.

    :param own: the addresses of this machine.
    :param allow_loopback: everything is allowed (for tests).
    :param allow_private: networks that aren't routed on the Internet are.
    """

    own: frozenset[IPAddress] = frozenset()
    allow_loopback: bool = False
    allow_private: bool = True

    def leads_here(self, address: IPAddress) -> bool:
        """Whether a connection to it would come back to this machine."""
        return not self.allow_loopback and kind_of(address, self.own) in _OF_THIS_MACHINE

    def refusal(self, address: IPAddress) -> str:
        """Why not to connect there: ``"link-local address 169.254.169.254"``; "" if there is no reason."""
        if self.allow_loopback:
            return ""
        kind = kind_of(address, self.own)
        allowed = kind is AddressKind.PUBLIC or (kind is AddressKind.PRIVATE and self.allow_private)
        return "" if allowed else f"{kind} address {address}"
