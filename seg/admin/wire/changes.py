"""Change control over the API: what is staged, and the commits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, ClassVar, Literal

import attrs

from seg.admin.configuration.control import LONGEST_COMMENT
from seg.admin.configuration.edits import File
from seg.common.json_schema import ABSENT, Absent, Count, DescribedAs, Keywords, Time

MAX_COMMITS = 100  # in one answer

AtNextStart = Annotated[tuple[str, ...], "sections that are put into force by the next start only"]


@attrs.frozen
class ConfigurationPaths:
    """Where they are."""

    settings: str
    destinations: str


@attrs.frozen
class ConfigurationAnswer:
    """Both files."""

    settings: Annotated[str, "seg.toml; passwords left out"]
    destinations: Annotated[str, "destinations.toml"]
    files: ConfigurationPaths


@attrs.frozen
class ChangesAnswer:
    """What is staged."""

    by: str
    since: Annotated[float | None, "POSIX seconds"]
    diff: str
    behind: Annotated[bool, "somebody else committed since: rebase"]
    others: tuple[str, ...]


@attrs.frozen
class StagedEdit:
    """One key set to a value, or removed."""

    SCHEMA: ClassVar = Keywords(additionalProperties=False)

    file: File
    path: Annotated[tuple[str | int, ...], Keywords(minItems=1)]
    value: Annotated[Any, "null removes"] = ABSENT


@attrs.frozen
class StageEdits:
    """Edits to stage. There may be a great many: each is looked at when its turn comes."""

    MAX_BODY: ClassVar = 32 * 1024 * 1024  # octets: a table of 40,000 routes is handed in at once

    edits: Annotated[Sequence[Any], DescribedAs(tuple[StagedEdit, ...]), Keywords(minItems=1)]

    @classmethod
    def from_body(cls, body: Mapping[str, Any]) -> StageEdits:
        """:raises ValueError: there are none."""
        edits = body.get("edits")
        if not isinstance(edits, list) or not edits:
            raise ValueError("edits must be a list of {file, path, value}")
        return cls(edits)


@attrs.frozen
class DiffAnswer:
    """What would change."""

    diff: Annotated[str, "a unified diff of both files"]


@attrs.frozen
class ClearedAnswer:
    """Nothing is staged any more."""

    cleared: Literal[True]


@attrs.frozen
class ListCommits:
    """How many of the newest."""

    limit: Annotated[int, Keywords(minimum=0, maximum=MAX_COMMITS), "how many"] = 10


@attrs.frozen
class NamedCommit:
    """One commit."""

    number: Count


@attrs.frozen
class CommitAnswer:
    """Who changed the configuration, and when."""

    number: Count
    when: Time
    by: str
    comment: str


@attrs.frozen
class CommitDetailAnswer(CommitAnswer):
    """The same with what it changed."""

    diff: str


@attrs.frozen
class CommitsAnswer:
    """The newest commits."""

    commits: tuple[CommitAnswer, ...]


@attrs.frozen
class CommitChanges:
    """Put into force what is staged."""

    comment: str = ""

    @classmethod
    def from_body(cls, body: Mapping[str, Any]) -> CommitChanges:
        """:raises ValueError: the comment isn't one line."""
        comment = body.get("comment", "")
        if not isinstance(comment, str) or len(comment) > LONGEST_COMMENT or not all(c.isprintable() for c in comment):
            raise ValueError(f"comment must be one line of at most {LONGEST_COMMENT} characters")
        return cls(comment)


@attrs.frozen
class CommittedAnswer(CommitAnswer):
    """A commit that is in force."""

    at_next_start: AtNextStart


@attrs.frozen
class ReloadedAnswer:
    """Whether the files had changed; if so, the commit that this made."""

    changed: bool
    number: Count | Absent = ABSENT
    when: Time | Absent = ABSENT
    by: str | Absent = ABSENT
    comment: str | Absent = ABSENT
    at_next_start: AtNextStart | Absent = ABSENT


@attrs.frozen
class RollBack:
    """Which commit to go back to."""

    number: Count

    @classmethod
    def from_body(cls, body: Mapping[str, Any]) -> RollBack:
        """:raises ValueError: there is no number."""
        number = body.get("number")
        if type(number) is not int:
            raise ValueError("number must be the number of a commit")
        return cls(number)
