"""One message's content on its way in: its size, and the rules that it may break."""

from __future__ import annotations

from seg.smtp.dot_stuffing import CRLF, BareNewlineScan, DotDecoder, normalised
from seg.smtp.reply import Reply
from seg.smtp.server_replies import BARE_CR, BARE_LF, NUL_IN_CONTENT, TOO_LARGE


class IncomingContent:
    """Reads to ``CRLF . CRLF`` whatever comes; once a rule is broken nothing more is passed on."""

    __slots__ = ("_decoder", "_limit", "ended", "refusal", "rest", "size")

    def __init__(self, limit: int, normalise: bool) -> None:
        self.size = 0  # octets so far, dots unstuffed
        self.refusal: Reply | None = None  # the reply to give at the end, when a rule was broken
        self.ended = False  # the end has come
        self.rest = b""  # what came behind the end
        self._limit = limit
        self._decoder = DotDecoder(normalise=normalise)

    def feed(self, data: bytes) -> bytes:
        """The next octets of content that are fit to be passed on."""
        decoder = self._decoder
        piece = decoder.feed(data)
        self.size += len(piece)
        self.ended, self.rest = decoder.ended, decoder.rest
        if self.refusal is None:
            self.refusal = broken_rule(self.size > self._limit, decoder.nul, "" if decoder.normalise else decoder.bare)
        return piece if self.refusal is None else b""


class IncomingChunks:
    """Content that comes in chunks of a stated size (RFC 3030): no dots, no end to be found, but the same rules of lines.

    Binary content isn't offered, so that it is made of CRLF lines here as well; the last line may lack its CRLF, and gets it.
    """

    __slots__ = ("_held", "_limit", "_lines", "_normalise", "_tail", "refusal", "size")

    def __init__(self, limit: int, normalise: bool) -> None:
        self.size = 0  # octets so far
        self.refusal: Reply | None = None
        self._limit = limit
        self._normalise = normalise
        self._lines = BareNewlineScan()
        self._held = b""  # a CR whose LF may come yet
        self._tail = CRLF  # the last two octets passed on

    def feed(self, data: bytes, last: bool) -> bytes:
        """The next octets that are fit to be passed on; `last`: there is nothing behind them."""
        buffer = self._held + data
        self._held = b"\r" if buffer.endswith(b"\r") and not last else b""
        piece = buffer[: len(buffer) - len(self._held)]
        self._lines.inspect(piece)
        if self._normalise and self._lines.bare:
            piece = normalised(piece)
        self._tail = (self._tail + piece)[-2:]
        if last and self._tail != CRLF:
            piece += CRLF
        self.size += len(piece)
        if self.refusal is None:
            bare = "" if self._normalise else self._lines.bare
            self.refusal = broken_rule(self.size > self._limit, self._lines.nul, bare)
        return piece if self.refusal is None else b""


def broken_rule(too_large: bool, nul: bool, bare: str) -> Reply | None:
    """The reply for the first rule that content breaks."""
    if too_large:
        return TOO_LARGE
    if nul:
        return NUL_IN_CONTENT
    if bare:
        return BARE_LF if bare == "LF" else BARE_CR
    return None
