"""Which zones answer, and which let us wait: so that whoever owns silent ones doesn't keep others from being looked up."""

from __future__ import annotations

import enum

from seg.common.bounded import BoundedMap

MOST_KNOWN = 10_000  # zones; those heard of longest ago are forgotten
KNOWN_FOR = 3600.0  # seconds
PARTS = 2  # labels that stand for a zone, as one can't see where it begins
REVERSE_PARTS = {"in-addr.arpa": 4, "ip6.arpa": 10}  # a /16, a /32
ROOT = "."  # the resolvers' own word, and no stranger's


class ZoneStanding(enum.IntEnum):
    """Who goes first."""

    ANSWERED = 0  # when it was asked last
    UNKNOWN = 1
    SILENT = 2  # or slow, when it was asked last


def zone_of(name: str) -> str:
    """What counts as one zone: the last labels of a name."""
    labels = name.rstrip(".").lower().split(".")
    return ".".join(labels[-REVERSE_PARTS.get(".".join(labels[-2:]), PARTS) :]) or ROOT


class ZoneMemory:
    """What each zone did last."""

    def __init__(self) -> None:
        self._known: BoundedMap[str, tuple[ZoneStanding, float]] = BoundedMap(MOST_KNOWN)

    def __len__(self) -> int:
        return len(self._known)

    def note(self, zone: str, standing: ZoneStanding, now: float) -> None:
        """It was asked."""
        self._known[zone] = standing, now

    def standing(self, zone: str, now: float) -> ZoneStanding:
        """What holds now."""
        if zone == ROOT:
            return ZoneStanding.ANSWERED
        standing, since = self._known.get(zone, (ZoneStanding.UNKNOWN, now))
        return standing if now - since < KNOWN_FOR else ZoneStanding.UNKNOWN
