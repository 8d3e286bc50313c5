"""What the DNS says of this gateway's name, and what is still to be put there."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import attrs
import dns.exception
import dns.resolver
import dns.reversename

PATIENCE = 5.0  # seconds for one question

DNSQuestion = Callable[[str, str], tuple[str, ...]]  # name and type; the answers, () for none


class NoDNSAnswer(Exception):
    """The DNS can't be asked, or doesn't answer; the text says why."""


@attrs.frozen
class DNSFinding:
    """One thing that was looked at."""

    ok: bool
    text: str


def system_ask(name: str, kind: str) -> tuple[str, ...]:
    """Ask the resolver of this machine. Blocks.

    :raises NoAnswer: it doesn't answer.
    """
    try:
        resolver = dns.resolver.Resolver()
        resolver.lifetime = PATIENCE
        answer: Any = resolver.resolve(name, kind, raise_on_no_answer=False, search=False)
    except dns.resolver.NXDOMAIN:
        return ()
    except (dns.exception.DNSException, OSError) as error:
        raise NoDNSAnswer(str(error) or type(error).__name__) from error
    return tuple(str(record).rstrip(".").lower() for record in answer)


def look_at_dns(hostname: str, ask: DNSQuestion = system_ask) -> list[DNSFinding]:
    """Addresses of the name, and their names: forward and backward have to agree, or many servers refuse mail."""
    name = hostname.rstrip(".").lower()
    try:
        addresses = [*ask(name, "A"), *ask(name, "AAAA")]
    except NoDNSAnswer as error:
        return [DNSFinding(False, f"the DNS gives no answer, so nothing could be looked at: {error}")]
    if not addresses:
        need = f"{name} has no address: publish {name}. IN A (and AAAA, if this machine has IPv6) with the address that it sends from"
        return [DNSFinding(False, need)]
    return [
        DNSFinding(True, f"{name} has the address {', '.join(addresses)}"),
        *(_reverse(name, address, ask) for address in addresses),
    ]


def _reverse(name: str, address: str, ask: DNSQuestion) -> DNSFinding:
    pointer = str(dns.reversename.from_address(address))
    try:
        names = ask(pointer, "PTR")
    except NoDNSAnswer as error:
        return DNSFinding(False, f"the name of {address} can't be looked up: {error}")
    if name in names:
        return DNSFinding(True, f"{address} has the name {name}")
    there = f"has the name {', '.join(names)}" if names else "has no name"
    return DNSFinding(False, f"{address} {there}: whoever runs that network has to publish {pointer} IN PTR {name}.")
