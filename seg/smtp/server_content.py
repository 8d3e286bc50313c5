"""One message's content on its way in: its size, and the rules that it may break."""

from __future__ import annotations

from seg.smtp.dots import DotDecoder
from seg.smtp.server_replies import BARE_CR, BARE_LF, NUL_IN_CONTENT, TOO_LARGE, Reply


class IncomingContent:
    """Reads to ``CRLF . CRLF`` whatever comes; once a rule is broken nothing more is passed on."""

    __slots__ = ("_decoder", "_limit", "_normalise", "refusal", "size")

    def __init__(self, limit: int, normalise: bool) -> None:
        self.size = 0  # octets so far, dots unstuffed
        self.refusal: Reply | None = None  # the reply to give at the end, when a rule was broken
        self._limit = limit
        self._normalise = normalise
        self._decoder = DotDecoder(normalise=normalise)

    @property
    def ended(self) -> bool:
        """Whether the end has come."""
        return self._decoder.ended

    @property
    def rest(self) -> bytes:
        """What came behind the end."""
        return self._decoder.rest

    def feed(self, data: bytes) -> bytes:
        """The next octets of content that are fit to be passed on."""
        piece = self._decoder.feed(data)
        self.size += len(piece)
        if self.refusal is None:
            self.refusal = self._broken_rule()
        return piece if self.refusal is None else b""

    def _broken_rule(self) -> Reply | None:
        decoder = self._decoder
        if self.size > self._limit:
            return TOO_LARGE
        if decoder.nul:
            return NUL_IN_CONTENT
        if decoder.bare and not self._normalise:
            return BARE_LF if decoder.bare == "LF" else BARE_CR
        return None
