"""Writes content of any size with bounded memory: the transport says when it has had enough."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Callable

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IConsumer, IPushProducer
from zope.interface import implementer

from seg.smtp.dot_stuffing import ContentEncoder


@implementer(IPushProducer)
class ContentProducer:
    """One content on its way into one transport, made ready for it by `encoder`."""

    def __init__(self, transport: IConsumer, encoder: ContentEncoder) -> None:
        self.stopped = False  # nothing more may be written
        self._transport = transport
        self._encoder = encoder
        self._resumed: Deferred[None] | None = None  # while the transport's buffer is full

    def pauseProducing(self) -> None:
        """The transport's buffer is full."""
        if self._resumed is None:
            self._resumed = Deferred()

    def resumeProducing(self) -> None:
        """There is room again."""
        resumed, self._resumed = self._resumed, None
        if resumed is not None:
            resumed.callback(None)

    def stopProducing(self) -> None:
        """The connection is gone, or the server doesn't want the rest."""
        self.stopped = True
        self.resumeProducing()

    async def run(self, chunks: AsyncIterator[bytes], progress: Callable[[], None]) -> bool:
        """Write all of it; whether it was written to its end.

        :param progress: called whenever a chunk was taken by the transport.
        :raises OSError: the content can't be read, or isn't as long as was said; the transport has part of it.
        """
        encoder = self._encoder
        self._transport.registerProducer(self, True)
        try:
            async for chunk in chunks:
                if self._resumed is not None:
                    await self._resumed
                if self.stopped:
                    return False
                progress()
                self._transport.write(encoder.feed(chunk))
            self._transport.write(encoder.finish())
            return not self.stopped
        finally:
            self._transport.unregisterProducer()
            if isinstance(chunks, AsyncGenerator):
                await chunks.aclose()  # its file is closed now, not when the garbage is collected
