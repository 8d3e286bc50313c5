"""The addresses of one host, how far they can be believed, and whether they are our own."""

from __future__ import annotations

import functools
import ipaddress
import re
from collections.abc import Sequence
from typing import Any

import attrs
import dns.name

from seg.common.concurrently import side_by_side
from seg.config.destinations import IPPreference
from seg.dns.address_rules import AddressRules
from seg.dns.answer import AnswerStatus, DNSAnswer, DNSFailure
from seg.dns.interfaces import IResolver
from seg.mail.errors import LocalFault
from seg.mail.hosts import IPAddress, MXHost, PeerAddress, SocketPath

_FAMILIES: dict[IPPreference, tuple[str, ...]] = {  # the types of records, in the order in which they are tried
    IPPreference.IPV6_PREFERRED: ("AAAA", "A"),
    IPPreference.IPV6_REQUIRED: ("AAAA",),
    IPPreference.IPV4_PREFERRED: ("A", "AAAA"),
    IPPreference.IPV4_REQUIRED: ("A",),
}
_Unknown = DNSFailure | LocalFault  # theirs or ours: nothing is known, and `text` says why
_LABEL = re.compile(rb"(?!-)[A-Za-z0-9_-]+(?<!-)")


def families(preference: IPPreference) -> tuple[str, ...]:
    """The record types that a preference asks for, in the order of trying."""
    return _FAMILIES[preference]


def host_name(name: dns.name.Name) -> str:
    """A name as text in lower case if it can be that of a host, else ``""``.

    RFC 1123 §2.1, but underscores are met in practice and allowed. An IPv4 address isn't a host name: no
    top-level domain is all digits.
    """
    labels = name.labels[:-1]
    if not labels or labels[-1].isdigit() or not all(map(_LABEL.fullmatch, labels)):
        return ""
    return b".".join(labels).decode("ascii").lower()


@attrs.frozen
class SelfAddresses:
    """How to tell that a host is this gateway itself."""

    hostname: str  # A-labels, lower case
    addresses: frozenset[IPAddress] = frozenset()  # of this machine
    allow_loopback: bool = False  # addresses don't matter, only the name does (for tests)
    allow_private: bool = True  # networks that aren't routed on the Internet may be delivered to
    rules: AddressRules = attrs.field(init=False)

    @rules.default
    def _rules(self) -> AddressRules:
        return AddressRules(self.addresses, self.allow_loopback, self.allow_private)

    def is_name(self, host: str) -> bool:
        """Whether a host bears our name."""
        return host == self.hostname

    def is_address(self, addresses: Sequence[PeerAddress]) -> bool:
        """Whether one of a host's addresses leads back to this machine. The path of a socket is the operator's own choice."""
        return any(not isinstance(address, SocketPath) and self.rules.leads_here(address) for address in addresses)


@attrs.frozen
class NoAddress:
    """A host that can't be reached in this attempt, and why."""

    host: str
    reason: (
        str  # "has no address", "has only the loopback address 127.0.0.1", "DNS ServFail looking up mx.example.com (A)"
    )
    certain: bool = False  # the DNS denied every address, v4 and v6


def admitted(host: MXHost, rules: AddressRules) -> MXHost | NoAddress:
    """The host with those of its addresses that a stranger's DNS may lead to."""
    kept: list[PeerAddress] = []
    refusal = ""
    for address in host.addresses:
        why = "" if isinstance(address, SocketPath) else rules.refusal(address)
        refusal = refusal or why
        if not why:
            kept.append(address)
    if not refusal:
        return host
    return attrs.evolve(host, addresses=tuple(kept)) if kept else NoAddress(host.name, f"has only the {refusal}")


async def find_host(
    resolver: IResolver,
    name: str,
    *,
    preference: IPPreference,
    rank: int,
    port: int,
    mx_secure: bool,
    substitute: bool = False,
) -> MXHost | NoAddress:
    """Look a host's addresses up, both families side by side. Never raises `DNSFailure` or `LocalFault`: they drop the host.

    A family that can't be looked up is left out when the other one gave addresses: broken AAAA answers are
    common.

    :param substitute: the MX answer that named it came from a stand-in of the trusted resolvers.
    """
    types = families(preference)
    answers = await side_by_side([_attempt(resolver, name, rdtype) for rdtype in types])
    used = [answer for answer in answers if isinstance(answer, DNSAnswer) and answer.found]
    if not used:
        return _none(name, answers)
    secure = all(answer.secure for answer in used)
    expanded = next((answer.canonical for answer in used if answer.canonical != name), name)
    alias_secure = False
    if expanded != name:
        alias = secure or await _alias_secure(resolver, name)
        if isinstance(alias, _Unknown):
            return NoAddress(name, alias.text)
        alias_secure = alias
    return MXHost(
        name=name,
        preference=rank,
        addresses=tuple(address for answer in used for address in _addresses(answer)),
        port=port,
        mx_secure=mx_secure,
        address_secure=secure,
        expanded=expanded,
        alias_secure=alias_secure,
        substitute=substitute or any(answer.substitute for answer in used),
    )


def _addresses(answer: DNSAnswer) -> list[IPAddress]:
    records: Sequence[Any] = answer.records  # A and AAAA; dnspython's types don't show it
    return [_parsed(record.address) for record in records]


@functools.lru_cache(maxsize=8192)
def _parsed(text: str) -> IPAddress:
    """An address; remembered, because the same ones are met with every message."""
    return ipaddress.ip_address(text)


async def _attempt(resolver: IResolver, name: str, rdtype: str) -> DNSAnswer | _Unknown:
    try:
        return await resolver.query(name, rdtype)
    except (DNSFailure, LocalFault) as failure:
        return failure


async def _alias_secure(resolver: IResolver, name: str) -> bool | _Unknown:
    """Whether the CNAME at a name is signed though the addresses behind it aren't (RFC 7672 §2.2.2): the name
    is still a base for TLSA then. If that can't be told the host mustn't be used as if it weren't."""
    answer = await _attempt(resolver, name, "CNAME")
    return answer if isinstance(answer, _Unknown) else answer.found and answer.secure


def _none(name: str, answers: Sequence[DNSAnswer | _Unknown]) -> NoAddress:
    for answer in answers:
        if isinstance(answer, _Unknown):
            return NoAddress(name, answer.text)
    denied = [answer for answer in answers if isinstance(answer, DNSAnswer)]
    missing = all(answer.status is AnswerStatus.NO_NAME for answer in denied)
    return NoAddress(name, "does not exist" if missing else "has no address", certain=len(denied) == 2)
