"""The name of a client: what the DNS says of its address, and whether that name's addresses agree (RFC 1912 §2.1)."""

from __future__ import annotations

from collections.abc import Callable
from ipaddress import ip_address
from typing import Any

from seg.dns.answer import DNSFailure
from seg.dns.interfaces import IResolver
from seg.mail.hosts import IPAddress

MOST_NAMES = 5  # of one address
LONGEST = 10.0  # seconds after which no further name is looked at


async def client_name(resolver: IResolver, client: IPAddress, seconds: Callable[[], float]) -> tuple[str, bool]:
    """(name, verified); "" when there is none or the client's DNS doesn't answer. A verified name is preferred. Never raises `DNSFailure`.

    :param seconds: the time.
    :raises LocalFault: we couldn't ask, so that nothing is known.
    """
    until = seconds() + LONGEST
    names = await _names(resolver, client)
    for name in names:
        if seconds() >= until:
            break
        if client in await _addresses(resolver, name, "AAAA" if client.version == 6 else "A"):
            return name, True
    return (names[0], False) if names else ("", False)


async def _names(resolver: IResolver, client: IPAddress) -> list[str]:
    try:
        answer = await resolver.query(client.reverse_pointer, "PTR")
    except DNSFailure:
        return []
    records: list[Any] = list(answer.records) if answer.found else []
    return [record.target.to_text(omit_final_dot=True).lower() for record in records[:MOST_NAMES]]


async def _addresses(resolver: IResolver, name: str, rdtype: str) -> list[IPAddress]:
    try:
        answer = await resolver.query(name, rdtype)
    except DNSFailure:
        return []
    records: list[Any] = list(answer.records) if answer.found else []
    return [ip_address(record.address) for record in records]
