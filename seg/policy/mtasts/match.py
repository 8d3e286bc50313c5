"""Whether a policy lists an MX host (RFC 8461 §4.1). Pure."""

from __future__ import annotations

from collections.abc import Sequence

from seg.tls.names import is_host_name


def in_policy(host: str, patterns: Sequence[str]) -> bool:
    """Whether one of the `mx` patterns stands for the host.

    Names are compared as A-labels without regard to case. ``*.`` stands for exactly one left-most label, and
    nothing else is a wildcard.
    """
    if not host.isascii():  # lower() maps some other characters to ASCII
        return False
    name = host.lower().removesuffix(".")
    if not is_host_name(name):
        return False
    wanted = (name, "*." + name.partition(".")[2])
    return any(pattern.isascii() and pattern.lower() in wanted for pattern in patterns)
