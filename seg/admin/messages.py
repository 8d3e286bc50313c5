"""The queue over the API: messages are listed, shown, read, and acted on."""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any

import attrs
from twisted.internet.defer import Deferred, gatherResults

from seg.admin.http import APIError, RouteTable
from seg.admin.names import asked_domain
from seg.admin.turns import in_turns
from seg.admin.wire import operations
from seg.admin.wire.messages import (
    ActOnMessages,
    ContentAnswer,
    DoneAnswer,
    ListedMessage,
    ListMessages,
    MessageAnswer,
    MessageRecipient,
    MessagesAnswer,
    NamedMessage,
    ReadMessage,
    RecipientHold,
    RefusedHost,
)
from seg.mail.causes import CauseKind
from seg.mail.envelope import PolicyHold, Recipient
from seg.queue.interfaces import IQueueCommands, MessageDetails, MessageState, MessageSummary

NOT_QUEUED = "isn't in the queue"
NOTHING_WAITS = f"{NOT_QUEUED}, or nothing of it waits"
SHOWN = 3  # recipients of a message in a list
BATCH = 256  # messages acted on side by side; their files are made durable together

QueueAction = Callable[[int, str], Coroutine[Any, Any, str]]  # MID and who wants it; "", or why it can't be done


class MessageRoutes:
    """Answers questions on messages and carries out commands."""

    def __init__(self, commands: IQueueCommands) -> None:
        self._commands = commands
        self._actions: dict[str, QueueAction] = {
            "hold": self._hold,
            "release": self._release,
            "delete": self._delete,
            "retry": self._retry,
            "bounce": self._bounce,
        }

    def add_to(self, table: RouteTable) -> None:
        """Serve them."""
        table.add(operations.LIST_MESSAGES, self.messages)
        table.add(operations.ACT_ON_MESSAGES, self.act)
        table.add(operations.SHOW_MESSAGE, self.message)
        table.add(operations.READ_MESSAGE, self.content)

    async def messages(self, asked: ListMessages, by: str) -> MessagesAnswer:
        """The waiting messages."""
        total = 0
        shown: list[ListedMessage] = []
        everything = asked == ListMessages(limit=asked.limit)
        async for message in self._matching(asked):
            if everything and total == asked.limit:  # how many there are is known without looking at each
                total = self._commands.counts().messages
                break
            if asked.after is not None and len(shown) == asked.limit:
                break
            total += 1
            if len(shown) < asked.limit:
                shown.append(_listed(message))
        return MessagesAnswer(total, shown)

    async def _matching(self, wanted: ListMessages) -> AsyncIterator[MessageSummary]:
        """The messages meant, the oldest first."""
        sender = None if wanted.sender is None else wanted.sender.lower()
        mention = (sender or "") if wanted.domain is None else self._domain(wanted.domain)
        async for mid in self._commands.in_turns(self._mids(wanted.after or 0, wanted.cause)):
            message = self._commands.listing(mid, mention, bool(wanted.held))
            if message is None or (wanted.domain is not None and mention not in message.domains):
                continue
            if sender is not None and sender != message.sender.lower():
                continue
            if wanted.held and message.state is not MessageState.HELD:
                continue
            if wanted.cause is not None and wanted.cause not in message.causes:
                continue
            yield message

    def _domain(self, text: str) -> str:
        """The destination that is meant: some have names that a client made up."""
        return asked_domain(text, self._commands.destinations().__contains__)

    def _mids(self, after: int, cause: CauseKind | None) -> list[int]:
        """The messages that may be meant."""
        return self._commands.mids(after) if cause is None else [m for m in self._commands.policy_held() if m > after]

    async def message(self, asked: NamedMessage, by: str) -> MessageAnswer:
        """One message."""
        found = await self._commands.show(asked.mid)
        if found is None:
            raise APIError(404, f"MID {asked.mid} {NOT_QUEUED} (seg queue list shows what is)")
        return await _in_full(found)

    async def content(self, asked: ReadMessage, by: str) -> ContentAnswer:
        """The octets of a message in base64."""
        content = self._commands.content(asked.mid)
        if content is None:
            raise APIError(404, f"MID {asked.mid} {NOT_QUEUED}")
        try:
            pieces, position = [], 0
            async for chunk in content.chunks():
                begin, end = max(0, asked.offset - position), asked.offset + asked.limit - position
                if end <= 0:
                    break
                pieces.append(chunk[begin:end])
                position += len(chunk)
        except OSError as error:
            raise APIError(500, f"MID {asked.mid} can't be read: {error.strerror or error}") from None
        return ContentAnswer(content.size, asked.offset, base64.b64encode(b"".join(pieces)).decode("ascii"))

    async def act(self, asked: ActOnMessages, by: str) -> DoneAnswer:
        """Do one thing to some messages."""
        act = self._redirection(asked) if asked.action == "redirect" else self._actions[asked.action]
        mids = await self._chosen(asked)
        done: list[int] = []
        refused: dict[str, str] = {}
        not_written: dict[str, str] = {}
        for start in range(0, len(mids), BATCH):
            batch = mids[start : start + BATCH]
            under_way = [Deferred.fromCoroutine(act(mid, by)) async for mid in self._commands.in_turns(batch)]
            reasons = await gatherResults(under_way)
            for mid, reason in zip(batch, reasons, strict=True):
                if reason:
                    refused[str(mid)] = reason
                else:
                    done.append(mid)
                    if why := self._commands.unwritten(mid):
                        not_written[str(mid)] = why
            await self._commands.pause()
        return DoneAnswer(done, refused, not_written)

    async def _chosen(self, asked: ActOnMessages) -> list[int]:
        """The MIDs that are meant."""
        if asked.mids is not None:
            return [*asked.mids]
        return [message.mid async for message in self._matching(ListMessages(domain=asked.domain))]

    # Each does it to one message and returns "" or why it can't.

    def _redirection(self, asked: ActOnMessages) -> QueueAction:
        only = self._domain(asked.recipients_at) if asked.recipients_at else ""

        async def redirect(mid: int, by: str) -> str:
            return "" if await self._commands.redirect(mid, asked.host, by, only) else NOTHING_WAITS

        return redirect

    async def _hold(self, mid: int, by: str) -> str:
        return "" if await self._commands.hold(mid, by) else f"{NOT_QUEUED}, or is held already"

    async def _release(self, mid: int, by: str) -> str:
        return "" if await self._commands.release_hold(mid, by) else f"{NOT_QUEUED}, or isn't held"

    async def _delete(self, mid: int, by: str) -> str:
        return "" if await self._commands.delete(mid, by) else NOT_QUEUED

    async def _retry(self, mid: int, by: str) -> str:
        """What is due already, or being tried, needs nothing more."""
        await self._commands.retry(mid)
        message = self._commands.listing(mid)
        if message is None:
            return NOT_QUEUED
        return "is held (seg queue release)" if message.state is MessageState.HELD else ""

    async def _bounce(self, mid: int, by: str) -> str:
        return "" if await self._commands.bounce(mid, by) else f"{NOT_QUEUED}, or all of it is being tried just now"


def _listed(message: MessageSummary) -> ListedMessage:
    """A message in a list; of many recipients only the first few."""
    facts = attrs.asdict(message, recurse=False) | {"recipients": message.recipients[:SHOWN]}
    return ListedMessage(**facts, waiting=len(message.recipients))


async def _in_full(shown: MessageDetails) -> MessageAnswer:
    """A message with each recipient, and its header."""
    envelope, head = shown.envelope, shown.head.partition(b"\r\n\r\n")[0]
    facts = attrs.asdict(_listed(shown.listing), recurse=False)
    return MessageAnswer(
        **facts
        | {
            "client": envelope.client,
            "helo": envelope.helo,
            "body": envelope.body,
            "held": envelope.held,
            "damage": envelope.damage,
            "recipients": [recipient_facts(recipient) async for recipient in in_turns(envelope.recipients)],
            "header": head.decode("utf-8", "backslashreplace"),
        }
    )


def recipient_facts(recipient: Recipient) -> MessageRecipient:
    """A recipient as it is shown."""
    notify = None if recipient.notify is None else tuple(sorted(recipient.notify))
    facts = attrs.asdict(recipient, recurse=False) | {"notify": notify, "policy": _hold(recipient.policy)}
    return MessageRecipient(**facts)


def _hold(hold: PolicyHold | None) -> RecipientHold | None:
    if hold is None:
        return None
    return RecipientHold(hold.since, tuple(RefusedHost(each.host, each.cause) for each in hold.refusals))
