"""The DNS over the API: what was asked, what the cache saved, and how each resolver fares."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from twisted.internet.interfaces import IReactorTime

from seg.admin.http import APIRequest, RouteTable
from seg.admin.traffic import Traffic
from seg.common.clock import as_posix, posix
from seg.dns.servers import UpstreamServer


class ResolverGauges(Protocol):
    """What is going on right now."""

    def dns_cached(self) -> int:
        """Answers in the cache."""

    def resolvers(self) -> Sequence[UpstreamServer]:
        """The resolvers asked."""

    def resolver_validates(self) -> bool | None:
        """Whether the AD bit can be believed; None: no trusted resolver has said so far."""


class DNSAPI:
    """Serves the path below."""

    def __init__(self, traffic: Traffic, resolving: ResolverGauges, clock: IReactorTime) -> None:
        self._traffic = traffic
        self._resolving = resolving
        self._clock = clock

    def add_to(self, table: RouteTable) -> None:
        """Take the path."""
        table.add("GET", "/v1/dns", self.status)

    async def status(self, call: APIRequest) -> object:
        """Counters, the cache, the resolvers."""
        resolving, clock = self._resolving, self._clock
        return {
            "at": posix(clock),
            **self._traffic.dns(),
            "cached": resolving.dns_cached(),
            "resolver_validates": resolving.resolver_validates(),
            "resolvers": [_resolver(server, clock) for server in resolving.resolvers()],
        }


def _resolver(server: UpstreamServer, clock: IReactorTime) -> dict[str, Any]:
    return {
        "server": str(server),
        "trusted": server.trusted,
        "validates": server.validating if server.probed or not server.trusted else None,
        "believed": server.believed,
        "asked_last": server.demoted_until > clock.seconds(),
        "answers": server.answers,
        "failures": server.failures,
        "last_answer": server.last_answer,
        "last_failure": server.last_failure,
        "last_failure_at": as_posix(clock, server.last_failure_at) if server.last_failure_at else 0.0,
    }
