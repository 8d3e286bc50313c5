"""The mail log searched: lines by a pattern, and the whole story of a message, over closed and compressed files too.

Files are read as streams; memory holds the numbers of messages and connections that a story is made of, and no lines.
"""

from __future__ import annotations

import gzip
import re
import zlib
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path

import attrs

_STAMP = "%a %b %d %H:%M:%S %Y"
_STAMP_LENGTH = 24
_AGE = re.compile(r"(\d+)([smhdw])")
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}

_MID = re.compile(rb"\bMID (\d{1,18})\b")
_ICID = re.compile(rb"\bICID:? (\d{1,18})\b")
_DCID = re.compile(rb"\bDCID:? (\d{1,18})\b")
_BOUNCE = re.compile(rb"MID (\d{1,18}) was generated for bounce of MID (\d{1,18})")

LONGEST = 1024 * 1024  # octets of a line, at most: far above any of the mail log
Progress = Callable[[int], object]  # octets read since the last call
Broken = Callable[[Path, Exception], object]


def files_of(log: Path, closed_pattern: str) -> list[Path]:
    """The files of a log, the oldest first: those that were closed (they fit the pattern), then the one that is written."""
    closed = sorted(log.parent.glob(closed_pattern), key=lambda path: (path.stat().st_mtime_ns, path.name))
    return [*closed, log] if log.exists() else closed


def lines_of(
    files: list[Path],
    progress: Progress = lambda octets: None,
    broken: Broken = lambda path, error: None,
) -> Iterator[bytes]:
    """Every line without its end. One longer than any that is ever written comes in pieces: a disk that failed may have left a file of zeros.

    :param broken: told of a file that is compressed and can't be read to its end; the others are read all the same.
    :raises OSError: a file can't be read; one that was rotated away meanwhile is passed over.
    """
    for path in files:
        try:
            with gzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb") as file:
                while line := file.readline(LONGEST):
                    progress(len(line))
                    yield line.rstrip(b"\r\n")
        except FileNotFoundError:
            continue
        except (gzip.BadGzipFile, EOFError, zlib.error) as error:
            broken(path, error)


@attrs.frozen
class SearchCriteria:
    """Which messages are looked for: all that is given has to fit, as part of a text, whatever the case."""

    sender: str = ""
    recipient: str = ""
    subject: str = ""
    message_id: str = ""
    since: datetime | None = None  # local time, as the log's
    until: datetime | None = None


@attrs.define
class _SeenLines:
    """What has been seen of one message."""

    fits: set[str] = attrs.field(factory=set)


def find_messages(lines: Iterator[bytes], wanted: SearchCriteria) -> list[int]:
    """The MIDs that fit, in the order in which they came up."""
    marks = {name: text.lower().encode() for name, text in _asked(wanted).items()}
    found: dict[int, _SeenLines] = {}
    for line in lines:
        mid = _MID.search(line)
        if mid is None:
            continue
        fitting = {name for name, text in marks.items() if _says(name, line, text)}
        if (fitting or not marks) and _within(line, wanted):
            found.setdefault(int(mid[1]), _SeenLines()).fits |= fitting
    return [mid for mid, seen in found.items() if seen.fits >= marks.keys()]


def _asked(wanted: SearchCriteria) -> dict[str, str]:
    fields = {name: getattr(wanted, name) for name in ("sender", "recipient", "subject", "message_id")}
    return {name: text for name, text in fields.items() if text}


_PLACES = {
    "sender": (b" From: <",),
    "recipient": (b" To: <",),
    "subject": (b" Subject ",),
    "message_id": (b" Message-ID '",),
}


def _says(name: str, line: bytes, text: bytes) -> bool:
    """Whether a line has this text where it belongs."""
    for mark in _PLACES[name]:
        begin = line.find(mark)
        if begin >= 0:
            rest = line[begin + len(mark) :]
            value = rest.partition(b">")[0] if mark.endswith(b"<") else rest
            return text in value.lower()
    return False


def _within(line: bytes, wanted: SearchCriteria) -> bool:
    if wanted.since is None and wanted.until is None:
        return True
    at = moment_of(line)
    if at is None:
        return False
    return (wanted.since is None or at >= wanted.since) and (wanted.until is None or at <= wanted.until)


def moment_of(line: bytes) -> datetime | None:
    """When a line was written (local time); None when it doesn't begin with a time."""
    try:
        return datetime.strptime(line[:_STAMP_LENGTH].decode("ascii"), _STAMP)
    except (ValueError, UnicodeDecodeError):
        return None


@attrs.define
class MessageHistory:
    """The numbers of everything that happened to some messages."""

    mids: set[bytes]
    icids: set[bytes] = attrs.field(factory=set)
    dcids: set[bytes] = attrs.field(factory=set)

    def learn(self, line: bytes) -> None:
        """Note the connections of a line about one of the messages, and the report on one."""
        bounce = _BOUNCE.search(line)
        if bounce is not None and bounce[2] in self.mids:
            self.mids.add(bounce[1])
        mid = _MID.search(line)
        if mid is None or mid[1] not in self.mids:
            return
        self.icids.update(number for number in _ICID.findall(line) if number != b"0")
        self.dcids.update(number for number in _DCID.findall(line) if number != b"0")

    def tells(self, line: bytes) -> bool:
        """Whether a line belongs to it: it is about one of the messages, or about a connection and no message."""
        mids = _MID.findall(line)
        if mids:
            return any(mid in self.mids for mid in mids)
        icid = _ICID.search(line)
        if icid is not None:
            return icid[1] in self.icids
        dcid = _DCID.search(line)
        return dcid is not None and dcid[1] in self.dcids


def story_of(mids: list[int], lines: Callable[[], Iterator[bytes]]) -> Iterator[bytes]:
    """All lines of these messages, of the connections that they came and went by, and of the reports on them.

    :param lines: begins to read; called twice, since a connection is told of before its messages.
    """
    story = MessageHistory({b"%d" % mid for mid in mids})
    for line in lines():
        story.learn(line)
    return (line for line in lines() if story.tells(line))


def parse_moment(text: str, now: datetime) -> datetime:
    """A time: ``2h`` (ago), ``today``, ``yesterday``, ``2026-11-25``, ``2026-11-25 17:00``.

    :raises ValueError: it is none.
    """
    bare = text.strip().lower()
    age = _AGE.fullmatch(bare)
    if age is not None:
        try:
            return now - timedelta(seconds=int(age[1]) * _UNITS[age[2]])
        except (OverflowError, ValueError):
            raise ValueError(f"{text[:40]!r} is longer ago than any time there is") from None
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
    if bare in ("today", "yesterday"):
        return midnight - timedelta(days=bare == "yesterday")
    try:
        found = datetime.fromisoformat(text.strip())
    except ValueError:
        raise ValueError(f"{text!r} is no time such as 2h, today, 2026-11-25 or '2026-11-25 17:00'") from None
    return found.astimezone().replace(tzinfo=None) if found.tzinfo else found


def matching(
    lines: Iterator[bytes], pattern: re.Pattern[bytes], *, invert: bool = False, context: int = 0
) -> Iterator[bytes]:
    """The lines that a pattern fits (or doesn't), with so many lines before and behind each."""
    before: list[bytes] = []
    behind = 0
    for line in lines:
        if (pattern.search(line) is not None) != invert:
            yield from before
            before.clear()
            yield line
            behind = context
        elif behind:
            behind -= 1
            yield line
        elif context:
            before.append(line)
            del before[:-context]
