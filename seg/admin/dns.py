"""The DNS over the API: what was asked, what the cache saved, and how each resolver fares."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

from seg.admin.http import Call, RouteTable
from seg.admin.traffic import Traffic
from seg.dns.servers import Server


class Resolving(Protocol):
    """What is going on right now."""

    def dns_cached(self) -> int:
        """Answers in the cache."""

    def resolvers(self) -> Sequence[Server]:
        """The resolvers asked."""

    def resolver_validates(self) -> bool:
        """Whether the AD bit can be believed."""


class DNSAPI:
    """Serves the path below."""

    def __init__(self, traffic: Traffic, resolving: Resolving, now: Callable[[], float]) -> None:
        self._traffic = traffic
        self._resolving = resolving
        self._now = now

    def add_to(self, table: RouteTable) -> None:
        """Take the path."""
        table.add("GET", "/v1/dns", self.status)

    async def status(self, call: Call) -> object:
        """Counters, the cache, the resolvers."""
        resolving, now = self._resolving, self._now()
        return {
            "at": now,
            **self._traffic.dns(),
            "cached": resolving.dns_cached(),
            "resolver_validates": resolving.resolver_validates(),
            "resolvers": [_resolver(server, now) for server in resolving.resolvers()],
        }


def _resolver(server: Server, now: float) -> dict[str, Any]:
    return {
        "server": str(server),
        "trusted": server.trusted,
        "validates": server.validating,
        "believed": server.believed,
        "asked_last": server.demoted_until > now,
        "answers": server.answers,
        "failures": server.failures,
        "last_answer": server.last_answer,
        "last_failure": server.last_failure,
        "last_failure_at": server.last_failure_at,
    }
