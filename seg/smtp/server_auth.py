"""The syntax of AUTH (RFC 4954 §4): command, initial response, and the client's further responses. Secrets pass through here
and are kept nowhere."""

from __future__ import annotations

import base64
import binascii

from seg.smtp.commands import CommandError
from seg.smtp.lines import LineFault
from seg.smtp.server_replies import Reply

# RFC 4954 §4: "12288 octets, CRLF included" for a response; the command itself is a command line like any other.
RESPONSE_LIMIT = 12288

AUTHENTICATED = Reply(235, "2.7.0", "Authentication successful")
AUTH_NOT_OFFERED = Reply(502, "5.5.1", "AUTH is not offered")
ENCRYPTION_REQUIRED = Reply(538, "5.7.11", "Encryption required for authentication: STARTTLS first")
ALREADY = Reply(503, "5.5.1", "Authenticated already")
AUTH_REQUIRED = Reply(530, "5.7.0", "Authentication required")
CANCELLED = Reply(501, "5.0.0", "Authentication cancelled")
NO_BASE64 = Reply(501, "5.5.2", "Malformed base64")
TOO_LONG = Reply(500, "5.5.6", "Authentication exchange line is too long")


def parse_auth(argument: str, mechanisms: tuple[str, ...]) -> tuple[str, bytes | None]:
    """Mechanism and initial response (None = none was given; ``=`` is an empty one).

    :param mechanisms: those offered.
    :raises CommandError: 501 or 504.
    """
    words = argument.split()
    if not 1 <= len(words) <= 2:
        raise CommandError(Reply(501, "5.5.4", "Syntax: AUTH <mechanism> [initial response]"))
    name = words[0].upper()
    if name not in mechanisms:
        raise CommandError(Reply(504, "5.5.4", "Unrecognized authentication mechanism"))
    if len(words) == 1:
        return name, None
    return name, b"" if words[1] == "=" else _decoded(words[1].encode("ascii"))


def parse_response(line: bytes | LineFault) -> bytes | None:
    """The client's response; None when it gives up with ``*``.

    :raises CommandError: 501 or 500: the exchange is over.
    """
    if isinstance(line, LineFault):
        raise CommandError(TOO_LONG if line is LineFault.TOO_LONG else NO_BASE64)
    return None if line == b"*" else _decoded(line)


def challenge(data: bytes) -> bytes:
    """A challenge as it is sent."""
    return b"334 " + base64.b64encode(data) + b"\r\n"


def without_secret(line: str) -> str:
    """A command line for the log: the initial response of AUTH may be a password."""
    words = line.split(maxsplit=2)
    return " ".join([*words[:2], "***"]) if len(words) > 2 and words[0].upper() == "AUTH" else line


def _decoded(text: bytes) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error:
        raise CommandError(NO_BASE64) from None
