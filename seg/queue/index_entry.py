"""What the queue keeps in memory of a message: one small object."""

from __future__ import annotations

import weakref
from collections.abc import Mapping, Sequence

import attrs

from seg.mail.causes import CauseKind
from seg.mail.envelope import Envelope, Recipient, RecipientState
from seg.mail.outcome import Bounced, Delivered
from seg.queue.codec import pack, unpack

NEVER = float("inf")
SHARED_FROM = 10  # recipients
ROOM = 400  # octets that a message takes beside its packed envelope, in the due queue and the index's tables (`bench.queue` measures it)
UNPACKED = 1200  # octets of an envelope that is kept as it is, with content in memory

_PENDING, _BOUNCING = RecipientState.PENDING, RecipientState.BOUNCING
_NO_RIDS: frozenset[int] = frozenset()


@attrs.frozen
class UnusualFacts:
    """What few messages have. All others share `USUAL`, so that it takes no room there.

    :ivar causes: why TLS policy keeps recipients of it waiting, each once.
    :ivar damaged: a part of its files is lost (`Envelope.damage`).
    :ivar deleted_by: the operator who wants it deleted once its leases are back.
    :ivar failures: why recipients in state BOUNCING failed, by RID.
    :ivar notices: reports on this message since the start that weren't of failures.
    :ivar relayed: recipients handed on of whom the sender wants to hear and hasn't, by RID.
    :ivar unwritten: why its present state isn't written down yet; "" = it is, or is being written.
    """

    causes: frozenset[CauseKind] = frozenset()
    damaged: bool = False
    deleted_by: str = ""
    failures: Mapping[int, Bounced] = attrs.field(factory=dict)
    notices: int = 0
    relayed: Mapping[int, Delivered] = attrs.field(factory=dict)
    unwritten: str = ""


USUAL = UnusualFacts()


class _ToMany:
    """What a message to many keeps beside its packed envelope while it is given out.

    :ivar envelope: the envelope as long as anybody has it: each of a thousand destinations leases the whole of it.
    :ivar by_domain: its recipients, while any are given out.
    """

    __slots__ = ("by_domain", "envelope")

    def __init__(self, envelope: Envelope) -> None:
        self.envelope = weakref.ref(envelope)
        self.by_domain: dict[str, list[Recipient]] = {}


class IndexEntry:
    """One queued message.

    The envelope is packed: as objects it would take three times the room, and the garbage collector would
    walk through 100,000 of them again and again. Only beside content that is kept in memory it stays as it is, as it is asked for several
    times until the message is gone, and nearly always is gone soon.

    :ivar expires: when what is left is returned.
    :ivar held: by an operator.
    :ivar waiting: recipients that wait for a delivery or a report.
    :ivar unusual: what few messages have; changed by `note`.
    :ivar planned: recipients due up to this time have been put into the due queue.
    :ivar wake: the next time at which something is to happen; `NEVER` while held.
    :ivar warn: when to see whether the sender is to be told that some of it hasn't had its turn; `NEVER`: nobody is.
    :ivar leased: RIDs given out.
    :ivar content: the content while it is kept in memory.
    """

    __slots__ = (
        "_ascii",
        "_form",
        "_many",
        "content",
        "expires",
        "held",
        "leased",
        "mid",
        "planned",
        "unusual",
        "waiting",
        "wake",
        "warn",
    )

    def __init__(self, envelope: Envelope, expires: float, content: bytes | None = None) -> None:
        self.unusual = USUAL
        self.mid = envelope.mid
        self.expires = expires
        self.planned = 0.0
        self.wake = NEVER
        self.warn = NEVER
        self.leased = _NO_RIDS
        self.content = content
        self._many: _ToMany | None = None
        self._form: Envelope | bytes = b""  # as it is, or packed
        self.envelope = envelope

    @property
    def envelope(self) -> Envelope:
        """The envelope as it is now; of a message to many one object for all who have it."""
        form = self._form
        if not isinstance(form, bytes):
            return form
        many = self._many
        if many is None:
            return unpack(form)
        envelope = many.envelope()
        if envelope is None:
            envelope = unpack(form)
            many.envelope = weakref.ref(envelope)
        return envelope

    @envelope.setter
    def envelope(self, envelope: Envelope) -> None:
        waiting, ascii_only, causes = 0, envelope.reverse_path.isascii(), USUAL.causes
        for recipient in envelope.recipients:
            ascii_only = ascii_only and recipient.address.isascii()
            if recipient.state is _PENDING:
                waiting += 1
                if recipient.policy is not None:
                    causes = causes.union([refusal.cause for refusal in recipient.policy.refusals])
            elif recipient.state is _BOUNCING:
                waiting += 1
        self.waiting, self._ascii, self.held = waiting, ascii_only, envelope.held
        few = len(envelope.recipients) <= SHARED_FROM
        self._many = None if few else _ToMany(envelope)
        self._form = envelope if few and self.content is not None else pack(envelope)
        unusual = self.unusual
        if unusual.causes != causes or unusual.damaged != bool(envelope.damage):
            self.note(attrs.evolve(unusual, causes=causes, damaged=bool(envelope.damage)))

    def note(self, unusual: UnusualFacts) -> None:
        """Keep what is unusual about it: `unusual`, evolved."""
        self.unusual = USUAL if unusual == USUAL else unusual

    def at(self, domain: str, envelope: Envelope) -> Sequence[Recipient]:
        """The recipients of the present envelope that are at a destination, perhaps with others; of a message to many only these, so that
        a thousand destinations don't look through a thousand recipients each."""
        many = self._many
        if many is None:
            return envelope.recipients
        if not many.by_domain:
            for recipient in envelope.recipients:
                many.by_domain.setdefault(recipient.domain, []).append(recipient)
        return many.by_domain.get(domain, ())

    def forget_places(self) -> None:
        """Nothing is given out: what `at` keeps takes room."""
        if self._many is not None:
            self._many.by_domain = {}

    def drop_cached_content(self) -> None:
        """From now on the content comes from the file, and the envelope out of its packed form."""
        self.content = None
        if not isinstance(self._form, bytes):
            self._form = pack(self._form)

    @property
    def octets(self) -> int:
        """What it takes of memory, more or less; its content isn't in it."""
        return ROOM + (len(self._form) if isinstance(self._form, bytes) else UNPACKED)

    def may_mention(self, text: str) -> bool:
        """False when an address or domain, in lower case and A-labels, surely isn't in the envelope. Ten times quicker than
        to look: a search through a long queue asks this first."""
        if not self._ascii:
            return True
        form = self._form
        if isinstance(form, bytes):
            return text.encode() in form.lower()
        return any(text in address.lower() for address in (form.reverse_path, *(r.address for r in form.recipients)))
