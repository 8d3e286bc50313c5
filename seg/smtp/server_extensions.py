"""The service extensions that a server tells of in its reply to EHLO (RFC 5321 §4.1.1.1). Pure."""

from __future__ import annotations

from collections.abc import Sequence

from seg.smtp.server_options import ServerOptions
from seg.smtp.xclient import ATTRIBUTES


def extensions(options: ServerOptions, tls: bool, mechanisms: Sequence[str], xclient: bool) -> list[str]:
    """Their keywords with parameters, in order.

    :param tls: the session is within TLS.
    :param mechanisms: by which the client may authenticate now; there are some within TLS only.
    :param xclient: XCLIENT is taken from this client.
    """
    found = ["PIPELINING", f"SIZE {options.max_message_size}"]
    found += ["8BITMIME", "ENHANCEDSTATUSCODES", "SMTPUTF8", "CHUNKING", "DSN"]
    if options.max_recipients:
        found.append(f"LIMITS RCPTMAX={options.max_recipients}")
    if tls:
        found.append("REQUIRETLS")  # RFC 8689 §2: within TLS only
    if mechanisms and tls:
        found.append(f"AUTH {' '.join(mechanisms)}")
    if xclient:
        found.append(f"XCLIENT {' '.join(ATTRIBUTES)}")
    if options.starttls and not tls:  # RFC 3207 §4.2: not again inside TLS
        found.append("STARTTLS")
    return found
