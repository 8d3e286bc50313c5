"""The gateway as a whole over the API: its state, what is suspended, the work queue and the DNS."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, ClassVar, Literal

import attrs

from seg.common.json_schema import ABSENT, Absent, Count, Keywords, Time

LONGEST_REASON = 200  # characters
CLOSED = Keywords(additionalProperties=False)
SUSPENSION_KEYS = ("suspend", "resume", "suspend_listeners", "resume_listeners")

ZeroOrMore = Annotated[float, Keywords(minimum=0)]
Validates = Annotated[bool | None, "null: no trusted resolver has answered yet"]
NotWritten = Annotated[
    str, "why what is in force isn't written down yet, so that a restart would forget it; empty when it is"
]
Names = tuple[Annotated[str, Keywords(minLength=1)], ...]


@attrs.frozen
class ErrorAnswer:
    """What every refusal says."""

    error: Annotated[str, "what is wrong, and what to do"]
    problems: tuple[str, ...] | Absent = ABSENT
    theirs: str | Absent = ABSENT
    yours: str | Absent = ABSENT


# --- suspension --------------------------------------------------------------------------------------


@attrs.frozen
class PauseAnswer:
    """Why nothing leaves the queue."""

    SCHEMA: ClassVar = CLOSED

    reason: str
    by: str
    since: Time


Paused = Annotated[PauseAnswer | None, "why nothing leaves the queue; null: it isn't paused"]


@attrs.frozen
class SuspensionAnswer:
    """What is suspended."""

    domains: Annotated[tuple[str, ...], "ALL stands for every destination"]
    listeners: tuple[str, ...]
    paused: Paused
    not_written: NotWritten


@attrs.frozen
class ChangeSuspension:
    """What to suspend and what to resume."""

    SCHEMA: ClassVar = Keywords(minProperties=1, additionalProperties=False)

    suspend: Names | None = None
    resume: Names | None = None
    suspend_listeners: Names | None = None
    resume_listeners: Names | None = None

    @classmethod
    def from_body(cls, body: Mapping[str, Any]) -> ChangeSuspension:
        """:raises ValueError: it says nothing, or something else."""
        given = {key: _names(body[key], key) for key in SUSPENSION_KEYS if key in body}
        if not given or set(body) - set(SUSPENSION_KEYS):
            raise ValueError(f"name at least one of {', '.join(SUSPENSION_KEYS)}, a list each, and nothing else")
        return cls(**given)


def _names(values: Any, key: str) -> tuple[str, ...]:
    if not isinstance(values, list) or not all(isinstance(value, str) and value for value in values):
        raise ValueError(f"{key} must be a list of names")
    return tuple(values)


# --- the work queue ----------------------------------------------------------------------------------


@attrs.frozen
class WorkQueueAnswer:
    """Messages that aren't queued yet, and the pause."""

    SCHEMA: ClassVar = CLOSED

    at: Time
    paused: Paused
    pending: Annotated[Count, "messages with the filters, or being written"]
    entered: Annotated[Count, "since the start"]
    left: Annotated[Count, "since the start: queued, refused or dropped"]
    queued: Annotated[Count, "messages in the queue"]
    not_written: NotWritten


@attrs.frozen
class ChangeWorkQueue:
    """Pause it or let it go on."""

    SCHEMA: ClassVar = Keywords(oneOf=({"required": ["pause"]}, {"required": ["resume"]}), additionalProperties=False)

    pause: Annotated[str | None, Keywords(minLength=1, maxLength=LONGEST_REASON), "the reason"] = None
    resume: Literal[True] | None = None

    @classmethod
    def from_body(cls, body: Mapping[str, Any]) -> ChangeWorkQueue:
        """:raises ValueError: it says neither, or both."""
        reason = body.get("pause")
        if isinstance(reason, str) and set(body) == {"pause"}:
            return cls(pause=_reason(reason))
        if body == {"resume": True}:
            return cls(resume=True)
        raise ValueError("say pause (the reason, a text), or resume (true), and nothing else")


def _reason(text: str) -> str:
    reason = " ".join(text.split())
    if not reason or len(reason) > LONGEST_REASON or not reason.isprintable():
        raise ValueError(f"pause wants a reason, of at most {LONGEST_REASON} characters")
    return reason


# --- status ------------------------------------------------------------------------------------------


@attrs.frozen
class BoundListener:
    """Where mail is taken."""

    name: str
    address: str
    port: Annotated[int, Keywords(minimum=1, maximum=65535)]


@attrs.frozen
class OwnCertificate:
    """How long one of our own certificates lasts."""

    used_by: str
    file: str
    subject: str
    not_after: str
    seconds_left: float
    fault: Annotated[str, "why it is out of date now"]
    soon: Annotated[bool, "whether it should have been renewed"]


@attrs.frozen
class QueueNumbers:
    """The queue in numbers."""

    messages: Count
    recipients: Count
    active: Count
    held: Count
    oldest: ZeroOrMore
    damaged: Annotated[Count, "messages that are held, as a part of the spool's files is lost"]
    unread: Annotated[
        Count, "files and folders of the spool that the system can't read for now; their messages aren't counted"
    ]
    corrupt: Annotated[Count, "files put aside, as nothing can be made of them"]
    policy_held: Annotated[Count, "messages that TLS policy keeps waiting"]


@attrs.frozen
class GaugesNow:
    """What goes on now."""

    connections_in: Count
    attempts: Count
    connections_idle: Count
    memory: Count


@attrs.frozen
class ObservedSessions:
    """Sessions held against a policy that is only watched."""

    passed: Count
    failed: Count


@attrs.frozen
class CountersAnswer:
    """What was counted since the start."""

    connections_in: Count
    connections_out: Count
    messages_received: Count
    recipients_delivered: Count
    recipients_delayed: Count
    recipients_bounced: Count
    verified_by_mta_sts: Count
    verified_by_dane: Count
    policy_refusals: Count
    policy_observed: Mapping[str, ObservedSessions]
    filters: Mapping[str, Mapping[str, Count]]


COLUMN = Keywords(required=("connections_in", "messages_received", "recipients_delivered"))
Columns = Annotated[
    Mapping[str, Annotated[Mapping[str, Count], COLUMN]], Keywords(required=("reset", "uptime", "lifetime"))
]
Rates = Annotated[
    Mapping[str, Annotated[Mapping[str, Count], Keywords(required=("1", "5", "15"))]],
    "events in an hour, by window in minutes",
]


@attrs.frozen
class ConditionAnswer:
    """Something that is wrong with the gateway itself."""

    SCHEMA: ClassVar = CLOSED

    kind: Annotated[str, "which kind of fault; the metric seg_condition counts them by it"]
    subject: Annotated[str, "which file, host, ...; empty where there is only one"]
    text: Annotated[str, "what is wrong and what it means"]
    since: Time


@attrs.frozen
class StatusAnswer:
    """How the gateway is doing."""

    version: str
    hostname: str
    pid: Count
    configuration: str
    started: Time
    uptime: ZeroOrMore
    listeners: Sequence[BoundListener]
    resolver_validates: Validates
    certificates: Annotated[Sequence[OwnCertificate], "our own in use, those that end first first"]
    exemptions: Count
    queue: QueueNumbers
    gauges: GaugesNow
    counters: CountersAnswer
    totals: Columns
    rates: Rates
    last_reset: Time
    counted_since: Time
    suspension: SuspensionAnswer
    conditions: Annotated[Sequence[ConditionAnswer], "what is wrong with the gateway itself now"]


@attrs.frozen
class CountersResetAnswer:
    """When the column begins."""

    SCHEMA: ClassVar = CLOSED

    last_reset: Annotated[float, "POSIX seconds"]


@attrs.frozen
class ConnectedClient:
    """Connections of one client at one listener."""

    listener: str
    address: str
    connections: Count


@attrs.frozen
class ClientsAnswer:
    """Who is connected."""

    at: Time
    clients: Sequence[ConnectedClient]


# --- the DNS -----------------------------------------------------------------------------------------


@attrs.frozen
class DNSNumbers:
    """What the cache counted."""

    SCHEMA: ClassVar = CLOSED

    requests: Count
    network: Count
    hits: Count
    misses: Count
    expired: Count
    failures: Count
    timeouts: Count
    servfails: Count
    bogus: Count


@attrs.frozen
class DNSColumns:
    """The same in three columns."""

    SCHEMA: ClassVar = CLOSED

    reset: DNSNumbers
    uptime: DNSNumbers
    lifetime: DNSNumbers


@attrs.frozen
class ResolverFacts:
    """How a resolver fares."""

    server: str
    trusted: Annotated[bool, "in dns.trusted"]
    validates: Annotated[bool | None, "what the last probe found; null: it has answered none yet"]
    believed: Annotated[bool, "both: AD in its answers counts"]
    asked_last: Annotated[bool, "it was silent lately"]
    answers: Count
    failures: Count
    last_answer: Annotated[Time, "POSIX seconds; 0: none yet"]
    last_failure: str
    last_failure_at: Time


@attrs.frozen
class DNSStatusAnswer:
    """What the DNS was asked."""

    at: Time
    totals: DNSColumns
    last_reset: Time
    counted_since: Time
    cached: Count
    resolver_validates: Validates
    resolvers: Sequence[ResolverFacts]


@attrs.frozen
class FlushDNS:
    """Which answers to forget."""

    name: str | None = None

    @classmethod
    def from_body(cls, body: Mapping[str, Any]) -> FlushDNS:
        """:raises ValueError: the name is no text."""
        name = body.get("name")
        if name is not None and not isinstance(name, str):
            raise ValueError("name must be a text")
        return cls(name)


@attrs.frozen
class FlushedAnswer:
    """How much was forgotten."""

    flushed: Count
