"""Mail addresses, and domains as they are looked up. Pure."""

from __future__ import annotations

from functools import lru_cache

import idna


def domain_of(address: str) -> str:
    """The domain of a mailbox, as looked up: A-labels, lower case, no trailing dot.

    An address literal is returned as it stands, with its brackets (``[192.0.2.1]``), and an address without a domain
    (``postmaster``, RFC 5321 §4.5.1) gives ``""``. Never raises: a domain that can't be converted is only lowered,
    and the DNS will say that it doesn't exist.
    """
    _, at, domain = address.rpartition("@")
    if not at:
        return ""
    return domain.rstrip(".").lower() if domain.isascii() else to_ascii(domain)


def local_part(address: str) -> str:
    """What stands before the last @ of a mailbox; all of it where there is none."""
    local, at, domain = address.rpartition("@")
    return local if at else domain


def to_ascii(domain: str) -> str:
    """A domain name as A-labels in lower case without the trailing dot (RFC 5891 §4). Never raises."""
    domain = domain.rstrip(".")
    if domain.isascii():
        return domain.lower()
    try:
        return a_labels(domain)
    except (idna.IDNAError, UnicodeError):
        return domain.lower()


@lru_cache(maxsize=8192)
def a_labels(domain: str) -> str:
    """A domain name beyond ASCII as A-labels in lower case. That takes up to half a millisecond, and a message may have a thousand such
    recipients, of which each is asked for its domain again and again: what was found is kept.

    :raises idna.IDNAError: it can't be converted.
    :raises UnicodeError: the same.
    """
    return idna.encode(domain, uts46=True).decode("ascii").lower()
