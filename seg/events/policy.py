"""What TLS policy providers found: MTA-STS and DANE."""

from __future__ import annotations

import attrs

from seg.events.base import DebugEvent, Event


@attrs.frozen
class STSRecordFound(Event):
    domain: str
    policy_id: str


@attrs.frozen
class STSRecordFailed(Event):
    """The TXT question could not be answered (RFC 8461 §3.3): a cached policy stays in force."""

    domain: str
    text: str


@attrs.frozen
class STSRecordInvalid(Event):
    domain: str
    text: str


@attrs.frozen
class STSCacheHit(DebugEvent):
    domain: str


@attrs.frozen
class STSFetchStarted(DebugEvent):
    domain: str
    proxy: str  # "" = direct; never with its password


@attrs.frozen
class STSFetchFailed(Event):
    domain: str
    url: str
    cause: str  # one line: HTTP status, TLS reason, time-out, grammar fault
    proxy: str = ""
    kept: str = ""  # id of the cached policy that stays in force, "" = none


@attrs.frozen
class STSPolicyFetched(Event):
    domain: str
    policy_id: str
    mode: str
    max_age: int  # seconds


@attrs.frozen
class STSPolicyWithdrawn(Event):
    """An enforce policy was replaced by one of mode none (RFC 8461 §2, removing a policy): honoured, and worth a look."""

    domain: str
    policy_id: str


@attrs.frozen
class STSApplied(Event):
    domain: str
    mode: str


@attrs.frozen
class STSSucceeded(Event):
    domain: str


@attrs.frozen
class STSFailed(Event):
    domain: str
    host: str
    text: str
    enforced: bool = True  # False: mode testing, monitor mode, or an exemption: delivery goes on


@attrs.frozen
class DANETried(DebugEvent):
    domain: str
    mode: str  # OPPORTUNISTIC or MANDATORY


@attrs.frozen
class DANEMX(DebugEvent):
    domain: str
    host: str
    status: str  # SECURE, INSECURE or BOGUS


@attrs.frozen
class DANEAddress(DebugEvent):
    domain: str
    host: str
    address: str
    status: str


@attrs.frozen
class DANERecord(DebugEvent):
    domain: str
    host: str
    status: str
    text: str = ""


@attrs.frozen
class DANESucceeded(Event):
    domain: str
    host: str
    trusted: bool = False  # below an insecure MX: "Trusted", never "Verified"


@attrs.frozen
class DANEFailed(Event):
    domain: str
    host: str
    text: str
    enforced: bool = True  # False: monitor mode, or an exemption: delivery goes on


@attrs.frozen
class DANEWeakened(Event):
    """The operator's `dane_opportunistic_failure = "fall-through"` let a delivery go on: a Warning each time."""

    domain: str
    host: str
    text: str
