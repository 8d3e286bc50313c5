"""The first and last lines of log files, and the one that tells of lost lines."""

from __future__ import annotations

from collections.abc import Callable

from seg.config.log import LogForm
from seg.maillog.jsonlines import JSONLines
from seg.maillog.log_table import Level, clean
from seg.maillog.rotating_file import FileMarkers
from seg.maillog.timestamps import TimestampCache, utc_offset


def frame_of(form: LogForm, now: Callable[[], float], version: str, hostname: str) -> FileMarkers:
    """The lines of a file of this form."""
    return (TextMarkers if form is LogForm.TEXT else JSONMarkers)(now, version, hostname).frame()


class TextMarkers:
    """First and last lines of a file as mail.log."""

    def __init__(self, now: Callable[[], float], version: str, hostname: str) -> None:
        self._now = now
        self._version = version
        self._hostname = hostname

    def frame(self) -> FileMarkers:
        """The lines as `AppendingFile` wants them."""
        return FileMarkers(self._begin, lambda: self._line(Level.INFO, "End Logfile"), self._lost)

    def _line(self, level: Level, text: str) -> bytes:
        return f"{TimestampCache().ctime(self._now())}{level.prefix}{clean(text)}\n".encode()

    def _begin(self) -> bytes:
        version = f"Version: seg {self._version} SN: {self._hostname}"
        offset = f"Time offset from UTC: {utc_offset(self._now())} seconds"
        return b"".join(self._line(Level.INFO, text) for text in ("Begin Logfile", version, offset))

    def _lost(self, count: int) -> bytes:
        return self._line(Level.WARNING, f"{count} lines were lost while this file couldn't be written")


class JSONMarkers:
    """First and last lines of a file as mail.jsonl."""

    def __init__(self, now: Callable[[], float], version: str, hostname: str) -> None:
        self._now = now
        self._records = JSONLines(TimestampCache())
        self._version = version
        self._hostname = hostname

    def frame(self) -> FileMarkers:
        """The lines as `AppendingFile` wants them."""
        return FileMarkers(
            self._begin,
            lambda: self._note(Level.INFO, "log_closed"),
            lambda count: self._note(Level.WARNING, "log_lines_lost", count=count),
        )

    def _note(self, level: Level, name: str, **facts: str | int) -> bytes:
        return (self._records.note(self._now(), level.word, name, facts) + "\n").encode("ascii")

    def _begin(self) -> bytes:
        offset = utc_offset(self._now())
        return self._note(Level.INFO, "log_opened", version=self._version, host=self._hostname, utc_offset=offset)
