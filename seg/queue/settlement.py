"""What an attempt changes in an envelope, and what is to be told of it; pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import attrs

from seg.config.schema import DoubleBounces, QueueSettings
from seg.events.base import Event
from seg.events.queue import DoubleBounce, RecipientBounced, RecipientDelayed, RecipientsInDoubt, RecipientsPending
from seg.mail.causes import CauseKind
from seg.mail.envelope import DSNNotify, Envelope, PolicyHold, Recipient, RecipientState
from seg.mail.errors import DeliveryError, Permanent, Temporary
from seg.mail.outcome import Bounced, Delayed, Delivered, Outcome
from seg.queue.index_entry import NEVER
from seg.queue.schedule import Schedule, Schedules
from seg.smtp.told_replies import ToldReplies

FAILED = (Delayed, Bounced)
GRACE = 60.0  # seconds that a recipient who is due may wait for its turn before that is a delay of its own
ERROR_LENGTH = 600  # characters of the last failure that are kept


@attrs.frozen
class Settlement:
    """The envelope after an attempt.

    :ivar failures: recipients that are BOUNCING by it, with the reason; empty for a null reverse-path.
    :ivar delays: recipients of whose delay the sender is to be told now, once.
    :ivar relayed: recipients handed to a server without DSN, of whom the sender wants to hear (RFC 3461 §6.2.2).
    :ivar changed: whether there is anything to be written down.
    """

    envelope: Envelope
    failures: Mapping[int, Bounced]
    delays: Mapping[int, Delayed]
    relayed: Mapping[int, Delivered]
    events: tuple[Event, ...]
    changed: bool

    @property
    def to_be_told(self) -> bool:
        """Whether there is anything that the sender is to hear."""
        return bool(self.failures or self.delays or self.relayed)


def settle(envelope: Envelope, outcomes: Mapping[int, Outcome], schedules: Schedules, now: float) -> Settlement:
    """Apply outcomes (by RID) to the recipients that are still pending; any other outcome is passed over."""
    recipients: list[Recipient] = []
    failures: dict[int, Bounced] = {}
    delays: dict[int, Delayed] = {}
    relayed: dict[int, Delivered] = {}
    events: list[Event] = []
    told = ToldReplies()
    delayed: dict[float, list[Recipient]] = {}
    doubted: dict[tuple[str, bool], list[int]] = {}  # by cause, and whether they are tried seldom
    for before in envelope.recipients:
        outcome = outcomes.get(before.rid) if before.state is RecipientState.PENDING else None
        after = before
        if isinstance(outcome, Delivered):
            after = attrs.evolve(before, state=RecipientState.DELIVERED, attempts=before.attempts + 1)
            if envelope.reverse_path and before.wants(DSNNotify.SUCCESS) and not outcome.notifies:
                relayed[before.rid] = outcome
        elif isinstance(outcome, Delayed):
            schedule = schedules.of(before.domain, envelope.bounce_profile)
            after = _delay(before, outcome, envelope.arrived, schedule, now)
            events.append(
                RecipientDelayed(
                    envelope.mid,
                    before.rid,
                    outcome.dcid,
                    envelope.reverse_path,
                    before.address,
                    told.error(outcome.error),
                )
            )
            if after.state is RecipientState.PENDING:
                if _to_be_warned(envelope, after, schedule, now):
                    delays[after.rid] = outcome
                if outcome.in_doubt:
                    doubted.setdefault((after.error, outcome.seldom), []).append(after.rid)
                delayed.setdefault(after.due, []).append(after)
            else:
                outcome = Bounced(expired(outcome.error, after.attempts, now - envelope.arrived), 0, outcome.host)
        elif isinstance(outcome, Bounced):
            after = attrs.evolve(before, attempts=before.attempts + 1)
        if isinstance(outcome, Bounced):
            after = _fail(
                after, outcome, envelope, events, schedules.of(before.domain, envelope.bounce_profile).settings, told
            )
            if after.state is RecipientState.BOUNCING:
                failures[after.rid] = outcome
        recipients.append(after)
    for cause, rids in doubted.items():
        events.append(RecipientsInDoubt(envelope.mid, tuple(rids), *cause))
    for due, waiting in sorted(delayed.items()):
        events.append(_pending(envelope.mid, due, waiting))
    settled = attrs.evolve(envelope, recipients=tuple(recipients))
    return Settlement(settled, failures, delays, relayed, tuple(events), settled != envelope)


def all_tried(envelope: Envelope) -> bool:
    """Whether none waits for its first try."""
    return not any(r.state is RecipientState.PENDING and not r.attempts for r in envelope.recipients)


def expire(envelope: Envelope, spare: Iterable[int], now: float) -> dict[int, Outcome]:
    """The outcomes of a message whose lifetime is over: all that is pending fails, except the RIDs in
    `spare`."""
    return {
        r.rid: Bounced(expired(None, r.attempts, now - envelope.arrived, r.error, r.last_cause))
        for r in envelope.recipients
        if r.state is RecipientState.PENDING and r.rid not in spare
    }


def delay_warnings(
    envelope: Envelope, leased: Iterable[int], schedules: Schedules, now: float
) -> tuple[dict[int, Outcome], float]:
    """Recipients that should have been tried by now, and of whose delay the sender is to be told: what to tell, and when to look
    again (infinity: never). What is being tried, or has just become due, isn't meant."""
    waits: dict[int, Outcome] = {}
    again = [schedules.warning(envelope)]
    for r in envelope.pending:
        if r.state is not RecipientState.PENDING or not _to_be_warned(
            envelope, r, schedules.of(r.domain, envelope.bounce_profile), now
        ):
            continue
        turn = max(r.due, now) if r.rid in leased else r.due
        if turn + GRACE <= now:
            waits[r.rid] = Delayed(waiting(r, now - envelope.arrived))
        again.append(turn + GRACE)
    return waits, min((at for at in again if at > now), default=NEVER)


def delayed(
    envelope: Envelope, leased: Iterable[int], schedules: Schedules, now: float
) -> tuple[Envelope, dict[int, Outcome]]:
    """All of whose delay the sender may be told now, with what their last try said: the envelope that says so, and what to tell. So one
    report tells of all of them."""
    waits: dict[int, Outcome] = {
        r.rid: Delayed(
            Temporary("4.4.7", r.error, cause=r.last_cause) if r.error else waiting(r, now - envelope.arrived)
        )
        for r in envelope.pending
        if r.state is RecipientState.PENDING
        and r.rid not in leased
        and _to_be_warned(envelope, r, schedules.of(r.domain, envelope.bounce_profile), now)
    }
    recipients = tuple(attrs.evolve(r, warned=True) if r.rid in waits else r for r in envelope.recipients)
    return attrs.evolve(envelope, recipients=recipients), waits


def waiting(recipient: Recipient, age: float) -> Temporary:
    """Why the next try of a recipient hasn't come (4.4.5, RFC 3463 §3.5: congestion), with what the last try said."""
    tries = {0: "not tried", 1: "tried once"}.get(recipient.attempts, f"tried {recipient.attempts} times")
    text = f"Waiting for its turn: {tries} in {_span(age)}, as this gateway sends nothing more there for now"
    return Temporary(
        "4.4.5", f"{text}; last: {recipient.error}" if recipient.error else text, cause=recipient.last_cause
    )


def expired(
    last: Temporary | None, attempts: int, age: float, last_text: str = "", cause: CauseKind | None = None
) -> Permanent:
    """Why a recipient isn't tried any more (5.4.7, RFC 3463 §3.5), with what the last try said."""
    said = f"{last.enhanced} {last.text}" if last else last_text  # the reply's lines are told apart from it
    tries = {0: "not tried", 1: "tried once"}.get(attempts, f"tried {attempts} times")
    text = f"Delivery expired: {tries} in {_span(age)}"
    if said:
        text += f"; last: {said}"
    lines = tuple(f"{last.code} {line}" if last.code else line for line in last.remote) if last else ()
    return Permanent("5.4.7", text, 0, lines, last.cause if last else cause)


def assign_report(envelope: Envelope, failures: Iterable[int], report: int) -> Envelope:
    """The envelope with the MID of the report that tells of these recipients."""
    rids = frozenset(failures)
    return attrs.evolve(
        envelope,
        recipients=tuple(attrs.evolve(r, report=report) if r.rid in rids else r for r in envelope.recipients),
    )


def mark_reported(envelope: Envelope, report: int) -> Envelope:
    """The envelope once that report is durable."""
    return attrs.evolve(
        envelope,
        recipients=tuple(
            attrs.evolve(r, state=RecipientState.BOUNCED)
            if r.report == report and r.state is RecipientState.BOUNCING
            else r
            for r in envelope.recipients
        ),
    )


def deleted(envelope: Envelope) -> tuple[Envelope, tuple[int, ...]]:
    """The envelope after an operator's delete, and the RIDs dropped. A report under way is still
    completed."""
    rids = tuple(r.rid for r in envelope.recipients if r.state is RecipientState.PENDING)
    recipients = tuple(
        attrs.evolve(r, state=RecipientState.DELETED) if r.state is RecipientState.PENDING else r
        for r in envelope.recipients
    )
    return attrs.evolve(envelope, recipients=recipients), rids


def _delay(before: Recipient, outcome: Delayed, arrived: float, schedule: Schedule, now: float) -> Recipient:
    attempts, error = before.attempts + 1, outcome.error
    due = schedule.next_due(attempts, arrived, now, outcome.seldom)
    if due is None:
        return attrs.evolve(
            before, state=RecipientState.BOUNCING, attempts=attempts, error=_line(error), cause=error.cause
        )
    since = before.policy.since if before.policy else now
    policy = PolicyHold(since, outcome.refusals) if outcome.refusals else None
    return attrs.evolve(before, attempts=attempts, due=due, error=_line(error), policy=policy, cause=error.cause)


def _fail(
    after: Recipient,
    outcome: Bounced,
    envelope: Envelope,
    events: list[Event],
    settings: QueueSettings,
    told: ToldReplies,
) -> Recipient:
    """A failure for good: to be reported, or where nobody can be told (RFC 5321 §4.5.5), or is to be by the operator, dropped."""
    error, shown = outcome.error, told.error(outcome.error)
    events.append(RecipientBounced(envelope.mid, after.rid, outcome.dcid, envelope.reverse_path, after.address, shown))
    if envelope.reverse_path and settings.failure_reports and after.wants(DSNNotify.FAILURE):
        return attrs.evolve(after, state=RecipientState.BOUNCING, error=_line(error), cause=error.cause)
    if envelope.reverse_path:  # RFC 3461 §4.1: the sender doesn't want to hear of it, or the operator that he does
        return attrs.evolve(after, state=RecipientState.BOUNCED, error=_line(error), cause=error.cause)
    events.append(DoubleBounce(envelope.mid, after.rid, after.address, shown))
    if settings.double_bounces is DoubleBounces.POSTMASTER and not envelope.double_bounce:
        return attrs.evolve(after, state=RecipientState.BOUNCING, error=_line(error), cause=error.cause)
    return attrs.evolve(after, state=RecipientState.BOUNCED, error=_line(error), cause=error.cause)


def _to_be_warned(envelope: Envelope, recipient: Recipient, schedule: Schedule, now: float) -> bool:
    """Whether the sender is to be told that this one still waits: once, and never of a report."""
    after = schedule.settings.delay_warning
    old_enough = 0 < after <= now - envelope.arrived
    return old_enough and bool(envelope.reverse_path) and not recipient.warned and recipient.wants(DSNNotify.DELAY)


def _pending(mid: int, due: float, waiting: list[Recipient]) -> RecipientsPending:
    last = waiting[-1]
    return RecipientsPending(mid, tuple(r.rid for r in waiting), due, last.error, last.attempts)


def _line(error: DeliveryError) -> str:
    text = " ".join(str(error).split())
    return text if len(text) <= ERROR_LENGTH else text[: ERROR_LENGTH - 3] + "..."


def _span(seconds: float) -> str:
    """A time for people: "3 days", "4 hours", "90 seconds"."""
    for size, name in ((86400, "days"), (3600, "hours"), (60, "minutes")):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {name}"
    return f"{seconds:.0f} seconds"
