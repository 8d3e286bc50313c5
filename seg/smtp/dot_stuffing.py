"""Content on the wire. The transparency of DATA (RFC 5321 §4.5.2): dot-stuffing, and the one end there is, ``CRLF . CRLF``;
and the chunk of BDAT, which needs neither.

The codecs work on whole chunks with the C routines of `bytes`, and give the same result however the octets
are cut into chunks.
"""

from __future__ import annotations

import re

CRLF = b"\r\n"
LINE_DOT = b"\r\n."
END = b"\r\n.\r\n"
_BARE = re.compile(rb"\r(?!\n)|(?<!\r)\n")


class NULInContent(ValueError):
    """Content holds a NUL, which no mail may have (RFC 5321 §4.5.2 with RFC 5322 §2.3)."""

    def __init__(self) -> None:
        super().__init__("it holds a NUL")


class BareNewlineScan:
    """Looks for what no line of content may hold: a CR or LF that stands alone, a NUL. Give it pieces that don't end between CR and LF."""

    __slots__ = ("bare", "nul")

    def __init__(self) -> None:
        self.bare = ""  # "CR" or "LF": the first kind that was seen standing alone
        self.nul = False  # a NUL was seen (neither 7bit nor 8bit data has one, RFC 2045 §2.7, §2.8)

    def inspect(self, piece: bytes) -> None:
        """Take the next piece into account."""
        if b"\0" in piece:
            self.nul = True
        if not self.bare and has_bare(piece):
            first = _BARE.search(piece)
            self.bare = "LF" if first is not None and first.group() == b"\n" else "CR"


class CleanLines:
    """Makes CRLF lines of any octets, however they are cut: a CR or LF that stands alone becomes CRLF, a NUL is left out.

    What is clean already is given out as it is. `nul`: there was one.
    """

    __slots__ = ("_held", "nul")

    def __init__(self) -> None:
        self.nul = False
        self._held = False  # a CR whose LF may come yet

    def feed(self, piece: bytes) -> bytes:
        """The next octets, clean; a CR at the end is kept until it is known what it is."""
        if b"\0" in piece:
            self.nul = True
            piece = piece.replace(b"\0", b"")
        if self._held and piece:
            piece, self._held = b"\r" + piece, False
        if piece.endswith(b"\r"):
            piece, self._held = piece[:-1], True
        return normalised(piece) if has_bare(piece) else piece

    def finish(self) -> bytes:
        """What is left of the last line's end."""
        held, self._held = self._held, False
        return CRLF if held else b""


def has_bare(piece: bytes) -> bool:
    """Whether a piece that doesn't end between CR and LF has one that stands alone."""
    return len(piece) - len(piece.translate(None, CRLF)) != 2 * piece.count(CRLF)


def normalised(piece: bytes) -> bytes:
    """A piece with each CR or LF that stands alone made CRLF."""
    return piece.replace(CRLF, b"\n").replace(b"\r", b"\n").replace(b"\n", CRLF)


class DotEncoder(CleanLines):
    """Makes content ready for DATA: leading dots are doubled, and nothing else of CRLF lines is altered.

    The queue holds nothing but CRLF lines (`seg.queue.writer`). Of a spool file that was written otherwise, by an older version or by
    hand, CRLF lines are made here: what a lenient server takes for the end of a line is one then, and a dot behind it is doubled.
    """

    __slots__ = ("_tail",)

    def __init__(self) -> None:
        self.nul = self._held = False
        self._tail = CRLF  # the last two octets: at first we are at the start of a line

    def feed(self, chunk: bytes) -> bytes:
        """The next octets of content, dot-stuffed."""
        chunk = super().feed(chunk)
        if not chunk:
            return chunk
        at_start, self._tail = self._tail == CRLF, chunk[-2:]
        if at_start and chunk.startswith(b"."):
            chunk = b"." + chunk
        return chunk.replace(LINE_DOT, b"\r\n..")

    def finish(self) -> bytes:
        """The end of the data: CRLF if the last line lacks it, then ``. CRLF``."""
        if self._held:
            return END
        return b".\r\n" if self._tail == CRLF else END


class BdatEncoder:
    """Makes content ready for BDAT (RFC 3030 §2): as it is, since its octets are counted."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._left = size

    def feed(self, chunk: bytes) -> bytes:
        """The next octets of content.

        :raises OSError: they are more than was said: they would be taken for commands.
        """
        self._left -= len(chunk)
        if self._left < 0:
            raise OSError(f"the content has more than its {self._size} octets")
        return chunk

    def finish(self) -> bytes:
        """Nothing: the count ends it.

        :raises OSError: there are fewer octets than was said: the server would wait for the rest.
        """
        if self._left:
            raise OSError(f"the content has {self._size - self._left} octets of {self._size}")
        return b""


ContentEncoder = DotEncoder | BdatEncoder


class DotDecoder(BareNewlineScan):
    """Reads the content of DATA; begin with the first octet behind the command's own CRLF.

    The content ends at ``CRLF . CRLF`` exactly; a CR or LF that stands alone never takes part in an end. A
    dot is taken off only behind a CRLF. A bare CR or LF is reported in `bare` and passed on as it came, or
    becomes CRLF when `normalise` is on.

    Everything is given out but the at most four octets that may turn out to belong to the end, so that memory
    is bounded.
    """

    __slots__ = ("_held", "_skip", "ended", "normalise", "rest")

    def __init__(self, *, normalise: bool = False) -> None:
        self.bare, self.nul = "", False
        self.normalise = normalise
        self.ended = False
        self.rest = b""  # what came behind the end: the next commands
        self._held = CRLF  # stands for the CRLF of the DATA command
        self._skip = 2  # octets of _held that aren't content

    def feed(self, data: bytes) -> bytes:
        """The content found in the next octets (may be empty). Not to be called once `ended`."""
        if self.ended:
            raise ValueError("the data has ended")
        buffer = self._held + data
        # Most chunks have no line that begins with a dot: one search settles both the end and the stuffing.
        dot = buffer.find(LINE_DOT)
        end = buffer.find(END, dot) if dot >= 0 else -1
        if end >= 0:
            self.ended = True
            self.rest = buffer[end + len(END) :]
            cut = end + len(CRLF)
            self._held = b""
        else:
            cut = len(buffer) - _possible_end(buffer)
            self._held = buffer[cut:]
        if not cut:
            return b""
        # A piece never ends between CR and LF, so each can be judged by itself.
        piece = buffer[:cut]
        self.inspect(piece)
        if dot >= 0:
            piece = piece.replace(LINE_DOT, CRLF)
        # The CRLF of DATA goes before bare ones are normalised: it is two octets in either case.
        if self._skip:
            piece = piece[self._skip :]
            self._skip = 0
        if self.normalise and self.bare:
            piece = normalised(piece)
        return piece


def _possible_end(buffer: bytes) -> int:
    """How many of the last octets may be the beginning of the end."""
    for length in (4, 3, 2, 1):
        if buffer.endswith(END[:length]):
            return length
    return 0
