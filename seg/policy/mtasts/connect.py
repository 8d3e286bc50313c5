"""The way to one policy host: its addresses in turn, or the proxy, each with TLS and its check."""

from __future__ import annotations

import errno
import ipaddress
import os
from collections.abc import Sequence
from itertools import chain, zip_longest
from typing import Any

import attrs
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import HostnameEndpoint, TCP4ClientEndpoint, TCP6ClientEndpoint
from twisted.internet.error import ConnectError, ConnectionClosed
from twisted.internet.interfaces import (
    IProtocol,
    IProtocolFactory,
    IReactorTime,
    IStreamClientEndpoint,
)
from zope.interface import implementer

from seg.common.concurrently import side_by_side
from seg.common.endpoint import endpoint
from seg.dns.address_rules import AddressRules
from seg.dns.answer import DNSAnswer, DNSFailure
from seg.dns.interfaces import IResolver
from seg.mail.errors import LocalFault, local_fault
from seg.mail.hosts import IPAddress
from seg.policy.mtasts.bounds import FetchBounds
from seg.policy.mtasts.errors import FetchError, FetchFault
from seg.policy.mtasts.proxy import ConnectEndpoint, Proxy
from seg.policy.mtasts.verified import Examine, VerifiedStream, VerifyingEndpoint
from seg.tls.context import ClientTLS

MAX_ADDRESSES = 4
_THEIRS = (ConnectError, ConnectionClosed, OSError)  # that a connection fails with, by their doing or by ours


@attrs.frozen
class Addresses:
    """Where a policy host is to be tried."""

    found: tuple[IPAddress, ...]
    lack: LocalFault | None = None  # why others may not have been found, if that is a fault of ours


async def find_addresses(resolver: IResolver, host: str, rules: AddressRules) -> Addresses:
    """Addresses of a policy host in the order to be tried: IPv6 and IPv4 in turn, at most `MAX_ADDRESSES`.

    They are connected to as they are found here, so that no second answer of the DNS can lead elsewhere.

    :raises FetchError: there is none, none is known, or none may be connected to.
    :raises LocalFault: a lookup failed for a reason of ours, and there is no other address.
    """
    answers = await side_by_side([_ask(resolver, host, rdtype) for rdtype in ("AAAA", "A")])
    families = [_addresses(answer) for answer in answers]
    all_found = tuple(address for address in chain(*zip_longest(*families)) if address is not None)
    admitted = tuple(address for address in all_found if not rules.refusal(address))
    lack = next((answer for answer in answers if isinstance(answer, LocalFault)), None)
    if admitted:
        return Addresses(admitted[:MAX_ADDRESSES], lack)
    if lack is not None:
        raise lack
    if all_found:
        raise FetchError(FetchFault.ADDRESS, f"{host} has only the {rules.refusal(all_found[0])}")
    for answer in answers:
        if isinstance(answer, DNSFailure):
            raise FetchError(FetchFault.DNS, answer.text)
    raise FetchError(FetchFault.DNS, f"{host} has no address")


async def _ask(resolver: IResolver, host: str, rdtype: str) -> DNSAnswer | DNSFailure | LocalFault:
    try:
        return await resolver.query(host, rdtype)
    except (DNSFailure, LocalFault) as failure:
        return failure


def _addresses(answer: DNSAnswer | DNSFailure | LocalFault) -> list[IPAddress]:
    if not isinstance(answer, DNSAnswer):
        return []
    records: Sequence[Any] = answer.records  # A and AAAA; dnspython's types don't show it
    return [ipaddress.ip_address(record.address) for record in records]


@attrs.frozen
class Target:
    """A policy host and how it is to be judged."""

    host: str
    port: int
    tls: ClientTLS
    examine: Examine


@implementer(IStreamClientEndpoint)
class PolicyHostEndpoint:
    """Connects to a policy host by one address after another; each has its share of the time. Where no address leads to a policy, those whose
    handshake failed are tried once more with classical key exchange groups only, as hosts of mail are (`seg.tls.groups`).

    :param reactor: TCP, names (for the proxy) and time.
    :param bounds: the time for all addresses together, and the turns.
    """

    def __init__(
        self,
        reactor: object,
        resolver: IResolver,
        target: Target,
        proxy: Proxy | None,
        bounds: FetchBounds,
        rules: AddressRules,
    ) -> None:
        self._reactor: Any = reactor
        self._clock = IReactorTime(reactor)
        self._resolver = resolver
        self._target = target
        self._proxy = proxy
        self._bounds = bounds
        self._progress = bounds.progress
        self._rules = rules
        self._connection: VerifiedStream | None = None

    @property
    def cut(self) -> bool:
        """Whether the connection ended without TLS saying so."""
        return self._connection is not None and self._connection.cut

    def close(self) -> None:
        """Close the connection at once, if there is one."""
        if self._connection is not None:
            self._connection.abort()

    def connect(self, protocolFactory: IProtocolFactory) -> Deferred[IProtocol]:
        """Connect; fails with a `FetchError` that names each address tried and what was wrong with it."""
        return Deferred.fromCoroutine(self._connect(protocolFactory))

    async def _connect(self, factory: IProtocolFactory) -> IProtocol:
        if self._proxy is not None:
            return await self._through(factory, self._proxy)
        self._progress.doing = f"looking up {self._target.host}"
        addresses = await find_addresses(self._resolver, self._target.host, self._rules)
        lack, share = addresses.lack, self._bounds.limit / len(addresses.found)
        errors: dict[IPAddress, FetchError] = {}
        again: list[IPAddress] = []  # with classical groups, when no address has led to a policy without
        for second, to_try in ((False, addresses.found), (True, again)):
            for address in to_try:
                await self._bounds.turn_at(address)
                try:
                    return await self._try_address(factory, address, share / 2 if second else share, second)
                except FetchError as error:
                    errors[address] = error
                    if not second and self._may_narrow(error, self._peer(address)):
                        again.append(address)
                except LocalFault as fault:
                    lack = fault
        if lack is not None:  # what a fault of ours kept us from might have brought the policy
            raise lack
        # All is told; the kind is that of the last one, as an unreachable IPv6 address comes first.
        raise FetchError([*errors.values()][-1].fault, "; ".join(error.cause for error in errors.values()))

    async def _through(self, factory: IProtocolFactory, proxy: Proxy) -> IProtocol:
        key = endpoint(self._target.host, self._target.port)
        try:
            return await self._try_proxy(factory, proxy, key, False)
        except FetchError as error:
            if not self._may_narrow(error, key):
                raise
        return await self._try_proxy(factory, proxy, key, True)

    async def _try_proxy(self, factory: IProtocolFactory, proxy: Proxy, key: str, classical: bool) -> IProtocol:
        await self._bounds.turn_at(None)
        self._progress.doing = f"connecting through proxy {proxy}"
        return await self._try(factory, self._by_proxy(proxy), str(proxy), key, self._bounds.limit, classical)

    def _peer(self, address: IPAddress) -> str:
        return endpoint(address, self._target.port)

    async def _try_address(
        self, factory: IProtocolFactory, address: IPAddress, share: float, classical: bool
    ) -> IProtocol:
        kind = TCP4ClientEndpoint if address.version == 4 else TCP6ClientEndpoint
        peer = self._peer(address)
        self._progress.doing = f"connecting to {peer}"
        endpoint = kind(self._reactor, str(address), self._target.port, timeout=share)
        trial = Deferred.fromCoroutine(self._try(factory, endpoint, peer, peer, share, classical))
        try:
            return await trial.addTimeout(share, self._clock, self._progress.too_late)
        except FetchError as error:
            where = "" if peer in error.cause else f"{peer}: "
            raise FetchError(error.fault, where + error.cause) from None
        except _THEIRS as error:
            lack = _lack(error, address)
            if lack is not None:
                raise lack from None
            raise FetchError(FetchFault.CONNECT, f"{peer}: can't connect: {str(error).rstrip('.')}") from None

    def _may_narrow(self, error: FetchError, key: str) -> bool:
        """Whether fewer groups may help: the handshake failed, or wasn't over in time, and more than the classical groups were offered."""
        in_handshake = error.fault is FetchFault.TLS or (
            error.fault is FetchFault.TIMEOUT and self._progress.handshaking
        )
        return in_handshake and self._widens(key)

    def _widens(self, key: str) -> bool:
        """Whether a host is offered more than classical groups at first."""
        tls = self._target.tls
        return tls.narrows and not tls.classical_peers.has(key, self._clock.seconds())

    async def _try(
        self,
        factory: IProtocolFactory,
        endpoint: IStreamClientEndpoint,
        peer: str,
        key: str,
        share: float,
        second: bool,
    ) -> IProtocol:
        """One connection.

        :param key: by what is remembered that this host is to be offered classical groups only.
        :param share: seconds that there are; half of them for a handshake behind which there is another one.
        :param second: whether it is the one with classical groups.
        """
        target, progress, widens = self._target, self._progress, self._widens(key)
        progress.peer, progress.handshaking = peer, False
        creator = target.tls.creator(target.host, peer, classical=second or (target.tls.narrows and not widens))
        checked = VerifyingEndpoint(self._clock, endpoint, creator, target.host, target.examine)
        handshake = f"in the TLS handshake with {target.host if self._proxy else peer}"
        limit = share / 2 if widens and not second else None
        protocol, self._connection = await checked.connect(factory, progress, handshake, limit)
        if second:
            target.tls.classical_peers.add(key, self._clock.seconds())
        progress.doing = "waiting for an answer"
        return protocol

    def _by_proxy(self, proxy: Proxy) -> IStreamClientEndpoint:
        to_proxy = HostnameEndpoint(self._reactor, proxy.host, proxy.port, timeout=self._bounds.limit)
        return ConnectEndpoint(to_proxy, proxy, self._target.host, self._target.port)


def _lack(error: Exception, address: IPAddress) -> LocalFault | None:
    """The fault of ours for which a connection failed, if it was one."""
    number = getattr(error, "osError", None) or getattr(error, "errno", None)
    if address.version == 6 and number == errno.EADDRNOTAVAIL:
        return None  # a machine without IPv6 says so, each time: its mail must not wait for ever
    if address.version == 4 and number in (errno.ENETUNREACH, errno.ENETDOWN):
        return LocalFault(os.strerror(number))
    return local_fault(error)
