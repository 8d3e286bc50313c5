"""What the configuration says of one destination, resolved once: nothing further on in an attempt asks it again."""

from __future__ import annotations

import math
from collections.abc import Callable

import attrs

from seg.common.bounded import BoundedMap
from seg.config.destinations import Destinations, LimitPer, Profile, SMTPRoute
from seg.config.schema import Delivery
from seg.deliver.outbound import OutboundSettings, outgoing_of
from seg.deliver.rate_limits import UNLIMITED, RateLimit

MOST_PLANS = 10_000  # destinations whose plan is kept; the one made longest ago goes


@attrs.frozen
class AttemptPlan:
    """What holds for the attempts of one destination."""

    profile: Profile  # in force: without an exemption that has ended
    smtp_route: SMTPRoute | None  # the operator's next hops; None: by MX
    by_mx: OutboundSettings  # towards hosts that MX records name
    by_route: OutboundSettings  # towards hosts that the operator names
    address_rate: RateLimit  # how many recipients one address may have
    max_hosts: int
    max_addresses: int
    ends: float = math.inf  # POSIX seconds at which an exemption ends, and another plan holds


def plan_for(destinations: Destinations, domain: str, settings: Delivery, now: float) -> AttemptPlan:
    """The plan for a domain at a time in POSIX seconds."""
    profile = destinations.profile(domain).at(now)
    by_route = outgoing_of(profile, destinations)
    per_address = profile.limit_per is LimitPer.ADDRESS and profile.recipient_limit
    return AttemptPlan(
        profile,
        destinations.route(domain),
        attrs.evolve(by_route, by_mx=True),
        by_route,
        RateLimit(profile.recipient_limit, profile.recipient_minutes) if per_address else UNLIMITED,
        settings.max_hosts,
        settings.max_addresses,
        math.inf if profile.exemption is None else profile.exemption.until,
    )


class AttemptPlans:
    """The plans for the destinations in force, each made once.

    :param destinations: those in force; another object takes all plans away.
    :param now: POSIX seconds.
    """

    def __init__(self, destinations: Callable[[], Destinations], settings: Delivery, now: Callable[[], float]) -> None:
        self._destinations = destinations
        self._settings = settings
        self._now = now
        self._made_for: Destinations | None = None
        self._plans: BoundedMap[str, AttemptPlan] = BoundedMap(MOST_PLANS)

    def of(self, domain: str) -> AttemptPlan:
        """What holds for a domain now."""
        destinations = self._destinations()
        if destinations is not self._made_for:
            self._made_for = destinations
            self._plans.clear()
        plan = self._plans.get(domain)
        if plan is None or (plan.ends < math.inf and plan.ends <= self._now()):
            plan = self._plans[domain] = plan_for(destinations, domain, self._settings, self._now())
        return plan
