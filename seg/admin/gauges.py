"""What goes on in the gateway now: each a question that is asked when somebody looks."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import attrs

from seg.dns.cache import DNSCounters
from seg.mail.causes import CauseKind
from seg.queue.interfaces import QueueCounts
from seg.tls.expiry import Lasting


@attrs.frozen
class Gauges:
    """Numbers and lists of now."""

    uptime: Callable[[], float]  # seconds
    connections_in: Callable[[], int]  # clients connected
    listeners: Callable[[], Sequence[tuple[str, str, int]]]  # (name, address, port) of each
    attempts: Callable[[], int]  # under way
    connections_idle: Callable[[], int]  # that wait for another message
    limited_destinations: Callable[[], int]  # whose limits hold mail back
    counts: Callable[[], QueueCounts]
    causes: Callable[[], Mapping[CauseKind, int]]  # messages that TLS policy keeps waiting, by cause
    destinations: Callable[[], int]  # with waiting mail
    exemptions: Callable[[], int]  # destinations that are exempt from their policies
    policies_cached: Callable[[], int]  # MTA-STS policies known
    resolver_validates: Callable[
        [], bool | None
    ]  # the AD bit can be believed; None: no trusted resolver has said so far
    dns: Callable[[], DNSCounters]  # what the DNS cache counted
    certificates: Callable[[], Sequence[Lasting]]  # our own in use, those that end first first
