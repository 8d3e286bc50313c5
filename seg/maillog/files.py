"""The mail log on disk: ``mail.log`` for people, ``mail.jsonl`` for programs, and the files of subscriptions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import attrs
from twisted.internet.interfaces import IReactorTime

from seg.config.schema import Log, LogForm, LogSubscription
from seg.config.subscriptions import MAIL_JSON, MAIL_LOG, LogFileName, file_of
from seg.maillog.appending import AppendingFile
from seg.maillog.frames import frame_of
from seg.maillog.outlet import Outlet
from seg.maillog.stamps import Stamps
from seg.maillog.telling import Telling, Told, level_of
from seg.maillog.vocabulary import Level


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

    def telling(self) -> Telling:
        """What the files are told."""
        forms = {file.form for file in self.files}
        return Telling(self.least, self.details, self.kinds, LogForm.TEXT in forms, LogForm.JSON in forms)


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


class MailLogFile(Outlet):
    """Writes events to files.

    :param folder: where the files are, ``var/log``.
    :param hostname: shown as serial number in a file's head.
    :param compress: called with folder and pattern of closed files when one was closed that is to be compressed.
    """

    def __init__(
        self,
        folder: Path,
        plan: FilePlan,
        clock: IReactorTime,
        version: str,
        hostname: str,
        compress: Callable[[Path, str], object] = lambda folder, pattern: None,
    ) -> None:
        super().__init__(clock, plan.telling())
        self._folder = folder
        self._plan = plan
        self._version = version
        self._hostname = hostname
        self._compress = compress
        self._stamps = Stamps()
        self._files: dict[LogFileName, AppendingFile] = {}
        self._have_files()

    def start(self) -> None:
        """Begin the files, and take events from now on."""
        self._running = True
        for file in self._files.values():
            file.write(b"")

    def stop(self) -> None:
        """Write what waits, end the files, and take no events any more. Harmless when it isn't running."""
        if not self._running:
            return
        self.flush()
        self._running = False
        for file in self._files.values():
            file.close()

    def change(self, plan: FilePlan) -> None:
        """Work by another plan from the next event on; a file that stays is written on."""
        self.flush()
        self._plan, self._telling = plan, plan.telling()
        for name in self._files.keys() - set(plan.files):
            self._files.pop(name).close()
        self._have_files()

    def _have_files(self) -> None:
        plan = self._plan
        for name in plan.files:
            if name in self._files:
                self._files[name].resize(plan.rotate_size, plan.keep)
                continue
            frame = frame_of(name.form, self._now, self._version, self._hostname)
            path = self._folder / name.name
            file = AppendingFile(path, name.closed, plan.rotate_size, plan.keep, frame, self._now, self._closed)
            self._files[name] = file
            if self._running:
                file.write(b"")

    def _closed(self, folder: Path, pattern: str) -> None:
        if self._plan.compress:
            self._compress(folder, pattern)

    def _write(self, batch: Sequence[Told]) -> None:
        """Each file with one write."""
        ctime = self._stamps.ctime
        for name, file in self._files.items():
            if name.form is LogForm.TEXT:
                text = "".join(
                    [f"{ctime(told.at)}{level.prefix}{text}\n" for told in batch for level, text in told.lines]
                )
                file.write(text.encode("utf-8"))
            else:
                file.write("".join([f"{told.record}\n" for told in batch]).encode("ascii"))
