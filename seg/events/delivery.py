"""Delivery: connections to other hosts, and what became of recipients there."""

from __future__ import annotations

import attrs

from seg.events.base import Event
from seg.mail.causes import CauseKind, PolicyResult


@attrs.frozen
class DeliveryConnected(Event):
    dcid: int
    local: str
    address: str
    port: int


@attrs.frozen
class DeliveryConnectFailed(Event):
    domain: str
    host: str
    address: str
    port: int
    details: str
    reason: str = "network error"
    dcid: int = 0
    local: str = ""  # "" = the system chose


@attrs.frozen
class DeliveryTLSStarted(Event):
    dcid: int
    protocol: str
    cipher: str
    names: tuple[str, ...]  # the dNSNames presented; () when there was none
    resumed: bool = False
    group: str = ""  # of the key exchange; "" = none


@attrs.frozen
class DeliveryTLSFailed(Event):
    """STARTTLS or the handshake failed; whether mail still goes is said by the events that follow."""

    dcid: int
    text: str


@attrs.frozen
class DeliveryTLSDeferred(Event):
    """A verification failed and the host isn't used: ``verify error: <text>``."""

    dcid: int
    text: str
    details: tuple[str, ...] = ()  # every mismatch: names wanted and presented, dates, the missing issuer


@attrs.frozen
class DeliveryTLSRequired(Event):
    """TLS was required but could not be successfully negotiated."""

    dcid: int
    host: str


@attrs.frozen
class DeliveryInClear(Event):
    """TLS was preferred only, it didn't work, and the message goes in clear text."""

    dcid: int
    host: str
    reason: str


@attrs.frozen
class DialogueLine(Event):
    """A line of a dialogue that an operator watches."""

    dcid: int
    domain: str
    who: str  # C: the gateway (the client), S: the server
    text: str


@attrs.frozen
class DeliveryStarted(Event):
    dcid: int
    mid: int
    rids: tuple[int, ...]
    domain: str = ""


@attrs.frozen
class RecipientsDiscarded(Event):
    """An SMTP route says /dev/null."""

    mid: int
    rids: tuple[int, ...]
    domain: str


@attrs.frozen
class RecipientsDelivered(Event):
    dcid: int
    mid: int
    rids: tuple[int, ...]
    reply: str
    domain: str = ""


@attrs.frozen
class DeliveryClosed(Event):
    dcid: int


@attrs.frozen
class RouteUsed(Event):
    """An SMTP route decides the next hop, so DANE and MTA-STS aren't applied."""

    mid: int
    domain: str
    route: str


@attrs.frozen
class PolicyExplained(Event):
    """One attempt on one host in one line: which provider said what, and what came of it (the decision's audit)."""

    mid: int
    domain: str
    host: str
    opinions: tuple[tuple[str, str], ...]  # (provider, its word with the reason), in the order asked
    outcome: str  # "TLSv1.3 verified by mta-sts", "refused: MX not in policy", ...
    result: PolicyResult  # what the outcome comes to
    verified_by: str = ""  # who verified the server: "dane", "mta-sts", "profile", a provider's name
    cause: CauseKind | None = None  # why nothing was sent


@attrs.frozen
class PolicyObserved(Event):
    """How a session fared against a policy that was only observed (mode testing, monitor mode, an exemption, TLS option 4)."""

    domain: str
    host: str
    provider: str
    ok: bool
    text: str  # what matched, or what failed
    cause: CauseKind | None = None  # of the failure


@attrs.frozen
class TLSAlert(Event):
    """TLS that is required failed, at a destination whose operator wants to be told."""

    domain: str
    host: str
    text: str
    since: int  # failures since the last alert


@attrs.frozen
class ExemptionUsed(Event):
    """A delivery went on that a policy would have stopped: a Warning each time."""

    domain: str
    host: str
    provider: str
    text: str  # what failed
    end: str  # of the exemption, for people
    reason: str


@attrs.frozen
class ExemptionInForce(Event):
    """Told at the start for each destination that has one."""

    destination: str
    end: str
    reason: str


@attrs.frozen
class ExemptionEnded(Event):
    """The policies of the destination are enforced again."""

    destination: str
    end: str
    reason: str


@attrs.frozen
class ExemptionOver(Event):
    """Told at the start: the configuration still has an exemption that ended long ago."""

    destination: str
    end: str
    reason: str
