"""What the queue promises to the stages that use it. Objects meet in `seg.gateway` only.

`Awaitable` means a coroutine or a Deferred. Unless said otherwise nothing here blocks, and nothing raises but what is named."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from operator import attrgetter

import attrs
from twisted.internet.defer import Deferred
from zope.interface import Attribute, Interface

from seg.mail.envelope import Envelope, Recipient
from seg.mail.outcome import DSNAction, Outcome

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
