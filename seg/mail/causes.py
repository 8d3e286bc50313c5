"""Why mail isn't delivered, or why a policy has nothing to say: a closed set of kinds, and one table of texts.

A cause is made where the decision is made and carried as it is; a text is made from it at the edge and never looked into.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from typing import Final


class CauseKind(enum.StrEnum):
    """Why a host wasn't used, or would not be if its policy were enforced; and what else is decided on (`by_policy` says which)."""

    # A host may not be contacted.
    MX_NOT_IN_POLICY = "mx-not-in-policy"
    RESOLVER_NOT_VALIDATING = "resolver-not-validating"
    RESOLVER_AWAY = "resolver-away"
    TLSA_LOOKUP_FAILED = "tlsa-lookup-failed"
    DANE_LOST = "dane-lost"
    DANE_UNUSABLE = "dane-unusable"
    GATEWAY_FAULT = "gateway-fault"
    PROVIDER_FAILED = "provider-failed"
    PROVIDER_REFUSED = "provider-refused"
    # A session doesn't satisfy.
    TLS_NOT_OFFERED = "tls-not-offered"
    TLS_FAILED = "tls-failed"
    TLS_VERSION_TOO_LOW = "tls-version-too-low"
    CERTIFICATE_MISSING = "certificate-missing"
    CERTIFICATE_NAME = "certificate-name"
    CERTIFICATE_EXPIRED = "certificate-expired"
    CERTIFICATE_NOT_YET_VALID = "certificate-not-yet-valid"
    CERTIFICATE_ISSUER = "certificate-issuer"
    CERTIFICATE_PURPOSE = "certificate-purpose"
    CERTIFICATE_WEAK = "certificate-weak"
    CERTIFICATE_OTHER = "certificate-other"
    TLSA_NO_MATCH = "tlsa-no-match"
    REQUIRETLS_UNVERIFIED = "requiretls-unverified"
    OTHER = "other"  # said by another version of the gateway
    # A policy isn't known, so that it has no say.
    STS_LOOKUP_FAILED = "sts-lookup-failed"
    STS_FETCH_FAILED = "sts-fetch-failed"
    # No host was found, or none lets us in.
    DNS_FAILED = "dns-failed"
    DNS_BOGUS = "dns-bogus"
    ROUTE_UNUSABLE = "route-unusable"
    AUTH_PROFILE = "auth-profile"

    @property
    def by_policy(self) -> bool:
        """Whether it is TLS policy that keeps mail from a host."""
        return self not in _NO_POLICY

    @property
    def enhanced(self) -> str:
        """The status that defers where a session doesn't satisfy (RFC 3463 §3.8: 4.7.4, security features; 4.7.5, cryptographic failure)."""
        return "4.7.4" if self in _NO_TLS else "4.7.5"

    @property
    def text(self) -> str:
        """What it means, in a few words."""
        return _WORDS[self][0]

    @property
    def remedy(self) -> str:
        """What the operator can do."""
        return _WORDS[self][1]


def cause_named(name: str) -> CauseKind:
    """The cause of this name, as a file has it; one that isn't known is OTHER."""
    try:
        return CauseKind(name)
    except ValueError:
        return CauseKind.OTHER


_NO_TLS: Final = frozenset({CauseKind.TLS_NOT_OFFERED, CauseKind.TLS_FAILED})
_NO_POLICY: Final = frozenset(
    {
        CauseKind.STS_LOOKUP_FAILED,
        CauseKind.STS_FETCH_FAILED,
        CauseKind.DNS_FAILED,
        CauseKind.DNS_BOGUS,
        CauseKind.ROUTE_UNUSABLE,
        CauseKind.AUTH_PROFILE,
    }
)
POLICY_CAUSES: Final = tuple(kind for kind in CauseKind if kind.by_policy)


class PolicyResult(enum.StrEnum):
    """What TLS policy came to at one host in one attempt."""

    VERIFIED = "verified"  # the server is who the policy wants
    TRUSTED = "trusted"  # by TLSA records below an insecure MX
    UNVERIFIED = "unverified"  # TLS, and nothing says whose
    CLEAR = "clear"
    REFUSED = "refused"  # nothing may be sent there
    NOT_REACHED = "not-reached"


_TELL: Final = "tell them; if mail can't wait, give the destination an exemption with an end and a reason"
_HERE: Final = "it is the gateway's own: see seg status --check, and the mail log"

_WORDS: Final[Mapping[CauseKind, tuple[str, str]]] = {
    CauseKind.MX_NOT_IN_POLICY: (
        "the MX isn't in the domain's MTA-STS policy",
        "their MX records and policy disagree, or somebody forges the MX answer: ask them before you do anything else",
    ),
    CauseKind.RESOLVER_NOT_VALIDATING: (
        "the resolver doesn't validate DNSSEC",
        "run a validating resolver on this host and name it in [dns] resolvers",
    ),
    CauseKind.RESOLVER_AWAY: (
        "the trusted resolvers are away",
        "see seg dnsstatus; mend the resolvers of [dns] resolvers",
    ),
    CauseKind.TLSA_LOOKUP_FAILED: (
        "TLSA records can't be looked up",
        f"their DNS is broken, or somebody drops the answers: {_TELL}",
    ),
    CauseKind.DANE_LOST: (
        "what had DANE lately can't be shown to have none",
        "see seg dnsstatus and seg daneverify; it ends when the DNS answers are validated again, or with the records' TTL",
    ),
    CauseKind.DANE_UNUSABLE: (
        "DANE is mandatory and the host has none that can be used",
        'ask them to publish TLSA records, or set dane = "opportunistic" for the destination',
    ),
    CauseKind.GATEWAY_FAULT: ("the gateway lacks something of its own", _HERE),
    CauseKind.PROVIDER_FAILED: ("a TLS policy provider failed", _HERE),
    CauseKind.PROVIDER_REFUSED: ("a TLS policy provider forbids the host", "ask whoever runs that provider"),
    CauseKind.TLS_NOT_OFFERED: (
        "the host doesn't offer STARTTLS",
        f"try from another network, as a device on the way may strip it; if it is theirs, {_TELL}",
    ),
    CauseKind.TLS_FAILED: ("TLS doesn't come about", f"seg tlsverify says why; if it is theirs, {_TELL}"),
    CauseKind.TLS_VERSION_TOO_LOW: ("the version of TLS is too low", _TELL),
    CauseKind.CERTIFICATE_MISSING: ("the host shows no certificate", _TELL),
    CauseKind.CERTIFICATE_NAME: (
        "the certificate is for other names",
        f'where a hoster\'s certificates name the host, tls = "required-verify-hosted" fits; else {_TELL}',
    ),
    CauseKind.CERTIFICATE_EXPIRED: ("a certificate has expired", _TELL),
    CauseKind.CERTIFICATE_NOT_YET_VALID: (
        "a certificate isn't valid yet",
        f"see whether this host's clock is right; else {_TELL}",
    ),
    CauseKind.CERTIFICATE_ISSUER: (
        "the certificate leads to no trusted root",
        f"if you trust the issuer, add its root to [tls] extra_ca_file; else {_TELL}",
    ),
    CauseKind.CERTIFICATE_PURPOSE: ("the certificate isn't for servers", _TELL),
    CauseKind.CERTIFICATE_WEAK: ("a key or signature of the certificates is too weak", _TELL),
    CauseKind.CERTIFICATE_OTHER: ("the certificate can't be accepted", f"seg tlsverify says why: {_TELL}"),
    CauseKind.TLSA_NO_MATCH: (
        "no TLSA record matches the certificate",
        f"mostly a certificate renewed without its record, at worst somebody in between: {_TELL}",
    ),
    CauseKind.REQUIRETLS_UNVERIFIED: (
        "the sender demands a verified server (REQUIRETLS), and nothing verifies this one",
        "nothing here: the sender can send it without REQUIRETLS",
    ),
    CauseKind.OTHER: ("another cause", "seg queue why says more"),
    CauseKind.STS_LOOKUP_FAILED: (
        "the MTA-STS record can't be looked up",
        "see seg dnsstatus; until it can be, a cached policy counts, and else none",
    ),
    CauseKind.STS_FETCH_FAILED: (
        "the MTA-STS policy can't be fetched, so it protects nothing",
        "seg stsverify says why; if it is theirs, tell them",
    ),
    CauseKind.DNS_FAILED: (
        "the DNS gives no usable answer",
        "see seg dnsstatus; if other domains fail too, look at [dns] resolvers; if not, it is theirs: tell them",
    ),
    CauseKind.DNS_BOGUS: (
        "an answer of the DNS is forged, or its DNSSEC broken",
        "delv shows what is wrong: tell them",
    ),
    CauseKind.ROUTE_UNUSABLE: (
        "the SMTP route leads to no host",
        "see the route in destinations.toml, and the DNS entry of its host",
    ),
    CauseKind.AUTH_PROFILE: (
        "the next hop doesn't let us in by the AUTH profile",
        "mend the AUTH profile (seg authconfig), then seg delivernow",
    ),
}
