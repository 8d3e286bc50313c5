"""Who counts as one client: everything that counts or limits by client does it by `client_key`."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address

from seg.mail.hosts import IPAddress

_NAT64 = IPv6Network("64:ff9b::/96")  # RFC 6052 §2.1: the last 32 bits are the IPv4 client
_NAT64_LOCAL = IPv6Network("64:ff9b:1::/48")  # RFC 8215: a translator of this site; each address is a client of its own
_6TO4 = IPv6Network("2002::/16")  # RFC 3056: a /48 belongs to one IPv4 address
_CLIENT_BITS = 64  # RFC 6177: a site has at least a /64, and chooses any address within it


def client_address(host: str) -> IPAddress:
    """A peer's address without zone; ``::ffff:192.0.2.1`` is the IPv4 address that it stands for."""
    address = ip_address(host)
    if isinstance(address, IPv4Address):
        return address
    return address.ipv4_mapped or IPv6Address(int(address))


def client_key(address: IPAddress) -> str:
    """What counts as one client: an IPv4 address (also one behind NAT64), an IPv6 /64, a 6to4 site."""
    if isinstance(address, IPv4Address):
        return str(address)
    if (mapped := address.ipv4_mapped) is not None:
        return str(mapped)
    if address in _NAT64:
        return str(IPv4Address(int(address) & 0xFFFFFFFF))
    if address in _NAT64_LOCAL:
        return str(IPv6Address(int(address)))
    bits = 48 if address in _6TO4 else _CLIENT_BITS
    return f"{IPv6Address(int(address) >> (128 - bits) << (128 - bits))}/{bits}"
