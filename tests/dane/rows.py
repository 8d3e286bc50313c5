"""The DANE decision as a table: what is known of an MX host, and what follows in either mode.

The same rows are tested and printed in ``docs/tls-policies.md``.
"""

from __future__ import annotations

import attrs

NEXT = "next policy"
DECIDED = "**TLS with a matching certificate**; MTA-STS and the TLS option aren't asked"
TRUSTED = "TLS with a matching certificate (logged as trusted, not verified), **and** MTA-STS and the TLS option"
ENCRYPTED = "TLS with any certificate; MTA-STS and the TLS option may ask for more"
NOT_USED = "host not used"
NOT_NOW = "host not used for now"

SECURE, INSECURE = "secure", "insecure"

# what is published at _25._tcp.<base>
USABLE = "usable"
MIXED = "some usable"
UNUSABLE = "none usable"
DENIED = "none (authenticated denial)"
UNSIGNED = "insecure answer"
FAILING = "SERVFAIL, time-out, REFUSED, NOTIMP or bogus"
NOT_ASKED = "not asked"


@attrs.frozen
class Row:
    """One line of the table."""

    mx: str
    address: str
    tlsa: str
    opportunistic: str
    mandatory: str
    note: str = ""


ROWS = (
    Row(INSECURE, INSECURE, NOT_ASKED, NEXT, NOT_USED),
    Row(INSECURE, SECURE, USABLE, TRUSTED, NOT_USED),
    Row(INSECURE, SECURE, UNUSABLE, ENCRYPTED, NOT_USED),
    Row(INSECURE, SECURE, DENIED, NEXT, NOT_USED),
    Row(INSECURE, SECURE, UNSIGNED, NEXT, NOT_USED),
    Row(INSECURE, SECURE, FAILING, NOT_NOW, NOT_USED),
    Row(SECURE, INSECURE, NOT_ASKED, NEXT, NOT_USED),
    Row(SECURE, SECURE, USABLE, DECIDED, DECIDED),
    Row(SECURE, SECURE, MIXED, DECIDED, DECIDED),
    Row(SECURE, SECURE, UNUSABLE, ENCRYPTED, NOT_USED),
    Row(SECURE, SECURE, DENIED, NEXT, NOT_USED),
    Row(SECURE, SECURE, UNSIGNED, NEXT, NOT_USED),
    Row(SECURE, SECURE, FAILING, NOT_NOW, NOT_NOW),
)


def markdown() -> str:
    """The table for the document."""
    lines = [
        "| MX answer | address of the host | TLSA records | opportunistic | mandatory |",
        "|---|---|---|---|---|",
    ]
    lines += (f"| {r.mx} | {r.address} | {r.tlsa} | {r.opportunistic} | {r.mandatory} |" for r in ROWS)
    return "\n".join(lines)
