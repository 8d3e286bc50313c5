"""Lines of TLS policy: MTA-STS, DANE, routes, and the explanation at the end of each attempt."""

from __future__ import annotations

import re

from seg.events.delivery import (
    ExemptionEnded,
    ExemptionInForce,
    ExemptionOver,
    ExemptionUsed,
    PolicyExplained,
    PolicyObserved,
    RouteUsed,
    TLSAlert,
)
from seg.events.policy import (
    DANEMX,
    DANEAddress,
    DANEFailed,
    DANERecord,
    DANESucceeded,
    DANETried,
    DANEWeakened,
    STSApplied,
    STSCacheHit,
    STSFailed,
    STSFetchFailed,
    STSFetchStarted,
    STSPolicyFetched,
    STSPolicyWithdrawn,
    STSRecordFailed,
    STSRecordFound,
    STSRecordInvalid,
    STSSucceeded,
)
from seg.mail.causes import PolicyResult
from seg.maillog.log_table import Level, LogEntry, LogLine, entry, plain

DEBUG, INFO, WARNING = Level.DEBUG, Level.INFO, Level.WARNING

_TIME_OUT = re.compile(r"time[d]?[ -]?out", re.IGNORECASE)
NOT_ENFORCED = " (not enforced: delivery goes on)"
_SHOWN_AS = {"static": "tls"}  # the static provider is the profile's tls option


def _explained(event: PolicyExplained) -> tuple[LogLine, ...]:
    opinions = " ".join(f"{_SHOWN_AS.get(name, name)}={said}" for name, said in event.opinions)
    text = f"MID {event.mid} TLS policy for {event.domain} via {event.host}: {opinions} -> {event.outcome}"
    return ((INFO, text),)


def _fetch_started(event: STSFetchStarted) -> tuple[LogLine, ...]:
    line = (DEBUG, f"Fetch MTA-STS policy for the domain({event.domain})")
    if not event.proxy:
        return (line,)
    return (
        line,
        (DEBUG, f"Requesting MTA-STS policy fetch via proxy {event.proxy} for the domain({event.domain})"),
    )


def _fetch_failed(event: STSFetchFailed) -> tuple[LogLine, ...]:
    via = f" via proxy {event.proxy}" if event.proxy else ""
    rest = f"the cached policy {event.kept} stays in force" if event.kept else "no policy is in force"
    text = (
        f"Failure encountered while fetching MTA-STS policy for the domain({event.domain}): "
        f"{event.cause} ({event.url}{via}); {rest}"
    )
    if not _TIME_OUT.search(event.cause):
        return ((INFO, text),)
    why = "Request to fetch the STS policy failed because of a connection timeout."
    return ((DEBUG, f"{why}, for the domain {event.domain}"), (INFO, text))


def _applied(event: STSApplied) -> tuple[LogLine, ...]:
    mode = "" if event.mode in ("", "enforce") else f", mode {event.mode}"
    return ((INFO, f"Applying MTA-STS policy for the domain ({event.domain}){mode}"),)


def _failed(event: STSFailed) -> tuple[LogLine, ...]:
    rest = "" if event.enforced else NOT_ENFORCED
    text = f"MTA-STS policy for the domain ({event.domain}) Failed. {event.host}: {event.text}{rest}"
    return ((INFO, text),)


def _address(event: DANEAddress) -> tuple[LogLine, ...]:
    kind = "AAAA" if ":" in event.address else "A"
    text = f"{event.status} {kind} record ({event.address}) found for MX({event.host}) in {event.domain}"
    return ((DEBUG, text),)


def _record(event: DANERecord) -> tuple[LogLine, ...]:
    rest = f": {event.text}" if event.text else ""
    return ((DEBUG, f"{event.status} TLSA record found for MX({event.host}) in {event.domain}{rest}"),)


def _dane_succeeded(event: DANESucceeded) -> tuple[LogLine, ...]:
    return (
        (DEBUG, f"Certificate verification successful for MX({event.host}) in {event.domain}"),
        (INFO, f"DANE SUCCESS for {event.domain}{' (Trusted)' if event.trusted else ''}"),
    )


def _dane_failed(event: DANEFailed) -> tuple[LogLine, ...]:
    rest = "" if event.enforced else NOT_ENFORCED
    return ((INFO, f"DANE FAILED for {event.domain}: {event.host}: {event.text}{rest}"),)


def _observed(event: PolicyObserved) -> tuple[LogLine, ...]:
    outcome = "passed" if event.ok else "failed"
    text = f"TLS policy {event.provider} for {event.domain} via {event.host} only observed: {outcome}: {event.text}"
    return ((INFO, text),)


def _weakened(event: DANEWeakened) -> tuple[LogLine, ...]:
    text = (
        f"DANE FAILED for {event.domain}: {event.host}: {event.text}; going on without DANE "
        f"(dane_opportunistic_failure = fall-through)"
    )
    return ((WARNING, text),)


_MX = "mx1.mail123.domain.com"
_URL = "https://mta-sts.domain.com/.well-known/mta-sts.txt"

ENTRIES: tuple[LogEntry, ...] = (
    entry(
        _explained,
        PolicyExplained(
            5444,
            "domain.com",
            _MX,
            (
                ("dane", "none(insecure MX)"),
                ("mta-sts", "enforce(id 12345678598Z, cached)"),
                ("static", "required-verify-hosted"),
            ),
            "TLSv1.3 verified by mta-sts",
            PolicyResult.VERIFIED,
            "mta-sts",
        ),
        "At the end of each attempt on a host: what each policy said, and what came of it.",
        (INFO, "MID {mid} TLS policy for {domain} via {host}: {provider}={its word} ... -> {outcome}"),
    ),
    entry(
        _observed,
        PolicyObserved("domain.com", _MX, "mta-sts", False, "peer cert does not match domain domain.com"),
        "How a session fared against a policy that wasn't enforced: mode testing, monitor mode, an exemption, TLS option 4.",
        (INFO, "TLS policy {provider} for {domain} via {host} only observed: {passed or failed}: {text}"),
    ),
    plain(
        WARNING,
        "TLS alert: required TLS for {domain} fails at {host}: {text} ({since} more failures since the last alert)",
        TLSAlert("domain.com", _MX, "peer cert does not match domain domain.com", 12),
        "Where the destination's tls_alert is on, at most once an hour; the postmaster gets a message too.",
    ),
    plain(
        WARNING,
        "Exemption of {domain} until {end} ({reason}) lets a delivery via {host} pass that {provider} would have stopped: {text}",
        ExemptionUsed(
            "domain.com", _MX, "mta-sts", "certificate expired on 2026-11-01", "2026-12-31 00:00 UTC", "ticket 4711"
        ),
        "A delivery goes on against a policy, because the profile's exemption says so.",
    ),
    plain(
        INFO,
        "Exemption of {destination} is in force until {end}: {reason}",
        ExemptionInForce("domain.com", "2026-12-31 00:00 UTC", "ticket 4711"),
        "At the start: DANE and MTA-STS aren't enforced for the destination until then.",
    ),
    plain(
        INFO,
        "Exemption of {destination} has ended ({end}): DANE and MTA-STS are enforced again; its reason was: {reason}",
        ExemptionEnded("domain.com", "2026-12-31 00:00 UTC", "ticket 4711"),
        "An exemption has removed itself.",
    ),
    plain(
        WARNING,
        "Exemption of {destination} ended on {end} and has no effect; delete it from destinations.toml (its reason was: {reason})",
        ExemptionOver("domain.com", "2026-12-31 00:00 UTC", "ticket 4711"),
        "At the start: a leftover in the configuration.",
    ),
    plain(
        INFO,
        "MID {mid} DANE and MTA-STS not applied: SMTP route {route} for domain {domain}",
        RouteUsed(5444, "domain.com", "relay.example.net:587"),
        "An SMTP route takes the place of the MX, of which those policies speak.",
    ),
    plain(
        INFO,
        "Successfully fetched MTA-STS TXT record for domain({domain})",
        STSRecordFound("domain.com", "12345678598Z"),
        "The domain has an MTA-STS record.",
    ),
    plain(
        WARNING,
        "MTA-STS TXT record for domain({domain}) could not be looked up: {text}",
        STSRecordFailed("domain.com", "DNS ServFail looking up _mta-sts.domain.com (TXT)"),
        "The DNS gave no answer (RFC 8461 §3.3): a cached policy stays in force.",
    ),
    plain(
        INFO,
        "Invalid MTA-STS TXT record for domain({domain}): {text}",
        STSRecordInvalid("domain.com", "no id"),
        "The record can't be used: a cached policy stays in force, else there is none.",
    ),
    plain(
        DEBUG,
        "Valid cache entry found for the domain ({domain}).",
        STSCacheHit("domain.com"),
        "The cached policy has the id of the record.",
    ),
    entry(
        _fetch_started,
        STSFetchStarted("domain.com", "http://proxy.example.net:3128"),
        "The policy is being fetched, through a proxy if one is set.",
        (DEBUG, "Fetch MTA-STS policy for the domain({domain})"),
        (DEBUG, "Requesting MTA-STS policy fetch via proxy {proxy} for the domain({domain})"),
    ),
    entry(
        _fetch_failed,
        STSFetchFailed("domain.com", _URL, "connection timed out", "http://proxy.example.net:3128"),
        "The policy couldn't be fetched or read: the cause, the URL, the proxy, and which policy "
        "holds now. The Debug "
        "line comes with a time-out.",
        (
            DEBUG,
            "Request to fetch the STS policy failed because of a connection timeout., for the domain {domain}",
        ),
        (
            INFO,
            "Failure encountered while fetching MTA-STS policy for the domain({domain}): {cause} "
            "({url} via proxy "
            "{proxy}); {the cached policy {id} stays in force, or no policy is in force}",
        ),
    ),
    plain(
        INFO,
        "Fetched MTA-STS policy for the domain({domain}): id {policy_id} mode {mode} max_age {max_age}",
        STSPolicyFetched("domain.com", "12345678598Z", "enforce", 604800),
        "A new policy is in the cache.",
    ),
    plain(
        WARNING,
        "MTA-STS policy for the domain ({domain}) was withdrawn: enforce became none (id {policy_id})",
        STSPolicyWithdrawn("domain.com", "12345678599Z"),
        "Right if the domain's owner wants it so; worth a question if the domain matters to you.",
    ),
    entry(
        _applied,
        STSApplied("domain.com", "testing"),
        "A policy applies to this delivery; its mode is told unless it is enforce.",
        (INFO, "Applying MTA-STS policy for the domain ({domain}), mode {mode}"),
    ),
    plain(
        INFO,
        "MTA-STS policy for the domain ({domain}) Successful.",
        STSSucceeded("domain.com"),
        "The host is in the policy and its certificate is valid for it.",
    ),
    entry(
        _failed,
        STSFailed("domain.com", _MX, "MX not in policy"),
        "The policy isn't satisfied by this host: it isn't used (mode enforce), or delivery goes on (mode testing).",
        (INFO, "MTA-STS policy for the domain ({domain}) Failed. {host}: {reason}"),
    ),
    plain(
        DEBUG,
        "Trying DANE {mode} for {domain}",
        DANETried("domain.com", "OPPORTUNISTIC"),
        "DANE is looked at: OPPORTUNISTIC or MANDATORY.",
    ),
    plain(
        DEBUG,
        "{status} MX record({host}) found for {domain}",
        DANEMX("domain.com", _MX, "SECURE"),
        "Whether the MX answer was signed: SECURE, INSECURE or BOGUS.",
    ),
    entry(
        _address,
        DANEAddress("domain.com", _MX, "10.1.1.3", "SECURE"),
        "Whether the address was signed.",
        (DEBUG, "{status} {A or AAAA} record ({address}) found for MX({host}) in {domain}"),
    ),
    entry(
        _record,
        DANERecord("domain.com", _MX, "SECURE", "3 1 1"),
        "What was found at the host's TLSA name.",
        (DEBUG, "{status} TLSA record found for MX({host}) in {domain}: {records}"),
    ),
    entry(
        _dane_succeeded,
        DANESucceeded("domain.com", _MX, True),
        "The host's certificate is the one that its TLSA record names; (Trusted) below an MX that isn't signed.",
        (DEBUG, "Certificate verification successful for MX({host}) in {domain}"),
        (INFO, "DANE SUCCESS for {domain} (Trusted)"),
    ),
    entry(
        _dane_failed,
        DANEFailed("domain.com", _MX, "certificate doesn't match TLSA 3 1 1"),
        "The host can't be used: its certificate or its TLSA lookup failed, or DANE is mandatory and isn't there. "
        "In monitor mode or under an exemption delivery goes on, and the line says so.",
        (INFO, "DANE FAILED for {domain}: {host}: {text}"),
    ),
    entry(
        _weakened,
        DANEWeakened("domain.com", _MX, "certificate doesn't match TLSA 3 1 1"),
        "A delivery goes on against RFC 7672, because the profile says so.",
        (
            WARNING,
            "DANE FAILED for {domain}: {host}: {reason}; going on without DANE "
            "(dane_opportunistic_failure = fall-through)",
        ),
    ),
)
