"""Lines of the queue: what became of recipients and messages."""

from __future__ import annotations

import time

from seg.events.queue import (
    BounceGenerated,
    DoubleBounce,
    MessageDamaged,
    MessageFinished,
    MessageHeld,
    MessageReleased,
    QueueScanned,
    RecipientBounced,
    RecipientDelayed,
    RecipientsDeleted,
    RecipientsInDoubt,
    RecipientsPending,
    SpoolFileCorrupt,
)
from seg.mail.errors import DeliveryError, Permanent, Temporary
from seg.mail.status import status_text
from seg.maillog.log_table import Level, LogEntry, LogLine, entry, plain

INFO, WARNING = Level.INFO, Level.WARNING


def rid_list(rids: tuple[int, ...]) -> str:
    """Recipient ids as the log writes them: ``[0, 1]``."""
    return f"[{rids[0]}]" if len(rids) == 1 else str(list(rids))


def reason(error: DeliveryError) -> str:
    """``5.1.1 - Bad destination email address ('550', ['5.1.1 no such user'])``; code 000 where there was no
    reply."""
    reply = (f"{error.code:03d}", list(error.remote or (error.text,)))
    return f"{error.enhanced} - {status_text(error.enhanced)} {reply}"


def _failed(word: str, event: RecipientDelayed | RecipientBounced) -> tuple[LogLine, ...]:
    text = (
        f"{word}: DCID {event.dcid} MID {event.mid} From: <{event.reverse_path}> To: <{event.address}> "
        f"RID {event.rid} - {reason(event.error)}"
    )
    return ((INFO, text),)


def _double(event: DoubleBounce) -> tuple[LogLine, ...]:
    return ((INFO, f"Double bounce: MID {event.mid} to RID {event.rid} - {reason(event.error)} []"),)


def _pending(event: RecipientsPending) -> tuple[LogLine, ...]:
    until = time.asctime(time.localtime(event.until))
    attempts = "1 attempt" if event.attempts == 1 else f"{event.attempts} attempts"
    text = f"MID {event.mid} to RID {rid_list(event.rids)} pending till {until} [{event.profile}]"
    text += f" after {attempts}"
    return ((INFO, f"{text}: {event.cause}" if event.cause else text),)


def _doubted(event: RecipientsInDoubt) -> tuple[LogLine, ...]:
    text = f"MID {event.mid} RID {rid_list(event.rids)} may have been taken all the same: copies may arrive"
    text += ", so that it is tried seldom" if event.seldom else ""
    return ((INFO, f"{text}: {event.cause}"),)


def _deleted(event: RecipientsDeleted) -> tuple[LogLine, ...]:
    by = f" by {event.by}" if event.by else ""
    return ((INFO, f"Deleted: MID {event.mid} to {rid_list(event.rids)}{by}"),)


def _finished(event: MessageFinished) -> tuple[LogLine, ...]:
    return ((INFO, f"Message finished MID {event.mid} {'aborted' if event.aborted else 'done'}"),)


def _scanned(event: QueueScanned) -> tuple[LogLine, ...]:
    text = f"Queue scan: {event.messages} messages, {event.corrupt} corrupt files, {event.seconds:.1f} seconds"
    return ((INFO, text),)


_FULL = Temporary("4.3.2", "refused by mx1.domain.com", 421, ("4.3.2 try again later",))
_UNKNOWN = Permanent("5.1.1", "refused by mx1.domain.com", 550, ("5.1.1 no such user",))

ENTRIES: tuple[LogEntry, ...] = (
    entry(
        lambda event: _failed("Delayed", event),
        RecipientDelayed(5444, 0, 834833, "alice@example.net", "bob@domain.com", _FULL),
        "A recipient couldn't be served for now; it stays in the queue. DCID 0: there was no "
        "connection; code 000: "
        "there was no reply.",
        (
            INFO,
            "Delayed: DCID {dcid} MID {mid} From: <{reverse-path}> To: <{recipient}> RID {rid} - "
            "{enhanced status} - {its name} ('{code}', ['{reply line}', ...])",
        ),
    ),
    entry(
        lambda event: _failed("Bounced", event),
        RecipientBounced(5444, 0, 834833, "alice@example.net", "bob@domain.com", _UNKNOWN),
        "A recipient failed for good; its sender is told.",
        (
            INFO,
            "Bounced: DCID {dcid} MID {mid} From: <{reverse-path}> To: <{recipient}> RID {rid} - "
            "{enhanced status} - {its name} ('{code}', ['{reply line}', ...])",
        ),
    ),
    entry(
        _double,
        DoubleBounce(5450, 0, "alice@example.net", _UNKNOWN),
        "A report itself couldn't be delivered: nobody can be told, and it is dropped.",
        (
            INFO,
            "Double bounce: MID {mid} to RID {rid} - {enhanced status} - {its name} ('{code}', "
            "['{reply line}', ...]) []",
        ),
    ),
    entry(
        _doubted,
        RecipientsInDoubt(5444, (0,), "4.5.0 Protocol error: not an SMTP reply", True),
        "The server may have taken the message: the connection broke behind its last octet, or the answer can't be read. It is tried again, "
        "and a copy may arrive; where every try may bring one, the next is four hours later at the soonest.",
        (INFO, "MID {mid} RID {rids} may have been taken all the same: copies may arrive: {cause}"),
        (
            INFO,
            "MID {mid} RID {rids} may have been taken all the same: copies may arrive, so that it is tried seldom: {cause}",
        ),
    ),
    entry(
        _pending,
        RecipientsPending(5444, (0,), 1727364279.0, "4.3.2 refused by mx1.domain.com: try again later", 1),
        "When these recipients are tried next, after how many attempts, and why the last one "
        "failed. In brackets: the "
        "bounce profile.",
        (INFO, "MID {mid} to RID {rids} pending till {time} [{profile}] after {n attempts}: {cause}"),
    ),
    plain(
        INFO,
        "MID {mid} was generated for bounce of MID {original}",
        BounceGenerated(5450, 5444, "", "alice@example.net"),
        "A report on failed recipients was put into the queue; its own lines follow, with ICID 0.",
    ),
    entry(
        _deleted,
        RecipientsDeleted(5444, (0, 1), "root"),
        "An operator deleted recipients.",
        (INFO, "Deleted: MID {mid} to {rids} by {operator}"),
    ),
    plain(INFO, "MID {mid} held by {by}", MessageHeld(5444, "root"), "Not tried until it is released."),
    plain(INFO, "MID {mid} released by {by}", MessageReleased(5444, "root"), "Tried again like others."),
    entry(
        _finished,
        MessageFinished(5444),
        "The last line of every MID.",
        (INFO, "Message finished MID {mid} {done or aborted}"),
    ),
    plain(
        WARNING,
        "Spool file {path} is corrupt: {text}; moved to {moved_to}",
        SpoolFileCorrupt("var/spool/new/3f/1A2B", "var/spool/corrupt/1A2B", "envelope line can't be read"),
        "A file of the spool couldn't be read. It is kept for a look, and the gateway goes on.",
    ),
    plain(
        WARNING,
        "MID {mid} is held, as a part of its files is lost: {text}",
        MessageDamaged(5444, "the file of its present envelope is missing"),
        "What the spool knows of a message isn't whole: it may have been delivered to some of its recipients. An operator looks at it, and "
        "releases, bounces or deletes it.",
    ),
    entry(
        _scanned,
        QueueScanned(100000, 0, 1.1),
        "All messages that waited at the start are known.",
        (INFO, "Queue scan: {n} messages, {n} corrupt files, {n} seconds"),
    ),
)
