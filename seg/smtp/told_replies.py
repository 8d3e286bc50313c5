"""How much of a server's replies the log of one attempt tells: each recipient has a line, and the server chooses what it says of it. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeVar, cast

from seg.mail.errors import DeliveryError, Permanent, Temporary
from seg.smtp.reply import CUT

SHORT = 200  # characters that are told of any reply
MOST = 16384  # characters of longer ones in one attempt; of what is beyond, and of what was told already, the beginning is told

E = TypeVar("E", bound=DeliveryError)


class ToldReplies:
    """Gives replies as they are to be told, within one attempt."""

    __slots__ = ("_left", "_told")

    def __init__(self) -> None:
        self._left = MOST
        self._told: set[tuple[str, ...]] = set()

    def text(self, text: str) -> str:
        """A reply in one line."""
        return text if self._in_full((text,)) else _cut((text,))[0]

    def error(self, error: E) -> E:
        """A failure with the reply, or the words of our own, that it came with."""
        if self._in_full(error.remote or (error.text,)):
            return error
        kind = Temporary if error.status_class == Temporary.status_class else Permanent
        return cast(E, kind(error.enhanced, _cut((error.text,))[0], error.code, _cut(error.remote), error.cause))

    def _in_full(self, lines: tuple[str, ...]) -> bool:
        size = sum(map(len, lines))
        if size <= SHORT:
            return True
        if lines in self._told or size > self._left:
            return False
        self._told.add(lines)
        self._left -= size
        return True


def _cut(lines: Iterable[str]) -> tuple[str, ...]:
    kept: list[str] = []
    left = SHORT
    for line in lines:
        if len(line) > left:
            kept.append(line[:left] + CUT)
            break
        kept.append(line)
        left -= len(line)
    return tuple(kept)
