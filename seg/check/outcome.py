"""Pass, fail, or couldn't tell: what a check comes to. Pure."""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterable

from seg.check.report import CheckReport, HostReport
from seg.mail.causes import CauseKind
from seg.mail.errors import Permanent
from seg.mail.outcome import Bounced, Delivered
from seg.policy.judge import NOBODY, Verdict
from seg.policy.mtasts.errors import FetchFault
from seg.policy.mtasts.inspection import STSInspection
from seg.policy.mtasts.policy import Mode
from seg.policy.requirement import NoOpinion


class Result(enum.StrEnum):
    """The result of a check; the ``seg`` command's exit status is 0, 1, 2, and 0 again."""

    PASSED = "pass"
    FAILED = "fail"
    UNKNOWN = "unknown"  # it couldn't be found out
    NONE = "none"  # there is nothing to check: the domain has no such policy


# Obstacles of a fetch that say nothing of the domain's own setup: they may be ours, or the network's.
_OUTSIDE = (
    FetchFault.DNS,
    FetchFault.CONNECT,
    FetchFault.PROXY,
    FetchFault.TIMEOUT,
    FetchFault.BUSY,
    FetchFault.LOCAL,
)
CERTIFICATE = "certificate"  # the name of the provider that a TLS check asks besides


def worst(results: Iterable[Result]) -> Result:
    """A failure counts before a doubt, and a doubt before a pass; no result at all is a doubt."""
    found = set(results)
    if Result.FAILED in found:
        return Result.FAILED
    return Result.PASSED if found == {Result.PASSED} else Result.UNKNOWN


def of_delivery(report: CheckReport) -> Result:
    """Whether a message would be delivered now: a policy in the way is a failure, an obstacle of the network or the DNS a doubt."""
    outcome = report.outcome
    if isinstance(outcome, Delivered):
        return Result.PASSED
    if isinstance(outcome, Bounced):
        return Result.FAILED
    return Result.FAILED if outcome.error.enhanced.startswith("4.7.") and not _undecided(report) else Result.UNKNOWN


def _undecided(report: CheckReport) -> bool:
    """Whether it is only lookups that stood in the way."""
    return bool(report.hosts) and all(host.decision.temporary for host in report.hosts)


def of_tls(report: CheckReport) -> Result:
    """Whether each host offers TLS with a certificate for the domain or for itself, and satisfies the destination's policies."""
    return _of_hosts(report, lambda verdict: verdict.by != NOBODY or _observed(verdict, CERTIFICATE))


def of_dane(report: CheckReport) -> Result:
    """Whether each host is authenticated by DANE."""
    return _of_hosts(report, lambda verdict: "dane" in {who for who, _ in verdict.matched} and not verdict.trusted)


def of_sts(report: CheckReport) -> Result:
    """Whether each host is listed in the policy and satisfies it; a domain that publishes none, or says "none", has not failed."""
    look = report.sts
    if look is not None:
        if look.record_failed:
            return Result.UNKNOWN
        if look.fetch_error is not None:
            return Result.UNKNOWN if look.fetch_error.fault in _OUTSIDE else Result.FAILED
        if _without_policy(look):
            return Result.NONE
        if look.policy is None:
            return Result.FAILED
    return _of_hosts(report, lambda v: "mta-sts" in {who for who, _ in v.matched} or _observed(v, "mta-sts"))


def _without_policy(look: STSInspection) -> bool:
    """Neither a record nor a cached policy (RFC 8461 §3.1), or the policy that ends MTA-STS (§8.3)."""
    if look.policy is not None:
        return look.policy.mode is Mode.NONE
    return not (look.policy_id or look.record_error or look.policy_error) and look.cached is None


def of_host(host: HostReport, good: Callable[[Verdict], bool]) -> Result:
    """One host: `good` says whether a session that mail may take is what the check is for."""
    decision = host.decision
    if not decision.usable:
        return (
            Result.UNKNOWN
            if decision.temporary or decision.cause is CauseKind.RESOLVER_NOT_VALIDATING
            else Result.FAILED
        )
    silent = [opinion.answer for opinion in decision.opinions if isinstance(opinion.answer, NoOpinion)]
    if decision.opinions and len(silent) == len(decision.opinions):
        doubt = any(answer.cause is CauseKind.STS_LOOKUP_FAILED for answer in silent)
        return Result.UNKNOWN if doubt else Result.FAILED
    tried = host.tried
    if tried is None or tried.verdict is None:
        return Result.UNKNOWN
    return Result.PASSED if tried.good and good(tried.verdict) else Result.FAILED


def _of_hosts(report: CheckReport, good: Callable[[Verdict], bool]) -> Result:
    if report.error is not None:
        return Result.FAILED if isinstance(report.error, Permanent) else Result.UNKNOWN
    return worst(of_host(host, good) for host in report.hosts)


def _observed(verdict: Verdict, provider: str) -> bool:
    return any(observed.provider == provider and observed.ok for observed in verdict.observed)
