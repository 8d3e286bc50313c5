"""Which domains and hosts are known to have DANE: for as long as the TLSA records that were seen secure may be kept."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import attrs

from seg.common.bounded import BoundedMap
from seg.dns.answer import DNSAnswer

MOST = 100_000  # names


@attrs.frozen
class _SeenRecords:
    answer: DNSAnswer | None  # an answer out of a cache prolongs nothing; None: it was read from the file
    until: float  # POSIX seconds


class SeenDANE:
    """Names whose TLSA records were seen secure, each until its TTL is over.

    The cache forgets what it holds when it is flushed or full, and a resolver that doesn't validate shows no domain as secure. What was seen
    here stays known until then, also over a restart (`seg.policy.dane.kept`), so that nobody who takes the validation away takes the protection
    with it.

    :param seconds: POSIX seconds by a clock that is never ahead (`seg.common.clock.cautious_of`). What is over isn't forgotten at once: a clock
        that was ahead may be set right.
    :param longest: seconds for which an answer is kept at most.
    """

    def __init__(self, seconds: Callable[[], float], longest: float) -> None:
        self.changed: Callable[[], object] = lambda: None  # called when something is known, or isn't any more
        self.seconds = seconds
        self._longest = longest
        self._seen: BoundedMap[str, _SeenRecords] = BoundedMap(MOST)

    def note(self, name: str, answer: DNSAnswer) -> None:
        """Secure TLSA records of a host, or of a host that secure MX records of a domain name."""
        known = self._seen.get(name)
        if known is not None and known.answer is answer:
            return
        self._seen[name] = _SeenRecords(answer, self.seconds() + min(answer.ttl, self._longest))
        self.changed()

    def forget(self, name: str) -> None:
        """Secure answers say that there are none any more."""
        if self._seen.pop(name, None) is not None:
            self.changed()

    def knows(self, name: str) -> bool:
        """Whether secure records were seen that may still be kept."""
        known = self._seen.get(name)
        if known is None:
            return False
        now = self.seconds()
        if known.until > now + self._longest:  # the clock was ahead when they were seen
            known = self._seen[name] = attrs.evolve(known, until=now + self._longest)
        return known.until > now

    def until(self) -> list[tuple[str, float]]:
        """All names, the oldest first, and until when they are known."""
        return [(name, seen.until) for name, seen in self._seen.items()]

    def add(self, former: Mapping[str, float]) -> None:
        """What was known before the start, the oldest first; what has been seen since goes before it."""
        since, self._seen = self._seen, BoundedMap(MOST)
        for name, until in former.items():
            self._seen[name] = _SeenRecords(None, until)
        self._seen.update(since)
