"""The header of a message that a program wrote: recipients are found in it, what is missing is added, Bcc is taken out."""

from __future__ import annotations

import re
from collections.abc import Iterable
from email.header import Header
from email.utils import formataddr

from seg.filter.submission import SubmissionRules, completed

_FIELD = re.compile(rb"([!-9;-~]+)[ \t]*:")
_TO = (b"to", b"cc", b"bcc")


class HeaderFields:
    """The fields of a header in order, each with its folded lines; lines end in LF."""

    def __init__(self) -> None:
        self._fields: list[tuple[bytes, bytes]] = []
        self._added: dict[str, str] = {}
        self._rules: SubmissionRules | None = None

    def add(self, line: bytes) -> bool:
        """Take one more line; False: it doesn't belong to a header (the body begins)."""
        if line[:1] in b" \t" and line.strip() and self._fields:
            name, text = self._fields[-1]
            self._fields[-1] = (name, text + line)
            return True
        found = _FIELD.match(line)
        if found is None:
            return False
        self._fields.append((found[1].lower(), line))
        return True

    def recipients(self) -> list[tuple[str, str]]:
        """The fields that name recipients, each as its name and its text: Resent-To, -Cc and -Bcc where there are any (RFC 5322
        §3.6.6), else To, Cc and Bcc. A text is a list of addresses (`seg.smtp.address_list`) if the program wrote it well."""
        return self._texts(tuple(b"resent-" + name for name in _TO)) or self._texts(_TO)

    def _texts(self, names: Iterable[bytes]) -> list[tuple[str, str]]:
        return [(name.decode().title(), _unfolded(text)) for name, text in self._fields if name in names]

    @property
    def ascii(self) -> bool:
        """Whether all of it is in ASCII."""
        return all(text.isascii() for _, text in self._fields)

    def without_bcc(self) -> None:
        """Nobody is to see who got it in secret."""
        self._fields = [field for field in self._fields if field[0] not in (b"bcc", b"resent-bcc")]

    def complete(
        self, sender: str, name: str, date: str, message_id: str, rules: SubmissionRules | None = None
    ) -> None:
        """Add From, Date and Message-ID where they are missing (RFC 6409 §8); for `text`.

        :param rules: do also what they say.
        """
        self._added = {"From": mailbox(name, sender), "Date": date, "Message-ID": message_id}
        self._rules = rules

    def text(self) -> bytes:
        """The header, with the empty line behind it.

        :raises HeaderTooLong: it has too many fields to be completed.
        """
        text = b"".join(text if text.endswith(b"\n") else text + b"\n" for _, text in self._fields)
        if self._rules is not None:
            return _with_lf(completed(_with_crlf(text), self._rules, self._added)) + b"\n"
        has = {field for field, _ in self._fields}
        new = [f"{name}: {value}\n" for name, value in self._added.items() if name.lower().encode() not in has]
        return "".join(new).encode() + text + b"\n"


def mailbox(name: str, address: str) -> str:
    """An address with the name of its owner, in ASCII where it can be."""
    name = "".join(each for each in name if each.isprintable())
    if not name or name.isascii():
        return formataddr((name, address)) if address.isascii() else f"<{address}>"
    return f"{Header(name, 'utf-8').encode()} <{address}>"


def _with_crlf(text: bytes) -> bytes:
    return text.replace(b"\n", b"\r\n")


def _with_lf(text: bytes) -> bytes:
    return text.replace(b"\r\n", b"\n")


def _unfolded(text: bytes) -> str:
    """Octets that aren't UTF-8 stay what they are: no address has them."""
    return text.partition(b":")[2].decode("utf-8", "surrogateescape").replace("\n", "").strip()
