"""What operators see of the running gateway, and may have done to it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from twisted.internet.interfaces import IReactorTime

from seg.admin.suspension import Suspension
from seg.common.clock import posix
from seg.config.paths import var_path
from seg.dns.cache import DNSCounters
from seg.dns.interfaces import IResolver
from seg.dns.servers import UpstreamServer
from seg.events.base import IEventSink
from seg.gateway.active import ActiveConfiguration, MailServices
from seg.mail.causes import CauseKind
from seg.policy.mtasts.cache import PolicyCache
from seg.queue.index import QueueCounts
from seg.receive.listeners import Listeners
from seg.receive.workqueue import WorkQueue
from seg.tls.expiry import ExpiryWatch, Lasting


class GatewayView:
    """Looks at the parts that run; there is one as soon as there is mail."""

    def __init__(
        self,
        now: ActiveConfiguration,
        mail: MailServices,
        reception: Listeners,
        expiry: ExpiryWatch,
        sink: IEventSink,
        clock: IReactorTime,
    ) -> None:
        self.suspension = Suspension(
            var_path(now.settings) / "suspended.json",
            [listener.name for listener in now.settings.listener],
            sink,
            clock,
            self.suspension_changed,
        )
        self._now = now
        self._mail = mail
        self._reception = reception
        self._expiry = expiry
        self._clock = clock

    # --- what an operator may see (`seg.admin.api.StatusGauges`) ---------------------------------------

    def connections_in(self) -> int:
        """Clients connected."""
        return self._reception.connections

    def attempts(self) -> int:
        """Attempts under way."""
        return self._mail.engine.active

    def limited(self, domain: str) -> str:
        """Which limit a destination has reached, in words; "" when none holds it back."""
        return self._mail.engine.limited(domain)

    def limited_destinations(self) -> int:
        """Destinations whose limits hold mail back now."""
        return self._mail.engine.held_back

    def connections_idle(self) -> int:
        """Connections that wait for another message."""
        return len(self._mail.sending.pool)

    def certificates(self) -> tuple[Lasting, ...]:
        """Our own certificates in use, those that end first first."""
        return self._expiry.lasting()

    def counts(self) -> QueueCounts:
        """The queue in numbers."""
        return self._mail.queue.counts()

    def causes(self) -> Mapping[CauseKind, int]:
        """Messages that TLS policy keeps waiting, by cause."""
        return self._mail.queue.causes()

    def destinations(self) -> int:
        """Destinations with waiting mail."""
        return len(self._mail.queue.destinations())

    @property
    def work(self) -> WorkQueue:
        """Messages that aren't queued yet."""
        return self._reception.work

    def policies_cached(self) -> int:
        """MTA-STS policies known."""
        return len(self._now.lookups.policies.cache)

    def dns(self) -> DNSCounters:
        """What the DNS cache counted."""
        return self._now.lookups.resolver.counters

    def dns_cached(self) -> int:
        """Answers in the DNS cache."""
        return len(self._now.lookups.resolver)

    def resolvers(self) -> tuple[UpstreamServer, ...]:
        """The resolvers asked."""
        return self._now.lookups.servers

    def listeners(self) -> list[tuple[str, str, int]]:
        """(name, address, port) of each listener."""
        bound: list[tuple[str, Any]] = [
            (each.factory.listener.name, each.port.getHost()) for each in self._reception.listeners
        ]
        return [(name, host.host, host.port) for name, host in bound]

    def resolver_validates(self) -> bool | None:
        """Whether the AD bit can be believed; None: no trusted resolver has said so far."""
        return self._now.lookups.probe.verdict

    # --- what an operator may have done (`seg.admin.delivery.DeliveryGauges`) ----------------------------

    def listener_names(self) -> tuple[str, ...]:
        """The listeners."""
        return tuple(listener.name for listener in self._now.settings.listener)

    def clients(self) -> list[tuple[str, str, int]]:
        """(listener, address, connections) of each client."""
        return self._reception.clients()

    def suspension_changed(self) -> None:
        """Work by what is suspended now."""
        suspended = self.suspension.now
        self._reception.suspend(suspended.listeners)
        self._mail.engine.suspended = suspended.delivery
        self._mail.engine.resume()

    def flush_dns(self, name: str | None) -> int:
        """Forget answers of the DNS; how many."""
        return self._now.lookups.resolver.flush(name)

    @property
    def resolver(self) -> IResolver:
        """The DNS."""
        return self._now.lookups.resolver

    @property
    def policies(self) -> PolicyCache:
        """The MTA-STS policies known."""
        return self._now.lookups.policies.cache

    async def flush_policies(self, domain: str | None) -> int:
        """Forget a policy, or all, and that its fetch failed of late; how many policies there were."""
        return await self._now.lookups.policies.flush(domain)

    def exemptions(self) -> int:
        """Destinations that are exempt from their policies now."""
        return self._now.destinations.exemptions_in_force(posix(self._clock))
