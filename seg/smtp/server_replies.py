"""The replies that a server gives (RFC 5321 §4.2), with enhanced status codes (RFC 2034, RFC 3463)."""

from __future__ import annotations

from seg.smtp.lines import LineError
from seg.smtp.reply import Reply

OK = Reply.of(250, "2.0.0", "Ok")
SENDER_OK = Reply.of(250, "2.1.0", "Sender ok")
RECIPIENT_OK = Reply.of(250, "2.1.5", "Recipient ok")
START_DATA = Reply.of(354, "", "End data with <CR><LF>.<CR><LF>")
START_TLS = Reply.of(220, "2.0.0", "Ready to start TLS")
GOODBYE = Reply.of(221, "2.0.0", "Goodbye")
HELP = Reply.of(214, "2.0.0", "Commands: EHLO HELO MAIL RCPT DATA BDAT RSET NOOP VRFY QUIT HELP STARTTLS; see RFC 5321")
NOT_VERIFIED = Reply.of(252, "2.5.0", "Cannot verify, but will try to deliver what may be relayed")

VRFY_DISABLED = Reply.of(502, "5.5.1", "VRFY is disabled")
UNKNOWN = Reply.of(500, "5.5.1", "Command not recognised")
NOT_IMPLEMENTED = Reply.of(502, "5.5.1", "Command not implemented")
NOT_SMTP = Reply.of(554, "5.5.0", "This is no SMTP; closing connection")
NO_ARGUMENT = Reply.of(501, "5.5.4", "No argument allowed")
ARGUMENT_REQUIRED = Reply.of(501, "5.5.4", "Argument required")
NOT_ASCII = Reply.of(501, "5.5.2", "Only ASCII is allowed in commands")
NOT_UTF8 = Reply.of(501, "5.5.2", "Malformed UTF-8 in address")
ADDRESS_NOT_ASCII = Reply.of(553, "5.6.7", "Only ASCII is allowed in addresses without SMTPUTF8")
TOO_MANY_FAULTS = Reply.of(421, "4.7.0", "Too many unknown or malformed commands; closing connection")
TOO_MANY_ERRORS = Reply.of(421, "4.7.0", "Too many errors; closing connection")
ENDLESS_LINE = Reply.of(421, "4.5.2", "Line without an end; closing connection")
TLS_UNASKED = Reply.of(
    421,
    "4.5.0",
    "TLS handshake where SMTP was expected: use STARTTLS here, or a port with implicit TLS; closing connection",
)
ENDING_LINES = {LineError.ENDLESS: ENDLESS_LINE, LineError.TLS: TLS_UNASKED}
ENDLESS_CONTENT = Reply.of(552, "5.3.4", "Message size exceeds limit; closing connection")
BEHIND_STARTTLS = Reply.of(554, "5.5.1", "Commands behind STARTTLS are not allowed; closing connection")
STARTTLS_FIRST = Reply.of(530, "5.7.0", "Must issue a STARTTLS command first")
TLS_NEEDED = Reply.of(530, "5.7.10", "REQUIRETLS needs TLS")
TLS_NOT_OFFERED = Reply.of(502, "5.5.1", "STARTTLS is not offered")
TLS_ACTIVE = Reply.of(503, "5.5.1", "TLS is active already")
TOO_LARGE = Reply.of(552, "5.3.4", "Message size exceeds limit")
BARE_LF = Reply.of(550, "5.6.0", "Message has a bare LF: lines must end with CRLF")
BARE_CR = Reply.of(550, "5.6.0", "Message has a bare CR: lines must end with CRLF")
NUL_IN_CONTENT = Reply.of(550, "5.6.0", "Message has a NUL octet")
BAD_LINES = frozenset({BARE_LF, BARE_CR, NUL_IN_CONTENT})
