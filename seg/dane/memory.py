"""Which domains and hosts are known to have DANE: for as long as the TLSA records that were seen secure may be kept."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable

import attrs

from seg.dns.answer import DNSAnswer

MOST = 100_000  # names


@attrs.frozen
class _Seen:
    answer: DNSAnswer  # an answer out of a cache prolongs nothing
    until: float


class SeenDANE:
    """Names whose TLSA records were seen secure, each until its TTL is over.

    The cache forgets what it holds when it is flushed or full, and a resolver that doesn't validate shows no domain as secure. What was seen
    here stays known until then, so that nobody who takes the validation away takes the protection with it.

    :param seconds: the time.
    :param longest: seconds for which an answer is kept at most.
    """

    def __init__(self, seconds: Callable[[], float], longest: float) -> None:
        self._seconds = seconds
        self._longest = longest
        self._seen: OrderedDict[str, _Seen] = OrderedDict()

    def note(self, name: str, answer: DNSAnswer) -> None:
        """Secure TLSA records of a host, or of a host that secure MX records of a domain name."""
        known = self._seen.get(name)
        if known is not None and known.answer is answer:
            return
        self._seen[name] = _Seen(answer, self._seconds() + min(answer.ttl, self._longest))
        self._seen.move_to_end(name)
        if len(self._seen) > MOST:
            self._seen.popitem(last=False)

    def forget(self, name: str) -> None:
        """Secure answers say that there are none any more."""
        self._seen.pop(name, None)

    def knows(self, name: str) -> bool:
        """Whether secure records were seen that may still be kept."""
        known = self._seen.get(name)
        if known is None:
            return False
        if known.until <= self._seconds():
            del self._seen[name]
            return False
        return True
