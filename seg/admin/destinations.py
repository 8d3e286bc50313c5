"""The destination controls as the API shows them: each entry, and what holds for one domain."""

from __future__ import annotations

from collections.abc import Callable

from seg.admin.http import RouteTable
from seg.admin.names import asked_domain
from seg.admin.turns import in_turns
from seg.admin.wire import operations
from seg.admin.wire.destinations import (
    DestinationAnswer,
    DestinationControl,
    DestinationsAnswer,
    ExemptionFacts,
    NamedDomain,
    RouteAnswer,
)
from seg.admin.wire.route import NoParameters
from seg.config.destinations import Destinations, Exemption, Profile, SMTPRoute
from seg.config.values import word

DEFAULT = "Default"


class DestinationEntryRoutes:
    """Answers for the destinations in force.

    :param destinations: those in force now.
    :param now: POSIX seconds.
    """

    def __init__(self, destinations: Callable[[], Destinations], now: Callable[[], float]) -> None:
        self._destinations = destinations
        self._now = now

    def add_to(self, table: RouteTable) -> None:
        """Serve them."""
        table.add(operations.LIST_DESTINATIONS, self.entries)
        table.add(operations.SHOW_DESTINATION, self.one)

    async def entries(self, asked: NoParameters, by: str) -> DestinationsAnswer:
        """Every entry in the order of the file, Default last, and the SMTP routes."""
        destinations = self._destinations()
        profiles = destinations.profiles.items()
        entries = [self._entry(pattern, profile) async for pattern, profile in in_turns(profiles)]
        entries.append(self._entry(DEFAULT, destinations.default))
        return DestinationsAnswer(
            entries,
            [_route(route) async for route in in_turns(destinations.routes.values())],
            destinations.exemptions_in_force(self._now()),
        )

    async def one(self, asked: NamedDomain, by: str) -> DestinationAnswer:
        """What holds for one domain."""
        domain = asked_domain(asked.domain)
        destinations = self._destinations()
        profile, route = destinations.profile(domain), destinations.route(domain)
        entry = profile.name if profile is not destinations.default else DEFAULT
        return DestinationAnswer(domain, entry, self._entry(entry, profile), None if route is None else _route(route))

    def _entry(self, pattern: str, profile: Profile) -> DestinationControl:
        return DestinationControl(
            domain=pattern,
            tls=word(profile.tls),
            dane=word(profile.dane),
            mta_sts=word(profile.mta_sts),
            dane_opportunistic_failure=word(profile.dane_opportunistic_failure),
            ip_preference=word(profile.ip_preference),
            concurrent_connections=profile.concurrent_connections,
            messages_per_connection=profile.messages_per_connection,
            recipient_limit=profile.recipient_limit,
            recipient_minutes=profile.recipient_minutes,
            limit_per=word(profile.limit_per),
            source_address=profile.source_address,
            source_address6=profile.source_address6,
            ehlo_name=profile.ehlo_name,
            bounce_profile=profile.bounce_profile,
            tls_alert=profile.tls_alert,
            certificate=profile.certificate,
            key=profile.key,
            exemption=None if profile.exemption is None else self._exemption(profile.exemption),
            stated=tuple(sorted(self._destinations().stated.get(pattern, ()))),
        )

    def _exemption(self, exemption: Exemption) -> ExemptionFacts:
        return ExemptionFacts(exemption.until, exemption.end, exemption.reason, self._now() < exemption.until)


def _route(route: SMTPRoute) -> RouteAnswer:
    return RouteAnswer(route.pattern, route.use_dns, route.hops)
