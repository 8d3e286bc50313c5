"""What a milter changes at the end of a message, gathered until its last word."""

from __future__ import annotations

from seg.filter.answers import (
    Accept,
    AddField,
    Answer,
    Change,
    ChangeField,
    DeleteField,
    FieldEdit,
    Hold,
    InsertField,
    recipient_of,
    sender_of,
)
from seg.filter.message import FilteredMessage
from seg.filter.milter import replies as told
from seg.filter.milter.options import Actions, MilterOptions, Steps
from seg.filter.milter.wire import MilterError
from seg.queue.interfaces import IMessageWriter
from seg.smtp.commands import MailArguments, RcptArguments
from seg.smtp.dot_stuffing import NULInContent

MOST_CHANGES = 5000
MOST_OCTETS = 1024 * 1024  # of all of them, but for the body

_NEEDS = {
    told.FieldAdded: Actions.ADD_HEADER,
    told.FieldInserted: Actions.ADD_HEADER,
    told.FieldChanged: Actions.CHANGE_HEADER,
    told.SenderChanged: Actions.CHANGE_SENDER,
    told.RecipientAdded: Actions.ADD_RECIPIENT | Actions.ADD_RECIPIENT_WITH_PARAMETERS,
    told.RecipientDeleted: Actions.DELETE_RECIPIENT,
    told.BodyReplaced: Actions.REPLACE_BODY,
    told.Quarantined: Actions.QUARANTINE,
}


class Modifications:
    """Takes modifications in the order in which they come. Bounded: a milter may not fill the memory or the disk."""

    def __init__(self, message: FilteredMessage, options: MilterOptions) -> None:
        self._message = message
        self._options = options
        self._spaced = Steps.LEADING_SPACE not in options.steps  # else values bring their own space
        self._edits: list[FieldEdit] = []
        self._sender: MailArguments | None = None
        self._added: list[RcptArguments] = []
        self._deleted: list[str] = []
        self._quarantine: str | None = None
        self._body: IMessageWriter | None = None
        self._count = 0
        self._octets = 0

    async def take(self, change: told.Modification) -> None:
        """One more.

        :raises MilterError: the milter hadn't asked to do such a thing, it can't be done, or it is too much.
        """
        kind = type(change)
        if not self._options.actions & _NEEDS[kind]:
            raise MilterError(f"it sent {kind.__name__} without having asked for it in the negotiation")
        if isinstance(change, told.BodyReplaced):
            await self._take_body(change.data)
            return
        self._count += 1
        self._octets += _size(change)
        if self._count > MOST_CHANGES or self._octets > MOST_OCTETS:
            raise MilterError(f"it makes more than {MOST_CHANGES} changes, or of more than {MOST_OCTETS} octets")
        try:
            self._note(change)
        except ValueError as error:
            raise MilterError(f"it sent {kind.__name__} that can't be used: {error}") from error

    async def answer(self) -> Answer:
        """All of them as one answer."""
        change = Change(
            header=self._edits,
            sender=self._sender,
            delete_recipients=self._deleted,
            add_recipients=self._added,
            body=await self._body.content() if self._body is not None else None,
        )
        if self._quarantine is not None:
            return Hold(self._quarantine, change)
        return Accept() if change == Change() else change

    def _note(self, change: told.SmallModification) -> None:
        match change:
            case told.FieldAdded(name, value):
                self._edits.append(AddField(name, value, self._spaced))
            case told.FieldInserted(position, name, value):
                self._edits.append(InsertField(position, name, value, self._spaced))
            case told.FieldChanged(number, name, ""):
                self._edits.append(DeleteField(name, number))
            case told.FieldChanged(number, name, value):
                self._edits.append(ChangeField(name, number, value, self._spaced))
            case told.SenderChanged(path, parameters):
                self._sender = sender_of(path, parameters)
            case told.RecipientAdded(path, parameters):
                self._added.append(recipient_of(path, parameters))
            case told.RecipientDeleted(path):
                self._deleted.append(path)
            case _:
                self._quarantine = change.reason or "no reason given"

    async def _take_body(self, data: bytes) -> None:
        if self._body is None:
            self._body = self._message.scratch()
        try:
            self._body.write(data)
        except NULInContent as error:
            raise MilterError("its new body holds a NUL") from error
        if self._body.size > self._message.max_size:
            raise MilterError(f"its new body is larger than {self._message.max_size} octets")
        if self._body.backpressure is not None:
            await self._body.backpressure


def _size(change: told.Modification) -> int:
    values = (getattr(change, name) for name in type(change).__match_args__)
    return sum(len(value) for value in values if isinstance(value, str))
