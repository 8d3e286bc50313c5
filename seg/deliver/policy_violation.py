"""A peer that isn't what the policy wants, as the error that defers."""

from __future__ import annotations

from seg.deliver.connection_errors import PolicyRefusal
from seg.mail.causes import CauseKind
from seg.policy.judge import Verdict
from seg.policy.requirement import Decision
from seg.tls.peer import SessionFacts


def mismatches_of(verdict: Verdict) -> str:
    """All that didn't fit, as one line: the short form, or the line that says the same and more (which issuer is missing), then the others."""
    full = next((line for line in verdict.mismatches if line.startswith(verdict.summary)), verdict.summary)
    return "; ".join((full, *(line for line in verdict.mismatches if verdict.summary not in line)))


class PolicyViolation(PolicyRefusal):
    """The peer isn't what the policy wants; nothing was sent. `verdict` has every mismatch, `facts` what the peer showed."""

    def __init__(self, decision: Decision, verdict: Verdict, facts: SessionFacts | None = None) -> None:
        cause = verdict.cause or CauseKind.OTHER
        policies = " and ".join(verdict.failed) or decision.requirement.source
        text = f"{decision.host} does not satisfy the TLS policy ({policies}) of {decision.domain}"
        super().__init__(cause.enhanced, f"{text}: {mismatches_of(verdict)}", cause=cause)
        self.decision = decision
        self.verdict = verdict
        self.facts = facts or SessionFacts()


def refused_host(decision: Decision) -> PolicyRefusal:
    """TLS policy forbids the host, so that it isn't contacted."""
    text = f"{decision.host} may not be used for {decision.domain}: {decision.refusal}"
    return PolicyRefusal(decision.enhanced, text, cause=decision.cause or CauseKind.PROVIDER_REFUSED)


def unverified(host: str) -> PolicyRefusal:
    """The sender demands TLS with a verified server at every hop (RFC 8689 §4.2.1), and nothing verified this one."""
    text = f"{host} isn't verified by DANE, MTA-STS or the TLS option, as the sender demands (REQUIRETLS)"
    return PolicyRefusal("4.7.30", text, cause=CauseKind.REQUIRETLS_UNVERIFIED)
