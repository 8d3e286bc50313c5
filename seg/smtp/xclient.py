"""XCLIENT: a mail proxy tells whose connection it passes on. The grammar of its attributes; pure.

It isn't an internet standard. What a value may be is xtext (RFC 3461 §4), ``[UNAVAILABLE]`` or ``[TEMPUNAVAIL]``; an IPv6 address begins
with ``IPV6:``. Whoever may send it may call himself anybody: it is taken from listed addresses only.
"""

from __future__ import annotations

import re
from ipaddress import IPv4Address, IPv6Address

import attrs

from seg.mail.hosts import IPAddress
from seg.smtp.commands import CommandError
from seg.smtp.reply import Reply

ATTRIBUTES = ("NAME", "ADDR", "PORT", "PROTO", "HELO", "LOGIN", "DESTADDR", "DESTPORT")
UNKNOWN = ("[UNAVAILABLE]", "[TEMPUNAVAIL]")
NOT_PERMITTED = Reply.of(550, "5.7.0", "XCLIENT is not permitted for you")
_WORD = re.compile(r"([A-Za-z]{1,20})=([\x21-\x7e]{0,500})")
_ESCAPE = re.compile(r"\+([0-9A-Fa-f]{2})?")
_LONGEST_NAME = 255


@attrs.frozen
class XClient:
    """What a proxy said; None where it said nothing, "" (or no address) where it doesn't know."""

    name: str | None = None
    address: IPAddress | None = None
    helo: str | None = None
    login: str | None = None


def parse_xclient(argument: str) -> XClient:
    """The attributes of one command.

    :raises CommandError: 501.
    """
    words = argument.split()
    if not words:
        raise _malformed("no attribute")
    given: dict[str, str] = {}
    for word in words:
        match = _WORD.fullmatch(word)
        if match is None or match[1].upper() not in ATTRIBUTES:
            raise _malformed(f"unknown attribute; there are {' '.join(ATTRIBUTES)}")
        given[match[1].upper()] = "" if match[2].upper() in UNKNOWN else _decoded(match[2])
    for port in ("PORT", "DESTPORT"):
        if given.get(port) and not (given[port].isascii() and given[port].isdigit() and int(given[port]) < 65536):
            raise _malformed(f"{port} isn't a port")
    if given.get("PROTO", "").upper() not in ("", "SMTP", "ESMTP"):
        raise _malformed("PROTO must be SMTP or ESMTP")
    if given.get("DESTADDR"):
        _address(given["DESTADDR"])
    return XClient(
        name=given.get("NAME"),
        address=_address(given["ADDR"]) if given.get("ADDR") else None,
        helo=given.get("HELO"),
        login=given.get("LOGIN"),
    )


def _decoded(text: str) -> str:
    def character(match: re.Match[str]) -> str:
        if match[1] is None:
            raise _malformed("xtext has two hexadecimal digits behind a +")
        return chr(int(match[1], 16))

    value = _ESCAPE.sub(character, text)
    if not value.isprintable() or len(value) > _LONGEST_NAME:
        raise _malformed("a value has what it can't have")
    return value


def _address(text: str) -> IPAddress:
    try:
        return IPv6Address(text[5:]) if text[:5].upper() == "IPV6:" else IPv4Address(text)
    except ValueError:
        raise _malformed("an address is IPv4, or IPV6:address") from None


def _malformed(why: str) -> CommandError:
    return CommandError(Reply.of(501, "5.5.4", f"XCLIENT: {why}"))
