"""Everything that can happen to a message, a connection, a policy or the gateway: one frozen class each.

Stages emit these and nothing else; the mail log, its JSON twin, metrics and pages are derived from them (`seg.maillog`).
Times aren't part of an event: whoever listens stamps it. ``text`` fields are one line for people; remote data in them is
escaped by whoever writes it down, not here.
"""

from __future__ import annotations

import enum

import attrs

from seg.causes import CauseKind
from seg.errors import Permanent, Temporary


class Event:
    """Base of all events."""

    __slots__ = ()


class DebugEvent(Event):
    """Base of events that are only worth an object when somebody listens (`IEventSink.debug`)."""

    __slots__ = ()


# --- the gateway itself ---------------------------------------------------------------------------------------------


@attrs.frozen
class GatewayStarted(Event):
    version: str


@attrs.frozen
class GatewayStopping(Event):
    pass


@attrs.frozen
class ListenerStarted(Event):
    name: str
    address: str
    port: int


@attrs.frozen
class Notice(Event):
    """Something an operator should read once, at Info."""

    text: str


@attrs.frozen
class Fault(Event):
    """Something that an operator should mend, at Warning; the gateway goes on."""

    text: str


@attrs.frozen
class Repeated(Event):
    """Events that said the same, but for numbers, and were left out of this log: how many in the last minute."""

    name: str  # class of the events
    text: str  # of the last one
    count: int
    fault: bool  # an operator should mend it


class ConditionKind(enum.StrEnum):
    """What can be wrong with the gateway itself for a while; `seg.conditions` tells when it begins and ends."""

    CLOCK = "clock"  # the system's clock was set back, or is wrong
    DISK = "disk"  # the spool can't be written (full, out of inodes, read-only, broken, wrong owner)
    DISK_READ = "disk-read"  # spool files can't be read for an error of the system
    LOG = "log"  # the mail log can't be written
    STATE_FILE = "state-file"  # a file of settings or state can't be used; what it held before stays in force
    UNREADABLE = "unreadable"  # messages that are kept aside, as nothing can be made of their files
    DAMAGED = "damaged"  # messages that are held, as a part of their files is lost
    DESCRIPTORS = "descriptors"  # file descriptors are short
    FETCHES = "fetches"  # all turns for fetching MTA-STS policies are taken
    PROXY = "proxy"  # the HTTP proxy for policy fetches is away
    RESOLVER = "resolver"  # no trusted resolver answers
    POLICIES = "policies"  # MTA-STS policies in force can't be kept, or can't be read
    CERTIFICATE = "certificate"  # one of our own certificates is out of date
    MEMORY = "memory"  # memory has run out, or the queue fills what is set aside for it
    LOCAL = "local"  # the gateway lacks something else of its own


@attrs.frozen
class ConditionBegan(Event):
    """From now on something is wrong with the gateway itself, which an operator should mend."""

    kind: ConditionKind
    subject: str  # which file, host, ...; "" where there is only one
    text: str  # what is wrong and what it means, in one line


@attrs.frozen
class ConditionEnded(Event):
    """It is over."""

    kind: ConditionKind
    subject: str
    text: str


@attrs.frozen
class SyslogAway(Event):
    """A log subscription's syslog doesn't take lines; they wait, as far as memory is set aside for them."""

    name: str
    address: str
    reason: str


@attrs.frozen
class SyslogBack(Event):
    """A log subscription's syslog takes lines again."""

    name: str
    address: str


@attrs.frozen
class SyslogLinesLost(Event):
    """Lines that a log subscription's syslog will never get."""

    name: str
    count: int


# --- injection: a client hands in a message ---------------------------------------------------------------------------


@attrs.frozen
class ConnectionAccepted(Event):
    icid: int
    listener: str
    local: str  # address we were reached at
    address: str  # the client's
    reverse_name: str = ""  # "" = unknown
    verified: bool = False


@attrs.frozen
class ConnectionAdmitted(Event):
    """The host access table's word: ACCEPT, RELAY, REJECT or TCPREFUSE."""

    icid: int
    action: str
    group: str
    match: str


@attrs.frozen
class ReceiveTLSStarted(Event):
    icid: int
    protocol: str
    cipher: str
    group: str = ""  # of the key exchange; "" = none


@attrs.frozen
class ReceiveTLSFailed(Event):
    icid: int
    text: str


@attrs.frozen
class MessageStarted(Event):
    mid: int
    icid: int
    reverse_path: str


@attrs.frozen
class RecipientAccepted(Event):
    mid: int
    icid: int
    rid: int
    address: str


@attrs.frozen
class RecipientRefused(Event):
    mid: int
    icid: int
    address: str
    reply: str


@attrs.frozen
class SenderRefused(Event):
    """MAIL was refused by a rule of the house, not by its syntax."""

    icid: int
    address: str
    reply: str


@attrs.frozen
class RefusalsUntold(Event):
    """How many more refusals a connection had than were told of one by one; its last event but one."""

    icid: int
    count: int
    recipients: int  # of them refused recipients
    logins: int  # of them failed logins


@attrs.frozen
class FilterAnswered(Event):
    """A filter has judged a message."""

    mid: int
    name: str
    answer: str  # accept, redirect, hold, discard, reject, tempfail
    details: tuple[str, ...]  # what it changed, or what the client is to hear
    seconds: float


@attrs.frozen
class FilterPassedOver(Event):
    """The message is larger than what the filter is to be shown."""

    mid: int
    name: str
    size: int


@attrs.frozen
class FilterAway(Event):
    """A filter gave no answer that can be used."""

    mid: int
    name: str
    cause: str
    decision: str  # its `when_away`
    seconds: float


@attrs.frozen
class FilterChangedSender(Event):
    mid: int
    name: str
    reverse_path: str


@attrs.frozen
class FilterRemovedRecipient(Event):
    mid: int
    name: str
    rid: int
    address: str


@attrs.frozen
class ClientCertificateShown(Event):
    """A client showed a certificate where they are asked for."""

    icid: int
    holder: str  # its subject
    known: bool  # it is listed, or of a listed authority: the client may relay


@attrs.frozen
class AuthSucceeded(Event):
    """A client showed who it is (RFC 4954)."""

    icid: int
    user: str
    mechanism: str
    profile: str  # which checker said so


@attrs.frozen
class AuthFailed(Event):
    icid: int
    user: str  # as claimed; "" when it never came to that
    mechanism: str
    profile: str
    reason: str  # for the log only, never for the client


@attrs.frozen
class MessageReceived(Event):
    """The content is complete and durable; the 250 follows."""

    mid: int
    icid: int
    reverse_path: str
    size: int
    message_id: str = ""
    subject: str = ""
    own: bool = False  # made by the gateway itself, a report or an alert: counted as no message that came in


@attrs.frozen
class MessageQueued(Event):
    mid: int


@attrs.frozen
class MessageAborted(Event):
    mid: int
    icid: int
    text: str  # e.g. "Receiving aborted by sender"


@attrs.frozen
class ReceiveFailed(Event):
    """A limit or rule ended a transaction or a connection: "Message size exceeds limit", "Connection limit exceeded"."""

    icid: int
    text: str


@attrs.frozen
class UnknownCommand(Event):
    icid: int
    command: str


@attrs.frozen
class BadCommand(Event):
    """A known command was refused; `code` is that of our reply and says whether for its syntax."""

    icid: int
    command: str
    text: str
    code: int = 501


@attrs.frozen
class ReceiveTimedOut(Event):
    icid: int
    address: str
    injected: int  # messages accepted on this connection


@attrs.frozen
class ConnectionLost(Event):
    icid: int


@attrs.frozen
class ConnectionClosed(Event):
    icid: int


# --- the queue ---------------------------------------------------------------------------------------------------------


@attrs.frozen
class RecipientDelayed(Event):
    mid: int
    rid: int
    dcid: int
    reverse_path: str
    address: str
    error: Temporary


@attrs.frozen
class RecipientsInDoubt(Event):
    """The server may have taken the message, and it is tried again."""

    mid: int
    rids: tuple[int, ...]
    cause: str
    seldom: bool  # each further try may bring a copy: it is hours away


@attrs.frozen
class RecipientBounced(Event):
    mid: int
    rid: int
    dcid: int
    reverse_path: str
    address: str
    error: Permanent


@attrs.frozen
class DoubleBounce(Event):
    """The reverse-path was null: nobody can be told; the recipient is dropped."""

    mid: int
    rid: int
    address: str
    error: Permanent


@attrs.frozen
class RecipientsPending(Event):
    mid: int
    rids: tuple[int, ...]
    until: float  # POSIX seconds
    cause: str  # the last failure, one line
    attempts: int
    profile: str = "Default"


@attrs.frozen
class BounceGenerated(Event):
    mid: int  # of the report
    original: int
    reverse_path: str  # of the report: always ""
    address: str  # whom it tells


@attrs.frozen
class RecipientsDeleted(Event):
    mid: int
    rids: tuple[int, ...]
    by: str = ""


@attrs.frozen
class MessageHeld(Event):
    mid: int
    by: str


@attrs.frozen
class MessageReleased(Event):
    mid: int
    by: str


@attrs.frozen
class MessageFinished(Event):
    """The last word on every MID."""

    mid: int
    aborted: bool = False


@attrs.frozen
class SpoolFileCorrupt(Event):
    path: str
    moved_to: str
    text: str


@attrs.frozen
class MessageDamaged(Event):
    """A part of a message's files is lost: it is held, and an operator has to say what becomes of it."""

    mid: int
    text: str  # what is lost


@attrs.frozen
class QueueScanned(Event):
    """The restart scan is done."""

    messages: int
    corrupt: int
    seconds: float


# --- delivery ------------------------------------------------------------------------------------------------------------


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


# --- MTA-STS -----------------------------------------------------------------------------------------------------------


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


# --- DANE --------------------------------------------------------------------------------------------------------------


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


# --- DNS ---------------------------------------------------------------------------------------------------------------


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


# --- operators ---------------------------------------------------------------------------------------------------------


@attrs.frozen
class OperatorActed(Event):
    """A command through the control socket changed something."""

    by: str
    action: str


@attrs.frozen
class AdminListening(Event):
    """The admin API is served to other machines."""

    address: str
    port: int


@attrs.frozen
class AdminRefused(Event):
    """Somebody asked the admin API over TCP, and may not; the token itself is never told."""

    address: str
    reason: str
