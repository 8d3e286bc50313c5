"""The next hops of a domain by its MX records, with the facts that DANE needs (RFC 5321 §5.1, RFC 7505, RFC
7672 §2.2)."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from random import Random
from typing import Any

import attrs
import dns.name

from seg.common.concurrently import side_by_side
from seg.config.destinations import IPPreference
from seg.dns.addresses import NoAddress, SelfAddresses, admitted, families, find_host, host_name
from seg.dns.answer import AnswerStatus, DNSAnswer
from seg.dns.interfaces import IResolver
from seg.mail.errors import LocalFault, Permanent, Temporary
from seg.mail.hosts import IPAddress, MXHost, Route, RouteKind

MAX_LOOKUPS = 20  # hosts looked up for one route, however many a domain publishes
MAX_REASONS = 5  # hosts named in the text of a failure


@attrs.frozen
class _Candidate:
    """An MX record that names a host."""

    preference: int
    host: str


async def mx_route(
    resolver: IResolver,
    domain: str,
    preference: IPPreference,
    own: SelfAddresses,
    port: int,
    max_hosts: int,
    random: Random,
) -> Route:
    """The hosts to try for a domain, best first.

    :param domain: A-labels in lower case, or an address literal in brackets.
    :raises DNSFailure: (4.4.3) nothing is known about the MX records; never a fall-back to addresses.
    :raises Temporary: 4.4.4, no host that could be tried now; 4.3.0, the gateway couldn't ask (its cause is the `LocalFault`).
    :raises Permanent: 5.1.2 no such domain, 5.1.10 null MX, 5.4.4 neither MX nor address, 5.4.6 the mail
        would come back.
    """
    if domain.startswith("["):
        return _literal_route(domain, preference, own, port)
    if not domain:
        raise Permanent("5.1.2", "the address has no domain")
    try:
        answer = await resolver.query(domain, "MX")
    except LocalFault as fault:
        raise fault.temporary() from fault
    if answer.status is AnswerStatus.NO_NAME:
        raise Permanent("5.1.2", f"DNS Hard Error looking up {domain} (MX):  NXDomain")
    search = _Search(resolver, domain, preference, own, port, max_hosts)
    if answer.status is AnswerStatus.NO_DATA:
        return await _implicit_route(search, answer)
    candidates = _candidates(search, answer, random)
    hosts = await search.hosts(candidates, answer)
    if not hosts:
        raise search.failure()
    return Route(domain, RouteKind.MX, hosts, answer.secure, answer.canonical)


async def _implicit_route(search: _Search, answer: DNSAnswer) -> Route:
    """No MX record: the domain itself is the host (RFC 5321 §5.1)."""
    hosts = await search.hosts([_Candidate(0, search.domain)], answer)
    if not hosts:
        if search.denied:
            # RFC 5321 §5.1: an implicit MX that is unusable is an error. The domain takes no mail, and says
            # so.
            raise Permanent("5.4.4", f"{search.domain} has neither an MX record nor an address")
        raise search.failure()
    return Route(search.domain, RouteKind.IMPLICIT_MX, hosts, answer.secure, answer.canonical)


def _candidates(search: _Search, answer: DNSAnswer, random: Random) -> list[_Candidate]:
    """The hosts that the records name, in the order of trying: by preference, at random among equals."""
    records: Sequence[Any] = answer.records  # MX; dnspython's types don't show it
    targets = [(record.preference, record.exchange) for record in records]
    if all(exchange == dns.name.root for _, exchange in targets):
        raise Permanent("5.1.10", f"{search.domain} accepts no mail (null MX)")  # RFC 7505 §3
    best: dict[str, int] = {}
    for rank, exchange in targets:
        host = host_name(exchange)
        if host:
            best[host] = min(rank, best.get(host, rank))
        elif exchange != dns.name.root:  # RFC 7505 §3: beside others the null MX means nothing
            search.dropped.append(NoAddress(exchange.to_text(omit_final_dot=True), "isn't a host name"))
    shuffled = sorted(best.items(), key=lambda item: (item[1], random.random()))
    return [_Candidate(rank, host) for host, rank in shuffled]


class _Search:
    """Looks hosts up until there are enough, and remembers what became of the others."""

    def __init__(
        self,
        resolver: IResolver,
        domain: str,
        preference: IPPreference,
        own: SelfAddresses,
        port: int,
        max_hosts: int,
    ) -> None:
        self.domain = domain
        self.dropped: list[NoAddress] = []
        self._resolver = resolver
        self._preference = preference
        self._own = own
        self._port = port
        self._max_hosts = max_hosts
        self._looped = False  # we are the best host, as far as the MX records tell

    @property
    def denied(self) -> bool:
        """Whether there was one host, and the DNS denied all its addresses."""
        return len(self.dropped) == 1 and self.dropped[0].certain

    async def hosts(self, candidates: list[_Candidate], mx: DNSAnswer) -> tuple[MXHost, ...]:
        """The first hosts that have addresses; none that is as far from the goal as we are (RFC 5321
        §5.1)."""
        limit = min((c.preference for c in candidates if self._own.is_name(c.host)), default=None)
        rest = _below(candidates, limit)
        found: list[MXHost] = []
        budget = MAX_LOOKUPS
        while rest and budget and len(found) < self._max_hosts:
            batch = _batch(rest, self._max_hosts - len(found), budget)
            budget -= len(batch)
            rest = rest[len(batch) :]
            for outcome in await side_by_side([self._find(candidate, mx) for candidate in batch]):
                if isinstance(outcome, MXHost) and self._own.is_address(outcome.addresses):
                    limit = outcome.preference if limit is None else min(limit, outcome.preference)
                    continue
                host = admitted(outcome, self._own.rules) if isinstance(outcome, MXHost) else outcome
                if isinstance(host, NoAddress):
                    self.dropped.append(host)
                else:
                    found.append(host)
            rest = _below(rest, limit)
        self._looped = limit is not None and all(c.preference >= limit for c in candidates)
        return tuple(host for host in found if limit is None or host.preference < limit)[: self._max_hosts]

    async def _find(self, candidate: _Candidate, mx: DNSAnswer) -> MXHost | NoAddress:
        return await find_host(
            self._resolver,
            candidate.host,
            preference=self._preference,
            rank=candidate.preference,
            port=self._port,
            mx_secure=mx.secure,
            substitute=mx.substitute,
        )

    def failure(self) -> Permanent | Temporary:
        """Why there is no host."""
        if self._looped:
            return Permanent("5.4.6", f"mail for {self.domain} loops back to this host")
        reasons = [f"{dropped.host} {dropped.reason}" for dropped in self.dropped[:MAX_REASONS]]
        if len(self.dropped) > MAX_REASONS:
            reasons.append(f"{len(self.dropped) - MAX_REASONS} more")
        return Temporary("4.4.4", f"no usable host for {self.domain}: " + "; ".join(reasons))


def _below(candidates: list[_Candidate], limit: int | None) -> list[_Candidate]:
    return candidates if limit is None else [c for c in candidates if c.preference < limit]


def _batch(candidates: list[_Candidate], wanted: int, budget: int) -> list[_Candidate]:
    """As many as are wanted, and all that are as good as the last of them: one of those may be ourselves."""
    end = min(wanted, len(candidates))
    while end < len(candidates) and candidates[end].preference == candidates[end - 1].preference:
        end += 1
    return candidates[: min(end, budget)]


def _literal_route(domain: str, preference: IPPreference, own: SelfAddresses, port: int) -> Route:
    """The one host of an address literal (RFC 5321 §4.1.3)."""
    address = parse_literal(domain)
    if address is None:
        raise Permanent("5.1.2", f"{domain} isn't an address literal")
    if own.is_address((address,)):
        raise Permanent("5.4.6", f"mail for {domain} loops back to this host")
    refusal = own.rules.refusal(address)
    if refusal:
        raise Permanent("5.1.2", f"no mail is sent to the {refusal}")
    if ("A" if address.version == 4 else "AAAA") not in families(preference):
        raise Temporary("4.4.4", f"no usable host for {domain}: its profile requires the other family of addresses")
    host = MXHost(domain, 0, (address,), port, expanded=domain)
    return Route(domain, RouteKind.ADDRESS_LITERAL, (host,), canonical=domain)


def parse_literal(domain: str) -> IPAddress | None:
    """The address in ``[192.0.2.1]`` or ``[IPv6:2001:db8::1]``; None if it is neither."""
    if not (domain.startswith("[") and domain.endswith("]")):
        return None
    text = domain[1:-1]
    try:
        if text[:5].lower() == "ipv6:":
            return ipaddress.IPv6Address(text[5:])
        return ipaddress.IPv4Address(text)
    except ValueError:
        return None
