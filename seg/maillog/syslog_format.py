"""Syslog messages: RFC 5424 for the network, the C library's form for the daemon of this machine. Pure.

Whatever a line holds, its message holds no control character and no end of line, and is no longer than its transport takes.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Final

import attrs

from seg.config.log import Facility
from seg.maillog.log_table import Level, clean
from seg.maillog.timestamps import TimestampCache

APP_NAME: Final = "seg"
BOM: Final = b"\xef\xbb\xbf"

# Octets of a message. What receivers should take at least is 2048 (RFC 5424 §6.1); more makes fragments of a datagram
# (RFC 5426 §3.2). Over a stream, and on this machine, common daemons take 8192.
LONGEST_DATAGRAM: Final = 2048
LONGEST: Final = 8192
LONGEST_HEAD: Final = 512  # more than what stands before the text ever has

# RFC 5424 §6.2.1
_FACILITIES = {
    **{
        name: number
        for number, name in enumerate(
            ["kern", "user", "mail", "daemon", "auth", "syslog", "lpr", "news", "uucp", "cron", "authpriv", "ftp"],
            start=0,
        )
    },
    **{f"local{number}": 16 + number for number in range(8)},
}
_SEVERITIES = {Level.WARNING: 4, Level.INFO: 6, Level.DEBUG: 7}
_KEPT = ("time", "level", "event", "left_out")  # of JSON that is too long


@attrs.frozen
class SyslogLine:
    """What a message tells."""

    at: float  # POSIX seconds
    level: Level
    msgid: str  # the event's class
    text: str


def priority(facility: Facility, level: Level) -> int:
    """PRIVAL (RFC 5424 §6.2.1)."""
    return _FACILITIES[facility.value] * 8 + _SEVERITIES[level]


Format = Callable[[Facility, SyslogLine], bytes]


def network_format(hostname: str, process: int, longest: int) -> Format:
    """Messages as RFC 5424 §6 has them, without structured data."""
    stamps = TimestampCache()
    host = _word(hostname, 255)

    def message(facility: Facility, line: SyslogLine) -> bytes:
        pri, at = priority(facility, line.level), stamps.iso(line.at)
        head = f"<{pri}>1 {at} {host} {APP_NAME} {process} {_word(line.msgid, 32)} - ".encode("ascii")
        text = _printable(line.text)
        mark = b"" if text.isascii() else BOM  # a text that isn't ASCII is UTF-8, and says so (§6.4)
        return head + mark + _cut(text, longest - len(head) - len(mark))

    return message


def local_format(process: int, longest: int) -> Format:
    """Messages as syslog(3) sends them to ``/dev/log``: local time, no host."""
    stamps = TimestampCache()

    def message(facility: Facility, line: SyslogLine) -> bytes:
        at = stamps.ctime(line.at)[4:19]
        head = f"<{priority(facility, line.level)}>{at} {APP_NAME}[{process}]: ".encode("ascii")
        return head + _cut(_printable(line.text), longest - len(head))

    return message


def octet_counted(message: bytes) -> bytes:
    """A message as it goes over a stream (RFC 6587 §3.4.1)."""
    return b"%d %s" % (len(message), message)


def shortened(record: str, longest: int) -> str:
    """A JSON object that is too long, without its longest fields; ``left_out`` names them. It stays JSON."""
    if len(record) <= longest:
        return record
    fields = json.loads(record)
    sizes = {name: len(json.dumps(value)) for name, value in fields.items() if name not in _KEPT}
    left_out: list[str] = []
    while sizes and len(record) > longest:
        name = max(sizes, key=lambda each: sizes[each])
        del sizes[name], fields[name]
        left_out.append(name)
        record = json.dumps({**fields, "left_out": left_out}, separators=(",", ":"))
    return record


def _word(text: str, longest: int) -> str:
    """A field of the header: printable ASCII without blanks, or the NILVALUE (RFC 5424 §6)."""
    word = "".join(character for character in text if "!" <= character <= "~")[:longest]
    return word or "-"


def _printable(text: str) -> str:
    """The text on one line; most texts are already."""
    return text if text.isprintable() else clean(text)


def _cut(text: str, room: int) -> bytes:
    """The text in so many octets; what was cut off is marked, and no character is cut in two."""
    octets = text.encode("utf-8")
    if len(octets) <= room:
        return octets
    return octets[: room - 3].decode("utf-8", "ignore").encode("utf-8") + b"..."
