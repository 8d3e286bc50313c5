"""MTA-STS as a policy provider: what a domain's policy says of one MX host (RFC 8461 §4.1, §5)."""

from __future__ import annotations

from zope.interface import implementer

from seg.config.destinations import STSMode, TLSOption
from seg.events.base import IEventSink
from seg.events.policy import STSApplied
from seg.mail.causes import CauseKind
from seg.mail.errors import LocalFault
from seg.mail.hosts import MXHost, RouteKind
from seg.policy.interfaces import IHostPolicy, IPublishedPolicyProvider
from seg.policy.mtasts.match import in_policy
from seg.policy.mtasts.policy import Mode
from seg.policy.mtasts.store import PolicyLookup, PolicyStore
from seg.policy.requirement import (
    Answer,
    DomainQuestion,
    NoOpinion,
    Observe,
    Raise,
    Refuse,
    Requirement,
    TempFail,
    TLSLevel,
)
from seg.policy.sources import MTA_STS
from seg.tls.webpki import WebPKI

NAME = MTA_STS
NOT_IN_POLICY = "MX not in policy"


def applies(question: DomainQuestion) -> str:
    """Why MTA-STS has nothing to say about a domain at all; "" if it may have."""
    if question.route.kind is RouteKind.SMTP_ROUTE:
        return "SMTP route"
    if question.route.kind is RouteKind.ADDRESS_LITERAL:
        return "address literal"
    if question.profile.mta_sts is STSMode.OFF or question.profile.tls is TLSOption.NO:
        return "switched off"
    return ""


def judge_host(finding: PolicyLookup, host: str) -> Answer:
    """What the policy found says of one host. Pure."""
    policy = finding.policy
    if policy is None:
        return NoOpinion(finding.reason, finding.cause)
    if policy.mode is Mode.NONE:
        return NoOpinion("mode none")
    listed = in_policy(host, policy.mx)
    reason = f"{policy.mode}(id {finding.policy_id}, {finding.how})"
    requirement = Requirement(
        TLSLevel.MUST,
        authenticators=(WebPKI((host,), NAME),),
        sni=host,
        source=NAME,
        ties_host=policy.mode is Mode.ENFORCE,
    )
    if policy.mode is Mode.TESTING:
        if listed:
            return Observe(requirement, reason)
        return Observe(requirement, reason, NOT_IN_POLICY, cause=CauseKind.MX_NOT_IN_POLICY)
    return Raise(requirement, reason) if listed else Refuse(NOT_IN_POLICY, cause=CauseKind.MX_NOT_IN_POLICY)


@implementer(IHostPolicy)
class MTASTSPolicy:
    """One domain in one attempt. The policy is looked up with the first host, and once."""

    def __init__(self, question: DomainQuestion, store: PolicyStore, sink: IEventSink) -> None:
        self._question = question
        self._store = store
        self._sink = sink
        self._finding: PolicyLookup | TempFail | None = None

    async def answer(self, host: MXHost) -> Answer:
        """See `judge_host`. The host counts by the name in the MX record, never by what a CNAME makes of it.

        Where a fault of ours keeps the policy from being known no host can be judged.
        """
        silent = applies(self._question)
        if silent:
            return NoOpinion(silent)
        if self._finding is None:
            self._finding = await self._find()
        return self._finding if isinstance(self._finding, TempFail) else judge_host(self._finding, host.name)

    async def _find(self) -> PolicyLookup | TempFail:
        question = self._question
        try:
            finding = await self._store.current(question.domain, question.reread, question.mid)
        except LocalFault as lack:
            return TempFail(lack.text, cause=CauseKind.GATEWAY_FAULT)
        if finding.policy is not None and finding.policy.mode is not Mode.NONE:
            self._sink.emit(STSApplied(self._question.domain, finding.policy.mode))
        return finding


@implementer(IPublishedPolicyProvider)
class MTASTSProvider:
    """Asked after DANE, which takes precedence (RFC 8461 §2)."""

    name = NAME

    def __init__(self, store: PolicyStore, sink: IEventSink) -> None:
        self._store = store
        self._sink = sink

    def open(self, question: DomainQuestion) -> MTASTSPolicy:
        """Begin an attempt for a domain; nothing is looked up yet."""
        return MTASTSPolicy(question, self._store, self._sink)
