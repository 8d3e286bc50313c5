"""Paths and mailboxes by the grammar of RFC 5321 §4.1.2, with the lengths of §4.5.3.1. Pure functions."""

from __future__ import annotations

import re
from ipaddress import AddressValueError, IPv4Address, IPv6Address

import attrs

MAX_LOCAL_PART = 64  # §4.5.3.1.1
MAX_DOMAIN = 255  # §4.5.3.1.2
MAX_PATH = 256  # §4.5.3.1.3, with the angle brackets

_ATEXT = r"[A-Za-z0-9!#$%&'*+\-/=?^_`{|}~]+"
_DOT_STRING = rf"{_ATEXT}(?:\.{_ATEXT})*"
_QUOTED_STRING = r'"(?:[\x20\x21\x23-\x5b\x5d-\x7e]|\\[\x20-\x7e])*"'
_LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9\-]{0,61}[A-Za-z0-9])?"
_DOMAIN = rf"{_LABEL}(?:\.{_LABEL})*"
_LITERAL = r"\[[\x21-\x5a\x5e-\x7e]+\]"
_SOURCE_ROUTE = rf"(?:@{_DOMAIN}(?:,@{_DOMAIN})*:)?"

_PATH = re.compile(rf"<{_SOURCE_ROUTE}(?P<local>{_DOT_STRING}|{_QUOTED_STRING})@(?P<domain>{_DOMAIN}|{_LITERAL})>")
_POSTMASTER = re.compile(r"<postmaster>", re.IGNORECASE)
_WHOLE_DOMAIN = re.compile(_DOMAIN)


class PathError(ValueError):
    """The text is no path; the message is one line for people. Refuse it with 501."""


@attrs.frozen
class Path:
    """A reverse-path or forward-path."""

    address: str  # as given, without angle brackets and source route; "" is the null reverse-path
    end: int  # where the path ended in the text: parameters follow


def parse_reverse_path(text: str, start: int) -> Path:
    """The path behind ``MAIL FROM:``: a mailbox, or ``<>``.

    :raises PathError: it doesn't follow the grammar.
    """
    if text.startswith("<>", start):
        return Path("", start + 2)
    return _parse_mailbox_path(text, start)


def parse_forward_path(text: str, start: int) -> Path:
    """The path behind ``RCPT TO:``: a mailbox, or ``<Postmaster>`` in any case.

    :raises PathError: it doesn't follow the grammar.
    """
    if _POSTMASTER.match(text, start):
        return Path(text[start + 1 : start + 11], start + 12)
    return _parse_mailbox_path(text, start)


def is_domain(text: str) -> bool:
    """Whether the text is a domain name by the grammar."""
    return len(text) <= MAX_DOMAIN and _WHOLE_DOMAIN.fullmatch(text) is not None


def is_address_literal(text: str) -> bool:
    """Whether the text is ``[192.0.2.1]`` or ``[IPv6:2001:db8::1]`` (§4.1.3); no other tag is registered."""
    if not (text.startswith("[") and text.endswith("]")):
        return False
    inner = text[1:-1]
    try:
        if inner[:5].lower() == "ipv6:":
            return "%" not in inner and bool(IPv6Address(inner[5:]).packed)
        return bool(IPv4Address(inner).packed)
    except AddressValueError:
        return False


def _parse_mailbox_path(text: str, start: int) -> Path:
    match = _PATH.match(text, start)
    if match is None:
        raise PathError("Syntax error in address")
    local, domain = match.group("local", "domain")
    # §4.1.1.3, appendix C: a source route is accepted and ignored; it does count for the length.
    if len(match.group()) > MAX_PATH or len(local) > MAX_LOCAL_PART or len(domain) > MAX_DOMAIN:
        raise PathError("Address too long")
    if domain.startswith("[") and not is_address_literal(domain):
        raise PathError("Unknown address literal")
    return Path(f"{local}@{domain}", match.end())
