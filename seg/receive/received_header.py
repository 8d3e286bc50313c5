"""The Received field that is put before every message (RFC 5321 §4.4)."""

from __future__ import annotations

import re
from collections.abc import Sequence

from seg.mail.dates import date_time
from seg.mail.hosts import IPAddress
from seg.smtp.address import is_address_literal, is_domain

_UNFIT = re.compile(r"[^A-Za-z0-9.\-_:\[\]]")


def from_clause(helo: str, client: IPAddress) -> str:
    """Where a message comes from: ``from host.example ([192.0.2.1])``, or ``([IPv6:2001:db8::1])`` (§4.1.3).

    :param helo: what the client called itself; whatever can't stand in the field becomes ``?``.
    """
    name = helo if is_domain(helo) or is_address_literal(helo) else _UNFIT.sub("?", helo)
    return f"from {name} ([{client}])" if client.version == 4 else f"from {name} ([IPv6:{client}])"


def received_field(origin: str, hostname: str, protocol: str, mid: int, recipients: Sequence[str], now: float) -> bytes:
    """The whole field with its CRLF.

    A single recipient is named; with more, ``for`` would tell each of the others (§7.2). The field is ASCII, so that it goes everywhere: a
    recipient beyond it isn't named.

    :param origin: see `from_clause`; "" where the client is isn't for others to know.
    :param protocol: SMTP, ESMTP or ESMTPS (RFC 3848), UTF8SMTP or UTF8SMTPS (RFC 6531 §4.3).
    :param now: POSIX seconds.
    """
    begin = f"{origin}\r\n\t" if origin else ""
    recipient = f"\r\n\tfor <{recipients[0]}>" if len(recipients) == 1 and recipients[0].isascii() else ""
    return (
        f"Received: {begin}by {hostname} with {protocol} id {mid}{recipient};\r\n\t{date_time(int(now))}\r\n"
    ).encode("ascii")
