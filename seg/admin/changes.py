"""Change control over the API: what is staged, the commits, and the way back."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Any

from seg.admin.configuration.control import LONGEST_COMMENT, ChangeControl, ChangeOutcome, Conflict, NothingStaged
from seg.admin.configuration.edits import EditError
from seg.admin.configuration.history import Commit
from seg.admin.configuration.staging import edit_from
from seg.admin.http import MAX_BODY, APIError, APIRequest, Handler, RouteTable
from seg.admin.turns import in_turns
from seg.common.errors import ConfigurationError

MAX_STAGED = 32 * 1024 * 1024  # octets: a table of 40,000 routes is handed in at once
MAX_COMMITS = 100


class ChangesAPI:
    """Serves the paths below. An operator is who is at the other end of the socket."""

    def __init__(self, control: ChangeControl) -> None:
        self._control = control

    def add_to(self, table: RouteTable) -> None:
        """Take the paths."""
        for method, path, handler, largest in (
            ("GET", "/v1/configuration", self.configuration, MAX_BODY),
            ("GET", "/v1/changes", self.changes, MAX_BODY),
            ("POST", "/v1/changes", self.stage, MAX_STAGED),
            ("DELETE", "/v1/changes", self.clear, MAX_BODY),
            ("POST", "/v1/changes/rebase", self.rebase, MAX_BODY),
            ("POST", "/v1/commits", self.commit, MAX_BODY),
            ("GET", "/v1/commits", self.commits, MAX_BODY),
            ("GET", "/v1/commits/{number}", self.detail, MAX_BODY),
            ("POST", "/v1/rollback", self.roll_back, MAX_BODY),
            ("POST", "/v1/reload", self.reload, MAX_BODY),
        ):
            table.add(method, path, _telling(handler), largest)

    async def configuration(self, call: APIRequest) -> object:
        """Both files as this operator sees them, with the changes staged; passwords left out."""
        texts = await self._control.shown(call.by)
        files = self._control.files
        return {
            "settings": texts.settings,
            "destinations": texts.destinations,
            "files": {"settings": str(files.settings), "destinations": str(files.destinations)},
        }

    async def changes(self, call: APIRequest) -> object:
        """What the operator has staged, and who else has something."""
        staged = await self._control.staged(call.by)
        return {
            "by": call.by,
            "since": staged.since if staged else None,
            "diff": await self._control.difference(call.by),
            "behind": staged is not None and staged.base != self._control.running,
            "others": await self._control.others(call.by),
        }

    async def stage(self, call: APIRequest) -> object:
        """Stage edits; body: edits, a list of {file, path, value}."""
        raw = call.body.get("edits")
        if not isinstance(raw, list) or not raw:
            raise APIError(400, "edits must be a list of {file, path, value}")
        try:
            edits = [edit_from(item) async for item in in_turns(raw)]
        except ValueError as error:
            raise APIError(400, str(error)) from None
        return {"diff": await self._control.stage(call.by, edits)}

    async def clear(self, call: APIRequest) -> object:
        """Drop what is staged."""
        await self._control.clear(call.by)
        return {"cleared": True}

    async def rebase(self, call: APIRequest) -> object:
        """Put what is staged on top of what others committed."""
        return {"diff": await self._control.rebase(call.by)}

    async def commit(self, call: APIRequest) -> object:
        """Commit what is staged; body: comment."""
        return _outcome(await self._control.commit(call.by, _comment(call.body.get("comment", ""))))

    async def reload(self, call: APIRequest) -> object:
        """Work by the files as they are on disk."""
        outcome = await self._control.reload(call.by)
        return {"changed": False} if outcome is None else {"changed": True, **_outcome(outcome)}

    async def commits(self, call: APIRequest) -> object:
        """The newest commits; query: limit."""
        limit = call.number("limit", 10, MAX_COMMITS)
        return {"commits": [_commit(commit) for commit in await self._control.commits(limit)]}

    async def detail(self, call: APIRequest) -> object:
        """One commit and what it changed."""
        found = await self._control.detail(int(call.path["number"]))
        if found is None:
            raise APIError(404, f"there is no commit {call.path['number']} (seg rollbackconfig lists those kept)")
        commit, diff = found
        return {**_commit(commit), "diff": diff}

    async def roll_back(self, call: APIRequest) -> object:
        """Stage the configuration of an earlier commit; body: number."""
        number = call.body.get("number")
        if type(number) is not int:
            raise APIError(400, "number must be the number of a commit")
        return {"diff": await self._control.roll_back(call.by, number)}


def _telling(handler: Handler) -> Handler:
    """The handler, with the control's objections and a disk's failures as answers of the API: 409, 422 or 500."""

    async def answer(call: APIRequest) -> object:
        return await _told(handler(call))

    return answer


async def _told(work: Awaitable[object]) -> object:
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


def _comment(raw: object) -> str:
    if not isinstance(raw, str) or len(raw) > LONGEST_COMMENT or not all(c.isprintable() for c in raw):
        raise APIError(400, f"comment must be one line of at most {LONGEST_COMMENT} characters")
    return raw


def _commit(commit: Commit) -> dict[str, Any]:
    return {"number": commit.number, "when": commit.when, "by": commit.by, "comment": commit.comment}


def _outcome(outcome: ChangeOutcome) -> dict[str, Any]:
    return {**_commit(outcome.commit), "at_next_start": list(outcome.at_next_start)}
