"""Injection: a client hands in a message."""

from __future__ import annotations

import attrs

from seg.events.base import Event


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
    """MAIL was refused by a rule of the operator's, not by its syntax."""

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
