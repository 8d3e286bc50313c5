"""The header of a message as fields that can be changed, every octet of the others kept (RFC 5322 §2.2)."""

from __future__ import annotations

import re

import attrs

MAX_HEADER = 256 * 1024  # octets of a header that filters can be shown
MAX_FIELDS = 5000  # fields of it
MOST_FIELDS = 2 * MAX_FIELDS  # that filters may make of it, all of them together
MOST_OCTETS = MAX_HEADER + 1024 * 1024  # of it, the same
_FIELD = re.compile(rb"([\x21-\x39\x3b-\x7e]+)[ \t]*:")
_FIELD_END = re.compile(rb"\r\n(?![ \t])")  # the lines behind it aren't folded
_LINE_END = re.compile(r"\r\n?|\n")


class HeaderTooLong(ValueError):
    """The header is longer than filters can be shown: the message can't be judged."""


class HeaderGrown(ValueError):
    """A filter makes the header larger than one may become: its answer can't be used."""


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
    end = 0
    while end < len(text):
        start, line_end = end, text.find(b"\r\n", end)
        if not _FIELD.match(text, start, line_end if line_end >= 0 else len(text)):
            break
        if len(fields) == MAX_FIELDS:
            raise HeaderTooLong(f"the header has more than {MAX_FIELDS} fields")
        last = _FIELD_END.search(text, line_end) if line_end >= 0 else None
        end = last.end() if last is not None else len(text)
        raw = text[start:end]
        fields.append(HeaderField(raw if last is not None else raw + b"\r\n"))
    return tuple(fields), end


def made(name: str, value: str, spaced: bool) -> HeaderField:
    """A new field. Whatever would end it early, a line that isn't folded or a blank one, becomes part of it.

    :raises UnicodeEncodeError: a lone surrogate that stands for no octet.
    """
    if "\n" in value or "\r" in value:
        lines = [line for line in _LINE_END.split(value) if line.strip(" \t")] or [""]
        value = "\r\n".join([lines[0], *(line if line[0] in " \t" else f"\t{line}" for line in lines[1:])])
    elif not value.strip(" \t"):
        value = ""
    space = " " if spaced and value[:1] not in (" ", "\t") else ""
    return HeaderField(f"{name}:{space}{value}\r\n".encode("utf-8", "surrogateescape"))
