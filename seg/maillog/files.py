"""The mail log on disk: ``mail.log`` for people, ``mail.jsonl`` for programs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Final

from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger
from zope.interface import implementer

from seg.config.schema import Log, LogLevel
from seg.events import Event, MessageReceived
from seg.interfaces import IEventSink
from seg.maillog.appending import AppendingFile, Frame
from seg.maillog.jsonlines import JSONLines, event_name
from seg.maillog.lines import LINES, render_unknown, without_details
from seg.maillog.stamps import Stamps, utc_offset
from seg.maillog.vocabulary import Level, Renderer, clean

LONGEST_WAIT: Final = 0.2  # seconds until an event is written
LARGEST_BATCH: Final = 256  # events written together at most

_URGENT = frozenset(kind for kind, entry in LINES.items() if entry.level is Level.WARNING)


@implementer(IEventSink)
class MailLogFile:
    """Writes events to the two files. An event costs the stage that emits it no more than a place in a list.

    :param folder: where the files are, ``var/log``.
    :param hostname: shown as serial number in the file's head.
    :param closed: called with folder and pattern when a file was closed.
    """

    _log = Logger()

    def __init__(
        self,
        folder: Path,
        settings: Log,
        clock: IReactorTime,
        version: str,
        hostname: str,
        closed: Callable[[Path, str], object] = lambda folder, pattern: None,
    ) -> None:
        self.debug = settings.level is LogLevel.DEBUG
        self._clock = clock
        self._now: Callable[[], float] = clock.seconds
        self._details = settings.message_details
        self._tellings = {kind: (entry.level, entry.render) for kind, entry in LINES.items()}
        self._stamps = Stamps()
        self._records = JSONLines(self._stamps)
        self._waiting: list[tuple[float, Event]] = []
        self._call: IDelayedCall | None = None
        self._running = False
        self._broken = False
        size, keep = settings.rotate_size, settings.keep
        text = _TextFrame(self._now, version, hostname).frame()
        self._text = AppendingFile(folder / "mail.log", "mail.@{}.s", size, keep, text, self._now, closed)
        self._json: AppendingFile | None = None
        if settings.json:
            record = _JSONFrame(self._now, self._records, version, hostname).frame()
            name = "mail.@{}.jsonl"
            self._json = AppendingFile(folder / "mail.jsonl", name, size, keep, record, self._now, closed)

    def start(self) -> None:
        """Begin the files, and take events from now on."""
        self._running = True
        self._text.write(b"")
        if self._json:
            self._json.write(b"")

    def stop(self) -> None:
        """Write what waits, end the files, and take no events any more. Harmless when it isn't running."""
        if not self._running:
            return
        self.flush()
        self._running = False
        self._text.close()
        if self._json:
            self._json.close()

    def emit(self, event: Event) -> None:
        """Take an event (`IEventSink.emit`): it is written soon, a warning at once."""
        if not self._running:
            return
        waiting = self._waiting
        waiting.append((self._now(), event))
        if len(waiting) >= LARGEST_BATCH or type(event) in _URGENT:
            self.flush()
        elif self._call is None:
            self._call = self._clock.callLater(LONGEST_WAIT, self._due)

    def _due(self) -> None:
        self._call = None
        self.flush()

    def flush(self) -> None:
        """Write what waits, each file with one write."""
        if self._call is not None:
            self._call.cancel()
            self._call = None
        batch, self._waiting = self._waiting, []
        if not batch:
            return
        lines: list[str] = []
        records: list[str] = []
        for at, event in batch:
            known = self._tellings.get(type(event))
            try:
                if known:
                    self._tell(event, at, *known, lines, records)
                else:
                    self._tell(event, at, render_unknown(event)[0][0], render_unknown, lines, records)
            except Exception:  # noqa: BLE001 - one event must not take the others with it; it is logged
                self._tell_raw(event, at, lines, records)
        self._text.write("".join(lines).encode("utf-8"))
        if self._json:
            self._json.write("".join(records).encode("ascii"))

    def _tell(
        self, event: Event, at: float, level: Level, render: Renderer, lines: list[str], records: list[str]
    ) -> None:
        """Add an event's lines and its JSON, as far as the level lets them through."""
        if type(event) is MessageReceived and not self._details:
            event = without_details(event)
        debug, stamp = self.debug, self._stamps.ctime(at)
        told = [
            f"{stamp}{each.prefix}{clean(text)}\n" for each, text in render(event) if debug or each is not Level.DEBUG
        ]
        if self._json and (debug or level is not Level.DEBUG):
            records.append(self._records.line(event, at, level.word) + "\n")
        lines += told

    def _tell_raw(self, event: Event, at: float, lines: list[str], records: list[str]) -> None:
        """Add an event that can't be told as it should be; the reason is reported once."""
        level, text = render_unknown(event)[0]
        lines.append(f"{self._stamps.ctime(at)}{level.prefix}{clean(text)}\n")
        records.append(self._records.note(at, level.word, event_name(type(event)), {"text": text}) + "\n")
        if not self._broken:
            self._broken = True
            self._log.failure("An event can't be written as it should be: {event!r}", event=event)


class _TextFrame:
    """First and last lines of mail.log."""

    def __init__(self, now: Callable[[], float], version: str, hostname: str) -> None:
        self._now = now
        self._version = version
        self._hostname = hostname

    def frame(self) -> Frame:
        """The lines as `AppendingFile` wants them."""
        return Frame(self._begin, lambda: self._line(Level.INFO, "End Logfile"), self._lost)

    def _line(self, level: Level, text: str) -> bytes:
        return f"{Stamps().ctime(self._now())}{level.prefix}{clean(text)}\n".encode()

    def _begin(self) -> bytes:
        version = f"Version: seg {self._version} SN: {self._hostname}"
        offset = f"Time offset from UTC: {utc_offset(self._now())} seconds"
        return b"".join(self._line(Level.INFO, text) for text in ("Begin Logfile", version, offset))

    def _lost(self, count: int) -> bytes:
        return self._line(Level.WARNING, f"{count} lines were lost while this file couldn't be written")


class _JSONFrame:
    """First and last lines of mail.jsonl."""

    def __init__(self, now: Callable[[], float], records: JSONLines, version: str, hostname: str) -> None:
        self._now = now
        self._records = records
        self._version = version
        self._hostname = hostname

    def frame(self) -> Frame:
        """The lines as `AppendingFile` wants them."""
        return Frame(
            self._begin,
            lambda: self._note(Level.INFO, "log_closed"),
            lambda count: self._note(Level.WARNING, "log_lines_lost", count=count),
        )

    def _note(self, level: Level, name: str, **facts: str | int) -> bytes:
        return (self._records.note(self._now(), level.word, name, facts) + "\n").encode("ascii")

    def _begin(self) -> bytes:
        offset = utc_offset(self._now())
        return self._note(Level.INFO, "log_opened", version=self._version, host=self._hostname, utc_offset=offset)
