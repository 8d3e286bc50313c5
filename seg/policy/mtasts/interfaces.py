"""How MTA-STS policies are fetched."""

from __future__ import annotations

from collections.abc import Awaitable

from zope.interface import Interface

from seg.policy.mtasts.answer import FetchTrace
from seg.policy.mtasts.turns import Claim


class IPolicyFetcher(Interface):
    """Fetches MTA-STS policies (RFC 8461 §3.3)."""

    def fetch(domain: str, claim: Claim = ...) -> Awaitable[bytes]:
        """The body found at ``https://mta-sts.<domain>/.well-known/mta-sts.txt``.

        :param claim: for which message, and whether a policy of the domain is known; nobody's by default.
        :raises seg.policy.mtasts.errors.FetchError: with the cause in one line.
        :raises seg.policy.mtasts.errors.OwnFetchFault: for a reason of our own; it is no word of the domain.
        """

    def look(domain: str, claim: Claim = ...) -> Awaitable[FetchTrace]:
        """The same fetch, and what it met on its way.

        :raises seg.policy.mtasts.errors.FetchError: its `met` has what was found out until then.
        :raises seg.policy.mtasts.errors.OwnFetchFault: the same.
        """
