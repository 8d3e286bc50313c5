"""Content beyond ASCII for a server without 8BITMIME (RFC 6152 §3): as quoted-printable or base64, part by part (RFC 2045 §6). Pure.

Content is read twice (`seg.smtp.mime`): `Survey` finds what there is beyond ASCII, and whether it may be converted at all;
`Converter` makes the octets to be sent. What is signed is left alone: a conversion would break the signature.
"""

from __future__ import annotations

import binascii
import codecs

import attrs

from seg.smtp.mime import CRLF, Header, MIMEReader, UnreadableStructure, name_of

_SIGNATURES = {  # over the body, so that a conversion would break them
    b"dkim-signature": "DKIM-Signature",  # RFC 6376 §5.3
    b"arc-message-signature": "ARC-Message-Signature",  # RFC 8617
    b"domainkey-signature": "DomainKey-Signature",
}
_IDENTITY = ("", "7bit", "8bit", "binary")  # encodings that leave octets as they are
_TO_ASCII = bytes(range(128)) + b"?" * 128
_BASE64_OF = 57  # octets of a line of 76
_BASE64_FROM = 3  # text of which one octet in so many is beyond ASCII goes as base64


class NotConvertible(Exception):
    """Content beyond ASCII that can't be converted, or may not be.

    :param text: why, as the end of a sentence on the message.
    """

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.text = text


@attrs.define
class Part:
    """What `Survey` found in one entity that has octets beyond ASCII.

    :ivar eight: octets beyond ASCII.
    :ivar size: all of its octets.
    """

    eight: int = 0
    size: int = 0
    utf8: bool = True


class Survey:
    """Finds what of a message is beyond ASCII: `feed` its octets, then `finish`."""

    def __init__(self) -> None:
        self.parts: dict[int, Part] = {}  # leaves with octets beyond ASCII, by number
        self._reader = MIMEReader(self)
        self._header: Header | None = None
        self._part = Part()
        self._decoder = codecs.getincrementaldecoder("utf-8")()
        self._signature = ""  # the outermost header has one

    def feed(self, data: bytes) -> None:
        """Take octets.

        :raises NotConvertible: they can't be converted.
        """
        try:
            self._reader.feed(data)
        except UnreadableStructure as error:
            raise NotConvertible(str(error)) from error

    def finish(self) -> dict[int, Part]:
        """That was all; which parts are to be converted.

        :raises NotConvertible: they can't be.
        """
        try:
            self._reader.finish()
        except UnreadableStructure as error:
            raise NotConvertible(str(error)) from error
        return self.parts

    def header(self, header: Header) -> None:
        """See `MIMEListener`."""
        if header.outermost:
            self._signature = next((word for name, word in _SIGNATURES.items() if header.has(name)), "")
        for field in header.fields:
            if not field.isascii():
                name = name_of(field).decode("ascii", "backslashreplace")[:40] or "?"
                raise NotConvertible(f"its header has octets beyond ASCII ({name})")
        self._header, self._part = header, Part()
        self._decoder.reset()

    def body(self, piece: bytes, ended: bool) -> None:
        """See `MIMEListener`."""
        part, header = self._part, self._header
        part.size += len(piece) + 2
        if piece.isascii():
            return
        assert header is not None
        if not part.eight:
            self._check(header)
            self.parts[header.number] = part
        part.eight += len(piece.translate(None, _TO_ASCII[:128]))
        if part.utf8:
            try:
                self._decoder.decode(piece, ended)
            except UnicodeDecodeError:
                part.utf8 = False

    def _check(self, header: Header) -> None:
        if self._signature:
            raise NotConvertible(f"it is signed ({self._signature})")
        if header.encoding not in _IDENTITY:
            raise NotConvertible(f"a part says {header.encoding[:40]} and has octets beyond ASCII")
        if header.type.startswith(("multipart/", "message/")):
            raise NotConvertible(f"a part of type {header.type[:60]} can't be encoded")  # RFC 2045 §6.4

    def end(self, boundary: bool) -> None:
        """See `MIMEListener`."""

    def other(self, piece: bytes, ended: bool, protected: bool) -> None:
        """See `MIMEListener`."""
        if piece.isascii():
            return
        if self._signature:
            raise NotConvertible(f"it is signed ({self._signature})")
        if protected:
            raise NotConvertible("a part is signed or encrypted (multipart/signed, multipart/encrypted)")


class Converter:
    """Makes what `Survey` has found ASCII; nothing else is altered but labels that don't hold any more.

    :param parts: what the survey of the same content gave.
    """

    def __init__(self, parts: dict[int, Part]) -> None:
        self._parts = parts
        self._reader = MIMEReader(self)
        self._out: list[bytes] = []
        self._base64 = False  # the body under way is converted so
        self._quoted = False  # or as quoted-printable
        self._held = b""  # octets for the next line of base64
        self._line_end = False  # behind them, if the body goes on

    def feed(self, data: bytes) -> bytes:
        """The next octets, converted."""
        self._reader.feed(data)
        return self._taken()

    def finish(self) -> bytes:
        """What is left."""
        self._reader.finish()
        return self._taken()

    def _taken(self) -> bytes:
        data = b"".join(self._out)
        self._out.clear()
        return data

    def header(self, header: Header) -> None:
        """See `MIMEListener`."""
        part = self._parts.get(header.number)
        self._base64 = part is not None and _by_base64(header, part)
        self._quoted = part is not None and not self._base64
        self._held, self._line_end = b"", False
        encoding = "base64" if self._base64 else "quoted-printable" if self._quoted else "7bit"
        fields = list(header.fields)
        if fields and not fields[-1].endswith(CRLF):
            fields[-1] += CRLF
        if part is not None or header.encoding in ("8bit", "binary"):
            fields = [field for field in fields if name_of(field) != b"content-transfer-encoding"]
            if part is not None and header.outermost and not header.has(b"mime-version"):
                fields.append(b"MIME-Version: 1.0\r\n")
            if part is not None and header.outermost and not header.has(b"content-type"):
                charset = b"utf-8" if part.utf8 else b"unknown-8bit"  # RFC 1428 §3
                fields.append(b"Content-Type: text/plain; charset=" + charset + CRLF)
            fields.append(b"Content-Transfer-Encoding: " + encoding.encode() + CRLF)
        self._out += (*fields, CRLF)

    def body(self, piece: bytes, ended: bool) -> None:
        """See `MIMEListener`."""
        if self._quoted:
            self._out.append(_quoted(piece) + (CRLF if ended else b"=\r\n"))
        elif self._base64:
            self._held += (CRLF if self._line_end else b"") + piece
            self._line_end = ended
            self._give_base64(len(self._held) // _BASE64_OF * _BASE64_OF)
        else:
            self._out.append(piece + CRLF if ended else piece)

    def _give_base64(self, size: int) -> None:
        data, self._held = self._held[:size], self._held[size:]
        for start in range(0, len(data), _BASE64_OF):
            self._out.append(binascii.b2a_base64(data[start : start + _BASE64_OF], newline=False) + CRLF)

    def end(self, boundary: bool) -> None:
        """See `MIMEListener`."""
        if self._base64:
            if self._line_end and not boundary:
                self._held += CRLF
            self._give_base64(len(self._held))
        self._base64 = self._quoted = False

    def other(self, piece: bytes, ended: bool, protected: bool) -> None:
        """See `MIMEListener`. Preamble and epilogue are read by nobody (RFC 2046 §5.1.1)."""
        self._out.append(piece.translate(_TO_ASCII) + (CRLF if ended else b""))


def _by_base64(header: Header, part: Part) -> bool:
    """Whether base64 is the better encoding: for what isn't text, and for text that is hardly readable otherwise."""
    return not header.type.startswith("text/") or part.eight * _BASE64_FROM >= part.size


def _quoted(piece: bytes) -> bytes:
    """A line, or a piece of one, as quoted-printable (RFC 2045 §6.7), with soft breaks within it."""
    return binascii.b2a_qp(piece, istext=False).replace(b"=\n", b"=\r\n")
