"""What happens to messages in the queue."""

from __future__ import annotations

import attrs

from seg.events.base import Event
from seg.mail.errors import Permanent, Temporary


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
