"""What a server offers in its reply to EHLO (RFC 5321 §4.1.1.1)."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import attrs

from seg.smtp.reply import Reply

MOST_KEYWORDS = 64  # kept in `raw`; servers offer some 10 to 20
LONGEST_KEYWORD = 64  # characters; longer ones are passed over
LONGEST_PARAMETERS = 500  # characters kept of one keyword's


_UNDERSTOOD = frozenset(
    [
        "STARTTLS",
        "PIPELINING",
        "SIZE",
        "8BITMIME",
        "SMTPUTF8",
        "CHUNKING",
        "ENHANCEDSTATUSCODES",
        "DSN",
        "REQUIRETLS",
        "LIMITS",
        "AUTH",
    ]
)


@attrs.frozen
class Capabilities:
    """The service extensions on offer. Without EHLO there are none."""

    starttls: bool = False  # RFC 3207
    pipelining: bool = False  # RFC 2920
    size: int | None = None  # octets; None: not offered, or no fixed limit (RFC 1870 §5)
    eightbitmime: bool = False  # RFC 6152
    smtputf8: bool = False  # RFC 6531
    chunking: bool = False  # RFC 3030
    enhancedstatuscodes: bool = False  # RFC 2034
    dsn: bool = False  # RFC 3461
    requiretls: bool = False  # RFC 8689
    max_transactions: int | None = None  # on one connection (MAILMAX, RFC 9422); None: not said
    max_recipients: int | None = None  # of one transaction (RCPTMAX)
    raw: Mapping[str, str] = MappingProxyType({})  # keyword in upper case -> its parameters as sent


def parse_capabilities(reply: Reply) -> Capabilities:
    """Read the reply to EHLO. Keywords count in any case (RFC 5321 §2.4); what isn't understood is kept in
    `raw` only, and of that a bounded number: it lives as long as the connection."""
    raw: dict[str, str] = {}
    for line in reply.lines[1:]:  # the first is the server's name
        keyword, _, parameters = line.strip().partition(" ")
        keyword = keyword[: LONGEST_KEYWORD + 1].upper()
        if keyword in _UNDERSTOOD or (0 < len(keyword) <= LONGEST_KEYWORD and len(raw) < MOST_KEYWORDS):
            raw.setdefault(keyword, parameters.strip()[:LONGEST_PARAMETERS])
    return Capabilities(
        starttls="STARTTLS" in raw,
        pipelining="PIPELINING" in raw,
        size=_size(raw.get("SIZE", "")),
        eightbitmime="8BITMIME" in raw,
        smtputf8="SMTPUTF8" in raw,
        chunking="CHUNKING" in raw,
        enhancedstatuscodes="ENHANCEDSTATUSCODES" in raw,
        dsn="DSN" in raw,
        requiretls="REQUIRETLS" in raw,
        max_transactions=_limit(raw.get("LIMITS", ""), "MAILMAX"),
        max_recipients=_limit(raw.get("LIMITS", ""), "RCPTMAX"),
        raw=MappingProxyType(raw),
    )


def _limit(parameters: str, name: str) -> int | None:
    """RFC 9422 §4: ``NAME=number``, of up to 6 digits and never 0; others are passed over."""
    for word in parameters.upper().split():
        keyword, _, value = word.partition("=")
        if keyword == name and value.isascii() and value.isdigit() and len(value) <= 6 and int(value):
            return int(value)
    return None


def _size(parameter: str) -> int | None:
    """RFC 1870 §3: up to 20 digits; 0 stands for no fixed limit."""
    if parameter.isascii() and parameter.isdecimal() and len(parameter) <= 20:
        return int(parameter) or None
    return None
