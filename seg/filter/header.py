"""The header of a message as fields that can be changed, every octet of the others kept (RFC 5322 §2.2)."""

from __future__ import annotations

import re
from collections.abc import Iterable

import attrs

from seg.filter.answers import AddField, ChangeField, FieldEdit, InsertField

MAX_HEADER = 256 * 1024  # octets of a header that filters can be shown
MAX_FIELDS = 5000  # fields of it
_FIELD = re.compile(rb"([\x21-\x39\x3b-\x7e]+)[ \t]*:")
_LINE_END = re.compile(r"\r\n?|\n")


class HeaderTooLong(ValueError):
    """The header is longer than filters can be shown: the message can't be judged."""


@attrs.frozen
class HeaderField:
    """One field as it stands in the message."""

    raw: bytes  # all its lines, with the last CRLF
    ours: bool = False  # the Received field that this gateway put there: filters aren't shown it

    @property
    def name(self) -> str:
        """Its name as written."""
        return self.raw.partition(b":")[0].rstrip(b" \t").decode("ascii")

    @property
    def value(self) -> str:
        """What stands behind the colon, folded as it was; octets that aren't UTF-8 are lone surrogates."""
        return self.raw.partition(b":")[2].removesuffix(b"\r\n").decode("utf-8", "surrogateescape")


def parse_header(text: bytes) -> tuple[tuple[HeaderField, ...], int]:
    """The fields at the beginning of a message, and where they end: a blank line, or one that can't belong to a header.

    :raises HeaderTooLong: there are too many.
    """
    fields: list[HeaderField] = []
    start = end = 0
    while end < len(text):
        line_end = text.find(b"\r\n", end) + 2
        if line_end < 2:  # the last line has no end
            line_end = len(text)
        folded = text[end : end + 1] in (b" ", b"\t") and end > start
        if not folded:
            if end > start:
                fields.append(HeaderField(text[start:end]))
            if len(fields) > MAX_FIELDS:
                raise HeaderTooLong(f"the header has more than {MAX_FIELDS} fields")
            start = end
            if not _FIELD.match(text, end, line_end):
                break
        end = line_end
    if end > start:
        fields.append(HeaderField(text[start:end] if text.endswith(b"\r\n", start, end) else text[start:end] + b"\r\n"))
    return tuple(fields), end


def made(name: str, value: str, spaced: bool) -> HeaderField:
    """A new field. Whatever would end it early, a line that isn't folded or a blank one, becomes part of it.

    :raises UnicodeEncodeError: a lone surrogate that stands for no octet.
    """
    lines = [line for line in _LINE_END.split(value) if line.strip(" \t")] or [""]
    folded = [lines[0], *(line if line[0] in " \t" else f"\t{line}" for line in lines[1:])]
    space = " " if spaced and not folded[0].startswith((" ", "\t")) else ""
    text = f"{name}:{space}" + "\r\n".join(folded) + "\r\n"
    return HeaderField(text.encode("utf-8", "surrogateescape"))


def edited(fields: Iterable[HeaderField], edits: Iterable[FieldEdit]) -> tuple[HeaderField, ...]:
    """The header after these edits, each applied to what the one before has left."""
    header = list(fields)
    for edit in edits:
        match edit:
            case AddField(name, value, spaced):
                header.append(made(name, value, spaced))
            case InsertField(position, name, value, spaced):
                header.insert(position, made(name, value, spaced))
            case ChangeField(name, number, value, spaced):
                place = _place(header, name, number)
                if place is None:
                    header.append(made(name, value, spaced))
                else:
                    header[place] = made(name, value, spaced)
            case _:
                place = _place(header, edit.name, edit.number)
                if place is not None:
                    del header[place]
    return tuple(header)


def _place(header: list[HeaderField], name: str, number: int) -> int | None:
    """Where the field of this name and number (from 1) stands."""
    wanted, left = name.lower(), max(number, 1)
    for place, field in enumerate(header):
        if not field.ours and field.name.lower() == wanted:
            left -= 1
            if not left:
                return place
    return None
