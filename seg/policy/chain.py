"""Folds the answers of the policy providers, in their order, into one frozen `Decision` per host.

The folding itself (`fold`) is pure; `DomainPolicies.decide` only collects the answers for it. A provider that
fails is a `TempFail`: bad policy data never means weaker TLS.
"""

from __future__ import annotations

from collections.abc import Sequence

import attrs
from twisted.internet.interfaces import IReactorTime

from seg.events.base import IEventSink
from seg.events.gateway import Fault
from seg.mail.causes import CauseKind
from seg.mail.errors import LocalFault
from seg.mail.hosts import MXHost
from seg.policy.asking import NoAnswer, ask, opened
from seg.policy.interfaces import IHostPolicy, IPublishedPolicyProvider, ITLSPolicyProvider
from seg.policy.requirement import (
    Answer,
    Decide,
    Decision,
    DomainQuestion,
    NoOpinion,
    Observe,
    ProviderAnswer,
    Raise,
    Refuse,
    Requirement,
    TempFail,
    TLSLevel,
    relaxed,
    render,
)

# What holds when no provider asks for anything: TLS where it is offered (RFC 3207, RFC 7435).
OPPORTUNISTIC = Requirement(TLSLevel.MAY, source="none", clear_retry=True)

ANSWER_TIMEOUT = 300.0  # seconds

_LAST = (Decide, Refuse, TempFail)  # after these no other provider is asked


def fold(domain: str, host: str, opinions: Sequence[ProviderAnswer]) -> Decision:
    """The decision that comes of the opinions, in the order in which they were given."""
    floor: Requirement | None = None
    observed: list[tuple[str, Observe]] = []
    fall_through: list[str] = []
    for position, opinion in enumerate(opinions, start=1):
        answer = opinion.answer
        if isinstance(answer, Refuse | TempFail):
            return Decision(
                domain,
                host,
                floor or OPPORTUNISTIC,
                tuple(opinions[:position]),
                refusal=answer.reason or opinion.text,
                temporary=isinstance(answer, TempFail),
                enhanced=answer.enhanced,
                cause=answer.cause,
            )
        tied = floor is not None and floor.ties_host
        if isinstance(answer, Observe):
            wish = answer.requirement.on_tied_host() if tied else answer.requirement
            observed.append((opinion.provider, attrs.evolve(answer, requirement=wish)))
        added: Requirement | None = None
        if isinstance(answer, Decide | Raise):
            added = answer.requirement
            if answer.may_fall_through:
                fall_through.append(opinion.provider)
        elif isinstance(answer, Observe):
            added = answer.floor
        if added is not None:  # the floor is never lower than it was
            added = added.on_tied_host() if tied else added
            floor = floor.combine(added) if floor else added
        if isinstance(answer, Decide):
            opinions = opinions[:position]
            break
    return Decision(
        domain, host, floor or OPPORTUNISTIC, tuple(opinions), tuple(observed), fall_through=tuple(fall_through)
    )


def every_refused_by(decisions: Sequence[Decision], provider: str) -> bool:
    """Whether this provider refused each of the hosts (at least one), so that looking again may help.

    A provider ends the chain when it refuses, so the last opinion is the one that refused. A `TempFail`
    doesn't count.
    """
    return bool(decisions) and all(
        bool(decision.opinions)
        and decision.opinions[-1].provider == provider
        and isinstance(decision.opinions[-1].answer, Refuse)
        for decision in decisions
    )


class DomainPolicies:
    """The providers' views of one domain in one attempt."""

    def __init__(
        self,
        question: DomainQuestion,
        providers: Sequence[ITLSPolicyProvider],
        sink: IEventSink,
        clock: IReactorTime,
        limit: float,
    ) -> None:
        self._domain = question.domain
        self._question = question
        self._may_relax = question.may_relax
        self._providers = providers
        self._views: dict[str, IHostPolicy] = {}
        self._sink = sink
        self._clock = clock
        self._limit = limit

    async def decide(self, host: MXHost, without: Sequence[str] = ()) -> Decision:
        """How this host must be reached. Never raises, but for the cancellation of the attempt.

        :param without: providers to leave out: `Decision.fall_through` of a decision whose verdict failed.
        """
        opinions: list[ProviderAnswer] = []
        for provider in self._providers:
            answer: Answer
            if provider.name in without:
                answer = NoOpinion("failed, fall-through")
            else:
                answer = await self._ask(provider, host)
                if self._may_relax:
                    published = IPublishedPolicyProvider.providedBy(provider)
                    why = self._question.relaxation(provider.name, published)
                    answer = relaxed(answer, why) if why else answer
            opinions.append(ProviderAnswer(provider.name, answer, render(answer)))
            if isinstance(answer, _LAST):
                break
        return fold(self._domain, host.name, opinions)

    async def _ask(self, provider: ITLSPolicyProvider, host: MXHost) -> Answer:
        """The answer of a provider of anybody's, who may do anything: what isn't one never means weaker TLS."""
        try:
            view = self._views.get(provider.name)
            if view is None:
                view = self._views[provider.name] = opened(provider, self._question)
            return await ask(view, host, self._clock, self._limit)
        except LocalFault as lack:
            return TempFail(lack.text, cause=CauseKind.GATEWAY_FAULT)
        except NoAnswer as error:
            fault = f"TLS policy provider {provider.name} failed for {self._domain} via {host.name}: {error.detail}"
            self._sink.emit(Fault(fault))
            return TempFail(f"{provider.name} failed: {error.summary}")


class PolicyChain:
    """The policy providers in the order in which they are asked.

    :param limit: seconds for one provider's answer on one host; longer than whatever our own providers may take.
    """

    def __init__(
        self,
        providers: Sequence[ITLSPolicyProvider],
        sink: IEventSink,
        clock: IReactorTime,
        limit: float = ANSWER_TIMEOUT,
    ) -> None:
        self.providers = tuple(providers)
        self._sink = sink
        self._clock = clock
        self._limit = limit

    def open(self, question: DomainQuestion) -> DomainPolicies:
        """Begin an attempt for a domain. Looks nothing up yet."""
        return DomainPolicies(question, self.providers, self._sink, self._clock, self._limit)
