"""The replies that a server gives (RFC 5321 §4.2), with enhanced status codes (RFC 2034, RFC 3463)."""

from __future__ import annotations

import attrs

from seg.smtp.lines import LineError


@attrs.frozen
class ServerReply:
    """A reply of one line."""

    code: int
    enhanced: str  # "" where there is none: 220, 354, and the answer to EHLO and HELO (RFC 2034 §3)
    text: str  # printable ASCII, never more than a line
    line: bytes = attrs.field(init=False, eq=False, repr=False)  # as sent

    @line.default
    def _encoded(self) -> bytes:
        return f"{self}\r\n".encode("ascii")

    def __str__(self) -> str:
        return f"{self.code} {self.enhanced} {self.text}" if self.enhanced else f"{self.code} {self.text}"


OK = ServerReply(250, "2.0.0", "Ok")
SENDER_OK = ServerReply(250, "2.1.0", "Sender ok")
RECIPIENT_OK = ServerReply(250, "2.1.5", "Recipient ok")
START_DATA = ServerReply(354, "", "End data with <CR><LF>.<CR><LF>")
START_TLS = ServerReply(220, "2.0.0", "Ready to start TLS")
GOODBYE = ServerReply(221, "2.0.0", "Goodbye")
HELP = ServerReply(
    214, "2.0.0", "Commands: EHLO HELO MAIL RCPT DATA BDAT RSET NOOP VRFY QUIT HELP STARTTLS; see RFC 5321"
)
NOT_VERIFIED = ServerReply(252, "2.5.0", "Cannot verify, but will try to deliver what may be relayed")

VRFY_DISABLED = ServerReply(502, "5.5.1", "VRFY is disabled")
UNKNOWN = ServerReply(500, "5.5.1", "Command not recognised")
NOT_IMPLEMENTED = ServerReply(502, "5.5.1", "Command not implemented")
NOT_SMTP = ServerReply(554, "5.5.0", "This is no SMTP; closing connection")
NO_ARGUMENT = ServerReply(501, "5.5.4", "No argument allowed")
ARGUMENT_REQUIRED = ServerReply(501, "5.5.4", "Argument required")
NOT_ASCII = ServerReply(501, "5.5.2", "Only ASCII is allowed in commands")
NOT_UTF8 = ServerReply(501, "5.5.2", "Malformed UTF-8 in address")
ADDRESS_NOT_ASCII = ServerReply(553, "5.6.7", "Only ASCII is allowed in addresses without SMTPUTF8")
TOO_MANY_FAULTS = ServerReply(421, "4.7.0", "Too many unknown or malformed commands; closing connection")
TOO_MANY_ERRORS = ServerReply(421, "4.7.0", "Too many errors; closing connection")
ENDLESS_LINE = ServerReply(421, "4.5.2", "Line without an end; closing connection")
TLS_UNASKED = ServerReply(
    421,
    "4.5.0",
    "TLS handshake where SMTP was expected: use STARTTLS here, or a port with implicit TLS; closing connection",
)
ENDING_LINES = {LineError.ENDLESS: ENDLESS_LINE, LineError.TLS: TLS_UNASKED}
ENDLESS_CONTENT = ServerReply(552, "5.3.4", "Message size exceeds limit; closing connection")
BEHIND_STARTTLS = ServerReply(554, "5.5.1", "Commands behind STARTTLS are not allowed; closing connection")
STARTTLS_FIRST = ServerReply(530, "5.7.0", "Must issue a STARTTLS command first")
TLS_NEEDED = ServerReply(530, "5.7.10", "REQUIRETLS needs TLS")
TLS_NOT_OFFERED = ServerReply(502, "5.5.1", "STARTTLS is not offered")
TLS_ACTIVE = ServerReply(503, "5.5.1", "TLS is active already")
TOO_LARGE = ServerReply(552, "5.3.4", "Message size exceeds limit")
BARE_LF = ServerReply(550, "5.6.0", "Message has a bare LF: lines must end with CRLF")
BARE_CR = ServerReply(550, "5.6.0", "Message has a bare CR: lines must end with CRLF")
NUL_IN_CONTENT = ServerReply(550, "5.6.0", "Message has a NUL octet")
BAD_LINES = frozenset({BARE_LF, BARE_CR, NUL_IN_CONTENT})
