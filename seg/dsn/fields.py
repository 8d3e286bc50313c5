"""Text of strangers made safe: nothing that a remote server said can start a field, a part or a line of its
own."""

from __future__ import annotations

import re

LINE = 76  # octets wanted in a line (RFC 5322 §2.1.1 says 78 with what stands in front)
LONGEST_LINE = 998  # octets allowed (RFC 5321 §4.5.3.1.6)
LONGEST_TEXT = 1000  # characters kept of one field
LONGEST_REPLY = 500  # characters kept of a remote server's reply; one may have hundreds of lines

_XTEXT = re.compile(r"\+([0-9A-F]{2})")
_UNPRINTABLE = re.compile(r"[^\x20-\x7e]")


def printable(text: str, longest: int = LONGEST_TEXT) -> str:
    """One line of printable ASCII: white space becomes a space, anything else unprintable an escape such as
    ``\\x07``. No more than `longest` characters are given out, and four times as many looked at."""
    line = _UNPRINTABLE.sub(_escape, " ".join(text[: 4 * longest].split()))
    return line if len(line) <= longest and len(text) <= 4 * longest else line[:longest] + " [...]"


def _escape(match: re.Match[str]) -> str:
    number = ord(match.group())
    if number < 0x100:
        return f"\\x{number:02x}"
    return f"\\u{number:04x}" if number < 0x10000 else f"\\U{number:08x}"


def fold(name: str, value: str) -> str:
    """A field with its CRLF, folded at spaces (RFC 5322 §2.2.3). `value` is printable; a word too long for
    any line is cut."""
    if len(name) + len(value) <= LINE - 2:
        return f"{name}: {value}\r\n"
    lines: list[str] = []
    current = f"{name}:"
    for word in value.split(" "):
        for piece in (word[start : start + 900] for start in range(0, max(len(word), 1), 900)):
            if len(current) + 1 + len(piece) > LINE and current.strip() not in ("", f"{name}:"):
                lines.append(current)
                current = ""
            current += f" {piece}"
    lines.append(current)
    return "\r\n".join(lines) + "\r\n"


def from_xtext(text: str) -> str:
    """What an xtext stands for (RFC 3461 §4); octets beyond ASCII as Latin-1, for `printable` to escape."""
    return _XTEXT.sub(lambda match: chr(int(match.group(1), 16)), text)


def address_field(address: str) -> str:
    """An address as RFC 3464 §2.3.2 wants it; one beyond ASCII in the escaped form of RFC 6533 §3."""
    if address.isascii():
        return f"rfc822; {_UNPRINTABLE.sub(_escape, address)}"
    escaped = "".join(c if "\x21" <= c <= "\x7e" and c not in "\\+=" else f"\\x{{{ord(c):X}}}" for c in address)
    return f"utf-8; {escaped}"
