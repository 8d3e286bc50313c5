"""A message as filters see it: who hands it in, its envelope, its header as fields, its body. Frozen: a change is a new value."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import asynccontextmanager

import attrs
from zope.interface import implementer

from seg.filter.header import MAX_HEADER, HeaderField, HeaderTooLong, parse_header
from seg.mail.envelope import Recipient
from seg.mail.hosts import IPAddress
from seg.queue.interfaces import IContent, IMessageWriter
from seg.smtp.commands import MailArguments

PIECE = 65536


@asynccontextmanager
async def pieces_of(content: IContent) -> AsyncIterator[AsyncIterator[bytes]]:
    """The pieces of a content, whose file is closed at once when whoever reads it stops, is cancelled, or fails."""
    pieces = content.chunks()
    try:
        yield pieces
    finally:
        if isinstance(pieces, AsyncGenerator):
            await pieces.aclose()


@attrs.frozen
class SessionTLS:
    """The TLS of the client's connection."""

    protocol: str  # "TLSv1.3"
    cipher: str
    bits: int = 0


@attrs.frozen
class Client:
    """Who hands the message in."""

    icid: int
    listener: str
    address: IPAddress
    name: str = ""  # by verified reverse lookup; "" = there is none
    helo: str = ""
    esmtp: bool = True
    tls: SessionTLS | None = None
    user: str = ""  # who authenticated (RFC 4954); "" = nobody did
    mechanism: str = ""  # how


@implementer(IContent)
class OctetContent:
    """Content in memory."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self.size = len(data)

    async def chunks(self) -> AsyncIterator[bytes]:
        """See `IContent.chunks`."""
        for start in range(0, self.size, PIECE):
            yield self._data[start : start + PIECE]

    async def head(self, limit: int) -> bytes:
        """See `IContent.head`."""
        return self._data[:limit]


@implementer(IContent)
class ContentTail:
    """What stands behind the first octets of a content."""

    def __init__(self, content: IContent, offset: int) -> None:
        self._content = content
        self._offset = offset
        self.size = content.size - offset

    async def chunks(self) -> AsyncIterator[bytes]:
        """See `IContent.chunks`."""
        passed = self._offset
        async with pieces_of(self._content) as pieces:
            async for piece in pieces:
                for start in range(min(passed, len(piece)), len(piece), PIECE):
                    yield piece[start : start + PIECE]
                passed = max(0, passed - len(piece))

    async def head(self, limit: int) -> bytes:
        """See `IContent.head`."""
        return (await self._content.head(self._offset + limit))[self._offset :]


@implementer(IContent)
class ConcatenatedContent:
    """A header, and the body behind it."""

    def __init__(self, header: bytes, body: IContent) -> None:
        self._header = header
        self._body = body
        self.size = len(header) + body.size

    async def chunks(self) -> AsyncIterator[bytes]:
        """See `IContent.chunks`."""
        for start in range(0, len(self._header), PIECE):
            yield self._header[start : start + PIECE]
        async with pieces_of(self._body) as pieces:
            async for piece in pieces:
                yield piece

    async def head(self, limit: int) -> bytes:
        """See `IContent.head`."""
        missing = limit - len(self._header)
        return self._header[:limit] + (await self._body.head(missing) if missing > 0 else b"")


@attrs.frozen
class FilteredMessage:
    """One message that waits for its 250.

    :ivar header: all fields, our own Received field among them (`HeaderField.ours`).
    :ivar body: what stands below the blank line.
    :ivar scratch: makes a place to write a new body to, without blocking and without holding it in memory: a filter
        writes, and answers ``Change(body=await writer.content())``. It is thrown away with the message.
    """

    mid: int
    client: Client
    sender: MailArguments
    recipients: tuple[Recipient, ...]
    header: tuple[HeaderField, ...]
    body: IContent
    max_size: int  # octets that a message may have here
    scratch: Callable[[], IMessageWriter] = attrs.field(repr=False)

    @property
    def fields(self) -> tuple[HeaderField, ...]:
        """The header as the client sent it and other filters changed it."""
        return tuple(field for field in self.header if not field.ours)

    @property
    def content(self) -> IContent:
        """Header (without our Received field) and body, as one."""
        return ConcatenatedContent(b"".join(field.raw for field in self.fields) + b"\r\n", self.body)


async def read_header(content: IContent, trace: int) -> tuple[tuple[HeaderField, ...], IContent]:
    """The fields of a stored message and its body.

    :param trace: octets of our own Received field, which stands above.
    :raises HeaderTooLong: there are more of them than can be shown.
    :raises OSError: it can't be read.
    """
    head = await content.head(trace + MAX_HEADER)
    fields, end = parse_header(head[trace:])
    if len(head) - trace == MAX_HEADER and end == MAX_HEADER:
        raise HeaderTooLong(f"the header is longer than {MAX_HEADER} octets")
    end += trace
    body = ContentTail(content, end + 2 if head.startswith(b"\r\n", end) else end)
    ours = (HeaderField(head[:trace], ours=True),) if trace else ()
    return (*ours, *fields), body
