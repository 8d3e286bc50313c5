"""Messages over the API: the queue, what TLS policy keeps waiting, and what was put aside."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, ClassVar, Literal

import attrs

from seg.admin.wire.gateway import Paused
from seg.admin.wire.route import one_of
from seg.common.json_schema import Count, DescribedAs, Keywords, Time
from seg.config.routes_file import next_hop
from seg.mail.causes import CauseKind, PolicyResult
from seg.mail.envelope import BodyType, DSNNotify, RecipientState
from seg.queue.interfaces import MessageState

MAX_LISTED = 100_000  # messages in one answer
MOST_CONTENT = 1024 * 1024  # octets in one answer
MOST_DOMAINS = 1000  # rows in one answer

Cause = Annotated[CauseKind, "why TLS policy keeps mail from a host"]
LastCause = Annotated[CauseKind | None, "of the last failure; null: of no kind that has a name"]
Causes = Annotated[tuple[Cause, ...], "why TLS policy keeps recipients of it waiting; empty: it doesn't"]
MessageId = Annotated[int, Keywords(minimum=0), "message id"]
NextTry = Annotated[float, Keywords(minimum=0), "POSIX seconds of the next try; 0: at once"]
QueueAct = Literal["hold", "release", "delete", "retry", "bounce", "redirect"]
CorruptAct = Literal["restore", "delete"]


# --- the queue ---------------------------------------------------------------------------------------


@attrs.frozen
class ListMessages:
    """Which of the waiting messages."""

    domain: Annotated[str | None, "a recipient domain"] = None
    sender: Annotated[str | None, "the reverse-path"] = None
    held: Annotated[str, Keywords(minLength=1), "anything: only those that are held"] = ""
    cause: Annotated[CauseKind | None, "only those that TLS policy keeps waiting for this cause"] = None
    limit: Annotated[int, Keywords(minimum=0, maximum=MAX_LISTED), "how many"] = 100
    after: Annotated[int | None, Keywords(minimum=0), "only those with a higher message id: the next page"] = None


@attrs.frozen
class MessageFacts:
    """What is told of a message wherever it is shown."""

    mid: Count
    size: Annotated[Count, "octets"]
    arrived: Time
    sender: Annotated[str, "empty: the null reverse-path"]
    domains: tuple[str, ...]
    state: MessageState
    attempts: Count
    due: NextTry
    error: str
    expires: Annotated[Time, "POSIX seconds at which it is returned to its sender"]
    waiting: Annotated[Count, "recipients that wait"]


@attrs.frozen
class ListedMessage(MessageFacts):
    """A line of the listing."""

    recipients: Annotated[tuple[str, ...], "the first few"]
    causes: Causes


@attrs.frozen
class MessagesAnswer:
    """Some of the waiting messages."""

    total: Count
    messages: Sequence[ListedMessage]


@attrs.frozen
class NamedMessage:
    """One message."""

    mid: MessageId


@attrs.frozen
class RefusedHost:
    """A host that TLS policy doesn't let mail go to."""

    host: str
    cause: Cause


@attrs.frozen
class RecipientHold:
    """Why TLS policy keeps a recipient waiting."""

    since: Time
    refusals: tuple[RefusedHost, ...]


@attrs.frozen
class MessageRecipient:
    """A recipient, and how it has fared."""

    rid: Count
    address: str
    state: RecipientState
    attempts: Count
    due: NextTry
    error: str
    report: Count
    notify: tuple[DSNNotify, ...] | None
    orcpt: str
    warned: bool
    via: Annotated[str, "where an operator redirected it to; empty: by its own route"]
    policy: Annotated[RecipientHold | None, "TLS policy is why it waits: since when, and which hosts"]
    cause: LastCause


@attrs.frozen
class MessageAnswer(MessageFacts):
    """A message in full."""

    client: str
    helo: str
    body: BodyType
    held: bool
    recipients: Sequence[MessageRecipient]
    header: str
    causes: Causes
    damage: Annotated[str, "what of its spool files is lost, so that it is held; empty: nothing"] = ""


@attrs.frozen
class ReadMessage:
    """Which octets of a message."""

    mid: MessageId
    offset: Annotated[int, Keywords(minimum=0, maximum=2**40), "where to begin"] = 0
    limit: Annotated[int, Keywords(minimum=0, maximum=MOST_CONTENT), "octets"] = MOST_CONTENT


@attrs.frozen
class ContentAnswer:
    """Octets of a message."""

    size: Annotated[Count, "octets of the whole message"]
    offset: Count
    data: Annotated[str, Keywords(contentEncoding="base64")]


@attrs.frozen
class ActOnMessages:
    """What is to be done to which messages."""

    SCHEMA: ClassVar = Keywords(oneOf=({"required": ["mids"]}, {"required": ["domain"]}, {"required": ["all"]}))

    action: QueueAct
    mids: tuple[Count, ...] | None = None
    domain: str | None = None
    all: Literal[True] | None = None
    host: Annotated[
        str, "of a redirection: host, host:port, [IPv6]:port or unix:/path; empty: back to the own route"
    ] = ""
    recipients_at: Annotated[str, "of a redirection: only recipients at this domain"] = ""

    @classmethod
    def from_body(cls, body: Mapping[str, Any]) -> ActOnMessages:
        """:raises ValueError: it says no action, or no messages."""
        action = one_of("action", body.get("action"), ("hold", "release", "delete", "retry", "bounce", "redirect"))
        host, only = body.get("host"), body.get("recipients_at", body.get("domain", ""))
        if action != "redirect":
            host = only = ""
        elif not isinstance(host, str) or not isinstance(only, str):
            raise ValueError("a redirection wants a host (a text; empty: back to the own route)")
        elif host:
            _check_host(host)
        mids, domain = body.get("mids"), body.get("domain")
        if isinstance(mids, list) and all(type(mid) is int for mid in mids):
            return cls(action, mids=tuple(mids), host=host, recipients_at=only)
        if isinstance(domain, str):
            return cls(action, domain=domain, host=host, recipients_at=only)
        if body.get("all") is True:
            return cls(action, all=True, host=host, recipients_at=only)
        raise ValueError("name messages by mids (a list of message ids), by domain (a text), or by all (true)")


def _check_host(host: str) -> None:
    """:raises ValueError: no mail can be redirected to it."""
    try:
        next_hop(host)
    except ValueError as error:
        raise ValueError(f"host: {error}") from None


@attrs.frozen
class DoneAnswer:
    """What was done, and what couldn't be."""

    done: Annotated[Sequence[Count], "MIDs"]
    refused: Annotated[Mapping[str, str], "MID to the reason"]
    not_written: Annotated[
        Mapping[str, str],
        "MID to why what was done isn't written down yet (a full disk): it is in force, and is written down as soon as that is possible; "
        "a restart before would forget it",
    ] = attrs.Factory(dict)


# --- why one waits -----------------------------------------------------------------------------------


@attrs.frozen
class ExplainedHost:
    """What was decided for one host."""

    at: Time
    host: str
    outcome: str
    opinions: tuple[Annotated[tuple[str, ...], Keywords(minItems=2, maxItems=2)], ...]
    result: Annotated[PolicyResult, "what the outcome comes to"]
    cause: LastCause


@attrs.frozen
class WaitingDestination:
    """One destination that a message waits for."""

    domain: str
    state: Literal["up", "down", "unknown"]
    suspended: bool
    limited: Annotated[str, "which limit the destination has reached; empty: none"]
    entry: str
    recipients: Sequence[MessageRecipient]
    next: Annotated[float, Keywords(minimum=0)]
    hosts: Sequence[ExplainedHost]


@attrs.frozen
class WhyAnswer:
    """Why a message hasn't gone yet."""

    at: Time
    mid: Count
    state: MessageState
    sender: str
    size: Count
    arrived: Time
    expires: Time
    requiretls: bool
    destinations: Sequence[WaitingDestination]
    paused: Paused


# --- what TLS policy keeps waiting -------------------------------------------------------------------


@attrs.frozen
class ListHeldByPolicy:
    """Which domains."""

    domain: Annotated[str, "only this domain"] = ""
    limit: Annotated[int, Keywords(minimum=0, maximum=MOST_DOMAINS), "how many domains"] = 100


@attrs.frozen
class HoldCause:
    """Why, and for how many."""

    cause: Cause
    text: str
    recipients: Count
    remedy: Annotated[str, "what the operator can do"]


@attrs.frozen
class HeldDomain:
    """What waits for one domain."""

    domain: str
    since: Time
    causes: Annotated[tuple[HoldCause, ...], "the most frequent first"]
    hosts: Annotated[tuple[RefusedHost, ...], "at most 5"]
    messages: Count
    recipients: Count
    next: Annotated[
        float | None,
        Keywords(minimum=0),
        "POSIX seconds of the next try, 0: at once; null: all of it is held by an operator besides",
    ]
    returned: Annotated[Time, "POSIX seconds at which the first of it is returned to its sender"]


@attrs.frozen
class HeldByPolicyAnswer:
    """What TLS policy keeps waiting."""

    at: Time
    total: Annotated[Count, "domains"]
    domains: Annotated[tuple[HeldDomain, ...], "the one that has waited longest first"]


# --- what was put aside ------------------------------------------------------------------------------


@attrs.frozen
class CorruptFileAnswer:
    """One thing in corrupt/."""

    name: str
    mid: Annotated[Count, "of the message that it belongs to; 0: none"]
    kind: Annotated[str, DescribedAs(Literal["message", "envelope", "folder", "other"])]
    size: Annotated[Count, "octets"]
    modified: Time
    reason: Annotated[str, "what is wrong with it, or that it can be restored"]
    sender: Annotated[str, "as far as an envelope can be read"]
    recipients: Annotated[tuple[str, ...], "the first of them"]
    waiting: Annotated[Count, "all recipients"]


@attrs.frozen
class CorruptFileInFullAnswer(CorruptFileAnswer):
    """The same with its beginning."""

    head: Annotated[str, "its first octets"]


@attrs.frozen
class CorruptAnswer:
    """What is in corrupt/."""

    total: Count
    files: tuple[CorruptFileAnswer, ...]


@attrs.frozen
class ShowCorrupt:
    """One of them."""

    name: Annotated[str, "its name in corrupt/"]


@attrs.frozen
class ActOnCorrupt:
    """What is to be done to which of them."""

    SCHEMA: ClassVar = Keywords(oneOf=({"required": ["names"]}, {"required": ["all"]}))

    action: CorruptAct
    names: tuple[str, ...] = ()
    all: Literal[True] | None = None

    @classmethod
    def from_body(cls, body: Mapping[str, Any]) -> ActOnCorrupt:
        """:raises ValueError: it says no action, or no files."""
        action, names = one_of("action", body.get("action"), ("restore", "delete")), body.get("names")
        if body.get("all") is True:
            return cls(action, all=True)
        if not isinstance(names, list) or not names or not all(isinstance(name, str) for name in names):
            raise ValueError("name files by names (a list of texts), or by all (true)")
        return cls(action, tuple(names))


@attrs.frozen
class CorruptDoneAnswer:
    """What was done, and what couldn't be."""

    done: Annotated[Sequence[str], "names"]
    refused: Annotated[Mapping[str, str], "name to the reason"]
