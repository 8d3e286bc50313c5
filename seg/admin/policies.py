"""The MTA-STS policies known, a page at a time: others' domains choose how many there are, and how many hosts each lists."""

from __future__ import annotations

from heapq import nsmallest
from typing import Any

from seg.policy.mtasts.cache import PolicyCache
from seg.policy.mtasts.entry import CachedPolicy

MOST_POLICIES = 1000  # in one answer
LARGEST_PAGE = 1024 * 1024  # octets of the hosts in one answer, about; one policy is always shown
AT_A_TIME = 50  # read from the disk


async def page_of(cache: PolicyCache, limit: int, after: str) -> dict[str, Any]:
    """Policies in the order of their domains, as far as they can be read.

    :param limit: how many at most.
    :param after: only those of domains behind this one; "" = from the beginning.
    :return: how many are known, some of them, and what to give as `after` for those behind them ("" = these are the last).
    """
    shown: list[dict[str, Any]] = []
    octets = 0
    while names := nsmallest(limit + 1, (known.domain for known in cache if known.domain > after)):
        for start in range(0, len(names), AT_A_TIME):
            piece = names[start : start + AT_A_TIME]
            for entry in await cache.read(piece):
                if len(shown) >= limit or (shown and octets + entry.size > LARGEST_PAGE):
                    return {"total": len(cache), "policies": shown, "next": after}
                shown.append(policy_of(entry))
                octets += entry.size
                after = entry.domain
            after = piece[-1]  # the last ones may be such as can't be read
    return {"total": len(cache), "policies": shown, "next": ""}


def policy_of(entry: CachedPolicy) -> dict[str, Any]:
    """One policy, and when it was dealt with."""
    policy = entry.policy
    return {
        "domain": entry.domain,
        "id": entry.policy_id,
        "mode": str(policy.mode),
        "mx": list(policy.mx),
        "max_age": policy.max_age,
        "fetched": entry.fetched,
        "checked": entry.checked,
        "expires": entry.expires,
    }
