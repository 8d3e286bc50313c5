"""The MTA-STS policies known, a page at a time: others' domains choose how many there are, and how many hosts each lists."""

from __future__ import annotations

from collections.abc import Callable
from heapq import nsmallest

from seg.admin.http import APIError, RouteTable
from seg.admin.names import asked_domain
from seg.admin.wire import operations
from seg.admin.wire.destinations import FlushPolicies, ListPolicies, PoliciesAnswer, STSPolicyFacts
from seg.admin.wire.gateway import FlushedAnswer
from seg.dns.cache import CachingResolver
from seg.events.base import IEventSink
from seg.events.gateway import OperatorActed
from seg.policy.mtasts.cache import PolicyCache
from seg.policy.mtasts.entry import CachedPolicy
from seg.policy.mtasts.fetch import policy_host
from seg.policy.mtasts.store import PolicyStore

LARGEST_PAGE = 1024 * 1024  # octets of the hosts in one answer, about; one policy is always shown
AT_A_TIME = 50  # read from the disk


class PolicyRoutes:
    """Lists policies, and forgets them.

    :param policies: the store in use.
    :param resolver: the one in use.
    """

    def __init__(
        self, policies: Callable[[], PolicyStore], resolver: Callable[[], CachingResolver], sink: IEventSink
    ) -> None:
        self._policies = policies
        self._resolver = resolver
        self._sink = sink

    def add_to(self, table: RouteTable) -> None:
        """Serve them."""
        table.add(operations.LIST_POLICIES, self.policies)
        table.add(operations.FLUSH_POLICIES, self.flush)

    async def policies(self, asked: ListPolicies, by: str) -> PoliciesAnswer:
        """One of them, or a page."""
        if asked.domain is None:
            return await page_of(self._policies().cache, asked.limit, asked.after)
        domain = asked_domain(asked.domain)
        shown = [policy_of(entry) for entry in await self._policies().cache.read([domain])]
        if not shown:
            raise APIError(404, f"no MTA-STS policy of {domain} is known (seg stsverify {domain} looks for one)")
        return PoliciesAnswer(len(shown), "", shown)

    async def flush(self, asked: FlushPolicies, by: str) -> FlushedAnswer:
        """Forget policies, and what keeps them from being fetched anew at once."""
        domain = None if asked.domain is None else asked_domain(asked.domain)
        if domain is not None:
            for name in (f"_mta-sts.{domain}", policy_host(domain)):  # a name that didn't exist may by now
                self._resolver().flush(name)
        count = await self._policies().flush(domain)
        self._sink.emit(OperatorActed(by, f"policyflush {asked.domain or 'all'}"))
        return FlushedAnswer(count)


async def page_of(cache: PolicyCache, limit: int, after: str) -> PoliciesAnswer:
    """Policies in the order of their domains, as far as they can be read.

    :param limit: how many at most.
    :param after: only those of domains behind this one; "" = from the beginning.
    :return: how many are known, some of them, and what to give as `after` for those behind them ("" = these are the last).
    """
    shown: list[STSPolicyFacts] = []
    octets = 0
    while names := nsmallest(limit + 1, (known.domain for known in cache if known.domain > after)):
        for start in range(0, len(names), AT_A_TIME):
            piece = names[start : start + AT_A_TIME]
            for entry in await cache.read(piece):
                if len(shown) >= limit or (shown and octets + entry.size > LARGEST_PAGE):
                    return PoliciesAnswer(len(cache), after, shown)
                shown.append(policy_of(entry))
                octets += entry.size
                after = entry.domain
            after = piece[-1]  # the last ones may be such as can't be read
    return PoliciesAnswer(len(cache), "", shown)


def policy_of(entry: CachedPolicy) -> STSPolicyFacts:
    """One policy, and when it was dealt with."""
    policy = entry.policy
    return STSPolicyFacts(
        domain=entry.domain,
        id=entry.policy_id,
        mode=str(policy.mode),
        mx=tuple(policy.mx),
        max_age=policy.max_age,
        fetched=entry.fetched,
        checked=entry.checked,
        expires=entry.expires,
    )
