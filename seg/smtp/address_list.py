"""Lists of addresses as they stand in To, Cc and Bcc, and on command lines (RFC 5322 §3.4, §4.4). Pure; linear in the length of the text.

Recipients are never guessed: what doesn't say clearly who is meant is refused as a whole. Names in forms that programs write, though the
grammar has quotes for them (a dot, an @), are taken: the address in angle brackets says who it is.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

import attrs

LONGEST = 1024 * 1024  # characters of a list
_TOKEN = re.compile(
    r""""(?:[^"\\]|\\.)*"|\[[^\[\]\s"<>,;]*\]|[ \t\r\n]+|[,:;<>@\[\]]|[^\s",:;<>@()\[\]]+""", re.DOTALL | re.ASCII
)
_NOT_WITHIN = frozenset("<>,:;[]")  # an address that isn't in quotes
_COMMENT_PART = re.compile(r"[^()\\]+|\\.|[()]", re.DOTALL)
_ROUTE = re.compile(r"@[^\s@,:<>\"]+(?:,@[^\s@,:<>\"]+)*:")


class AddressListError(ValueError):
    """The text is no list of addresses; the message is one line for people, which names the part that isn't clear."""


@attrs.frozen
class Mailbox:
    """One member of a list. Whether the address is one by the grammar of SMTP is the caller's affair."""

    address: str  # without angle brackets, comments and source route; it has no domain if none was given
    name: str = ""  # as it stands before an address in angle brackets, with its quotes


def mailboxes(text: str, known: Callable[[str], bool] = lambda name: False) -> list[Mailbox]:
    """The members of a list, in order; those of groups as well (``friends: a@x.example, b@x.example;``). Empty members count for nothing.

    :param known: whether a word without a domain is the name of somebody here. ``Doe, John <john@x.example>`` is one person whose name lacks
        its quotes: a word that is nobody's name stands in no list with other addresses.
    :raises AddressListError: it can't be read, or could be read in two ways.
    """
    if len(text) > LONGEST:
        raise AddressListError("the list of addresses is too long")
    found = [mailbox for tokens in _members(text) for mailbox in _mailbox(tokens)]
    if any(member.name or "@" in member.address for member in found):
        for member in found:
            if "@" not in member.address and not member.name and not known(member.address):
                raise AddressListError(
                    f"{member.address[:80]!r} may be part of a name: a name with a comma needs quotes, an address needs its domain"
                )
    return found


def _members(text: str) -> Iterator[list[str]]:
    """The tokens of each member."""
    member: list[str] = []
    grouped = closed = bracket = False  # within a group; behind one; within angle brackets
    for piece in [*_tokens(text), ","]:
        if bracket or piece == "<":
            bracket = piece != ">"
        elif piece == ":":
            if grouped or closed or "@" in member or not _words(member):
                raise AddressListError(f"no group can begin at {_shown(member)}")
            grouped, member = True, []
            continue
        elif piece in (",", ";"):
            if (piece == ";" and not grouped) or (closed and _words(member)):
                raise AddressListError(f"addresses are parted by commas, and {_shown(member)} isn't")
            yield member
            closed, member = piece == ";", []
            grouped = grouped and not closed
            continue
        member.append(piece)
    if grouped or bracket:
        raise AddressListError(f"{_shown(member) if member else 'a group'} doesn't end")


def lexed(text: str) -> Iterator[tuple[str, int]]:
    """Words, strings with their quotes, literals, white space and single characters with a meaning, each with the place where it ends; a
    comment counts as white space.

    :raises AddressListError: something can't be read.
    """
    position = 0
    while position < len(text):
        if text[position] == "(":
            position = _end_of_comment(text, position)
            yield " ", position
            continue
        match = _TOKEN.match(text, position)
        if match is None:
            raise AddressListError(f"{text[position : position + 40]!r} can't be read")
        position = match.end()
        yield match[0], position


def _tokens(text: str) -> Iterator[str]:
    return (token for token, _ in lexed(text))


def _end_of_comment(text: str, start: int) -> int:
    """Comments may hold others (RFC 5322 §3.2.2)."""
    depth, position = 0, start
    while match := _COMMENT_PART.match(text, position):
        position = match.end()
        depth += {"(": 1, ")": -1}.get(match[0], 0)
        if not depth:
            return position
    raise AddressListError(f"the comment {text[start : start + 40]!r} doesn't end")


def _mailbox(tokens: list[str]) -> list[Mailbox]:
    """The mailbox that the tokens between two commas are; none where there is nothing."""
    words = _words(tokens)
    if not words:
        return []
    if "<" not in words:
        return [Mailbox(_addr_spec(tokens))]
    opened = tokens.index("<")
    if words[-1] != ">" or tokens.count("<") > 1 or tokens.count(">") > 1:
        raise AddressListError(f"{_shown(tokens)} isn't one address")
    inner = "".join(tokens[opened + 1 : tokens.index(">")]).strip()
    route = _ROUTE.match(inner)
    name = " ".join("".join(tokens[:opened]).split())
    return [Mailbox(_addr_spec([*_tokens(inner[route.end() :] if route else inner)]), name)]


def _addr_spec(tokens: list[str]) -> str:
    """``local@domain`` or a local part alone. White space stands at dots and at the @ only (RFC 5322 §4.4), where it means nothing."""
    parts: list[str] = []
    apart = False
    for piece in tokens:
        if piece.isspace():
            apart = bool(parts)
            continue
        joined = not parts or parts[-1][-1] in ".@" or piece[0] in ".@"
        quoted = piece[0] == '"' or (parts and parts[-1][0] == '"')
        if piece in _NOT_WITHIN or ((apart or quoted) and not joined):
            raise AddressListError(f"{_shown(tokens)} isn't one address")
        parts.append(piece)
        apart = False
    if parts.count("@") > 1 or not parts or "@" in (parts[0], parts[-1]):
        raise AddressListError(f"{_shown(tokens)} isn't one address")
    return "".join(parts)


def _words(tokens: list[str]) -> list[str]:
    return [piece for piece in tokens if not piece.isspace()]


def _shown(tokens: list[str]) -> str:
    return repr("".join(tokens).strip()[:80])
