"""What a receiving MTA is to do, right or wrong, as data."""

from __future__ import annotations

import enum
from collections.abc import Mapping

import attrs


class Certificate(enum.Enum):
    """Which certificate a server presents."""

    GOOD = "good"  # for its own host name, from the lab's authority
    OTHER_NAME = "other name"  # from the lab's authority, for a host that nobody asked for
    EXPIRED = "expired"
    SELF_SIGNED = "self-signed"
    NO_INTERMEDIATE = "no intermediate"  # good, but the chain is incomplete


class StartTLS(enum.Enum):
    """What becomes of STARTTLS."""

    OFFERED = "offered"
    ABSENT = "absent"  # not in the EHLO reply: a server without TLS, or one behind a middlebox that strips it
    REFUSED_454 = "refused with 454"  # advertised, but "454 TLS not available" (RFC 3207 §4)
    REFUSED_502 = "refused with 502"  # advertised, but a middlebox answers
    CLOSES = "closes"  # 220, then the connection is closed in the middle of the handshake
    GARBAGE = "garbage"  # 220, then octets that aren't TLS in answer to the ClientHello
    HANGS = "hangs"  # 220, then silence
    CLASSICAL_HANGS = "classical groups, else hangs"  # silence for a client hello with a post-quantum group
    CLASSICAL_CLOSES = "classical groups, else closes"  # such a hello ends the connection
    INJECTS = "injects"  # plaintext replies behind the 220, as an attacker would put them there


class TLSVersions(enum.Enum):
    """Protocol versions of a server."""

    MODERN = "1.2 and 1.3"
    ONLY_1_1 = "1.1 only"
    ONLY_1_2 = "1.2 only"


EXTENSIONS = ("PIPELINING", "SIZE 52428800", "8BITMIME", "ENHANCEDSTATUSCODES", "SMTPUTF8", "DSN")


@attrs.frozen
class Behaviour:
    """How a receiver behaves; the default is a good modern server."""

    certificate: Certificate = Certificate.GOOD
    starttls: StartTLS = StartTLS.OFFERED
    versions: TLSVersions = TLSVersions.MODERN
    extensions: tuple[str, ...] = EXTENSIONS  # of the EHLO reply, without STARTTLS
    banner: str = ""  # instead of the 220 greeting
    ehlo: str = ""  # reply to EHLO that refuses it ("502 5.5.1 what?")
    mail: str = ""  # reply to MAIL
    recipients: Mapping[str, str] = attrs.field(factory=dict)  # local part ("*" = any other) -> reply to RCPT
    data: str = ""  # reply to DATA
    final: str = ""  # reply to the final dot
    greylist: int = 0  # how many times 450 is said to each new (client, sender, recipient)
    closes_in_data: int | None = None  # says 421 and closes once this many octets of content have come
    closes_after_data: bool = False  # takes the content and closes without any reply
    delay: float = 0.0  # seconds before every reply
    messages: int = 0  # taken on one connection: at the MAIL behind them it is closed without a word; 0 = any number
    connections: int = 0  # at a time: a further one is greeted with 421; 0 = any number
    empty_lines: bool = False  # an empty line behind every reply

    @property
    def without_pipelining(self) -> Behaviour:
        """The same, but PIPELINING isn't offered."""
        return attrs.evolve(self, extensions=tuple(e for e in self.extensions if e != "PIPELINING"))
