"""What of a message goes to one server: as it is, labelled by its octets, or converted for a server without 8BITMIME (RFC 6152 §3)."""

from __future__ import annotations

from collections.abc import AsyncIterator
from functools import partial

import attrs
from zope.interface import implementer

from seg.common.threads import InThread
from seg.mail.envelope import BodyType
from seg.queue.interfaces import IContent
from seg.smtp.client_capabilities import Capabilities
from seg.smtp.conversion import Converter, NotConvertible, Part, Survey

SMALL = 65536  # octets of content up to which it goes out in one write
_SLICE = 65536  # octets that are worked on at a time


@attrs.frozen
class BodyPlan:
    """Content for one server.

    :ivar whole: all of it, where it is small.
    :ivar type: what it is by its octets.
    :ivar unconvertible: why it can't be converted for this server, though it ought to be; "" = it needn't, or it was.
    """

    content: IContent
    whole: bytes | None
    type: BodyType
    unconvertible: str = ""


async def body_for(
    content: IContent, said: BodyType, offered: Capabilities, convert: bool, in_thread: InThread
) -> BodyPlan:
    """Content as a server that offers these extensions may have it.

    :param said: what its envelope says of it. Small content is looked at all the same; large content only where the server couldn't take it as
        what it is said to be: whoever put it into the queue has looked at its octets, so that 7-bit content is so for certain.
    :param convert: content beyond ASCII may be converted.
    :raises OSError: it can't be read.
    """
    whole = b"".join([chunk async for chunk in content.chunks()]) if content.size <= SMALL else None
    if whole is not None:
        plain = whole.isascii()
    elif said is BodyType.SEVEN_BIT or offered.eightbitmime:
        plain = said is BodyType.SEVEN_BIT
    else:
        plain = await _is_ascii(content)
    if plain:
        return BodyPlan(content, whole, BodyType.SEVEN_BIT)
    if offered.eightbitmime:
        return BodyPlan(content, whole, BodyType.EIGHT_BIT)
    if not convert:
        return BodyPlan(content, whole, BodyType.EIGHT_BIT, "convert_8bit is off")
    try:
        converted = await Converted.of(content, in_thread)
    except NotConvertible as error:
        return BodyPlan(content, whole, BodyType.EIGHT_BIT, error.text)
    whole = b"".join([chunk async for chunk in converted.chunks()]) if converted.size <= SMALL else None
    return BodyPlan(converted, whole, BodyType.SEVEN_BIT)


async def _is_ascii(content: IContent) -> bool:
    chunks = content.chunks()
    try:
        async for chunk in chunks:
            if not chunk.isascii():
                return False
    finally:
        aclose = getattr(chunks, "aclose", None)
        if aclose is not None:
            await aclose()  # its file is closed now, not when the garbage is collected
    return True


@implementer(IContent)
class Converted:
    """Content beyond ASCII as quoted-printable and base64. It is converted anew whenever it is read, so that none of it is kept."""

    def __init__(self, content: IContent, parts: dict[int, Part], in_thread: InThread) -> None:
        self._content = content
        self._parts = parts
        self._in_thread = in_thread
        self.size = 0

    @classmethod
    async def of(cls, content: IContent, in_thread: InThread) -> Converted:
        """The conversion of some content.

        :raises NotConvertible: there is none.
        :raises OSError: the content can't be read.
        """
        survey = Survey()
        async for chunk in content.chunks():
            await in_thread(partial(survey.feed, chunk))
        converted = cls(content, survey.finish(), in_thread)
        async for piece in converted.chunks():
            converted.size += len(piece)
        return converted

    async def chunks(self) -> AsyncIterator[bytes]:
        """See `IContent.chunks`."""
        converter = Converter(self._parts)
        async for chunk in self._content.chunks():
            for start in range(0, len(chunk), _SLICE):
                piece = await self._in_thread(partial(converter.feed, chunk[start : start + _SLICE]))
                for at in range(0, len(piece), _SLICE):
                    yield piece[at : at + _SLICE]
        rest = converter.finish()
        for at in range(0, len(rest), _SLICE):
            yield rest[at : at + _SLICE]

    async def head(self, limit: int) -> bytes:
        """See `IContent.head`."""
        found = b""
        async for piece in self.chunks():
            found += piece
            if len(found) >= limit:
                break
        return found[:limit]
