"""What this machine is called, and where it can be reached. Both block: for the start, and for changes of the configuration."""

from __future__ import annotations

import socket
from ipaddress import IPv4Address, IPv6Address, ip_address

import psutil


def machine_name() -> str:
    """The machine's full name; its short one when the system doesn't know it (RFC 5321 §2.3.5 wants the full one)."""
    name = socket.getfqdn()
    return socket.gethostname() if name.startswith("localhost") else name


def own_addresses() -> frozenset[IPv4Address | IPv6Address]:
    """Every IP address of this machine."""
    return frozenset(
        ip_address(entry.address.partition("%")[0])
        for entries in psutil.net_if_addrs().values()
        for entry in entries
        if entry.family in (socket.AF_INET, socket.AF_INET6)
    )
