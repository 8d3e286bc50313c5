"""Destinations over the API: how they fare, which policies are known of them, and what the configuration says of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, ClassVar, Literal

import attrs

from seg.admin.wire.messages import MOST_DOMAINS, Cause
from seg.common.json_schema import Count, DescribedAs, Keywords, Time
from seg.config.destinations import NextHop

MOST_HOSTS = 1000  # in one answer
MOST_POLICIES = 1000  # in one answer
MOST_SESSIONS = 1000  # with one destination
DAYS = 31  # for which sessions are kept that a watched policy would have refused

HostSort = Literal["active_rcpts", "conn_out", "deliv_recip", "hard_bounced", "soft_bounced"]
HostState = Literal["up", "down", "unknown"]


@attrs.frozen
class NamedDomain:
    """One domain."""

    domain: Annotated[str, "a recipient domain"]


# --- how they fare -----------------------------------------------------------------------------------


@attrs.frozen
class ListHosts:
    """Which destinations."""

    sort: Annotated[HostSort, "the most of what"] = "active_rcpts"
    limit: Annotated[int, Keywords(minimum=0, maximum=MOST_HOSTS), "how many"] = 20


@attrs.frozen
class HostFacts:
    """A destination in numbers."""

    domain: str
    state: HostState
    suspended: bool
    active: Count
    connections: Count
    delivered: Count
    soft_bounced: Count
    hard_bounced: Count


@attrs.frozen
class HostsAnswer:
    """Some of the destinations."""

    at: Time
    sort: HostSort
    total: Count
    hosts: Sequence[HostFacts]


@attrs.frozen
class MXRecord:
    """An MX record."""

    preference: Count
    host: str


@attrs.frozen
class MXFacts:
    """What the DNS says of a destination."""

    records: tuple[MXRecord, ...]
    secure: bool
    ttl: float | None
    failure: str


@attrs.frozen
class HostAnswer:
    """A destination in full."""

    at: Time
    domain: str
    state: HostState
    suspended: bool
    active: Count
    connections: Count
    delivered: Count
    soft_bounced: Count
    hard_bounced: Count
    refused_by_policy: Count
    last_activity: Annotated[float, Keywords(minimum=0)]
    last_5xx: str
    last_5xx_at: Annotated[float, Keywords(minimum=0)]
    last_failure: str
    last_failure_at: Annotated[float, Keywords(minimum=0)]
    mx: MXFacts


# --- MTA-STS policies --------------------------------------------------------------------------------


@attrs.frozen
class ListPolicies:
    """Which policies."""

    domain: Annotated[str | None, "a recipient domain"] = None
    limit: Annotated[
        int,
        Keywords(minimum=0, maximum=MOST_POLICIES),
        "how many at most; there may be fewer, as an answer's size is bounded",
    ] = 100
    after: Annotated[str, "only those of domains behind this one: the next page"] = ""


@attrs.frozen
class STSPolicyFacts:
    """One policy, and when it was dealt with."""

    domain: str
    id: str
    mode: Annotated[str, DescribedAs(Literal["enforce", "testing", "none"])]
    mx: tuple[str, ...]
    max_age: Count
    fetched: Time
    checked: Time
    expires: Time


@attrs.frozen
class PoliciesAnswer:
    """Some of the policies known."""

    total: Annotated[Count, "how many are known; of one domain that was asked for: 1"]
    next: Annotated[str, "what to give as `after` for those behind these; empty: these are the last"]
    policies: Sequence[STSPolicyFacts]


@attrs.frozen
class FlushPolicies:
    """Which policies to forget."""

    SCHEMA: ClassVar = Keywords(minProperties=1)

    domain: str | None = None
    all: Literal[True] | None = None

    @classmethod
    def from_body(cls, body: Mapping[str, Any]) -> FlushPolicies:
        """:raises ValueError: it says neither."""
        domain = body.get("domain")
        if isinstance(domain, str):
            return cls(domain)
        if body.get("all") is True:
            return cls(all=True)
        raise ValueError("name a domain (a text), or all (true)")


# --- watched policies --------------------------------------------------------------------------------


@attrs.frozen
class GetPolicyReport:
    """Of how long, and of which domains."""

    days: Annotated[int, Keywords(minimum=0, maximum=DAYS), "of so many days, today included"] = 7
    domain: Annotated[str, "only this domain"] = ""
    limit: Annotated[int, Keywords(minimum=0, maximum=MOST_DOMAINS), "how many domains"] = 100


@attrs.frozen
class FailingCause:
    """Sessions that one policy would have refused for one cause."""

    provider: str
    cause: Cause
    text: str
    sessions: Count
    last: Time
    host: Annotated[str, "of the last one"]
    detail: Annotated[str, "what failed then"]


@attrs.frozen
class FailingDomain:
    """What a domain would have lost."""

    domain: str
    sessions: Count
    last: Time
    causes: tuple[FailingCause, ...]


@attrs.frozen
class PolicyReportAnswer:
    """What would have failed."""

    at: Time
    since: Annotated[Time, "POSIX seconds from which on it was counted"]
    total: Annotated[Count, "domains"]
    domains: Annotated[Sequence[FailingDomain], "the one with the most sessions first"]


# --- the configuration in force ----------------------------------------------------------------------


@attrs.frozen
class RouteAnswer:
    """An SMTP route."""

    domain: str
    use_dns: bool
    hosts: tuple[NextHop, ...]


@attrs.frozen
class ExemptionFacts:
    """An exemption from the policies."""

    until: Time
    end: str
    reason: str
    in_force: bool


@attrs.frozen
class DestinationControl:
    """An entry of destinations.toml."""

    domain: Annotated[str, "a domain, .domain, or Default"]
    tls: str
    dane: str
    mta_sts: str
    dane_opportunistic_failure: str
    ip_preference: str
    concurrent_connections: Count
    messages_per_connection: Count
    recipient_limit: Annotated[Count, "0: none"]
    recipient_minutes: Count
    limit_per: Annotated[str, DescribedAs(Literal["domain", "address"])]
    source_address: str
    source_address6: str
    ehlo_name: str
    bounce_profile: str
    tls_alert: bool
    certificate: str
    key: str
    exemption: ExemptionFacts | None
    stated: Annotated[tuple[str, ...], "the keys that the entry itself has; all else is inherited"]


@attrs.frozen
class DestinationsAnswer:
    """All entries and routes."""

    destinations: Sequence[DestinationControl]
    routes: Sequence[RouteAnswer]
    exemptions: Annotated[Count, "in force now"]


@attrs.frozen
class DestinationAnswer:
    """What holds for one domain."""

    domain: str
    entry: Annotated[str, "which entry holds"]
    profile: DestinationControl
    route: RouteAnswer | None


# --- dialogues ---------------------------------------------------------------------------------------


@attrs.frozen
class DialoguesAnswer:
    """Whose dialogues go into the mail log."""

    domains: Mapping[str, Annotated[int, Keywords(minimum=1), "sessions to come"]]


@attrs.frozen
class WatchDialogues:
    """Whose dialogues shall go there."""

    SCHEMA: ClassVar = Keywords(additionalProperties=False)

    domain: str
    sessions: Annotated[int, Keywords(minimum=0, maximum=MOST_SESSIONS), "0 ends the watching"] = 1

    @classmethod
    def from_body(cls, body: Mapping[str, Any]) -> WatchDialogues:
        """:raises ValueError: there is no domain, or no number of sessions."""
        domain, sessions = body.get("domain"), body.get("sessions", 1)
        if not isinstance(domain, str) or not domain:
            raise ValueError("domain must be the domain of a recipient")
        if type(sessions) is not int or not 0 <= sessions <= MOST_SESSIONS:
            raise ValueError(f"sessions must be a number from 0 to {MOST_SESSIONS}")
        return cls(domain, sessions)
