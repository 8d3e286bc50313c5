"""The filters' turn: from the end of a message's content to what will be committed, or to a refusal."""

from __future__ import annotations

import attrs
from twisted.internet.defer import Deferred

from seg.filter.chain import Dropped, FilterChain, Passed, Refused
from seg.filter.header import HeaderTooLong
from seg.filter.message import Client, FilteredMessage, pieces_of, read_header
from seg.queue.interfaces import IMessageWriter
from seg.receive.transaction import HEADER_TOO_LONG, ReceiveTransaction
from seg.smtp.header_scan import HeaderScan


@attrs.frozen
class Rewritten:
    """Content that was written anew."""

    writer: IMessageWriter
    header: HeaderScan
    size: int
    ascii: bool  # all of it


def filtering(
    chain: FilterChain, transaction: ReceiveTransaction, client: Client, max_size: int
) -> Deferred[Refused | Dropped | tuple[str, ...]]:
    """Begin `filtered`; to be cancelled when nobody wants to know any more."""
    return Deferred.fromCoroutine(filtered(chain, transaction, client, max_size))


async def filtered(
    chain: FilterChain, transaction: ReceiveTransaction, client: Client, max_size: int
) -> Refused | Dropped | tuple[str, ...]:
    """Let all filters judge a message, and change it. A tuple means that it goes on, and holds who wants it held, and why.

    Whatever happens, cancellation included, nothing of what was written besides stays.

    :raises OSError: the content can't be read or written.
    """
    original = transaction.writer
    assert original is not None  # it hasn't failed
    spare: list[IMessageWriter] = []

    def scratch() -> IMessageWriter:
        writer = original.sibling()
        spare.append(writer)
        return writer

    try:
        content = await original.content()
        try:
            header, body = await read_header(content, transaction.trace)
        except HeaderTooLong:
            return Refused("", HEADER_TOO_LONG)
        recipients = transaction.recipient_records()
        message = FilteredMessage(
            transaction.mid, client, transaction.arguments, recipients, header, body, max_size, scratch
        )
        verdict = await chain.judge(message)
        if not isinstance(verdict, Passed):
            return verdict
        transaction.readdress(verdict.message.sender, verdict.message.recipients)
        if verdict.changed:
            new = scratch()
            rewritten = await _rewritten(verdict.message, new)
            spare.remove(new)
            transaction.replace_content(rewritten.writer, rewritten.header, rewritten.size, rewritten.ascii)
        return verdict.holds
    finally:
        for writer in spare:
            writer.abort()


async def _rewritten(message: FilteredMessage, writer: IMessageWriter) -> Rewritten:
    """Write header and body as they are now."""
    trace = b"".join(field.raw for field in message.header)
    writer.write(trace + b"\r\n")
    header = HeaderScan()
    header.feed(b"".join(field.raw for field in message.fields) + b"\r\n")
    plain = trace.isascii()
    async with pieces_of(message.body) as pieces:
        async for piece in pieces:
            if writer.backpressure is not None:
                await writer.backpressure
            writer.write(piece)
            plain = plain and piece.isascii()
    return Rewritten(writer, header, writer.size, plain)
