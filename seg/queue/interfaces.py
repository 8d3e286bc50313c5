"""What the queue promises to the stages that use it. Objects meet in `seg.gateway` only.

`Awaitable` means a coroutine or a Deferred. Unless said otherwise nothing here blocks, and nothing raises but what is named."""

from __future__ import annotations

import enum
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from operator import attrgetter
from typing import TypeVar

import attrs
from twisted.internet.defer import Deferred
from zope.interface import Attribute, Interface

from seg.mail.causes import CauseKind
from seg.mail.envelope import Envelope, Recipient
from seg.mail.outcome import DSNAction, Outcome

T = TypeVar("T")
_rid_of = attrgetter("rid")


@attrs.frozen(eq=False)
class Lease:
    """Held by the delivery engine from `IQueue.lease` to `IQueue.settle` or `IQueue.release`."""

    envelope: Envelope
    domain: str
    recipients: tuple[Recipient, ...]  # of this domain, due now
    content: IContent
    mid: int = attrs.field(init=False)  # the message's id
    rids: tuple[int, ...] = attrs.field(init=False)  # the recipients' ids

    def __attrs_post_init__(self) -> None:
        object.__setattr__(self, "mid", self.envelope.mid)  # asked for again and again
        object.__setattr__(self, "rids", tuple(map(_rid_of, self.recipients)))

    @property
    def via(self) -> str:
        """Where an operator redirected all of them to; "" = nowhere (see `Recipient.via`)."""
        return self.recipients[0].via


class IContent(Interface):
    """The content of a message as stored: CRLF lines, not dot-stuffed, Received field included."""

    size = Attribute("int: octets")

    def chunks() -> AsyncIterator[bytes]:
        """The content in order, in pieces of at most 64 KiB (one piece when it is small and at hand in memory).
        Raises `OSError` when the spool file can't be read."""

    def head(limit: int) -> Awaitable[bytes]:
        """The first `limit` octets (for a report)."""


class IMessageWriter(Interface):
    """One message on its way into the queue."""

    backpressure = Attribute(
        "None, or a Deferred that fires when the disk has caught up: better write no more until then"
    )
    size = Attribute("Octets written so far, as they will be stored")

    def write(data: bytes) -> None:
        """Append content, in whatever pieces: a CR or LF that stands alone becomes CRLF. Large messages go to `spool/tmp` as they come.

        Raises `seg.smtp.dot_stuffing.NULInContent` (a ValueError) for a NUL: `abort` it."""

    def content() -> Awaitable[IContent]:
        """What has been written so far, to be read before `commit` or `abort`; write no more while it is read.
        Raises `OSError` when it could not be written."""

    def sibling() -> IMessageWriter:
        """Another writer for the same message. At most one of them is committed: abort the others."""

    def commit(envelope: Envelope) -> Deferred[None]:
        """Fires when file and folder are durable: now the 250 may be sent. The message can be seen by operators then, and is due right
        behind the callbacks of this.
        Fails with `OSError` (disk full: answer 452) and then nothing is kept."""

    def abort() -> None:
        """Forget all of it. Harmless after a failed commit."""


class IQueue(Interface):
    """The spool: nothing that got its 250 is lost, whatever happens (``docs/queue.md``)."""

    def begin(mid: int, before_due: Callable[[], Deferred[None]] | None = None) -> IMessageWriter:
        """Start writing a message. Its envelope must bear this MID.

        :param before_due: to be done once the message is durable and before it is due: what it was made of is gone then, so that a restart
            can't find both. If it fails, so does the commit, and the message is due after a restart."""

    def refusal() -> OSError | None:
        """What forbids to take new mail now (the disk, or too little memory for more of it); None: nothing. Cheap."""

    def subscribe(on_ready: Callable[[str], None]) -> None:
        """Call ``on_ready(domain)`` whenever a destination comes to have due work (also for the work there is now)."""

    def lease(domain: str, most: int = 0) -> Lease | None:
        """The due recipients for `domain` (at most so many, 0: all) of the message that waits longest, or None. A leased recipient isn't given
        out again until `settle` or `release`."""

    def settle(lease: Lease, outcomes: dict[int, Outcome]) -> Deferred[None]:
        """Record how the recipients of a lease fared (RID -> outcome; a RID left out is due again at once).

        Delivered ones are ticked off; delayed ones get their next time or, past the lifetime, expire (5.4.7); for
        bounced and expired ones the report is made durable first. Emits RecipientDelayed, RecipientBounced,
        RecipientsPending, BounceGenerated, DoubleBounce and MessageFinished. Fires when all of that is durable.
        """

    def release(lease: Lease) -> None:
        """Hand a lease back untried (the gateway stops)."""


class IReportComposer(Interface):
    """Writes delivery status notifications (RFC 3464)."""

    def compose(
        action: DSNAction,
        envelope: Envelope,
        fared: Sequence[tuple[int, Outcome]],
        head: bytes,
        mid: int,
        until: float = 0.0,
    ) -> tuple[Envelope, bytes] | None:
        """The report on these (RID, outcome) of `envelope`, or None when the reverse-path is null.

        :param action: what became of all of them: failed (`Bounced`), delayed (`Delayed`), relayed (`Delivered`).
        :param head: the first octets of the message's content (its header at least).
        :param mid: the MID that the report is to have.
        :param until: POSIX seconds until which delivery is tried (of a delay).
        :return: envelope (reverse-path null) and content (CRLF lines) of the report.
        """

    def plain(
        action: DSNAction, envelope: Envelope, fared: Sequence[tuple[int, Outcome]], mid: int
    ) -> tuple[Envelope, bytes] | None:
        """The least that a report can be, for when `compose` raises: whom it is about, and each one's status."""


# --- for operators ---------------------------------------------------------------------------------


@attrs.frozen
class QueueCounts:
    """The queue in numbers."""

    messages: int
    recipients: int  # that wait for a delivery or a report
    active: int  # recipients being tried now
    held: int  # messages
    oldest: float  # POSIX seconds of arrival of the oldest message; 0.0 when there is none
    damaged: int = 0  # messages that are held, as a part of their files is lost
    unread: int = 0  # files and folders that the system can't read for now; their messages aren't among `messages`
    corrupt: int = 0  # files in corrupt/
    policy_held: int = 0  # messages of which TLS policy keeps recipients waiting


class MessageState(enum.StrEnum):
    """What a queued message is waiting for."""

    ACTIVE = "active"  # being tried
    DUE = "due"  # will be tried as soon as its destination's limits allow
    WAITING = "waiting"  # for its next try
    HELD = "held"  # by an operator
    BOUNCING = "bouncing"  # its failure report is being written


@attrs.frozen
class MessageSummary:
    """One line of a listing of the queue."""

    mid: int
    size: int  # octets
    arrived: float  # POSIX seconds
    sender: str  # "" is the null reverse-path
    recipients: tuple[str, ...]  # addresses that wait for a delivery or a report
    domains: tuple[str, ...]  # theirs, each once
    state: MessageState
    attempts: int  # the most of any recipient
    due: float  # POSIX seconds of the next try; 0.0: at once
    error: str  # the last failure, one line
    expires: float  # POSIX seconds at which it is returned
    causes: tuple[CauseKind, ...] = ()  # why TLS policy keeps recipients of it waiting


@attrs.frozen
class MessageDetails:
    """One message in full."""

    listing: MessageSummary
    envelope: Envelope
    head: bytes  # the first octets of the content


@attrs.frozen
class HeldByPolicy:
    """What TLS policy keeps waiting of one message."""

    mid: int
    recipients: tuple[Recipient, ...]  # each with its `policy`; times in POSIX seconds
    held: bool  # by an operator besides
    expires: float  # POSIX seconds at which it is returned


class IQueueCommands(Interface):
    """Questions of operators about queued messages, and their commands. Commands on a message answer when what they did is durable; or True
    as soon as that is in force, if it can't be written down for now (see `unwritten`)."""

    def counts() -> QueueCounts:
        """The queue in numbers; cheap enough to be asked every second."""

    def destinations() -> Mapping[str, int]:
        """Recipients that wait for a delivery or a report, by destination."""

    def causes() -> Mapping[CauseKind, int]:
        """Messages that TLS policy keeps waiting, by cause; one with several counts for each."""

    def unwritten(mid: int) -> str:
        """Why what is known of a message isn't written down yet: it is in force, but a restart would not know of it. "" = it is, or
        there is no such message."""

    def pause() -> Deferred[None]:
        """Fires in the reactor's next turn."""

    def in_turns(items: Iterable[T]) -> AsyncIterator[T]:
        """The items; others get their turn in between: an order over many messages goes in slices."""

    def mids(after: int = 0) -> list[int]:
        """All queued messages from the first one above `after`."""

    def listing(mid: int, mention: str = "", held: bool = False) -> MessageSummary | None:
        """One message; None when it isn't queued, waits for nothing, or surely doesn't mention an address or domain (in
        lower case and A-labels), or isn't held although that is asked for."""

    def policy_held() -> list[int]:
        """The messages of which TLS policy keeps recipients waiting, oldest first."""

    def held_by_policy(mid: int) -> HeldByPolicy | None:
        """What TLS policy keeps of a message; None when there is nothing."""

    def show(mid: int) -> Awaitable[MessageDetails | None]:
        """One message with the beginning of its content; None when it isn't queued. Raises `OSError` when its file can't be read."""

    def content(mid: int) -> IContent | None:
        """The content of a queued message; None when it isn't queued."""

    def hold(mid: int, by: str) -> Deferred[bool]:
        """Try it no more until released, restarts included. What is being tried just now is completed. False:
        there is no such message, or it is held already."""

    def release_hold(mid: int, by: str) -> Deferred[bool]:
        """Go on with a held message, which is due at once if its time has come. Its lifetime, if over, is
        extended for one try. False: there is no such message, or it isn't held."""

    def delete(mid: int, by: str) -> Deferred[bool]:
        """Drop what is pending; nobody is told. What is being tried just now is completed first, and the rest
        dropped then. False: there is no such message."""

    def bounce(mid: int, by: str) -> Deferred[bool]:
        """Return to its sender what is pending and isn't being tried just now. False: there is nothing of it."""

    def redirect(mid: int, via: str, by: str, domain: str = "") -> Deferred[bool]:
        """Send what is pending, or of it what is for a destination, to this host instead of its own route, restarts included, and now;
        "" is back to its own route. What is being tried just now is completed first. False: nothing of it waits."""

    def retry(target: int | str = "") -> Awaitable[int]:
        """Make recipients due now: of one message (its MID), of one destination (its domain), or all ("").
        The number of recipients that needn't wait any more. Held messages stay held."""


class NotRestoredError(Exception):
    """A file can't be brought back; the text says why."""


@attrs.frozen
class CorruptFile:
    """One thing in corrupt/."""

    name: str
    mid: int  # of the message that it belongs to; 0: none
    kind: str  # "message", "envelope", "folder", "other"
    size: int  # octets
    modified: float  # POSIX seconds
    reason: str  # why it is no message now
    sender: str = ""  # as far as an envelope can be read
    recipients: tuple[str, ...] = ()


class ICorruptFiles(Interface):
    """What was put aside in corrupt/, for operators."""

    def list() -> Awaitable[tuple[int, tuple[CorruptFile, ...]]]:
        """How many there are, and the first of them. Raises `OSError` when the folder can't be read."""

    def show(name: str) -> Awaitable[tuple[CorruptFile, bytes] | None]:
        """One with its first octets; None: there is no such one. Raises `OSError` when it can't be read."""

    def delete(name: str, by: str) -> Awaitable[bool]:
        """Remove it for good. False: there is no such one. Raises `OSError` when it can't be removed."""

    def restore(name: str, by: str) -> Awaitable[None]:
        """Put a file that was mended back, and take it up at once: a message with its envelope, or the envelope of a held message.

        Raises `NotRestoredError` when it isn't mended, or its place is taken; `OSError` when it can't be read or moved."""
