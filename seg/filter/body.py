"""A new body that a filter answers with, made fit for the queue before the next filter sees it."""

from __future__ import annotations

import attrs

from seg.filter.answers import Answer, Change, Hold
from seg.filter.message import FilteredMessage, OctetContent, pieces_of
from seg.queue.interfaces import IContent
from seg.smtp.dot_stuffing import CleanLines, NULInContent


class BodyError(Exception):
    """A filter's new body can't be used; the text says why in one line."""


async def with_fit_body(answer: Answer, message: FilteredMessage) -> Answer:
    """The answer; its body, if it has one, has CRLF lines, no NUL, and no more octets than a message may have here.

    :raises BodyError: it has a NUL, or is too large.
    :raises OSError: it can't be read or written.
    """
    match answer:
        case Change(body=body) if body is not None:
            return attrs.evolve(answer, body=await _fit(body, message))
        case Hold(change=Change(body=body)) if body is not None:
            return attrs.evolve(answer, change=attrs.evolve(answer.change, body=await _fit(body, message)))
        case _:
            return answer


async def _fit(body: bytes | IContent, message: FilteredMessage) -> IContent:
    """The body as it is when it is fit, else a copy."""
    content = OctetContent(body) if isinstance(body, bytes) else body
    if await _is_clean(content, message.max_size):
        return content
    writer = message.scratch()
    async with pieces_of(content) as pieces:
        async for piece in pieces:
            if writer.backpressure is not None:
                await writer.backpressure
            try:
                writer.write(piece)
            except NULInContent:
                raise BodyError("its new body holds a NUL") from None
            _check_size(writer.size, message.max_size)
    return await writer.content()


async def _is_clean(content: IContent, most: int) -> bool:
    lines, size, clean = CleanLines(), 0, True
    async with pieces_of(content) as pieces:
        async for piece in pieces:
            size += len(piece)
            _check_size(size, most)
            clean = lines.feed(piece) is piece and clean
            if lines.nul:
                raise BodyError("its new body holds a NUL")
    return clean and size == content.size


def _check_size(size: int, most: int) -> None:
    if size > most:
        raise BodyError(f"its new body is larger than {most} octets")
