"""The section ``[submission]`` of ``etc/seg.toml``."""

# `key` makes a field, as attrs.field does; the linter can't know it.
# ruff: noqa: RUF009

from __future__ import annotations

import enum

import attrs

from seg.config.key import key


class Submitters(enum.StrEnum):
    """Whose messages are new ones, which the gateway completes (RFC 6409 §8)."""

    AUTHENTICATED = "authenticated"  # by AUTH; and programs of this machine
    RELAY = "relay"  # whoever may relay besides
    NONE = "none"


@attrs.frozen
class Submission:
    """What is done to the header of a message that begins its way here."""

    clients: Submitters = key(
        Submitters.AUTHENTICATED,
        "Whose messages are completed: authenticated (clients that did AUTH, and programs that use seg-sendmail), relay (these, and clients "
        "that may relay by their network, name or certificate), none. Date and Message-ID are added where they are missing (and From, "
        "by the envelope, for programs and AUTH), addresses in From, To and their kin get a domain, Bcc and Return-Path are taken out; "
        "nothing that a DKIM signature covers is touched",
    )
    domain: str = key("", "Domain of addresses that have none in the header; empty: gateway.hostname")
    hide_client: bool = key(
        False, "Leave address and HELO name of clients that did AUTH out of the Received field; never those of others"
    )
