"""What a server offers its clients, and the limits that it sets them."""

from __future__ import annotations

import enum

import attrs

# Content that is refused is read on for so many times the largest size, so that the client hears why; then it is cut off.
PASSED_OVER = 4
PASSED_OVER_LEAST = 1024 * 1024  # octets besides


class VrfyPolicy(enum.StrEnum):
    """What VRFY is answered (RFC 5321 §3.5.3, §7.3)."""

    NONCOMMITTAL = "noncommittal"  # 252
    ANSWER = "answer"  # by the adapter
    REFUSE = "refuse"


class AddressLeniency(enum.StrEnum):
    """From whom addresses as old programs write them are taken (`seg.smtp.address`)."""

    NONE = "none"
    RELAY = "relay"  # from clients that may relay
    ALL = "all"


@attrs.frozen
class ServerOptions:
    """What a server offers, and its limits."""

    hostname: str
    max_message_size: int  # octets
    max_faults: int  # unknown or malformed commands before the session is ended
    normalise: bool  # bare CR and LF in content become CRLF; else such content is refused
    starttls: bool  # there is a certificate
    tls_required: bool = False  # no transaction in clear text (RFC 3207 §4)
    banner: str = ""  # words behind the name in the greeting
    auth: bool = False  # AUTH is offered, within TLS
    auth_required: bool = False  # no transaction without it
    vrfy: VrfyPolicy = VrfyPolicy.NONCOMMITTAL
    lenient: AddressLeniency = AddressLeniency.NONE
    max_recipients: int = 0  # of one message, as told in EHLO (RFC 9422); 0 = not told
    max_refusals: int = 100  # since the last message that was accepted, before the session is ended
    max_idle_commands: int = 100  # to no purpose, since the last recipient or message that was accepted

    @property
    def most_read(self) -> int:
        """Octets of content that are read, be it stored or not."""
        return PASSED_OVER * self.max_message_size + PASSED_OVER_LEAST

    def limited(self, max_message_size: int, max_recipients: int) -> ServerOptions:
        """These for a client that has limits of its own, where they aren't 0."""
        if not (max_message_size or max_recipients):
            return self
        return attrs.evolve(
            self,
            max_message_size=max_message_size or self.max_message_size,
            max_recipients=max_recipients or self.max_recipients,
        )
