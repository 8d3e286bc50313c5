"""The names that the gateway gives itself in EHLO: many servers refuse mail from one that isn't a full domain name (RFC 5321 §4.1.1.1)."""

from __future__ import annotations

from collections.abc import Iterator

from seg.config.destinations import Destinations
from seg.config.syntax import is_address

_OF_NOBODY = ("localhost", "localdomain")  # top-level domains that each machine has for itself


def unfit_names(hostname: str, destinations: Destinations) -> Iterator[str]:
    """What an operator should mend, in one line each."""
    if why := unfit(hostname):
        yield (
            f'The host name "{hostname}" {why}: other servers may refuse mail that comes with it in EHLO; '
            "set [gateway] hostname to the full name that the DNS has of this machine"
        )
    profiles = {"Default": destinations.default, **destinations.profiles}
    for pattern, profile in profiles.items():
        if profile.ehlo_name and (why := unfit(profile.ehlo_name)) and _said_itself(pattern, destinations):
            yield f'ehlo_name "{profile.ehlo_name}" of {pattern} in destinations.toml {why}: other servers may refuse mail that comes with it'


def _said_itself(pattern: str, destinations: Destinations) -> bool:
    """Whether an entry has its name from itself, and not from Default, for which it is told already."""
    return pattern == "Default" or "ehlo_name" in destinations.stated.get(pattern, ())


def unfit(name: str) -> str:
    """Why a name is none that others can look up, or take in EHLO; "" when it may be one."""
    if is_address(name):
        return "is an IP address, not a host name"
    bare = name.rstrip(".").lower()
    if bare.rpartition(".")[2] in _OF_NOBODY:
        return "is that of every machine"
    if "." not in bare:
        return "has no dot"
    return "has an underscore, which no host name has" if "_" in bare else ""  # RFC 1123 §2.1, RFC 5321 §4.1.2
