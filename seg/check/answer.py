"""What a check answers, as the admin API gives it and ``--json`` shows it (docs/checks.md)."""

from __future__ import annotations

from typing import Annotated, Literal

import attrs

from seg.check.outcome import Result
from seg.check.report import CertificateFacts
from seg.common.json_schema import ABSENT, Absent, Count, DescribedAs, Time
from seg.mail.causes import CauseKind


@attrs.frozen
class OutcomeNow:
    """What would happen to a message now."""

    outcome: Literal["delivered", "deferred", "bounced"]
    host: str
    text: str
    enhanced: str


@attrs.frozen
class ProfileInForce:
    """The entry of destinations.toml that holds."""

    entry: str
    tls: str
    dane: str
    mta_sts: str
    dane_opportunistic_failure: str
    exemption: str | None


@attrs.frozen
class RouteFacts:
    """Where mail goes to."""

    kind: str
    secure: bool
    canonical: str | None


@attrs.frozen
class ErrorFacts:
    """Why there is no route."""

    enhanced: str
    text: str
    cause: CauseKind | None


@attrs.frozen
class OpinionFacts:
    """What one provider said of a host."""

    provider: str
    answer: str
    text: str


@attrs.frozen
class MatchedPolicy:
    """What a session satisfied."""

    policy: str
    what: str


@attrs.frozen
class ObservedPolicy:
    """What a policy that is only watched would have said."""

    policy: str
    ok: bool
    text: str
    mismatches: tuple[str, ...]
    name: Annotated[str, "of the certificate, where it is what matched"]
    cause: CauseKind | None


@attrs.frozen
class VerdictFacts:
    """What a session came to."""

    ok: bool
    by: str | None
    trusted: bool
    reason: str
    summary: str
    mismatches: tuple[str, ...]
    matched: tuple[MatchedPolicy, ...]
    failed: tuple[str, ...]
    observed: tuple[ObservedPolicy, ...]
    fell_through: tuple[str, ...]
    cause: Annotated[CauseKind | None, "of the first mismatch"]


@attrs.frozen
class GivenUpFacts:
    """What failed first and was given up."""

    policies: tuple[str, ...]
    summary: str
    mismatches: tuple[str, ...]


@attrs.frozen
class TriedAddress:
    """One address of a host."""

    address: str
    port: Count
    interface: str | None
    good: bool
    error: str | None
    tls: bool | str | None
    starttls_offered: bool | None
    protocol: str | None
    cipher: str | None
    group: str | None
    sni: str | None
    certificate: CertificateFacts | None
    verdict: VerdictFacts | None
    given_up: GivenUpFacts | None


@attrs.frozen
class CheckedHost:
    """One host that mail would go to."""

    name: str
    preference: Count
    port: Count
    expanded: str | None
    mx_secure: bool
    address_secure: bool | None
    addresses: tuple[str, ...]
    opinions: tuple[OpinionFacts, ...]
    usable: bool
    refusal: str | None
    demands: tuple[str, ...]
    tried: tuple[TriedAddress, ...]
    cause: Annotated[CauseKind | None, "of the refusal"]
    in_policy: bool | Absent = ABSENT


@attrs.frozen
class CachedPolicyFacts:
    """The policy in the cache."""

    id: str
    mode: str
    fetched: Time
    expires: Time
    text: str


@attrs.frozen
class PolicyFetch:
    """How the policy was fetched."""

    url: str
    proxy: str | None
    peer: str | None
    protocol: str | None
    cipher: str | None
    group: str | None
    certificate: CertificateFacts | None
    error: str
    fault: str
    body: str


@attrs.frozen
class PublishedPolicy:
    """The policy that the domain publishes."""

    mode: str
    mx: tuple[str, ...]
    max_age: Count
    text: str


@attrs.frozen
class STSFacts:
    """What is found of a domain's MTA-STS."""

    records: tuple[str, ...]
    ttl: int | None
    record_error: str | None
    dns_failed: bool
    id: str | None
    cached: CachedPolicyFacts | None
    fetch: PolicyFetch | None
    policy: PublishedPolicy | None
    policy_error: str | None


@attrs.frozen
class CheckAnswer:
    """All that a check saw."""

    kind: Annotated[str, DescribedAs(Literal["explain", "tls", "mta-sts", "dane"])]
    domain: str
    result: Result
    now: OutcomeNow
    profile: ProfileInForce
    route: RouteFacts | None
    error: ErrorFacts | None
    hosts: tuple[CheckedHost, ...]
    mta_sts: STSFacts | None
    advice: tuple[str, ...]
    not_applied: tuple[str, ...]
