"""The DNS over the API: what was asked, what the cache saved, how each resolver fares, and what it shall forget."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from twisted.internet.interfaces import IReactorTime

from seg.admin.http import RouteTable
from seg.admin.names import asked_domain
from seg.admin.traffic import DNS, Traffic
from seg.admin.wire import operations
from seg.admin.wire.gateway import DNSColumns, DNSNumbers, DNSStatusAnswer, FlushDNS, FlushedAnswer, ResolverFacts
from seg.admin.wire.route import NoParameters
from seg.common.clock import as_posix, posix
from seg.dns.cache import CachingResolver
from seg.dns.servers import UpstreamServer
from seg.events.base import IEventSink
from seg.events.gateway import OperatorActed


class DNSRoutes:
    """Looks at the resolver in use.

    :param resolver: the one in use.
    :param servers: those that it asks.
    :param validates: whether the AD bit can be believed; None: no trusted resolver has said so far.
    """

    def __init__(
        self,
        traffic: Traffic,
        resolver: Callable[[], CachingResolver],
        servers: Callable[[], Sequence[UpstreamServer]],
        validates: Callable[[], bool | None],
        sink: IEventSink,
        clock: IReactorTime,
    ) -> None:
        self._traffic = traffic
        self._resolver = resolver
        self._servers = servers
        self._validates = validates
        self._sink = sink
        self._clock = clock

    def add_to(self, table: RouteTable) -> None:
        """Serve it."""
        table.add(operations.SHOW_DNS, self.status)
        table.add(operations.FLUSH_DNS, self.flush)

    async def status(self, asked: NoParameters, by: str) -> DNSStatusAnswer:
        """Counters, the cache, the resolvers."""
        columns = self._traffic.columns(DNS)
        return DNSStatusAnswer(
            at=posix(self._clock),
            totals=DNSColumns(**{column: DNSNumbers(**numbers) for column, numbers in columns.numbers.items()}),
            last_reset=columns.last_reset,
            counted_since=columns.since,
            cached=len(self._resolver()),
            resolver_validates=self._validates(),
            resolvers=[_facts(server, self._clock) for server in self._servers()],
        )

    async def flush(self, asked: FlushDNS, by: str) -> FlushedAnswer:
        """Forget answers: those for a name, or all."""
        count = self._resolver().flush(asked_domain(asked.name) if asked.name else None)
        self._sink.emit(OperatorActed(by, f"dnsflush {asked.name or 'all'}"))
        return FlushedAnswer(count)


def _facts(server: UpstreamServer, clock: IReactorTime) -> ResolverFacts:
    return ResolverFacts(
        server=str(server),
        trusted=server.trusted,
        validates=server.validating if server.probed or not server.trusted else None,
        believed=server.believed,
        asked_last=server.demoted_until > clock.seconds(),
        answers=server.answers,
        failures=server.failures,
        last_answer=server.last_answer,
        last_failure=server.last_failure,
        last_failure_at=as_posix(clock, server.last_failure_at) if server.last_failure_at else 0.0,
    )
