"""What a check saw as one JSON document: the form that the admin API gives and ``--json`` shows (docs/checks.md)."""

from __future__ import annotations

from seg.check.advice import advice
from seg.check.answer import (
    CachedPolicyFacts,
    CheckAnswer,
    CheckedHost,
    ErrorFacts,
    GivenUpFacts,
    MatchedPolicy,
    ObservedPolicy,
    OpinionFacts,
    OutcomeNow,
    PolicyFetch,
    ProfileInForce,
    PublishedPolicy,
    RouteFacts,
    STSFacts,
    TriedAddress,
    VerdictFacts,
)
from seg.check.outcome import Result
from seg.check.report import AddressReport, CheckReport, HostReport, certificate_of
from seg.common.json_schema import ABSENT
from seg.config.values import word
from seg.mail.outcome import Delayed, Delivered
from seg.policy.dane.authenticator import DANEAuthenticator
from seg.policy.judge import Verdict
from seg.policy.mtasts.answer import FetchTrace
from seg.policy.mtasts.entry import CachedPolicy
from seg.policy.mtasts.errors import FetchError
from seg.policy.mtasts.inspection import STSInspection
from seg.policy.mtasts.match import in_policy
from seg.policy.requirement import Decision, Requirement
from seg.tls.webpki import WebPKI


def document(kind: str, result: Result, report: CheckReport) -> CheckAnswer:
    """The whole document."""
    return CheckAnswer(
        kind=kind,
        domain=report.domain,
        result=result,
        now=_now(report),
        profile=_profile(report),
        route=_route(report),
        error=None
        if report.error is None
        else ErrorFacts(report.error.enhanced, report.error.text, report.error.cause),
        hosts=tuple(_host(host, report.sts) for host in report.hosts),
        mta_sts=None if report.sts is None else _sts(report.sts),
        advice=tuple(advice(report)),
        not_applied=report.not_applied,
    )


def _now(report: CheckReport) -> OutcomeNow:
    """What would happen to a message now."""
    outcome = report.outcome
    if isinstance(outcome, Delivered):
        return OutcomeNow("delivered", report.host, outcome.reply, "")
    return OutcomeNow(
        "deferred" if isinstance(outcome, Delayed) else "bounced", "", outcome.error.told, outcome.error.enhanced
    )


def _profile(report: CheckReport) -> ProfileInForce:
    profile = report.profile
    return ProfileInForce(
        entry=profile.name,
        tls=word(profile.tls),
        dane=word(profile.dane),
        mta_sts=word(profile.mta_sts),
        dane_opportunistic_failure=word(profile.dane_opportunistic_failure),
        exemption=None if profile.exemption is None else str(profile.exemption),
    )


def _route(report: CheckReport) -> RouteFacts | None:
    route = report.route
    return None if route is None else RouteFacts(route.kind.value, route.secure, route.canonical)


def _host(report: HostReport, look: STSInspection | None) -> CheckedHost:
    host, decision = report.host, report.decision
    return CheckedHost(
        name=host.name,
        preference=host.preference,
        port=host.port,
        expanded=host.expanded,
        mx_secure=host.mx_secure,
        address_secure=host.address_secure,
        addresses=tuple(str(address) for address in host.addresses),
        opinions=tuple(
            OpinionFacts(each.provider, type(each.answer).__name__.lower(), each.text) for each in decision.opinions
        ),
        usable=decision.usable,
        refusal=decision.refusal,
        demands=tuple(demands(decision.requirement)) if decision.usable else (),
        tried=tuple(_address(address) for address in report.addresses),
        cause=decision.cause,
        in_policy=in_policy(host.name, look.policy.mx) if look is not None and look.policy is not None else ABSENT,
    )


def demands(requirement: Requirement) -> list[str]:
    """A requirement in words, for people."""
    found = [
        {0: "clear text", 1: "TLS if offered", 2: f"TLS, {requirement.min_version.label} or newer"}[requirement.tls]
    ]
    for authenticator in requirement.authenticators:
        if isinstance(authenticator, WebPKI):
            found.append(f"certificate for {' or '.join(authenticator.names)} ({authenticator.source})")
        elif isinstance(authenticator, DANEAuthenticator):
            labels = ", ".join(dict.fromkeys(record.label for record in authenticator.records))
            found.append(f"certificate that matches TLSA {labels} of {authenticator.base} ({authenticator.source})")
        else:
            found.append(f"what {authenticator.source} wants")
    return found


def _address(report: AddressReport) -> TriedAddress:
    facts = report.facts
    return TriedAddress(
        address=report.address,
        port=report.port,
        interface=report.interface,
        good=report.good,
        error=report.error,
        tls=facts.tls,
        starttls_offered=facts.starttls_offered,
        protocol=facts.version,
        cipher=facts.cipher,
        group=facts.group,
        sni=facts.sni,
        certificate=certificate_of(facts.peer),
        verdict=None if report.verdict is None else _verdict(report.verdict, report.decision),
        given_up=None if report.given_up is None else _given_up(report.given_up),
    )


def _given_up(verdict: Verdict) -> GivenUpFacts:
    return GivenUpFacts(tuple(verdict.failed), verdict.summary, tuple(verdict.mismatches))


def _verdict(verdict: Verdict, decision: Decision) -> VerdictFacts:
    return VerdictFacts(
        ok=verdict.ok,
        by=verdict.by,
        trusted=verdict.trusted,
        reason=verdict.reason,
        summary=verdict.summary,
        mismatches=tuple(verdict.mismatches),
        matched=tuple(MatchedPolicy(who, what) for who, what in verdict.matched),
        failed=tuple(verdict.failed),
        observed=tuple(
            ObservedPolicy(o.provider, o.ok, o.text, tuple(o.details), o.name, o.cause) for o in verdict.observed
        ),
        fell_through=tuple(decision.fall_through),
        cause=verdict.cause,
    )


def _sts(look: STSInspection) -> STSFacts:
    cached, policy = look.cached, look.policy
    return STSFacts(
        records=tuple(look.records),
        ttl=look.ttl,
        record_error=look.record_error,
        dns_failed=look.record_failed,
        id=look.policy_id,
        cached=None if cached is None else _cached(cached),
        fetch=None if look.fetch is None else _fetch(look.fetch, look.fetch_error),
        policy=None
        if policy is None
        else PublishedPolicy(policy.mode.value, tuple(policy.mx), policy.max_age, _published(look)),
        policy_error=look.policy_error,
    )


def _cached(entry: CachedPolicy) -> CachedPolicyFacts:
    policy = entry.policy
    return CachedPolicyFacts(entry.policy_id, policy.mode.value, entry.fetched, entry.expires, policy.text)


def _published(look: STSInspection) -> str:
    """The policy as it came."""
    return look.fetch.body.decode("utf-8", "replace") if look.fetch else ""


def _fetch(look: FetchTrace, error: FetchError | None) -> PolicyFetch:
    return PolicyFetch(
        url=look.url,
        proxy=look.proxy,
        peer=look.address,
        protocol=look.facts.version,
        cipher=look.facts.cipher,
        group=look.facts.group,
        certificate=certificate_of(look.facts.peer),
        error="" if error is None else error.cause,
        fault="" if error is None else error.fault.value,
        body=look.body.decode("utf-8", "replace") if error is None else "",
    )
