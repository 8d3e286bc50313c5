"""Paths and mailboxes by the grammar of RFC 5321 §4.1.2. Pure functions.

Where the client asked for SMTPUTF8 the grammar is that of RFC 6531 §3.3: local parts may be beyond ASCII, domains may have U-labels.
Underscores are met in domains, and allowed. The lengths of §4.5.3.1 are those that everybody has to take at the least: local parts of
mailing lists and forwarders (VERP, SRS) are longer.

Old programs write addresses otherwise: without angle brackets, with spaces within them, with a dot behind the domain, or without a
domain. To whom that is forgiven the caller says by `default_domain`.
"""

from __future__ import annotations

import re
from ipaddress import AddressValueError, IPv4Address, IPv6Address

import attrs
import idna

from seg.mail.address import a_labels

MAX_DOMAIN = 255  # §4.5.3.1.2, and no longer name is in the DNS
MAX_PATH = (
    900  # with the angle brackets: a command line with its parameters has room for it, and so has a line of a header
)

# RFC 6531 §3.3, UTF8-non-ascii, without what would break a line of text or of a log.
_BEYOND_ASCII = "\\u00a0-\\u2027\\u202a-\\ud7ff\\ue000-\\U0010ffff"
_LITERAL = r"\[[\x21-\x5a\x5e-\x7e]+\]"


def _domain_pattern(more: str) -> str:
    label = rf"[A-Za-z0-9_{more}](?:[A-Za-z0-9_\-{more}]{{0,61}}[A-Za-z0-9_{more}])?"
    return rf"{label}(?:\.{label})*"


def _path_patterns(more: str) -> tuple[re.Pattern[str], re.Pattern[str]]:
    """By the grammar, and as old programs write it.

    :param more: characters allowed besides ASCII, as they stand in a character class.
    """
    atext = rf"[A-Za-z0-9!#$%&'*+\-/=?^_`{{|}}~{more}]+"
    dot_string = rf"{atext}(?:\.{atext})*"
    quoted_string = rf'"(?:[\x20\x21\x23-\x5b\x5d-\x7e{more}]|\\[\x20-\x7e])*"'
    domain = _domain_pattern(more)
    source_route = rf"(?:@{domain}(?:,@{domain})*:)?"
    local = rf"{source_route}(?P<local>{dot_string}|{quoted_string})"
    domain = rf"@(?P<domain>{domain}|{_LITERAL})"
    return (
        re.compile(rf"<{local}{domain}>"),
        re.compile(rf"(?P<bracket><)? *{local}(?:{domain}\.?)?(?(bracket) *>|(?= |$))"),
    )


_PATH, _OLD_PATH = _path_patterns("")
_UTF8_PATH, _OLD_UTF8_PATH = _path_patterns(_BEYOND_ASCII)
_NULL = re.compile(r"< *>")
_POSTMASTER = re.compile(r"<postmaster>", re.IGNORECASE)
_WHOLE_DOMAIN = re.compile(_domain_pattern(""))


class PathError(ValueError):
    """The text is no path; the message is one line for people. Refuse it with 501."""


@attrs.frozen
class MailPath:
    """A reverse-path or forward-path."""

    address: str  # as given, without angle brackets and source route; "" is the null reverse-path
    end: int  # where the path ended in the text: parameters follow


def parse_reverse_path(text: str, start: int, default_domain: str = "") -> MailPath:
    """The path behind ``MAIL FROM:``: a mailbox, or ``<>``. Whether it may be beyond ASCII is the caller's affair.

    :param default_domain: what old programs write is taken too, and an address without a domain is in this one; "": it isn't.
    :raises PathError: it doesn't follow the grammar.
    """
    if text.startswith("<>", start):
        return MailPath("", start + 2)
    null = _NULL.match(text, start) if default_domain else None
    return MailPath("", null.end()) if null else _parse_mailbox_path(text, start, default_domain)


def parse_forward_path(text: str, start: int, default_domain: str = "") -> MailPath:
    """The path behind ``RCPT TO:``: a mailbox, or ``<Postmaster>`` in any case.

    :param default_domain: as for `parse_reverse_path`.
    :raises PathError: it doesn't follow the grammar.
    """
    if _POSTMASTER.match(text, start):
        return MailPath(text[start + 1 : start + 11], start + 12)
    path = _parse_mailbox_path(text, start, default_domain)
    local, _, domain = path.address.rpartition("@")
    return MailPath(local, path.end) if domain == default_domain and local.lower() == "postmaster" else path


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


def _check_whole(address: str, path: MailPath) -> None:
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


def _parse_mailbox_path(text: str, start: int, default_domain: str = "") -> MailPath:
    match = (_PATH if text.isascii() else _UTF8_PATH).match(text, start)
    if match is None and default_domain:
        match = _match_old(text, start)
    if match is None:
        raise PathError("Syntax error in address")
    local, domain = match["local"], match["domain"] or default_domain
    # §4.1.1.3, appendix C: a source route is accepted and ignored; it does count for the length.
    if len(match.group().encode()) > MAX_PATH or len(domain.encode()) > MAX_DOMAIN:
        raise PathError("Address too long")
    if not domain.isascii():
        _check_labels(domain)
    if domain.startswith("[") and not is_address_literal(domain):
        raise PathError("Unknown address literal")
    return MailPath(f"{local}@{domain}", match.end())


def _match_old(text: str, start: int) -> re.Match[str] | None:
    """What old programs write. A parameter isn't taken for an address that was left out."""
    match = (_OLD_PATH if text.isascii() else _OLD_UTF8_PATH).match(text, start)
    if match is None or match["bracket"] or match["domain"] or "=" not in match["local"]:
        return match
    return None


def _check_labels(domain: str) -> None:
    """Each label must be one that can be looked up (RFC 5891 §4.2)."""
    try:
        a_labels(domain)  # which is asked for again, of each recipient
    except (idna.IDNAError, UnicodeError):
        raise PathError("Malformed internationalised domain name") from None
