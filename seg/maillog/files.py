"""The mail log on disk: ``mail.log`` for people, ``mail.jsonl`` for programs, and the files of subscriptions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import attrs
from twisted.internet.interfaces import IDelayedCall, IReactorTime

from seg.config.log import Log, LogForm, LogSubscription
from seg.config.subscriptions import MAIL_JSON, MAIL_LOG, LogFileName, file_of
from seg.events.base import IEventSink
from seg.events.conditions import Condition
from seg.events.gateway import ConditionKind
from seg.maillog.buffered_log import BufferedLog
from seg.maillog.file_markers import frame_of
from seg.maillog.formatter import EventFormatter, FormattedEvent, level_of
from seg.maillog.log_table import Level
from seg.maillog.rotating_file import RotatingFile
from seg.maillog.timestamps import TimestampCache

RETRY = 5.0  # seconds until a file that can't be written is tried again, if no event does that before


@attrs.frozen
class FilePlan:
    """What is written to which files."""

    files: tuple[LogFileName, ...]
    least: Level
    kinds: tuple[str, ...]
    details: bool
    rotate_size: int
    keep: int
    compress: bool

    def telling(self) -> EventFormatter:
        """What the files are told."""
        forms = {file.form for file in self.files}
        return EventFormatter(self.least, self.details, self.kinds, LogForm.TEXT in forms, LogForm.JSON in forms)


def plan_of_log(log: Log) -> FilePlan:
    """The files of the ``[log]`` section."""
    files = (MAIL_LOG, MAIL_JSON) if log.json else (MAIL_LOG,)
    return FilePlan(files, level_of(log.level), (), log.message_details, log.rotate_size, log.keep, log.compress)


def plan_of_subscription(one: LogSubscription) -> FilePlan:
    """The file of a ``[[log_subscription]]`` of this kind."""
    file = file_of(one)
    assert file is not None  # it is of this kind
    details, kinds = one.message_details, one.events
    return FilePlan((file,), level_of(one.level), kinds, details, one.rotate_size, one.keep, one.compress)


class MailLogFile(BufferedLog):
    """Writes events to files.

    :param folder: where the files are, ``var/log``.
    :param hostname: shown as serial number in a file's head.
    :param sink: hears when a file can't be written, and when it can again.
    :param compress: called with folder and pattern of closed files when one was closed that is to be compressed.
    """

    def __init__(
        self,
        folder: Path,
        plan: FilePlan,
        clock: IReactorTime,
        version: str,
        hostname: str,
        sink: IEventSink,
        compress: Callable[[Path, str], object] = lambda folder, pattern: None,
    ) -> None:
        super().__init__(clock, plan.telling())
        self._folder = folder
        self._plan = plan
        self._version = version
        self._hostname = hostname
        self._sink = sink
        self._compress = compress
        self._conditions: dict[LogFileName, Condition] = {}
        self._retry: IDelayedCall | None = None
        self._stamps = TimestampCache()
        self._files: dict[LogFileName, RotatingFile] = {}
        self._have_files()

    def start(self) -> None:
        """Begin the files, and take events from now on."""
        self._running = True
        for file in self._files.values():
            file.write(b"")
        self._look()

    def stop(self) -> None:
        """Write what waits, end the files, and take no events any more. Harmless when it isn't running."""
        if not self._running:
            return
        self._repeats.end()
        self.flush()
        self._running = False
        if self._retry is not None:
            self._retry.cancel()
            self._retry = None
        for name, file in self._files.items():
            file.close()
            self._conditions[name].end(f"{name.name} isn't written any more")

    def change(self, plan: FilePlan) -> None:
        """Work by another plan from the next event on; a file that stays is written on."""
        self.flush()
        self._plan, self._telling = plan, plan.telling()
        for name in self._files.keys() - set(plan.files):
            self._files.pop(name).close()
            self._conditions.pop(name).end(f"{name.name} isn't written any more")
        self._have_files()

    def _have_files(self) -> None:
        plan = self._plan
        for name in plan.files:
            if name in self._files:
                self._files[name].resize(plan.rotate_size, plan.keep)
                continue
            frame = frame_of(name.form, self._now, self._version, self._hostname)
            path = self._folder / name.name
            file = RotatingFile(path, name.closed, plan.rotate_size, plan.keep, frame, self._now, self._closed)
            self._files[name] = file
            self._conditions[name] = Condition(self._sink, ConditionKind.LOG, str(path))
            if self._running:
                file.write(b"")

    def _closed(self, folder: Path, pattern: str) -> None:
        if self._plan.compress:
            self._compress(folder, pattern)

    def _write(self, batch: Sequence[FormattedEvent]) -> None:
        """Each file with one write."""
        stamps = self._stamps
        for name, file in self._files.items():
            if name.form is LogForm.TEXT:
                text = "".join(
                    [
                        f"{stamps[int(told.at)].ctime}{level.prefix}{text}\n"
                        for told in batch
                        for level, text in told.lines
                    ]
                )
                file.write(text.encode("utf-8"))
            else:
                file.write("".join([f"{told.record}\n" for told in batch]).encode("ascii"))
        self._look()

    def _look(self) -> None:
        """Tell what hinders a file, or that it is over. While one is hindered it is tried again without waiting for an event."""
        news = [name for name, file in self._files.items() if file.hindrance != self._conditions[name].text]
        if news:
            # Later: a condition is an event, and this may be called in the middle of one.
            self._clock.callLater(0, self._tell_conditions)
        if self._retry is None and any(file.hindrance for file in self._files.values()):
            self._retry = self._clock.callLater(RETRY, self._again)

    def _tell_conditions(self) -> None:
        for name, file in list(self._files.items()):
            if file.hindrance:
                self._conditions[name].begin(file.hindrance)
            else:
                self._conditions[name].end(f"{name.name} is written again")

    def _again(self) -> None:
        self._retry = None
        for file in self._files.values():
            if file.hindrance:
                file.write(b"")
        self._look()
