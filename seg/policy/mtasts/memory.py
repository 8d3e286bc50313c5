"""Whole policies in memory, up to so many octets."""

from __future__ import annotations

from collections import OrderedDict

from seg.policy.mtasts.entry import CachedPolicy


class PolicyMemory:
    """By domain; the ones used longest ago give way.

    :param most: octets, about; one policy is kept in any case.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._entries: OrderedDict[str, CachedPolicy] = OrderedDict()
        self.octets = 0

    def get(self, domain: str) -> CachedPolicy | None:
        """The policy of a domain, if it is here."""
        entry = self._entries.get(domain)
        if entry is not None:
            self._entries.move_to_end(domain)
        return entry

    def put(self, entry: CachedPolicy) -> None:
        """Keep one, in the place of an older one of the same domain."""
        self.pop(entry.domain)
        self._entries[entry.domain] = entry
        self.octets += entry.size
        while self.octets > self._most and len(self._entries) > 1:
            self.pop(next(iter(self._entries)))

    def pop(self, domain: str) -> None:
        """Drop that of a domain, if it is here."""
        entry = self._entries.pop(domain, None)
        if entry is not None:
            self.octets -= entry.size
