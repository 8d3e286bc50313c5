"""The way to one policy host: its addresses in turn, or the proxy, each with TLS and its check."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Sequence
from itertools import chain, zip_longest
from typing import Any

import attrs
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import HostnameEndpoint, TCP4ClientEndpoint, TCP6ClientEndpoint
from twisted.internet.interfaces import (
    IOpenSSLClientConnectionCreator,
    IProtocol,
    IProtocolFactory,
    IReactorTime,
    IStreamClientEndpoint,
)
from zope.interface import implementer

from seg.dns.answer import DNSAnswer, DNSFailure
from seg.dns.gather import side_by_side
from seg.interfaces import IResolver
from seg.model import IPAddress
from seg.mtasts.checked import CheckedConnection, CheckedEndpoint, Examine, Progress
from seg.mtasts.errors import FetchError, FetchFault
from seg.mtasts.proxy import ConnectEndpoint, Proxy

MAX_ADDRESSES = 4


async def find_addresses(resolver: IResolver, host: str) -> tuple[IPAddress, ...]:
    """Addresses of a policy host in the order to be tried: IPv6 and IPv4 in turn, at most `MAX_ADDRESSES`.

    :raises FetchError: there is none, or none is known.
    """
    answers = await side_by_side([_ask(resolver, host, rdtype) for rdtype in ("AAAA", "A")])
    families = [_addresses(answer) for answer in answers]
    found = tuple(address for address in chain(*zip_longest(*families)) if address is not None)
    if found:
        return found[:MAX_ADDRESSES]
    for answer in answers:
        if isinstance(answer, DNSFailure):
            raise FetchError(FetchFault.DNS, answer.text)
    raise FetchError(FetchFault.DNS, f"{host} has no address")


async def _ask(resolver: IResolver, host: str, rdtype: str) -> DNSAnswer | DNSFailure:
    try:
        return await resolver.query(host, rdtype)
    except DNSFailure as failure:
        return failure


def _addresses(answer: DNSAnswer | DNSFailure) -> list[IPAddress]:
    if isinstance(answer, DNSFailure):
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
    :param limit: seconds for all addresses together.
    """

    def __init__(
        self,
        reactor: object,
        resolver: IResolver,
        target: Target,
        proxy: Proxy | None,
        limit: float,
        progress: Progress,
    ) -> None:
        self._reactor: Any = reactor
        self._clock = IReactorTime(reactor)
        self._resolver = resolver
        self._target = target
        self._proxy = proxy
        self._limit = limit
        self._progress = progress
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
            self._progress.doing = f"connecting through proxy {self._proxy}"
            return await self._try(factory, self._by_proxy(self._proxy), str(self._proxy))
        self._progress.doing = f"looking up {self._target.host}"
        addresses = await find_addresses(self._resolver, self._target.host)
        errors: list[FetchError] = []
        for address in addresses:
            try:
                return await self._try_address(factory, address, self._limit / len(addresses))
            except FetchError as error:
                errors.append(error)
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

    async def _try(self, factory: IProtocolFactory, endpoint: IStreamClientEndpoint, peer: str) -> IProtocol:
        target = self._target
        self._progress.peer = peer
        checked = CheckedEndpoint(self._clock, endpoint, target.creator(peer), target.host, target.examine)
        handshake = f"in the TLS handshake with {self._target.host if self._proxy else peer}"
        protocol, self._connection = await checked.connect(factory, self._progress, handshake)
        self._progress.doing = "waiting for an answer"
        return protocol

    def _by_proxy(self, proxy: Proxy) -> IStreamClientEndpoint:
        to_proxy = HostnameEndpoint(self._reactor, proxy.host, proxy.port, timeout=self._limit)
        return ConnectEndpoint(to_proxy, proxy, self._target.host, self._target.port)
