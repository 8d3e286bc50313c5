"""What the gateway looks at in a message's header, and nothing more: hops, Message-ID and Subject."""

from __future__ import annotations

HEADER_LIMIT = 65536  # octets looked at
_FOLD = (bytearray(b" "), bytearray(b"\t"))  # what a folded line begins with
_FIELD_LIMIT = 998  # octets of a field that are passed on


class HeaderScan:
    """Collects the header while the content arrives in pieces."""

    __slots__ = ("_lowered", "_text", "complete", "cut")  # what comes is looked at once, in however many pieces

    def __init__(self) -> None:
        self.complete = False  # the header's end has come, or as much of it as is looked at
        self.cut = False  # there is more of it than is looked at
        self._text = bytearray(b"\r\n")
        self._lowered: bytes | None = None

    def feed(self, piece: bytes) -> None:
        """The next piece of content; ignored once `complete`."""
        if self.complete:
            return
        text, known = self._text, len(self._text)
        text += piece[:HEADER_LIMIT]
        end = text.find(b"\r\n\r\n", max(known - 3, 0))
        if end >= 0:
            del text[end + 2 :]
        self.cut = end < 0 and len(text) >= HEADER_LIMIT
        self.complete = end >= 0 or self.cut
        self._lowered = bytes(text).lower() if self.complete else None

    @property
    def text(self) -> bytes:
        """All of it behind a CRLF."""
        return bytes(self._text)

    @property
    def ascii(self) -> bool:
        """Whether all of it is ASCII."""
        return self._text.isascii()

    @property
    def hops(self) -> int:
        """How many Received fields there are (RFC 5321 §6.3)."""
        lowered = self._lowered or self._lower()
        return lowered.count(b"\r\nreceived:") + lowered.count(b"\r\nreceived ")

    @property
    def tls_optional(self) -> bool:
        """Whether there is one ``TLS-Required: No`` (RFC 8689 §5), and no other word in such a field."""
        lowered = self._lowered or self._lower()
        return lowered.count(b"\r\ntls-required:") == 1 and self.field(b"tls-required:").lower() == "no"

    def field(self, name: bytes) -> str:
        """The first field of this name (lower case, with its colon), unfolded; "" when there is none."""
        start = (self._lowered or self._lower()).find(b"\r\n" + name)
        if start < 0:
            return ""
        start += 2 + len(name)
        end = self._text.find(b"\r\n", start)
        while end >= 0 and self._text[end + 2 : end + 3] in _FOLD:
            end = self._text.find(b"\r\n", end + 2)
        body = self._text[start : end if end >= 0 else None]
        return body.replace(b"\r\n", b"").strip()[:_FIELD_LIMIT].decode("utf-8", "replace")

    def _lower(self) -> bytes:
        """What has come of a header that isn't complete."""
        self._lowered = bytes(self._text).lower()
        return self._lowered
