"""A connection that satisfies the decision, or, where the operator allows it, what is left of that without a policy that failed."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from seg.deliver.connection_errors import PolicyRefusal
from seg.deliver.observer import IAttemptObserver
from seg.deliver.policy_violation import PolicyViolation
from seg.deliver.verified_connection import VerifiedConnection
from seg.mail.causes import CauseKind
from seg.mail.hosts import MXHost
from seg.policy.chain import DomainPolicies
from seg.policy.requirement import Decision


async def open_or_fall_through(
    policies: DomainPolicies,
    decision: Decision,
    host: MXHost,
    opened: Callable[[Decision], Awaitable[VerifiedConnection]],
    observer: IAttemptObserver,
) -> tuple[Decision, VerifiedConnection]:
    """The connection, and the decision that it satisfies (``dane_opportunistic_failure = "fall-through"``).

    :param opened: opens a connection for a decision.
    :raises Temporary: this address can't be used.
    """
    try:
        return decision, await opened(decision)
    except PolicyViolation as failure:
        given_up = not set(failure.verdict.failed).isdisjoint(decision.fall_through)
        observer.policy_violated(decision, failure.verdict, given_up)
        if not given_up:
            raise
    weaker = await policies.decide(host, without=decision.fall_through)
    if not weaker.usable:
        cause = weaker.cause or CauseKind.PROVIDER_REFUSED
        raise PolicyRefusal(weaker.enhanced, weaker.refusal, cause=cause)
    try:
        return weaker, await opened(weaker)
    except PolicyViolation as failure:
        observer.policy_violated(weaker, failure.verdict, given_up=False)
        raise
