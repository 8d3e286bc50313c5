"""One conversation with a milter about one message."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable
from typing import Protocol

import attrs

from seg.config.schema import Filter
from seg.filter.answers import Accept, Answer, Discard, Reject, TempFail
from seg.filter.message import FilteredMessage, pieces_of
from seg.filter.milter.commands import end, script
from seg.filter.milter.modifications import Modifications
from seg.filter.milter.options import MilterOptions, Steps, agreed, offer
from seg.filter.milter.replies import MilterReply, ReplyCode, Word, parse_reply
from seg.filter.milter.wire import CHUNK, Command, MilterError, frame

_FINAL: dict[MilterReply, Answer] = {
    Word.ACCEPT: Accept(),
    Word.REJECT: Reject(),
    Word.TEMPFAIL: TempFail(),
    Word.DISCARD: Discard(),
    # They are for the whole connection, which is over soon enough: this message is what can be refused.
    Word.CONNECTION_FAILURE: TempFail(),
    Word.SHUTDOWN: TempFail(),
}


class IMilterTransport(Protocol):
    """A connection to a milter, as a conversation uses it."""

    def send(self, frames: bytes, timeout: float) -> Awaitable[None]:
        """Send; returns when there is room for more. Raises `MilterError`."""
        ...

    def receive(self, timeout: float) -> Awaitable[tuple[bytes, bytes]]:
        """The next frame: what it is, and its data. Raises `MilterError`."""
        ...


@attrs.define
class MilterSession:
    """Tells a message, and hears what is to become of it. `farewell` is what is to be said at whatever moment it ends.

    `talk` raises `MilterError` when the milter breaks the rules or takes too long, and `OSError` when the message can't be read.
    """

    wire: IMilterTransport
    hostname: str
    settings: Filter
    farewell: bytes = frame(Command.ABORT) + frame(Command.QUIT)

    async def talk(self, message: FilteredMessage) -> Answer:
        """From the first frame to the last but QUIT."""
        limit = self.settings.command_timeout
        await self.wire.send(offer(), limit)
        options = agreed(*await self.wire.receive(limit))
        answer = await self._tell(message, options)
        if answer is not None:
            return answer
        await self.wire.send(end(message, self.hostname, options), limit)
        answer = await self._conclusion(message, options)
        self.farewell = frame(Command.QUIT)
        return answer

    async def _tell(self, message: FilteredMessage, options: MilterOptions) -> Answer | None:
        """All up to the end of the body; an answer that came early."""
        limit = self.settings.command_timeout
        for step in script(message, self.hostname, options):
            await self.wire.send(step.frames, limit)
            if step.silent:
                continue
            reply = await self._reply(limit)
            if reply is not Word.CONTINUE:
                return _final(reply)
        return await self._tell_body(message, options)

    async def _tell_body(self, message: FilteredMessage, options: MilterOptions) -> Answer | None:
        if Steps.NO_BODY in options.steps:
            return None
        limit, silent = self.settings.command_timeout, Steps.SILENT_BODY in options.steps
        async with pieces_of(message.body) as pieces:
            async for chunk in _chunks(pieces):
                await self.wire.send(frame(Command.BODY, chunk), limit)
                if silent:
                    continue
                reply = await self._reply(limit)
                if reply is Word.SKIP and Steps.MAY_SKIP in options.steps:
                    return None
                if reply is not Word.CONTINUE:
                    return _final(reply)
        return None

    async def _reply(self, limit: float) -> MilterReply:
        """The next reply that says something."""
        while True:
            reply = parse_reply(*await self.wire.receive(limit))
            if reply is not Word.PROGRESS:
                return reply

    async def _conclusion(self, message: FilteredMessage, options: MilterOptions) -> Answer:
        """What it changes, and its last word."""
        changes = Modifications(message, options)
        while True:
            reply = await self._reply(self.settings.content_timeout)
            if reply is Word.CONTINUE or reply is Word.ACCEPT:
                return await changes.answer()
            if isinstance(reply, Word | ReplyCode):
                return _final(reply)
            await changes.take(reply)


async def _chunks(pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """The same octets in as few frames as there can be."""
    rest = b""
    async for piece in pieces:
        rest += piece
        while len(rest) >= CHUNK:
            yield rest[:CHUNK]
            rest = rest[CHUNK:]
    if rest:
        yield rest


def _final(reply: MilterReply) -> Answer:
    """The answer in a reply that ends the conversation.

    :raises MilterError: it doesn't.
    """
    if isinstance(reply, ReplyCode):
        return _worded(reply)
    if reply not in _FINAL:
        raise MilterError(f"it answered {_named(reply)} where that isn't allowed")
    return _FINAL[reply]


def _named(reply: MilterReply) -> str:
    return reply.name if isinstance(reply, Word) else type(reply).__name__


def _worded(reply: ReplyCode) -> Answer:
    """A refusal in the milter's own words: "550 5.7.1 No", or without the enhanced code.

    :raises MilterError: it is no 4xx or 5xx.
    """
    code, text = reply.text[:3], reply.text[4:].strip()
    if (
        len(code) != 3
        or not (code.isascii() and code.isdigit())
        or code[0] not in "45"
        or reply.text[3:4] not in ("", " ", "-")
    ):
        raise MilterError(f"it refused with {reply.text[:80]!r}, which is no 4xx or 5xx")
    enhanced, _, words = text.partition(" ")
    kind, fallback = (Reject, "5.7.1") if code[0] == "5" else (TempFail, "4.7.1")
    number = 451 if code == "421" else int(code)  # 421 says that the connection ends, and it doesn't
    try:
        return kind(words or kind().text, number, enhanced)
    except ValueError:
        return kind(text or kind().text, number, fallback)
