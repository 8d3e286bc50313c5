"""From an answer to the message that the next filter sees, and what the log says of it."""

from __future__ import annotations

from collections.abc import Iterable

import attrs

from seg.filter.answers import Accept, Answer, Change, Hold, Redirect
from seg.filter.edits import edited
from seg.filter.message import FilteredMessage, OctetContent
from seg.mail.address import domain_of, local_part
from seg.mail.envelope import Recipient
from seg.smtp.commands import MailArguments, RcptArguments


@attrs.frozen
class Applied:
    """A message after the answer of a filter."""

    message: FilteredMessage
    added: tuple[Recipient, ...] = ()
    removed: tuple[Recipient, ...] = ()
    texts: tuple[str, ...] = ()  # what was changed: "2 header changes"


def applied(message: FilteredMessage, answer: Answer, next_rid: int) -> Applied:
    """The message with the answer's changes; as it was for an answer that has none.

    :param next_rid: the first RID that no recipient has had so far.
    """
    match answer:
        case Change():
            return _changed(message, answer, next_rid)
        case Hold(_, change):
            return _changed(message, change, next_rid)
        case Redirect(recipients):
            redirect = Change(delete_recipients=[r.address for r in message.recipients], add_recipients=recipients)
            return _changed(message, redirect, next_rid)
        case _:
            return Applied(message)


def word(answer: Answer) -> str:
    """The answer in the log."""
    return "accept" if isinstance(answer, Accept | Change) else type(answer).__name__.lower()


def _changed(message: FilteredMessage, change: Change, next_rid: int) -> Applied:
    texts: list[str] = []
    header, sender, body = message.header, message.sender, message.body
    if change.header:
        header = edited(header, change.header)
        texts.append(_count(len(change.header), "header change"))
    if change.sender is not None:
        sender = _merged(sender, change.sender)
        if sender != message.sender:
            texts.append("reverse-path changed")
    kept, removed = _removed(message.recipients, change.delete_recipients)
    added = _added(kept, change.add_recipients, next_rid)
    if removed:
        texts.append(f"{_count(len(removed), 'recipient')} removed")
    if added:
        texts.append(f"{_count(len(added), 'recipient')} added")
    if change.body is not None:
        body = OctetContent(change.body) if isinstance(change.body, bytes) else change.body
        texts.append("body replaced")
    after = attrs.evolve(message, header=header, sender=sender, recipients=(*kept, *added), body=body)
    return Applied(after, added, removed, tuple(texts))


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


def _merged(old: MailArguments, new: MailArguments) -> MailArguments:
    """The new reverse-path, with what its own parameters say; what the client said of the content stays."""
    return attrs.evolve(
        old,
        reverse_path=new.reverse_path,
        smtputf8=old.smtputf8 or new.smtputf8,
        ret=new.ret or old.ret,
        envid=new.envid or old.envid,
    )


def _removed(
    recipients: Iterable[Recipient], paths: Iterable[str]
) -> tuple[tuple[Recipient, ...], tuple[Recipient, ...]]:
    """(those that stay, those that go)."""
    unwanted = {_same(path) for path in paths}
    stay: list[Recipient] = []
    go: list[Recipient] = []
    for recipient in recipients:
        (go if unwanted and _same(recipient.address) in unwanted else stay).append(recipient)
    return tuple(stay), tuple(go)


def _added(kept: Iterable[Recipient], wanted: Iterable[RcptArguments], rid: int) -> tuple[Recipient, ...]:
    """New recipients; one that is there already isn't doubled."""
    wanted = tuple(wanted)
    there = {_same(recipient.address) for recipient in kept} if wanted else set()
    added: list[Recipient] = []
    for arguments in wanted:
        key = _same(arguments.address)
        if key not in there:
            there.add(key)
            added.append(Recipient(rid + len(added), arguments.address, notify=arguments.notify, orcpt=arguments.orcpt))
    return tuple(added)


def _same(address: str) -> tuple[str, str]:
    """Two addresses are one when their local parts are, and their domains in any writing (RFC 5321 §2.4)."""
    return local_part(address.removeprefix("<").removesuffix(">")), domain_of(address.removesuffix(">"))
