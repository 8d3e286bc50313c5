"""How a recipient fared in one attempt, and what a report calls it."""

from __future__ import annotations

import enum

import attrs

from seg.mail.envelope import HostRefusal
from seg.mail.errors import Permanent, Temporary


class DSNAction(enum.StrEnum):
    """What a report says became of a recipient (RFC 3464 §2.3.3)."""

    FAILED = "failed"
    DELAYED = "delayed"
    RELAYED = "relayed"  # handed to a server that doesn't know DSN: nothing more will be heard


@attrs.frozen
class Delivered:
    """The remote server took responsibility (RFC 5321 §6.1)."""

    dcid: int
    reply: str  # text of the last reply, without its code
    notifies: bool = False  # it knows DSN (RFC 3461): what the sender wants to hear is its duty now


@attrs.frozen
class Delayed:
    """To be tried again (a soft bounce)."""

    error: Temporary
    dcid: int = 0  # 0: never connected
    in_doubt: bool = False  # the connection broke behind the final dot: the server may have taken the message
    host: str = ""  # the MX host that it happened with, "" = none (Remote-MTA of a report)
    seldom: bool = False  # each further try may bring a copy, as the server's answer to the message can't be read
    anew: bool = False  # the connection couldn't serve it, whatever it is: a new one to the same host may, at once
    refusals: tuple[HostRefusal, ...] = ()  # hosts that TLS policy kept it from


@attrs.frozen
class Bounced:
    """Failed for good (a hard bounce)."""

    error: Permanent
    dcid: int = 0
    host: str = ""  # the MX host that refused, "" = none (Remote-MTA of a report)


Outcome = Delivered | Delayed | Bounced
