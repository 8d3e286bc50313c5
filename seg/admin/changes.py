"""Change control over the API: what is staged, the commits, and the way back."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import TypeVar

import attrs

from seg.admin.configuration.control import ChangeControl, Conflict, NothingStaged
from seg.admin.configuration.edits import EditError
from seg.admin.configuration.history import Commit
from seg.admin.configuration.staging import edit_from
from seg.admin.http import APIError, Handler, RouteTable
from seg.admin.turns import in_turns
from seg.admin.wire import operations
from seg.admin.wire.changes import (
    ChangesAnswer,
    ClearedAnswer,
    CommitAnswer,
    CommitChanges,
    CommitDetailAnswer,
    CommitsAnswer,
    CommittedAnswer,
    ConfigurationAnswer,
    ConfigurationPaths,
    DiffAnswer,
    ListCommits,
    NamedCommit,
    ReloadedAnswer,
    RollBack,
    StageEdits,
)
from seg.admin.wire.route import NoParameters
from seg.common.errors import ConfigurationError

Q = TypeVar("Q")
A = TypeVar("A")


class ChangeRoutes:
    """Change control. An operator is who is at the other end of the socket, or the token."""

    def __init__(self, control: ChangeControl) -> None:
        self._control = control

    def add_to(self, table: RouteTable) -> None:
        """Serve it."""
        table.add(operations.SHOW_CONFIGURATION, _telling(self.configuration))
        table.add(operations.SHOW_CHANGES, _telling(self.changes))
        table.add(operations.STAGE, _telling(self.stage))
        table.add(operations.CLEAR_CHANGES, _telling(self.clear))
        table.add(operations.REBASE, _telling(self.rebase))
        table.add(operations.LIST_COMMITS, _telling(self.commits))
        table.add(operations.COMMIT, _telling(self.commit))
        table.add(operations.SHOW_COMMIT, _telling(self.detail))
        table.add(operations.ROLL_BACK, _telling(self.roll_back))
        table.add(operations.RELOAD, _telling(self.reload))

    async def configuration(self, asked: NoParameters, by: str) -> ConfigurationAnswer:
        """Both files as this operator sees them, with the changes staged; passwords left out."""
        texts, files = await self._control.shown(by), self._control.files
        paths = ConfigurationPaths(str(files.settings), str(files.destinations))
        return ConfigurationAnswer(texts.settings, texts.destinations, paths)

    async def changes(self, asked: NoParameters, by: str) -> ChangesAnswer:
        """What the operator has staged, and who else has something."""
        staged = await self._control.staged(by)
        return ChangesAnswer(
            by=by,
            since=staged.since if staged else None,
            diff=await self._control.difference(by),
            behind=staged is not None and staged.base != self._control.running,
            others=tuple(await self._control.others(by)),
        )

    async def stage(self, asked: StageEdits, by: str) -> DiffAnswer:
        """Stage edits."""
        try:
            edits = [edit_from(item) async for item in in_turns(asked.edits)]
        except ValueError as error:
            raise APIError(400, str(error)) from None
        return DiffAnswer(await self._control.stage(by, edits))

    async def clear(self, asked: NoParameters, by: str) -> ClearedAnswer:
        """Drop what is staged."""
        await self._control.clear(by)
        return ClearedAnswer(True)

    async def rebase(self, asked: NoParameters, by: str) -> DiffAnswer:
        """Put what is staged on top of what others committed."""
        return DiffAnswer(await self._control.rebase(by))

    async def commit(self, asked: CommitChanges, by: str) -> CommittedAnswer:
        """Commit what is staged."""
        outcome = await self._control.commit(by, asked.comment)
        return CommittedAnswer(**attrs.asdict(_commit(outcome.commit)), at_next_start=outcome.at_next_start)

    async def reload(self, asked: NoParameters, by: str) -> ReloadedAnswer:
        """Work by the files as they are on disk."""
        outcome = await self._control.reload(by)
        if outcome is None:
            return ReloadedAnswer(False)
        return ReloadedAnswer(True, **attrs.asdict(_commit(outcome.commit)), at_next_start=outcome.at_next_start)

    async def commits(self, asked: ListCommits, by: str) -> CommitsAnswer:
        """The newest commits."""
        return CommitsAnswer(tuple(_commit(commit) for commit in await self._control.commits(asked.limit)))

    async def detail(self, asked: NamedCommit, by: str) -> CommitDetailAnswer:
        """One commit and what it changed."""
        found = await self._control.detail(asked.number)
        if found is None:
            raise APIError(404, f"there is no commit {asked.number} (seg rollbackconfig lists those kept)")
        commit, diff = found
        return CommitDetailAnswer(**attrs.asdict(_commit(commit)), diff=diff)

    async def roll_back(self, asked: RollBack, by: str) -> DiffAnswer:
        """Stage the configuration of an earlier commit."""
        return DiffAnswer(await self._control.roll_back(by, asked.number))


def _telling(handler: Handler[Q, A]) -> Handler[Q, A]:
    """The handler, with the control's objections and a disk's failures as answers of the API: 409, 422 or 500."""

    async def answer(asked: Q, by: str) -> A:
        return await _told(handler(asked, by))

    return answer


async def _told(work: Awaitable[A]) -> A:
    try:
        return await work
    except NothingStaged as error:
        raise APIError(409, str(error)) from None
    except Conflict as error:
        raise APIError(409, str(error), {"theirs": error.theirs, "yours": error.yours}) from None
    except EditError as error:
        raise APIError(422, str(error)) from None
    except ConfigurationError as error:
        raise APIError(422, "\n".join(error.problems), {"problems": list(error.problems)}) from None
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        raise APIError(500, f"{where}{error.strerror or error}") from None


def _commit(commit: Commit) -> CommitAnswer:
    return CommitAnswer(commit.number, commit.when, commit.by, commit.comment)
