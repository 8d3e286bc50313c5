"""The syntax of AUTH (RFC 4954 §4): command, initial response, and the client's further responses. Secrets pass through here
and are kept nowhere."""

from __future__ import annotations

import re

from seg.smtp.commands import VERBS, CommandError
from seg.smtp.lines import LineError
from seg.smtp.reply import Reply
from seg.smtp.sasl_wire import decoded, decoded_initial, encoded

# RFC 4954 §4: "12288 octets, CRLF included" for a response; the command itself is a command line like any other.
RESPONSE_LIMIT = 12288

# Names of mechanisms (IANA, and two that aren't registered there): nothing else that follows AUTH is written down.
MECHANISMS = frozenset(
    {
        *(
            "ANONYMOUS",
            "CRAM-MD5",
            "DIGEST-MD5",
            "EXTERNAL",
            "GSSAPI",
            "GS2-KRB5",
            "LOGIN",
            "NTLM",
            "OAUTHBEARER",
            "PLAIN",
            "XOAUTH2",
        ),
        *(f"SCRAM-SHA-{size}{plus}" for size in ("1", "256", "512") for plus in ("", "-PLUS")),
    }
)
_AUTH = re.compile(r"\W*auth", re.IGNORECASE)
_BETWEEN = re.compile(r"[^A-Za-z0-9-]+")
_COMMAND = re.compile(r"[A-Z]{1,12}|[a-z]{1,12}|[A-Z][a-z]{1,11}")

AUTHENTICATED = Reply.of(235, "2.7.0", "Authentication successful")
AUTH_NOT_OFFERED = Reply.of(502, "5.5.1", "AUTH is not offered")
ENCRYPTION_REQUIRED = Reply.of(538, "5.7.11", "Encryption required for authentication: STARTTLS first")
ALREADY = Reply.of(503, "5.5.1", "Authenticated already")
AUTH_REQUIRED = Reply.of(530, "5.7.0", "Authentication required")
CANCELLED = Reply.of(501, "5.0.0", "Authentication cancelled")
NO_BASE64 = Reply.of(501, "5.5.2", "Malformed base64")
TOO_LONG = Reply.of(500, "5.5.6", "Authentication exchange line is too long")


def parse_auth(argument: str, mechanisms: tuple[str, ...]) -> tuple[str, bytes | None]:
    """Mechanism and initial response (None = none was given; ``=`` is an empty one).

    :param mechanisms: those offered.
    :raises CommandError: 501 or 504.
    """
    words = argument.split()
    if not 1 <= len(words) <= 2:
        raise CommandError(Reply.of(501, "5.5.4", "Syntax: AUTH <mechanism> [initial response]"))
    name = words[0].upper()
    if name not in mechanisms:
        raise CommandError(Reply.of(504, "5.5.4", "Unrecognized authentication mechanism"))
    if len(words) == 1:
        return name, None
    try:
        return name, decoded_initial(words[1])
    except ValueError:
        raise CommandError(NO_BASE64) from None


def parse_response(line: bytes | LineError) -> bytes | None:
    """The client's response; None when it gives up with ``*``.

    :raises CommandError: 501 or 500: the exchange is over.
    """
    if isinstance(line, LineError):
        raise CommandError(TOO_LONG if line is LineError.TOO_LONG else NO_BASE64)
    try:
        return None if line == b"*" else decoded(line)
    except ValueError:
        raise CommandError(NO_BASE64) from None


def challenge(data: bytes) -> bytes:
    """A challenge as it is sent."""
    return b"334 " + encoded(data) + b"\r\n"


def looks_like_auth(line: str) -> bool:
    """Whether a line is AUTH, however oddly it is spelt: what follows it may be a password."""
    return _AUTH.match(line) is not None


def without_secret(line: str) -> str:
    """A command line for the log. Of AUTH only a mechanism that there is stays, of a command that there isn't only a word that looks
    like one: whatever else stands there may be a password, in base64 or not."""
    if looks_like_auth(line):
        words = [word for word in _BETWEEN.split(line.strip()) if word]
        named = words[1:2] if words[1:2] and words[1].upper() in MECHANISMS else []
        hidden = ["***"] if words[1 + len(named) :] or words[0].upper() != "AUTH" else []
        return " ".join(["AUTH", *(name.upper() for name in named), *hidden])
    word, _, rest = line.partition(" ")
    if word.upper() in VERBS:
        return line
    if not _COMMAND.fullmatch(word) or (len(word) >= 8 and len(word) % 4 == 0):  # base64 may be letters only
        return "***"
    return f"{word} ***" if rest else word
