"""Destination control profiles and SMTP routes: ``etc/destinations.toml``.

A profile says for one destination how mail is sent; what it leaves out is inherited live from the Default
profile. A destination is found by its exact name first, then by the longest ``.suffix`` entry, else it is
Default's.
"""

# `key` makes a field, as attrs.field does; the linter can't know it.
# ruff: noqa: RUF009

from __future__ import annotations

import enum
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import lru_cache, partial
from typing import Any

import attrs

from seg.config.key import key
from seg.config.schema import QueueSettings
from seg.mail.hosts import PLAIN_SMTP, TransportOptions

MOST_KEPT = 10_000  # domains whose profile is kept at hand


class TLSOption(enum.IntEnum):
    """TLS support 1 to 6 of the profile."""

    NO = 1
    PREFERRED = 2
    REQUIRED = 3
    PREFERRED_VERIFY = 4
    REQUIRED_VERIFY = 5
    REQUIRED_VERIFY_HOSTED = 6

    @property
    def label(self) -> str:
        """The word in files and logs: ``required-verify-hosted``."""
        return self.name.lower().replace("_", "-")


class DANEMode(enum.StrEnum):
    """DANE support of the profile."""

    NONE = "none"
    OPPORTUNISTIC = "opportunistic"
    MANDATORY = "mandatory"
    MONITOR = "monitor"  # as opportunistic, but nothing is enforced: what would have failed is logged and counted


class STSMode(enum.StrEnum):
    """MTA-STS support of the profile."""

    OFF = "off"
    ON = "on"
    MONITOR = "monitor"  # nothing is enforced: what would have failed is logged and counted


class DANEFailure(enum.StrEnum):
    """What a failing DANE check does in opportunistic mode."""

    DEFER = "defer"  # RFC 7672 §2.2
    FALL_THROUGH = "fall-through"  # go on with MTA-STS and the TLS option, with a Warning each time


class LimitPer(enum.StrEnum):
    """What the limits of the profile hold for."""

    DOMAIN = "domain"  # each domain by itself
    ADDRESS = "address"  # each IP address of an MX host, whatever domains it serves


class IPPreference(enum.StrEnum):
    """Which family of addresses is tried."""

    IPV6_PREFERRED = "ipv6-preferred"
    IPV6_REQUIRED = "ipv6-required"
    IPV4_PREFERRED = "ipv4-preferred"
    IPV4_REQUIRED = "ipv4-required"


@attrs.frozen
class Exemption:
    """For a while nothing that DANE or MTA-STS says of a destination is enforced; then it is again, by itself."""

    until: float  # POSIX seconds
    reason: str  # one line, for whoever comes upon it later

    @property
    def end(self) -> str:
        """When it ends, for people: ``2026-12-31 00:00 UTC``."""
        return f"{datetime.fromtimestamp(self.until, UTC):%Y-%m-%d %H:%M} UTC"

    def __str__(self) -> str:
        return f"exempt until {self.end}: {self.reason}"


@attrs.frozen
class Profile:
    """How mail is sent to one destination."""

    name: str = "Default"
    tls: TLSOption = key(
        TLSOption.PREFERRED,
        "TLS support: no, preferred, required, preferred-verify, required-verify, required-verify-hosted",
    )
    dane: DANEMode = key(
        DANEMode.OPPORTUNISTIC, "DANE support: none, opportunistic, mandatory, monitor (log failures, enforce nothing)"
    )
    mta_sts: STSMode = key(STSMode.ON, "MTA-STS support: off, on, monitor (log failures, enforce nothing)")
    dane_opportunistic_failure: DANEFailure = key(
        DANEFailure.DEFER,
        "When usable TLSA records don't match: defer (RFC 7672), or fall-through to the next policy, with a Warning",
    )
    ip_preference: IPPreference = key(
        IPPreference.IPV6_PREFERRED,
        "Addresses of MX hosts: ipv6-preferred, ipv6-required, ipv4-preferred, ipv4-required",
    )
    concurrent_connections: int = key(500, "Most connections to the destination at a time", low=1, high=1000)
    messages_per_connection: int = key(
        50, "Messages sent on one connection before a new one is opened", low=1, high=1000
    )
    recipient_limit: int = key(0, "Most recipients begun in recipient_minutes; 0: no limit", low=0, high=1_000_000_000)
    recipient_minutes: int = key(60, "Minutes over which recipients are counted", low=1, high=60)
    limit_per: LimitPer = key(
        LimitPer.DOMAIN,
        "What concurrent_connections and recipient_limit hold for: domain (each by itself), "
        "or address (each IP address of its MX hosts, counted over all domains there)",
    )
    source_address: str = key("", "Local IPv4 address to send from; empty: that of [delivery]")
    source_address6: str = key("", "Local IPv6 address to send from; empty: that of [delivery]")
    ehlo_name: str = key("", "Name in EHLO; empty: the gateway's")
    bounce_profile: str = key("", 'Bounce profile, a [bounce_profile."name"] of this file; empty: [queue] of seg.toml')
    tls_alert: bool = key(
        False,
        "Tell the postmaster, at most once an hour for a destination, when TLS that is required there fails",
    )
    certificate: str = key(
        "",
        "PEM file of the certificate (and its intermediates) shown to servers that ask for one; read again when it changes; "
        "empty: none is shown",
    )
    # The last one: it hides the function.
    key: str = key("", "PEM file with its private key; empty: in the certificate file")
    exemption: Exemption | None = None  # of this destination alone, never inherited

    def at(self, now: float) -> Profile:
        """The profile in force: without an exemption that has ended by `now` (POSIX seconds)."""
        if self.exemption is None or now < self.exemption.until:
            return self
        return attrs.evolve(self, exemption=None)

    @property
    def relaxes(self) -> bool:
        """Whether `relaxation` says anything of any provider."""
        return self.exemption is not None or self.dane is DANEMode.MONITOR or self.mta_sts is STSMode.MONITOR

    def relaxation(self, provider: str) -> str:
        """Why a policy provider (by its name) is only heard and not obeyed: "monitor", "exempt", or "" when it is obeyed.

        The operator's own TLS option ("static") always holds: to relax it, change it.
        """
        if self.exemption is not None and provider != "static":
            return "exempt"
        monitored = (provider == "dane" and self.dane is DANEMode.MONITOR) or (
            provider == "mta-sts" and self.mta_sts is STSMode.MONITOR
        )
        return "monitor" if monitored else ""


@attrs.frozen
class AuthProfile:
    """Who we are to a next hop that wants AUTH (RFC 4954)."""

    name: str = ""
    username: str = key("", "User name")
    password: str = key("", "Password", secret=True)
    password_file: str = key("", "File with the password in its first line, instead of password; read at each login")
    mechanisms: tuple[str, ...] = key(
        (), "SASL mechanisms allowed, of SCRAM-SHA-256, PLAIN, LOGIN; empty: the best one that the server offers"
    )
    unverified: bool = key(
        False, "Authenticate to a server whose certificate nothing verified; never without TLS, whatever this says"
    )


@attrs.frozen
class NextHop:
    """One host of an SMTP route."""

    host: str  # host name, IP address, or unix:/path
    port: int = 25
    preference: int = 0
    use_mx: bool = False  # look the host's MX up; else its addresses only


@attrs.frozen
class SMTPRoute:
    """The operator's next hops for a domain."""

    pattern: str  # "example.com", ".example.com" or "ALL"
    hops: tuple[NextHop, ...] = ()
    use_dns: bool = False  # USEDNS: no route for this name, whatever a wider entry says
    discard: bool = False  # /dev/null: accepted, and nobody gets it
    manner: TransportOptions = PLAIN_SMTP  # how the hops are spoken to


def _find(table: Mapping[str, object], domain: str) -> object | None:
    """The entry for a domain: exact name, then the longest ``.suffix``."""
    found = table.get(domain)
    while found is None and domain:
        _, dot, domain = domain.partition(".")
        found = table.get("." + domain) if dot else None
    return found


def _profile(profiles: Mapping[str, Profile], default: Profile, domain: str) -> Profile:
    found = _find(profiles, domain)
    return found if isinstance(found, Profile) else default


@attrs.frozen
class Destinations:
    """All profiles and routes. Keys are A-labels in lower case; look up with `profile` and `route`."""

    default: Profile = attrs.field(factory=Profile)
    profiles: Mapping[str, Profile] = attrs.field(factory=dict)
    routes: Mapping[str, SMTPRoute] = attrs.field(factory=dict)
    auth_profiles: Mapping[str, AuthProfile] = attrs.field(factory=dict)
    bounce_profiles: Mapping[str, Mapping[str, Any]] = attrs.field(factory=dict)  # name -> keys of [queue] that it sets
    stated: Mapping[str, frozenset[str]] = attrs.field(
        factory=dict, eq=False
    )  # keys that each entry ("Default") sets itself
    # The profile that applies to a domain. A message asks a dozen times for the same one.
    profile: Callable[[str], Profile] = attrs.field(init=False, repr=False, eq=False)

    @profile.default
    def _profiles(self) -> Callable[[str], Profile]:
        return lru_cache(MOST_KEPT)(partial(_profile, self.profiles, self.default))

    def bounce(self, domain: str, general: QueueSettings, listener: str = "") -> QueueSettings:
        """The retry schedule of a domain: `general`, with what its bounce profile says otherwise, else that of the listener (its name)."""
        values = self.bounce_profiles.get(self.profile(domain).bounce_profile or listener)
        return attrs.evolve(general, **values) if values else general

    def certificates(self) -> frozenset[tuple[str, str]]:
        """The files (certificate, key) of all that we show to other servers."""
        profiles = (self.default, *self.profiles.values())
        return frozenset((profile.certificate, profile.key) for profile in profiles if profile.certificate)

    def report_languages(self) -> tuple[str, ...]:
        """All that reports are written in for some destination, beside those of all."""
        return tuple(name for values in self.bounce_profiles.values() for name in values.get("report_languages", ()))

    def exemptions(self) -> tuple[tuple[str, Exemption], ...]:
        """The destinations that have an exemption, ended ones too, with it."""
        return tuple((pattern, p.exemption) for pattern, p in self.profiles.items() if p.exemption is not None)

    def exemptions_in_force(self, now: float) -> int:
        """How many destinations are exempt at a time in POSIX seconds."""
        return sum(now < exemption.until for _, exemption in self.exemptions())

    def route(self, domain: str) -> SMTPRoute | None:
        """The SMTP route for a domain, or None when its MX decides (also for USEDNS)."""
        found = _find(self.routes, domain) or self.routes.get("ALL")
        return found if isinstance(found, SMTPRoute) and not found.use_dns else None
