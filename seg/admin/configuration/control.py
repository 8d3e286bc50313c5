"""Change control: stage, look, commit, drop, undo. One commit at a time; what can't be committed changes nothing."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Protocol

import attrs
from twisted.internet.defer import Deferred, DeferredLock

from seg.admin.configuration.edits import Edit, EditError, value_at
from seg.admin.configuration.history import Commit, History
from seg.admin.configuration.staging import DamagedChanges, Staged, StagingArea
from seg.admin.configuration.texts import (
    Configuration,
    ConfigurationTexts,
    check,
    difference,
    located,
    read_texts,
    without_secrets,
    write_texts,
)
from seg.common.errors import ConfigurationError
from seg.config.find import ConfigurationFiles
from seg.config.source import parse_document
from seg.events.gateway import Fault, OperatorActed
from seg.events.runtime import Runtime

FOUND = "found in the files at the start"
LONGEST_COMMENT = 500


class NothingStaged(Exception):
    """There is nothing to commit, or to drop."""


class Conflict(Exception):
    """The configuration isn't the one that the changes were made on.

    :param theirs: what came in meanwhile, as a diff.
    :param yours: the staged changes, as a diff.
    """

    def __init__(self, text: str, theirs: str, yours: str) -> None:
        super().__init__(text)
        self.theirs = theirs
        self.yours = yours


class IPreparedReload(Protocol):
    """A configuration that is ready: whatever could go wrong has gone right."""

    def activate(self) -> Sequence[str]:
        """Work by it from now on. Never fails; returns what takes effect only at the next start."""

    def discard(self) -> None:
        """Forget it."""


class IReloader(Protocol):
    """The gateway, as the receiver of a new configuration."""

    async def prepare(self, configuration: Configuration) -> IPreparedReload:
        """Do all that can fail: bind ports, read certificates.

        :raises ConfigurationError: it can't work; nothing is changed.
        """


@attrs.frozen
class ChangeOutcome:
    """A commit that is in force."""

    commit: Commit
    at_next_start: tuple[str, ...]  # settings that wait for a restart


class ChangeControl:
    """The configuration in use, and those who want to change it.

    :param running: the texts that the gateway was started with.
    :param folder: where changes and commits are kept, ``var/changes``.
    :param in_force: what `running` says.
    """

    def __init__(
        self,
        runtime: Runtime,
        running: ConfigurationTexts,
        files: ConfigurationFiles,
        folder: Path,
        applier: IReloader,
        in_force: Configuration | None = None,
    ) -> None:
        self.running = running
        self._in_force = in_force
        self.files = files
        self._complaints: list[str] = []  # of what was found damaged, to be told
        self._staging = StagingArea(folder / "staged")
        self._history = History(folder / "commits", self._complaints.append)
        self._applier = applier
        self._sink = runtime.sink
        self._run = runtime.in_thread  # files are large, and disks slow
        self._now = runtime.posix
        self._one = DeferredLock()  # stages, commits and reloads, one at a time

    async def begin(self) -> None:
        """At the start: note what is in the files, if it isn't what was committed last."""
        try:
            await self._in_thread(self._note_found)
        except OSError as error:
            self._sink.emit(Fault(f"commits can't be kept: {error.strerror or error}: {error.filename}"))

    def _note_found(self) -> None:
        last = self._history.latest()
        if last is None or last.texts != self.running:
            self._history.add(self._now(), "-", FOUND, self.running)

    async def _in_thread(self, work: Callable[[], Any]) -> Any:
        """Do what blocks, and tell what was found damaged."""
        try:
            return await self._run(work)
        finally:
            while self._complaints:
                self._sink.emit(Fault(self._complaints.pop(0)))

    # --- staging -----------------------------------------------------------------------------------

    async def staged(self, by: str) -> Staged | None:
        """An operator's changes.

        :raises DamagedChanges: they are lost; the next call finds none.
        """

        def work() -> Staged | None:
            try:
                return self._staging.load(by)
            except DamagedChanges as error:
                self._complaints.extend(error.problems)
                raise

        found: Staged | None = await self._in_thread(work)
        return found

    async def others(self, by: str) -> list[str]:
        """The other operators that have changes."""
        everybody: list[str] = await self._in_thread(self._staging.operators)
        return [name for name in everybody if name != by]

    async def texts(self, by: str) -> ConfigurationTexts:
        """The files as this operator sees them: with the changes staged."""
        staged = await self.staged(by)
        if staged is None:
            return self.running
        made: ConfigurationTexts = await self._in_thread(staged.texts)
        return made

    async def shown(self, by: str) -> ConfigurationTexts:
        """The same without passwords."""
        texts = await self.texts(by)
        found: ConfigurationTexts = await self._in_thread(lambda: without_secrets(texts))
        return found

    async def stage(self, by: str, edits: Sequence[Edit]) -> str:
        """Add to an operator's changes; returns all of them as a diff.

        :raises ConfigurationError: the files would have faults; nothing is staged.
        """
        return await self._alone(lambda: self._stage(by, tuple(edits)))

    async def _stage(self, by: str, edits: tuple[Edit, ...]) -> str:
        staged = await self.staged(by) or Staged(by, self._now(), self.running)
        return await self._keep(attrs.evolve(staged, edits=(*staged.edits, *edits)))

    async def _keep(self, staged: Staged) -> str:
        def work() -> str:
            texts = _made(staged)
            check(texts, self.files, self._in_force)
            if texts == staged.base:
                self._staging.drop(staged.by)
                return ""
            self._staging.save(staged)
            return difference(staged.base, texts)

        diff: str = await self._in_thread(work)
        return diff

    async def difference(self, by: str) -> str:
        """An operator's changes as a diff, "" when there are none."""
        staged = await self.staged(by)
        if staged is None:
            return ""
        diff: str = await self._in_thread(lambda: difference(staged.base, staged.texts()))
        return diff

    async def clear(self, by: str) -> None:
        """Drop an operator's changes.

        :raises NothingStaged: there are none.
        """
        if await self.staged(by) is None:
            raise NothingStaged("there are no changes to clear")
        await self._in_thread(lambda: self._staging.drop(by))

    async def rebase(self, by: str) -> str:
        """Put an operator's changes on top of what others committed meanwhile; returns them as a diff.

        :raises NothingStaged: there are none.
        :raises Conflict: both changed the same key.
        """
        return await self._alone(lambda: self._rebase(by))

    async def _rebase(self, by: str) -> str:
        staged = await self.staged(by)
        if staged is None:
            raise NothingStaged("there are no changes staged")
        if staged.whole is not None:
            raise await self._conflict("a rollback replaces everything: clear it, and stage it again", staged)
        both: list[str] = await self._in_thread(lambda: _changed_by_both(staged, self.running))
        if both:
            raise await self._conflict(f"others changed the same: {', '.join(both)}", staged)
        return await self._keep(attrs.evolve(staged, base=self.running))

    # --- commits -----------------------------------------------------------------------------------

    async def commit(self, by: str, comment: str) -> ChangeOutcome:
        """Write an operator's changes and work by them: all of it, or nothing.

        :raises NothingStaged: there are none.
        :raises Conflict: the configuration isn't what they were made on any more.
        :raises ConfigurationError: they have faults, can't work, or can't be written.
        """
        return await self._alone(lambda: self._commit(by, comment))

    async def _commit(self, by: str, comment: str) -> ChangeOutcome:
        staged = await self.staged(by)
        if staged is None:
            raise NothingStaged("there are no changes to commit")
        await self._no_edit_by_hand(staged)
        if staged.base != self.running:
            raise await self._conflict("somebody else committed since you began", staged)
        new: ConfigurationTexts = await self._in_thread(lambda: _made(staged))
        outcome = await self._put_in_force(new, by, comment, write=True)
        await self._in_thread(lambda: self._staging.drop(by))
        return outcome

    async def reload(self, by: str) -> ChangeOutcome | None:
        """Work by the files as they are now, edited by hand; None when they are what is in use.

        :raises ConfigurationError: they have faults, or can't work: what was in use stays in use.
        """
        return await self._alone(lambda: self._reload(by))

    async def _reload(self, by: str) -> ChangeOutcome | None:
        found: ConfigurationTexts = await self._in_thread(lambda: read_texts(self.files))
        if found == self.running:
            return None
        return await self._put_in_force(found, by, "files read again", write=False)

    async def _put_in_force(self, new: ConfigurationTexts, by: str, comment: str, write: bool) -> ChangeOutcome:
        configuration: Configuration = await self._in_thread(lambda: check(new, self.files, self._in_force))
        try:
            prepared = await self._applier.prepare(configuration)
        except ConfigurationError as error:
            raise located(error, new, self.files) from error
        old = self.running
        try:
            if write:
                await self._in_thread(lambda: write_texts(self.files, old, new))
        except BaseException:
            prepared.discard()
            raise
        self.running, self._in_force = new, configuration
        waiting = tuple(prepared.activate())
        commit = await self._remember(by, comment, new)
        what = "files read again" if not write else f"commit {commit.number}"
        self._sink.emit(OperatorActed(by, what + (f": {comment}" if write and comment else "")))
        return ChangeOutcome(commit, waiting)

    async def _remember(self, by: str, comment: str, texts: ConfigurationTexts) -> Commit:
        """Keep a commit that is in force already: a full disk doesn't undo it."""
        when = self._now()
        try:
            kept: Commit = await self._in_thread(lambda: self._history.add(when, by, comment, texts))
            return kept
        except OSError as error:
            self._sink.emit(Fault(f"a commit is in force, but can't be kept for rollback: {error.strerror or error}"))
            return Commit(0, when, by, comment, texts)

    async def commits(self, most: int) -> list[Commit]:
        """The newest commits, without what the files said."""

        def work() -> list[Commit]:
            found = map(self._history.get, self._history.numbers()[:most])
            return [attrs.evolve(commit, texts=ConfigurationTexts("", "")) for commit in found if commit is not None]

        commits: list[Commit] = await self._in_thread(work)
        return commits

    async def detail(self, number: int) -> tuple[Commit, str] | None:
        """A commit, and what it changed as a diff; None when it isn't kept."""

        def work() -> tuple[Commit, str] | None:
            commit = self._history.get(number)
            if commit is None:
                return None
            before = next((n for n in self._history.numbers() if n < number), None)
            earlier = self._history.get(before) if before is not None else None
            return commit, difference(earlier.texts, commit.texts) if earlier else ""

        found: tuple[Commit, str] | None = await self._in_thread(work)
        return found

    async def roll_back(self, by: str, number: int) -> str:
        """Stage the configuration as it was after a commit; returns the diff.

        :raises NothingStaged: there is no such commit.
        :raises ConfigurationError: this version can't work by it any more.
        """
        return await self._alone(lambda: self._roll_back(by, number))

    async def _roll_back(self, by: str, number: int) -> str:
        commit: Commit | None = await self._in_thread(lambda: self._history.get(number))
        if commit is None:
            raise NothingStaged(f"there is no commit {number} (seg rollbackconfig lists them)")
        return await self._keep(Staged(by, self._now(), self.running, (), commit.texts))

    # --- conflicts ---------------------------------------------------------------------------------

    async def _no_edit_by_hand(self, staged: Staged) -> None:
        """Whoever edited a file mustn't lose what he wrote."""
        found: ConfigurationTexts = await self._in_thread(lambda: read_texts(self.files))
        if found != self.running:
            yours: str = await self._in_thread(lambda: difference(staged.base, _made(staged)))
            raise Conflict(
                "the files were edited by hand and not read since: seg reload, or undo that",
                difference(self.running, found),
                yours,
            )

    async def _conflict(self, text: str, staged: Staged) -> Conflict:
        theirs, yours = await self._in_thread(
            lambda: (difference(staged.base, self.running), difference(staged.base, _made(staged)))
        )
        return Conflict(text, theirs, yours)

    async def _alone(self, work: Callable[[], Any]) -> Any:
        return await self._one.run(lambda: Deferred.fromCoroutine(work()))


def _made(staged: Staged) -> ConfigurationTexts:
    """The files with the changes.

    :raises ConfigurationError: one can't be made.
    """
    try:
        return staged.texts()
    except EditError as error:
        raise ConfigurationError((str(error),)) from None


def _changed_by_both(staged: Staged, running: ConfigurationTexts) -> list[str]:
    """Keys that an operator changed and that aren't any more what he saw."""
    both = []
    for edit in staged.edits:
        old = value_at(parse_document(staged.base.of(edit.file), edit.file).data, edit.path)
        new = value_at(parse_document(running.of(edit.file), edit.file).data, edit.path)
        if old != new and new != edit.value:
            both.append(edit.key)
    return list(dict.fromkeys(both))
