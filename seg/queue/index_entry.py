"""What the queue keeps in memory of a message: one small object."""

from __future__ import annotations

import marshal
import weakref
from collections.abc import Mapping, Sequence
from typing import Any, Generic, TypeVar, overload

from seg.mail.causes import CauseKind
from seg.mail.envelope import BodyType, DSNNotify, DSNRet, Envelope, HostRefusal, PolicyHold, Recipient, RecipientState
from seg.mail.outcome import Bounced, Delivered

NEVER = float("inf")
_NO_FAILURES: Mapping[int, Bounced] = {}
_NO_RELAYED: Mapping[int, Delivered] = {}
_NO_RIDS: frozenset[int] = frozenset()
_NO_CAUSES: frozenset[CauseKind] = frozenset()

T = TypeVar("T")

SHARED_FROM = 10  # recipients
ROOM = 400  # octets that a message takes beside its packed envelope, in the due queue and the index's tables (`bench.queue` measures it)


class _Seldom(Generic[T]):
    """An attribute of which nearly all messages have nothing to say: there it takes no room.

    :param nothing: what it is then; false in a condition.
    """

    def __init__(self, nothing: T) -> None:
        self._nothing = nothing

    def __set_name__(self, owner: type[IndexEntry], name: str) -> None:
        self._name = name

    @overload
    def __get__(self, entry: None, owner: type[IndexEntry]) -> _Seldom[T]: ...
    @overload
    def __get__(self, entry: IndexEntry, owner: type[IndexEntry]) -> T: ...
    def __get__(self, entry: IndexEntry | None, owner: type[IndexEntry]) -> _Seldom[T] | T:
        if entry is None:
            return self
        if entry.seldom is None:
            return self._nothing
        value: T = entry.seldom.get(self._name, self._nothing)
        return value

    def __set__(self, entry: IndexEntry, value: T) -> None:
        if value:
            if entry.seldom is None:
                entry.seldom = {}
            entry.seldom[self._name] = value
        elif entry.seldom is not None:
            entry.seldom.pop(self._name, None)
            entry.seldom = entry.seldom or None


class IndexEntry:
    """One queued message.

    The envelope is packed: as objects it would take three times the room, and the garbage collector would
    walk through 100,000 of them again and again. What few messages have stands in a dict that the others do without.

    :ivar expires: when what is left is returned.
    :ivar plain: all its addresses are ASCII.
    :ivar seldom: what few messages have, by name of the attribute; None = nothing.
    :ivar planned: recipients due up to this time have been put into the due queue.
    :ivar unwritten: why its present state isn't written down yet; "" = it is, or is being written.
    :ivar wake: the next time at which something is to happen; `NEVER` while held.
    :ivar warn: when to see whether the sender is to be told that some of it hasn't had its turn; `NEVER`: nobody is.
    :ivar leased: RIDs given out.
    :ivar failures: why recipients in state BOUNCING failed, by RID.
    :ivar relayed: recipients handed on of whom the sender wants to hear and hasn't, by RID.
    :ivar notices: reports on this message since the start that weren't of failures.
    :ivar content: the content while it is kept in memory.
    :ivar damaged: a part of its files is lost (`Envelope.damage`).
    :ivar causes: why TLS policy keeps recipients of it waiting, each once.
    :ivar deleted_by: the operator who wants it deleted once its leases are back.
    """

    __slots__ = (
        "_kept",
        "_packed",
        "content",
        "expires",
        "held",
        "leased",
        "mid",
        "plain",
        "planned",
        "seldom",
        "waiting",
        "wake",
        "warn",
    )
    causes = _Seldom(_NO_CAUSES)
    damaged = _Seldom(False)
    deleted_by = _Seldom("")
    failures = _Seldom(_NO_FAILURES)
    notices = _Seldom(0)
    relayed = _Seldom(_NO_RELAYED)
    unwritten = _Seldom("")
    _shared: _Seldom[weakref.ref[Envelope] | None] = _Seldom(None)
    _at: _Seldom[tuple[Envelope, Mapping[str, Sequence[Recipient]]] | None] = _Seldom(None)

    def __init__(self, envelope: Envelope, expires: float, content: bytes | None = None) -> None:
        self.seldom: dict[str, Any] | None = None
        self.mid = envelope.mid
        self.expires = expires
        self.planned = 0.0
        self.wake = NEVER
        self.warn = NEVER
        self.leased = _NO_RIDS
        self.content = content
        self.envelope = envelope

    @property
    def envelope(self) -> Envelope:
        """The envelope as it is now; one object for all who have it, as each of a thousand destinations leases the whole of it."""
        if self._kept is not None:
            return self._kept
        if self.seldom is None:
            return _unpack(self._packed)
        shared = self._shared
        envelope = shared() if shared is not None else None
        if envelope is None:
            envelope = _unpack(self._packed)
            self._share(envelope)
        return envelope

    @envelope.setter
    def envelope(self, envelope: Envelope) -> None:
        self._packed = _pack(envelope)
        # Beside content that is kept in memory, as it is asked for several times until the message is gone; a large one takes too much room.
        self._kept = envelope if self.content is not None and len(envelope.recipients) <= SHARED_FROM else None
        self.plain = envelope.reverse_path.isascii() and all(r.address.isascii() for r in envelope.recipients)
        self.waiting = len(envelope.pending)
        self.held = envelope.held
        causes = _causes(envelope)
        if self.seldom is not None or causes or envelope.damage or len(envelope.recipients) > SHARED_FROM:
            self.forget_places()
            self._share(envelope)
            self.damaged = bool(envelope.damage)
            self.causes = causes

    def at(self, domain: str, envelope: Envelope) -> Sequence[Recipient]:
        """The recipients of the present envelope that are at a destination, perhaps with others; of a message to many only these, so that
        a thousand destinations don't look through a thousand recipients each."""
        if len(envelope.recipients) <= SHARED_FROM:
            return envelope.recipients
        known = self._at
        if known is None or known[0] is not envelope:
            by_domain: dict[str, list[Recipient]] = {}
            for recipient in envelope.recipients:
                by_domain.setdefault(recipient.domain, []).append(recipient)
            self._at = known = envelope, by_domain
        return known[1].get(domain, ())

    def forget_content(self) -> None:
        """From now on the content comes from the file, and the envelope out of its packed form."""
        self.content = self._kept = None

    def forget_places(self) -> None:
        """Nothing is given out: what `at` keeps takes room."""
        if self.seldom is not None:
            self._at = None

    def _share(self, envelope: Envelope) -> None:
        """Only of messages to many: those to a few are quickly unpacked, and a reference takes room for as long as the message waits."""
        self._shared = weakref.ref(envelope) if len(envelope.recipients) > SHARED_FROM else None

    @property
    def octets(self) -> int:
        """What it takes of memory, more or less; its content isn't in it."""
        return ROOM + len(self._packed)

    def may_mention(self, text: str) -> bool:
        """False when an address or domain, in lower case and A-labels, surely isn't in the envelope. Ten times quicker than
        to look: a search through a long queue asks this first."""
        return not self.plain or text.encode() in self._packed.lower()


_STATES = {state.value: state for state in RecipientState}


def _pack(envelope: Envelope) -> bytes:
    return marshal.dumps(_cut(_values(envelope), _USUAL))


def _cut(values: tuple[Any, ...], usual: tuple[Any, ...]) -> tuple[Any, ...]:
    """Without the values at the end that are as usual; `_filled` puts them back."""
    count = len(values)
    while count and values[count - 1] == usual[count - 1]:
        count -= 1
    return values[:count]


def _filled(values: tuple[Any, ...], usual: tuple[Any, ...]) -> tuple[Any, ...]:
    return values + usual[len(values) :]


def _values(envelope: Envelope) -> tuple[Any, ...]:
    return (
        envelope.mid,
        envelope.reverse_path,
        tuple([_packed_recipient(r) for r in envelope.recipients]),
        envelope.arrived,
        envelope.size,
        envelope.icid,
        envelope.client,
        envelope.helo,
        str(envelope.body),
        envelope.smtputf8,
        envelope.held,
        str(envelope.ret),
        envelope.envid,
        envelope.requiretls,
        envelope.tls_optional,
        envelope.bounce_profile,
        envelope.submitter,
        envelope.damage,
        envelope.double_bounce,
    )


def _packed_recipient(r: Recipient) -> tuple[Any, ...]:
    changed = r.attempts or r.due or r.error or r.warned or r.report
    asked = r.orcpt or r.via or r.notify is not None or r.policy is not None
    if r.state is RecipientState.PENDING and not changed and not asked:
        return r.rid, r.address  # as most are
    return _cut(_recipient_values(r), _USUAL_RECIPIENT)


def _recipient_values(r: Recipient) -> tuple[Any, ...]:
    return (
        r.rid,
        r.address,
        r.attempts,
        r.due,
        r.error,
        r.warned,
        str(r.state),
        r.report,
        _asked(r),
        r.orcpt,
        r.via,
        _held(r.policy),
    )


def _asked(recipient: Recipient) -> tuple[str, ...] | None:
    return None if recipient.notify is None else tuple(map(str, recipient.notify))


def _held(policy: PolicyHold | None) -> tuple[Any, ...] | None:
    return None if policy is None else (policy.since, tuple((r.host, str(r.cause)) for r in policy.refusals))


def _hold(packed: tuple[Any, ...] | None) -> PolicyHold | None:
    if packed is None:
        return None
    since, refusals = packed
    return PolicyHold(since, tuple(HostRefusal(host, CauseKind(cause)) for host, cause in refusals))


def _causes(envelope: Envelope) -> frozenset[CauseKind]:
    """Why TLS policy keeps recipients waiting."""
    holds = [r.policy for r in envelope.recipients if r.policy is not None and r.state is RecipientState.PENDING]
    return frozenset(refusal.cause for hold in holds for refusal in hold.refusals) if holds else _NO_CAUSES


# What most envelopes end with, in the order of the values.
_USUAL_RECIPIENT = _recipient_values(Recipient(0, ""))
_USUAL = _values(Envelope(0, "", (), 0.0))


def _recipient(packed: tuple[Any, ...]) -> Recipient:
    if len(packed) == 2:
        return Recipient(*packed)
    values = _filled(packed, _USUAL_RECIPIENT)
    rid, address, attempts, due, error, warned, state, report, asked, orcpt, via, policy = values
    notify = None if asked is None else frozenset(map(DSNNotify, asked))
    return Recipient(
        rid, address, _STATES[state], attempts, due, error, report, notify, orcpt, warned, via, _hold(policy)
    )


def _unpack(packed: bytes) -> Envelope:
    # These octets were made by _pack in this process and are never read from anywhere.
    values = _filled(marshal.loads(packed), _USUAL)  # noqa: S302
    mid, reverse_path, recipients, arrived, size, icid, client, helo, body, *flags, user, damage, double_bounce = values
    smtputf8, held, ret, envid, requiretls, optional, profile = flags
    return Envelope(
        mid,
        reverse_path,
        tuple(map(_recipient, recipients)),
        arrived,
        size,
        BodyType(body),
        smtputf8,
        icid,
        client,
        helo,
        held,
        DSNRet(ret),
        envid,
        requiretls,
        optional,
        profile,
        user,
        damage,
        double_bounce,
    )
