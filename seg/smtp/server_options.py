"""What a server offers its clients, and the limits that it sets them."""

from __future__ import annotations

import attrs

from seg.config.schema import LenientAddresses, Verifying

# Content that is refused is read on for so many times the largest size, so that the client hears why; then it is cut off.
PASSED_OVER = 4
PASSED_OVER_LEAST = 1024 * 1024  # octets besides


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
    vrfy: Verifying = Verifying.NONCOMMITTAL
    lenient: LenientAddresses = LenientAddresses.NONE
    max_recipients: int = 0  # of one message, as told in EHLO (RFC 9422); 0 = not told
    max_refusals: int = 100  # since the last message that was accepted, before the session is ended
    max_idle_commands: int = 100  # to no purpose, since the last recipient or message that was accepted

    @property
    def most_read(self) -> int:
        """Octets of content that are read, be it stored or not."""
        return PASSED_OVER * self.max_message_size + PASSED_OVER_LEAST
