"""What lines of the mail log mean, for somebody who sees one for the first time."""

from __future__ import annotations

import re

_EXPLANATIONS: tuple[tuple[str, str], ...] = (
    (
        "Start MID",
        "The gateway takes a message in. MID is its number in this log; ICID is the number of the "
        "connection it came by.",
    ),
    (
        "queued for delivery",
        "The message is safely on disk now. From here on it is delivered, or its sender is told.",
    ),
    (
        "Successfully fetched MTA-STS TXT record",
        "The domain's DNS says that there is an MTA-STS policy. The gateway fetches it from the domain's web server.",
    ),
    (
        r"Fetched MTA-STS policy .* mode enforce",
        "The policy lists the domain's mail servers. 'enforce': nothing may go to others, or over "
        "unverified connections.",
    ),
    (
        r"Fetched MTA-STS policy .* mode testing",
        "'testing': the domain's owner is trying the policy out. Failures are noted, and mail is sent all the same.",
    ),
    (
        "New SMTP DCID",
        "The gateway connects to the domain's mail server. DCID is the number of this connection.",
    ),
    (
        "TLS success protocol",
        "The connection is encrypted. Whether it's the right server is judged next, before any address is sent.",
    ),
    (
        r"MTA-STS policy for the domain .* Successful",
        "The server is on the policy's list, and its certificate is valid for it.",
    ),
    (
        r"MTA-STS policy for the domain .* Failed.*testing",
        "The policy would have stopped this. It's only being tested, so the failure is noted and the mail goes.",
    ),
    (
        r"MTA-STS policy for the domain .* Failed",
        "This server doesn't satisfy the policy, so it gets nothing.",
    ),
    (
        "TLS policy for",
        "The whole decision in one line: what each source of policy said about this domain, and what came of it.",
    ),
    (
        "Delivery start",
        "Only now are sender, recipient and content sent.",
    ),
    (
        "verify error",
        "The certificate isn't the one wanted. The connection is given up before any address was sent.",
    ),
    (
        "TLS was required but",
        "This connection isn't what the policy demands, so nothing goes over it.",
    ),
    (
        "Delayed:",
        "The message stays in the queue and is tried again. If that goes on for days, its sender gets a report.",
    ),
    (
        "Bounced:",
        "Trying again would be of no use. The sender gets a report at once.",
    ),
    (
        "clear text",
        "Nobody demands encryption here, and the server has none: as most mail was sent for decades.",
    ),
    (
        "DANE SUCCESS",
        "The certificate is the one whose fingerprint is in the signed DNS. MTA-STS isn't asked then.",
    ),
    (
        "DANE FAILED",
        "The signed DNS says that encryption is a must and which certificate counts. Nothing weaker will do.",
    ),
    (
        "not applied: SMTP route",
        "The operator has fixed the next server for this domain himself, so the domain's policies don't fit.",
    ),
    (
        "Failure encountered while fetching",
        "No policy could be had, and none is remembered from before, so the operator's own setting counts.",
    ),
)

_TABLE = tuple((re.compile(pattern), text) for pattern, text in _EXPLANATIONS)


def explanation_of(line: str) -> str | None:
    """What a line of the mail log means, None where it speaks for itself."""
    return next((text for pattern, text in _TABLE if pattern.search(line)), None)
