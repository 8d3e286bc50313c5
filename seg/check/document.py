"""What a check saw as one JSON document: the form that the admin API gives and ``--json`` shows (docs/checks.md)."""

from __future__ import annotations

from typing import Any

import attrs

from seg.check.advice import advice
from seg.check.outcome import Result
from seg.check.report import AddressReport, CheckReport, HostReport, certificate_of
from seg.config.values import word
from seg.mail.outcome import Bounced, Delayed, Delivered
from seg.policy.dane.authenticator import DANEAuthenticator
from seg.policy.judge import Verdict
from seg.policy.mtasts.answer import FetchTrace
from seg.policy.mtasts.errors import FetchError
from seg.policy.mtasts.inspection import STSInspection
from seg.policy.mtasts.match import in_policy
from seg.policy.requirement import Decision, Requirement
from seg.tls.webpki import WebPKI


def document(kind: str, result: Result, report: CheckReport) -> dict[str, Any]:
    """The whole document."""
    return {
        "kind": kind,
        "domain": report.domain,
        "result": result.value,
        "now": _now(report),
        "profile": _profile(report),
        "route": _route(report),
        "error": None if report.error is None else {"enhanced": report.error.enhanced, "text": report.error.text},
        "hosts": [_host(host, report.sts) for host in report.hosts],
        "mta_sts": None if report.sts is None else _sts(report.sts),
        "not_applied": list(report.not_applied),
        "advice": list(advice(report)),
    }


def _now(report: CheckReport) -> dict[str, Any]:
    """What would happen to a message now."""
    outcome = report.outcome
    if isinstance(outcome, Delivered):
        return {"outcome": "delivered", "host": report.host, "text": outcome.reply, "enhanced": ""}
    what = {Delayed: "deferred", Bounced: "bounced"}[type(outcome)]
    return {"outcome": what, "host": "", "text": outcome.error.text, "enhanced": outcome.error.enhanced}


def _profile(report: CheckReport) -> dict[str, Any]:
    profile = report.profile
    return {
        "entry": profile.name,
        "tls": word(profile.tls),
        "dane": word(profile.dane),
        "mta_sts": word(profile.mta_sts),
        "dane_opportunistic_failure": word(profile.dane_opportunistic_failure),
        "exemption": None if profile.exemption is None else str(profile.exemption),
    }


def _route(report: CheckReport) -> dict[str, Any] | None:
    route = report.route
    if route is None:
        return None
    return {"kind": route.kind.value, "secure": route.secure, "canonical": route.canonical}


def _host(report: HostReport, look: STSInspection | None) -> dict[str, Any]:
    host, decision = report.host, report.decision
    facts: dict[str, Any] = {
        "name": host.name,
        "preference": host.preference,
        "port": host.port,
        "expanded": host.expanded,
        "mx_secure": host.mx_secure,
        "address_secure": host.address_secure,
        "addresses": [str(address) for address in host.addresses],
        "opinions": [_opinion(opinion.provider, opinion.answer, opinion.text) for opinion in decision.opinions],
        "usable": decision.usable,
        "refusal": decision.refusal,
        "demands": demands(decision.requirement) if decision.usable else [],
        "tried": [_address(address) for address in report.addresses],
    }
    if look is not None and look.policy is not None:
        facts["in_policy"] = in_policy(host.name, look.policy.mx)
    return facts


def _opinion(provider: str, answer: object, text: str) -> dict[str, Any]:
    return {"provider": provider, "answer": type(answer).__name__.lower(), "text": text}


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


def _address(report: AddressReport) -> dict[str, Any]:
    certificate = certificate_of(report.facts.peer)
    return {
        "address": report.address,
        "port": report.port,
        "interface": report.interface,
        "good": report.good,
        "error": report.error,
        "tls": report.facts.tls,
        "starttls_offered": report.facts.starttls_offered,
        "protocol": report.facts.version,
        "cipher": report.facts.cipher,
        "group": report.facts.group,
        "sni": report.facts.sni,
        "certificate": None if certificate is None else attrs.asdict(certificate),
        "verdict": None if report.verdict is None else _verdict(report.verdict, report.decision),
        "given_up": None if report.given_up is None else _given_up(report.given_up),
    }


def _given_up(verdict: Verdict) -> dict[str, Any]:
    return {"policies": list(verdict.failed), "summary": verdict.summary, "mismatches": list(verdict.mismatches)}


def _verdict(verdict: Verdict, decision: Decision) -> dict[str, Any]:
    return {
        "ok": verdict.ok,
        "by": verdict.by,
        "trusted": verdict.trusted,
        "reason": verdict.reason,
        "summary": verdict.summary,
        "mismatches": list(verdict.mismatches),
        "matched": [{"policy": who, "what": what} for who, what in verdict.matched],
        "failed": list(verdict.failed),
        "observed": [
            {"policy": o.provider, "ok": o.ok, "text": o.text, "mismatches": list(o.details)} for o in verdict.observed
        ],
        "fell_through": list(decision.fall_through),
    }


def _sts(look: STSInspection) -> dict[str, Any]:
    cached, policy = look.cached, look.policy
    return {
        "records": list(look.records),
        "ttl": look.ttl,
        "record_error": look.record_error,
        "dns_failed": look.record_failed,
        "id": look.policy_id,
        "cached": None
        if cached is None
        else {
            "id": cached.policy_id,
            "mode": cached.policy.mode.value,
            "fetched": cached.fetched,
            "expires": cached.expires,
            "text": cached.policy.text,
        },
        "fetch": None if look.fetch is None else _fetch(look.fetch, look.fetch_error),
        "policy": None
        if policy is None
        else {"mode": policy.mode.value, "mx": list(policy.mx), "max_age": policy.max_age, "text": _published(look)},
        "policy_error": look.policy_error,
    }


def _published(look: STSInspection) -> str:
    """The policy as it came."""
    return look.fetch.body.decode("utf-8", "replace") if look.fetch else ""


def _fetch(look: FetchTrace, error: FetchError | None) -> dict[str, Any]:
    certificate = certificate_of(look.facts.peer)
    return {
        "url": look.url,
        "proxy": look.proxy,
        "peer": look.address,
        "protocol": look.facts.version,
        "cipher": look.facts.cipher,
        "group": look.facts.group,
        "certificate": None if certificate is None else attrs.asdict(certificate),
        "error": "" if error is None else error.cause,
        "fault": "" if error is None else error.fault.value,
        "body": look.body.decode("utf-8", "replace") if error is None else "",
    }
