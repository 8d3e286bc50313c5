"""Questions to the DNS."""

from __future__ import annotations

import attrs

from seg.events.base import DebugEvent, Event


@attrs.frozen
class DNSAsked(DebugEvent):
    """A question put to the cache: Q(name, type)."""

    name: str
    rdtype: str


@attrs.frozen
class DNSSent(DebugEvent):
    """A question sent to a server: QIP(name, type, server, timeout)."""

    name: str
    rdtype: str
    server: str
    timeout: float  # seconds


@attrs.frozen
class DNSCached(DebugEvent):
    name: str
    rdtype: str
    expires: float  # POSIX seconds
    secure: bool
    records: tuple[str, ...]  # presentation form; () for a denial


@attrs.frozen
class DNSFailed(Event):
    """A lookup that ends in a temporary failure of a delivery."""

    name: str
    rdtype: str
    kind: str  # ServFail, Timeout, Refused, Bogus, ...
