"""Gives addresses in a header their domain (RFC 6409 §8.1), every other octet kept. Pure; linear in the length of the text."""

from __future__ import annotations

from collections.abc import Callable
from itertools import islice

import attrs

from seg.smtp.address import PathError, check_forward_path
from seg.smtp.address_list import AddressListError, lexed

LONGEST_LINE = 998  # RFC 5322 §2.1.1
_SEPARATORS = frozenset(",:;<>@")


@attrs.define
class Member:
    """What stands between two commas, as far as it has come."""

    words: list[str] = attrs.field(factory=list)  # outside of angle brackets
    inner: list[str] = attrs.field(factory=list)  # within them
    end: int = 0  # where the last word of the address ends
    bracket: bool | None = None  # None: there is none; True: within; False: behind


class _Unclear(ValueError):
    """The list could mean this or that: it stays as it is."""


def qualified(text: str, domain: str, most: int, known: Callable[[str], bool] = lambda name: False) -> tuple[str, int]:
    """The list of addresses with ``@domain`` behind each that has no domain, and how many tokens were looked at.

    A list that can't be read, or that would get a line longer than `LONGEST_LINE`, stays as it is. So does a word before a name
    without quotes, as in ``Doe, John <john@x.example>``, unless it is `known` as somebody's name here.

    :param most: tokens above which the list stays as it is; the same for parentheses.
    """
    if sum(map(text.count, "()\\")) > most:
        return text, most
    try:
        tokens = list(islice(lexed(text), most + 1))
        ends = _ends(tokens, domain, known) if len(tokens) <= most else []
    except (AddressListError, _Unclear):
        return text, most if len(text) > most else len(text)
    if not ends:
        return text, min(len(tokens), most)
    parts, last = [], 0
    for end in ends:
        parts += [text[last:end], "@", domain]
        last = end
    new = "".join([*parts, text[last:]])
    return (text if _overlong(new) else new), len(tokens)


def _overlong(text: str) -> bool:
    lines = text.encode("utf-8", "surrogateescape").split(b"\r\n")
    return max(map(len, lines)) > LONGEST_LINE


def _ends(tokens: list[tuple[str, int]], domain: str, known: Callable[[str], bool]) -> list[int]:
    """Where a domain is missing.

    :raises _Unclear: it isn't clear what is whose.
    """
    found: list[int] = []
    doubtful = False  # the last place found may be the beginning of a name
    member, grouped = Member(), False
    for piece, end in [*tokens, (",", 0)]:
        if piece.isspace():
            continue
        if piece == ":" and member.bracket is None and not grouped:
            if not member.words or "@" in member.words:
                raise _Unclear
            member, grouped = Member(), True
        elif piece in (",", ";") and not member.bracket:
            if doubtful and _begins_with_a_word(member):
                found.pop()
            address = _unqualified(member)
            doubtful = bool(address) and member.bracket is None and address[0] != '"' and not known(address)
            if address and _fits(address, domain):
                found.append(member.end)
            else:
                doubtful = False
            if piece == ";":
                if not grouped:
                    raise _Unclear
                grouped = False
            member = Member()
        else:
            _take(member, piece, end)
    if grouped or member.bracket is not None:
        raise _Unclear
    return found


def _take(member: Member, piece: str, end: int) -> None:
    """One more piece of a member."""
    if piece == "<" and member.bracket is None:
        member.bracket = True
    elif piece == ">" and member.bracket:
        member.bracket = False
    elif member.bracket:
        member.inner.append(piece)
        member.end = end
    elif member.bracket is None and (piece == "@" or piece not in _SEPARATORS):
        member.words.append(piece)
        member.end = end
    else:
        raise _Unclear


def _unqualified(member: Member) -> str:
    """The address of a member if it is a local part alone; "" when it has a domain, or there is none.

    :raises _Unclear: it is no address.
    """
    words = member.words if member.bracket is None else member.inner
    if "@" in words or (not words and member.bracket is None):
        return ""
    if len(words) != 1 or words[0].startswith(("[", "=?")):  # a literal, an encoded word (RFC 2047)
        raise _Unclear
    return words[0]


def _begins_with_a_word(member: Member) -> bool:
    """Whether a name without quotes stands before the angle bracket."""
    return member.bracket is not None and bool(member.words) and member.words[0][0] != '"'


def _fits(address: str, domain: str) -> bool:
    try:
        check_forward_path(f"{address}@{domain}")
    except PathError:
        return False
    return True
