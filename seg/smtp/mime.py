"""Reads the MIME structure of a message as its octets come (RFC 2045, RFC 2046), in bounded memory. Pure.

`MIMEReader` cuts content into lines, and tells a `MIMEListener` of each header, of each line of a body, and of what stands between parts:
the same, however the octets are cut into pieces.
"""

from __future__ import annotations

import enum
import re
from typing import Protocol

import attrs

CRLF = b"\r\n"
MOST_OF_LINE = 8192  # octets of a line that are looked at, or told, at a time
MOST_OF_HEADER = 262_144  # octets of one header
MOST_PARTS = 1000
MOST_LEVELS = 20

_BOUNDARY = re.compile(rb';\s*boundary\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s;"]+))', re.IGNORECASE | re.DOTALL)
_LABEL = re.compile(rb"\s*([^\s;/]+/[^\s;]+)")


class UnreadableStructure(ValueError):
    """The structure is beyond our bounds; the text says which."""


class ContentKind(enum.Enum):
    """What an entity is made of."""

    LEAF = "leaf"  # octets
    MULTIPART = "multipart"  # further entities
    MESSAGE = "message"  # a header and an entity (RFC 2046 §5.2.1)
    PROTECTED = "protected"  # nothing in it may be altered: multipart/signed and multipart/encrypted (RFC 1847 §2.1)


@attrs.frozen
class Header:
    """The header of an entity.

    :ivar outermost: it is the message's own.
    :ivar fields: each with its folded lines and their ends.
    :ivar type: in lower case, ``text/plain`` where it says none.
    :ivar encoding: Content-Transfer-Encoding in lower case; "" = none.
    """

    number: int  # of the entity, in order from 0
    outermost: bool
    fields: tuple[bytes, ...]
    kind: ContentKind
    type: str
    encoding: str
    boundary: bytes = b""

    def has(self, name: bytes) -> bool:
        """Whether there is such a field; the name is given in lower case."""
        return any(name_of(field) == name for field in self.fields)


class MIMEListener(Protocol):
    """Hears of what there is."""

    def header(self, header: Header) -> None:
        """An entity begins. The empty line behind its header is not told."""

    def body(self, piece: bytes, ended: bool) -> None:
        """A line of a leaf's body, or a piece of a long one.

        :param ended: a line's end stands behind it; before a boundary, that is the boundary's (RFC 2046 §5.1.1).
        """

    def end(self, boundary: bool) -> None:
        """The leaf's body has ended.

        :param boundary: a boundary comes next, to which the last line's end belongs; else the message ends.
        """

    def other(self, piece: bytes, ended: bool, protected: bool) -> None:
        """A line, or a piece of one, that is none of a leaf: of a boundary, a preamble, an epilogue, or of what is protected."""


@attrs.frozen
class _Level:
    """One multipart that we are in."""

    boundary: bytes
    digest: bool
    protected: bool


class MIMEReader:
    """Reads one message: `feed` its octets, then `finish`."""

    def __init__(self, listener: MIMEListener) -> None:
        self._listener = listener
        self._buffer = b""
        self._within_line = False  # the line under way has been told in part
        self._levels: list[_Level] = []
        self._number = 0
        self._fields: list[bytes] | None = []  # of the header under way; None within a body
        self._header_size = 0
        self._message = True  # the header under way is that of a message, so that it says MIME-Version
        self._digest = False  # the default type is message/rfc822 (RFC 2046 §5.1.5)
        self._leaf = False  # within the body of a leaf

    def feed(self, data: bytes) -> None:
        """Take octets.

        :raises UnreadableStructure: it is beyond our bounds.
        """
        data = self._buffer + data
        start = 0
        while (end := data.find(CRLF, start)) >= 0:
            self._line(data[start:end], True)
            start = end + 2
        rest = data[start:]
        while len(rest) > MOST_OF_LINE:
            self._line(rest[:MOST_OF_LINE], False)
            rest = rest[MOST_OF_LINE:]
        self._buffer = rest

    def finish(self) -> None:
        """That was all."""
        if self._buffer:
            self._line(self._buffer, False)
            self._within_line, self._buffer = False, b""
        if self._fields is not None:
            self._header_ends()
        self._end_leaf(boundary=False)

    def _line(self, line: bytes, ended: bool) -> None:
        while len(line) > MOST_OF_LINE:
            self._piece(line[:MOST_OF_LINE], False)
            line = line[MOST_OF_LINE:]
        self._piece(line, ended)

    def _piece(self, line: bytes, ended: bool) -> None:
        first, self._within_line = not self._within_line, not ended
        if first and line.startswith(b"--") and self._levels and self._at_boundary(line, ended):
            return
        if self._fields is not None:
            self._of_header(line, ended, first)
        elif self._leaf:
            self._listener.body(line, ended)
        else:
            self._listener.other(line, ended, self._protected)

    @property
    def _protected(self) -> bool:
        return any(level.protected for level in self._levels)

    def _at_boundary(self, line: bytes, ended: bool) -> bool:
        """Whether this line ends a part: the innermost multipart whose boundary it is goes on, or ends, behind it."""
        said = line.rstrip(b" \t")[2:]
        for depth in range(len(self._levels) - 1, -1, -1):
            level = self._levels[depth]
            if said not in (level.boundary, level.boundary + b"--"):
                continue
            if self._fields is not None:
                self._header_ends()
            self._end_leaf(boundary=True)
            del self._levels[depth + 1 :]
            over = said != level.boundary
            protected = self._protected
            if over:
                del self._levels[depth:]
            self._listener.other(line, ended, protected)
            self._leaf = False
            if not over and not protected:
                self._begin_header(level.digest)
            return True
        return False

    def _begin_header(self, digest: bool) -> None:
        self._number += 1
        if self._number > MOST_PARTS:
            raise UnreadableStructure(f"it has more than {MOST_PARTS} parts")
        self._fields, self._header_size, self._digest, self._message = [], 0, digest, False

    def _of_header(self, line: bytes, ended: bool, first: bool) -> None:
        assert self._fields is not None
        if first and not line and ended:
            self._header_ends()
            return
        self._header_size += len(line) + 2
        if self._header_size > MOST_OF_HEADER:
            raise UnreadableStructure(f"a header has more than {MOST_OF_HEADER} octets")
        whole = line + CRLF if ended else line
        if self._fields and (not first or line[:1] in (b" ", b"\t")):
            self._fields[-1] += whole
        else:
            self._fields.append(whole)

    def _header_ends(self) -> None:
        assert self._fields is not None
        header = _header(self._number, tuple(self._fields), self._digest)
        self._fields = None
        self._listener.header(header)
        if header.kind is ContentKind.LEAF:
            self._leaf = True
        elif header.kind is ContentKind.MESSAGE:
            self._begin_header(False)
            self._message = True
        else:
            if len(self._levels) >= MOST_LEVELS:
                raise UnreadableStructure(f"its parts are nested more than {MOST_LEVELS} deep")
            digest = header.type == "multipart/digest"
            self._levels.append(_Level(header.boundary, digest, header.kind is ContentKind.PROTECTED))

    def _end_leaf(self, boundary: bool) -> None:
        if self._leaf:
            self._leaf = False
            self._listener.end(boundary)


def name_of(field: bytes) -> bytes:
    """The name of a field in lower case."""
    return field.partition(b":")[0].strip().lower()


def _header(number: int, fields: tuple[bytes, ...], digest: bool) -> Header:
    values = {name_of(field): field.partition(b":")[2] for field in reversed(fields)}
    said = values.get(b"content-type", b"")
    found = _LABEL.match(said)
    kind_of = (
        found[1].decode("ascii", "backslashreplace").lower()
        if found
        else ("message/rfc822" if digest else "text/plain")
    )
    encoding = values.get(b"content-transfer-encoding", b"").strip().decode("ascii", "backslashreplace").lower()
    kind, boundary = ContentKind.LEAF, b""
    if kind_of.startswith("multipart/"):
        match = _BOUNDARY.search(said)
        boundary = (re.sub(rb"\\(.)", rb"\1", match[1]) if match[1] is not None else match[2]) if match else b""
        protected = kind_of in ("multipart/signed", "multipart/encrypted")
        kind = ContentKind.LEAF if not boundary else ContentKind.PROTECTED if protected else ContentKind.MULTIPART
    elif kind_of == "message/rfc822" and encoding in ("", "7bit", "8bit", "binary"):
        kind = ContentKind.MESSAGE
    return Header(number, number == 0, fields, kind, kind_of, encoding, boundary)
