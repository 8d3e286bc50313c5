"""The destination controls as the API shows them: each entry, and what holds for one domain."""

from __future__ import annotations

from collections.abc import Callable

import attrs

from seg.admin.http import APIRequest, RouteTable
from seg.admin.names import asked_domain
from seg.admin.turns import in_turns
from seg.config.destinations import Destinations, Profile, SMTPRoute
from seg.config.values import word

DEFAULT = "Default"


class DestinationsAPI:
    """Answers for the destinations in force.

    :param destinations: those in force now.
    :param now: POSIX seconds.
    """

    def __init__(self, destinations: Callable[[], Destinations], now: Callable[[], float]) -> None:
        self._destinations = destinations
        self._now = now

    def add_to(self, table: RouteTable) -> None:
        """Serve under ``/v1/destinations`` and ``/v1/destination``."""
        table.add("GET", "/v1/destinations", self.entries)
        table.add("GET", "/v1/destination", self.one)

    async def entries(self, call: APIRequest) -> object:
        """Every entry in the order of the file, Default last, and the SMTP routes."""
        destinations = self._destinations()
        profiles = destinations.profiles.items()
        entries = [self._entry(pattern, profile) async for pattern, profile in in_turns(profiles)]
        entries.append(self._entry(DEFAULT, destinations.default))
        return {
            "destinations": entries,
            "routes": [_route(route) async for route in in_turns(destinations.routes.values())],
            "exemptions": destinations.exemptions_in_force(self._now()),
        }

    async def one(self, call: APIRequest) -> object:
        """What holds for one domain; query: domain."""
        domain = asked_domain(call.query.get("domain"))
        destinations = self._destinations()
        profile, route = destinations.profile(domain), destinations.route(domain)
        entry = profile.name if profile is not destinations.default else DEFAULT
        return {
            "domain": domain,
            "entry": entry,
            "profile": self._entry(entry, profile),
            "route": _route(route) if route is not None else None,
        }

    def _entry(self, pattern: str, profile: Profile) -> dict[str, object]:
        exemption = profile.exemption
        return {
            "domain": pattern,
            "tls": word(profile.tls),
            "dane": word(profile.dane),
            "mta_sts": word(profile.mta_sts),
            "dane_opportunistic_failure": word(profile.dane_opportunistic_failure),
            "ip_preference": word(profile.ip_preference),
            "concurrent_connections": profile.concurrent_connections,
            "messages_per_connection": profile.messages_per_connection,
            "recipient_limit": profile.recipient_limit,
            "recipient_minutes": profile.recipient_minutes,
            "limit_per": word(profile.limit_per),
            "source_address": profile.source_address,
            "source_address6": profile.source_address6,
            "ehlo_name": profile.ehlo_name,
            "bounce_profile": profile.bounce_profile,
            "tls_alert": profile.tls_alert,
            "certificate": profile.certificate,
            "key": profile.key,
            "exemption": None
            if exemption is None
            else {
                "until": exemption.until,
                "end": exemption.end,
                "reason": exemption.reason,
                "in_force": self._now() < exemption.until,
            },
            "stated": sorted(self._destinations().stated.get(pattern, ())),
        }


def _route(route: SMTPRoute) -> dict[str, object]:
    return {
        "domain": route.pattern,
        "use_dns": route.use_dns,
        "hosts": [attrs.asdict(hop) for hop in route.hops],
    }
