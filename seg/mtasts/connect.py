"""The way to one policy host: its addresses in turn, or the proxy, each with TLS and its check."""

from __future__ import annotations

import errno
import ipaddress
import os
from collections.abc import Callable, Sequence
from itertools import chain, zip_longest
from typing import Any

import attrs
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import HostnameEndpoint, TCP4ClientEndpoint, TCP6ClientEndpoint
from twisted.internet.error import ConnectError, ConnectionClosed
from twisted.internet.interfaces import (
    IOpenSSLClientConnectionCreator,
    IProtocol,
    IProtocolFactory,
    IReactorTime,
    IStreamClientEndpoint,
)
from zope.interface import implementer

from seg.dns.address_rules import AddressRules
from seg.dns.answer import DNSAnswer, DNSFailure
from seg.dns.gather import side_by_side
from seg.errors import LocalFault, local_fault
from seg.interfaces import IResolver
from seg.model import IPAddress
from seg.mtasts.bounds import FetchBounds
from seg.mtasts.checked import CheckedConnection, CheckedEndpoint, Examine
from seg.mtasts.errors import FetchError, FetchFault
from seg.mtasts.proxy import ConnectEndpoint, Proxy

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
    creator: Callable[[str], IOpenSSLClientConnectionCreator]  # of the peer's "address:port"
    examine: Examine


@implementer(IStreamClientEndpoint)
class PolicyHostEndpoint:
    """Connects to a policy host by one address after another; each has its share of the time.

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
        self._connection: CheckedConnection | None = None

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
            await self._bounds.turn_at(None)
            self._progress.doing = f"connecting through proxy {self._proxy}"
            return await self._try(factory, self._by_proxy(self._proxy), str(self._proxy))
        self._progress.doing = f"looking up {self._target.host}"
        addresses = await find_addresses(self._resolver, self._target.host, self._rules)
        lack, errors = addresses.lack, []
        for address in addresses.found:
            await self._bounds.turn_at(address)
            try:
                return await self._try_address(factory, address, self._bounds.limit / len(addresses.found))
            except FetchError as error:
                errors.append(error)
            except LocalFault as fault:
                lack = fault
        if lack is not None:  # what a fault of ours kept us from might have brought the policy
            raise lack
        # All is told; the kind is that of the last one, as an unreachable IPv6 address comes first.
        raise FetchError(errors[-1].fault, "; ".join(error.cause for error in errors))

    async def _try_address(self, factory: IProtocolFactory, address: IPAddress, share: float) -> IProtocol:
        kind = TCP4ClientEndpoint if address.version == 4 else TCP6ClientEndpoint
        port = self._target.port
        peer = f"{address}:{port}" if address.version == 4 else f"[{address}]:{port}"
        self._progress.doing = f"connecting to {peer}"
        endpoint = kind(self._reactor, str(address), port, timeout=share)

        def too_late(_: object, seconds: float) -> Any:
            raise FetchError(FetchFault.TIMEOUT, f"timed out after {seconds:.0f} s {self._progress.doing}")

        trial = Deferred.fromCoroutine(self._try(factory, endpoint, peer))
        try:
            return await trial.addTimeout(share, self._clock, too_late)
        except FetchError as error:
            where = "" if peer in error.cause else f"{peer}: "
            raise FetchError(error.fault, where + error.cause) from None
        except _THEIRS as error:
            lack = _lack(error, address)
            if lack is not None:
                raise lack from None
            raise FetchError(FetchFault.CONNECT, f"{peer}: can't connect: {str(error).rstrip('.')}") from None

    async def _try(self, factory: IProtocolFactory, endpoint: IStreamClientEndpoint, peer: str) -> IProtocol:
        target = self._target
        self._progress.peer = peer
        checked = CheckedEndpoint(self._clock, endpoint, target.creator(peer), target.host, target.examine)
        handshake = f"in the TLS handshake with {self._target.host if self._proxy else peer}"
        protocol, self._connection = await checked.connect(factory, self._progress, handshake)
        self._progress.doing = "waiting for an answer"
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
