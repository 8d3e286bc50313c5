"""What a new message lacks when it begins its way (RFC 6409 §8), and what it must not have (RFC 5321 §4.4). Pure, and linear in the header's
length.

Date, Message-ID and From are added where they are missing, addresses get a domain, Bcc and Return-Path are taken out. Everything else
stays octet for octet, and so does every field that a signature of the client's covers, also one that it says is missing (RFC 6376 §5.4.2):
with it changed the signature would be worthless.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

import attrs

from seg.config.submission import Submission, Submitters
from seg.filter.header import HeaderTooLong
from seg.mail.address import domain_of, local_part, to_ascii
from seg.mail.dates import date_time
from seg.smtp.qualify import qualified

MOST_OCTETS = 128 * 1024  # of a header
MOST_FIELDS = 1000  # that are looked at
MOST_TOKENS = 10_000  # of all their addresses
_REMOVED = (b"bcc", b"resent-bcc", b"return-path")
_SIGNATURES = (b"dkim-signature", b"arc-message-signature")
_ADDRESSES = ("from", "sender", "reply-to", "to", "cc", "resent-from", "resent-sender", "resent-to", "resent-cc")
_ADDRESSED = frozenset(name.encode() for name in _ADDRESSES)
_NAMES = b"|".join((b"date", b"message-id", *_REMOVED, *_SIGNATURES, *_ADDRESSED))
_FIELD = re.compile(rb"\r\n(" + _NAMES + rb")[ \t]*:", re.IGNORECASE)
_FIELD_END = re.compile(rb"\r\n(?![ \t])")
_ANY_FIELD = re.compile(rb"[!-9;-~]+[ \t]*:")
_MAILBOX_LINE = (b"From ", b">From ")  # of a mailbox file: it stands above the header
# One address with its domain, as most fields have: nothing is missing there.
_WHOLE = re.compile(rb"[^<>,:;()\"@]*(?:<[^\s<>,:;()\"@]+@[^\s<>,:;()\"@]+>|@[^\s<>,:;()\"@]+)\s*")
_SIGNED = re.compile(rb"(?:^|;)h=([^;]*)")


@attrs.frozen
class SubmissionRules:
    """What ``[submission]`` says, for one gateway.

    :ivar known: whether somebody on this machine has a name.
    """

    hostname: str
    settings: Submission = attrs.field(factory=Submission)
    known: Callable[[str], bool] = lambda name: False

    @property
    def domain(self) -> str:
        """That of addresses without one."""
        return to_ascii(self.settings.domain or self.hostname)

    @property
    def programs(self) -> bool:
        """Whether what programs of this machine hand in is completed."""
        return self.settings.clients is not Submitters.NONE

    def completes(self, authenticated: bool, may_relay: bool) -> bool:
        """Whether a client's message is completed."""
        clients = self.settings.clients
        return (authenticated and clients is not Submitters.NONE) or (may_relay and clients is Submitters.RELAY)

    def hides(self, authenticated: bool) -> bool:
        """Whether nobody is to learn where the client is."""
        return authenticated and self.settings.hide_client


@attrs.frozen
class _Field:
    """A field that concerns us, with its place in the header."""

    name: bytes  # lower case
    start: int
    value: int  # where it begins, behind the colon
    end: int  # behind its last CRLF


class HeaderCompletion:
    """Keeps the beginning of a message until its header is whole, and gives it on completed.

    :param sender: whom a missing From is to name; "": none is added.
    :param mid: for a missing Message-ID, with `now`.
    :param now: POSIX seconds, for a missing Date.
    :param most: octets of a header that are kept.
    """

    __slots__ = ("_held", "_mid", "_most", "_now", "_rules", "_sender", "_whole")

    def __init__(self, rules: SubmissionRules, sender: str, mid: int, now: float, most: int = MOST_OCTETS) -> None:
        self._rules = rules
        self._sender = sender
        self._mid = mid
        self._now = now
        self._most = most
        self._held = bytearray(b"\r\n")  # as if the header were behind another line
        self._whole = False

    def feed(self, piece: bytes) -> bytes:
        """What the next octets make known: nothing until the header's end has come.

        :raises HeaderTooLong: there is more of it than is kept.
        """
        if self._whole:
            return piece
        held, known = self._held, len(self._held)
        held += piece
        end = held.find(b"\r\n\r\n", max(known - 3, 0))
        if end > self._most or (end < 0 and len(held) > self._most):
            raise HeaderTooLong(f"the header is longer than {self._most} octets")
        return self._complete(end + 2) if end >= 0 else b""

    def finish(self) -> bytes:
        """All that is still kept: the content has ended.

        :raises HeaderTooLong: as `feed`.
        """
        if self._whole:
            return b""
        if not self._held.endswith(b"\r\n"):
            self._held += b"\r\n"
        return self._complete(len(self._held))

    def _complete(self, end: int) -> bytes:
        text, rest = bytes(self._held[2:end]), bytes(self._held[end:])
        self._whole, self._held = True, bytearray()
        first = text.partition(b"\r\n")[0]
        if text and not _ANY_FIELD.match(first) and not first.startswith(_MAILBOX_LINE):
            text, rest = b"", b"\r\n" + text + rest  # there is no header
        added = _new_fields(self._rules, self._sender, self._mid, self._now)
        return completed(text, self._rules, added) + (rest or b"\r\n")


def completed(text: bytes, rules: SubmissionRules, added: Mapping[str, str]) -> bytes:
    """A header, CRLF behind each of its lines, with what it lacks and without what it must not have.

    :param added: the fields that are added where they are missing; those with "" aren't.
    :raises HeaderTooLong: it has more than `MOST_FIELDS` fields that have to be looked at.
    """
    text = b"\r\n" + text
    fields = _fields(text)
    signed = _signed(text, fields)
    parts, last = [], 2 if not text.startswith(_MAILBOX_LINE, 2) else text.index(b"\r\n", 2) + 2
    parts.append(text[2:last])
    there = signed | {field.name for field in fields}
    parts += [
        f"{name}: {value}\r\n".encode() for name, value in added.items() if value and name.lower().encode() not in there
    ]
    tokens = MOST_TOKENS
    for field in fields:
        if field.name in signed:
            continue
        if field.name in _REMOVED:
            parts.append(text[last : field.start])
            last = field.end
        elif field.name in _ADDRESSED and not _WHOLE.fullmatch(text, field.value, field.end):
            value = text[field.value : field.end - 2].decode("utf-8", "surrogateescape")
            value, used = qualified(value, rules.domain, tokens, rules.known)
            tokens -= used
            parts += [text[last : field.value], value.encode("utf-8", "surrogateescape")]
            last = field.end - 2
    return b"".join([*parts, text[last:]])


def _fields(text: bytes) -> list[_Field]:
    """Those that concern us, in order; `text` begins with a CRLF."""
    found: list[_Field] = []
    for match in _FIELD.finditer(text):
        if len(found) == MOST_FIELDS:
            raise HeaderTooLong(f"the header has more than {MOST_FIELDS} fields that say who sent what to whom")
        end = _FIELD_END.search(text, match.end())
        assert end is not None  # the last line has its CRLF
        found.append(_Field(match[1].lower(), match.start() + 2, match.end(), end.end()))
    return found


def _signed(text: bytes, fields: list[_Field]) -> set[bytes]:
    """The names of all fields that signatures cover (RFC 6376 §3.5, h=)."""
    found: set[bytes] = set()
    for field in fields:
        if field.name in _SIGNATURES:
            tags = text[field.value : field.end].translate(None, b" \t\r\n").lower()
            if (match := _SIGNED.search(tags)) is not None:
                found.update(match[1].split(b":"))
    return found


def _new_fields(rules: SubmissionRules, sender: str, mid: int, now: float) -> dict[str, str]:
    """What a message of ours has at the least. Who resends one leaves its fields as they are (RFC 5322 §3.6.6): of these none is added."""
    seconds = int(now)
    return {
        "From": f"{local_part(sender)}@{domain_of(sender)}" if sender else "",  # A-labels need no SMTPUTF8
        "Date": date_time(seconds),
        "Message-ID": f"<{seconds:x}.{mid}@{rules.hostname}>",
    }
