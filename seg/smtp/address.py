"""Paths and mailboxes by the grammar of RFC 5321 §4.1.2, with the lengths of §4.5.3.1. Pure functions.

Where the client asked for SMTPUTF8 the grammar is that of RFC 6531 §3.3: local parts may be beyond ASCII, domains may have U-labels.
"""

from __future__ import annotations

import re
from ipaddress import AddressValueError, IPv4Address, IPv6Address

import attrs
import idna

from seg.model import a_labels

MAX_LOCAL_PART = 64  # §4.5.3.1.1
MAX_DOMAIN = 255  # §4.5.3.1.2
MAX_PATH = 256  # §4.5.3.1.3, with the angle brackets

# RFC 6531 §3.3, UTF8-non-ascii, without what would break a line of text or of a log.
_BEYOND_ASCII = "\\u00a0-\\u2027\\u202a-\\ud7ff\\ue000-\\U0010ffff"
_LITERAL = r"\[[\x21-\x5a\x5e-\x7e]+\]"


def _domain_pattern(more: str) -> str:
    label = rf"[A-Za-z0-9{more}](?:[A-Za-z0-9\-{more}]{{0,61}}[A-Za-z0-9{more}])?"
    return rf"{label}(?:\.{label})*"


def _path_pattern(more: str) -> re.Pattern[str]:
    """:param more: characters allowed besides ASCII, as they stand in a character class."""
    atext = rf"[A-Za-z0-9!#$%&'*+\-/=?^_`{{|}}~{more}]+"
    dot_string = rf"{atext}(?:\.{atext})*"
    quoted_string = rf'"(?:[\x20\x21\x23-\x5b\x5d-\x7e{more}]|\\[\x20-\x7e])*"'
    domain = _domain_pattern(more)
    source_route = rf"(?:@{domain}(?:,@{domain})*:)?"
    return re.compile(rf"<{source_route}(?P<local>{dot_string}|{quoted_string})@(?P<domain>{domain}|{_LITERAL})>")


_PATH = _path_pattern("")
_UTF8_PATH = _path_pattern(_BEYOND_ASCII)
_POSTMASTER = re.compile(r"<postmaster>", re.IGNORECASE)
_WHOLE_DOMAIN = re.compile(_domain_pattern(""))


class PathError(ValueError):
    """The text is no path; the message is one line for people. Refuse it with 501."""


@attrs.frozen
class Path:
    """A reverse-path or forward-path."""

    address: str  # as given, without angle brackets and source route; "" is the null reverse-path
    end: int  # where the path ended in the text: parameters follow


def parse_reverse_path(text: str, start: int) -> Path:
    """The path behind ``MAIL FROM:``: a mailbox, or ``<>``. Whether it may be beyond ASCII is the caller's affair.

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


def check_reverse_path(address: str) -> None:
    """See that an address (without angle brackets, "" for none) is a reverse-path and nothing more: whoever gives it out between angle
    brackets gives out no parameter besides.

    :raises PathError: it isn't.
    """
    _check_whole(address, parse_reverse_path(f"<{address}>", 0))


def check_forward_path(address: str) -> None:
    """As `check_reverse_path`, for a recipient's address.

    :raises PathError: it isn't one.
    """
    _check_whole(address, parse_forward_path(f"<{address}>", 0))


def _check_whole(address: str, path: Path) -> None:
    if path.address != address or path.end != len(address) + 2:
        raise PathError("Syntax error in address")


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
    match = (_PATH if text.isascii() else _UTF8_PATH).match(text, start)
    if match is None:
        raise PathError("Syntax error in address")
    local, domain = match.group("local", "domain")
    # §4.1.1.3, appendix C: a source route is accepted and ignored; it does count for the length.
    if _octets(match.group()) > MAX_PATH or _octets(local) > MAX_LOCAL_PART or _octets(domain) > MAX_DOMAIN:
        raise PathError("Address too long")
    if not domain.isascii():
        _check_labels(domain)
    if domain.startswith("[") and not is_address_literal(domain):
        raise PathError("Unknown address literal")
    return Path(f"{local}@{domain}", match.end())


def _octets(text: str) -> int:
    return len(text) if text.isascii() else len(text.encode())


def _check_labels(domain: str) -> None:
    """Each label must be one that can be looked up (RFC 5891 §4.2)."""
    try:
        a_labels(domain)  # which is asked for again, of each recipient
    except (idna.IDNAError, UnicodeError):
        raise PathError("Malformed internationalised domain name") from None
