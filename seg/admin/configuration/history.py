"""Every commit with the files as they were then, so that each can be looked at and gone back to."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path

import attrs

from seg.admin.configuration.texts import ConfigurationTexts, texts_from
from seg.common.files import (
    StateContent,
    StateDamaged,
    StateUnreadable,
    make_private,
    put_aside,
    read_state_file,
    replace_file,
)

LARGEST = 128 * 1024 * 1024  # octets of a file: two texts, with escapes
KEPT = 100  # commits; older ones are dropped


@attrs.frozen
class Commit:
    """One commit."""

    number: int
    when: float  # POSIX seconds
    by: str
    comment: str
    texts: ConfigurationTexts  # as they are from then on


class History:
    """The commits, a file for each. All of it blocks.

    :param complain: is told of damaged files, in the thread that comes upon one.
    :param kept: most commits that are kept.
    """

    def __init__(self, folder: Path, complain: Callable[[str], object], kept: int = KEPT) -> None:
        self._folder = folder
        self._complain = complain
        self._kept = kept

    def numbers(self) -> list[int]:
        """The commits there are, the newest first."""
        if not self._folder.is_dir():
            return []
        found = [path.stem for path in self._folder.glob("*.json")]
        return sorted((int(stem) for stem in found if stem.isascii() and stem.isdigit()), reverse=True)

    def get(self, number: int) -> Commit | None:
        """One commit; None when it isn't there, or is damaged: that is told, and it is kept aside.

        :raises OSError: the disk fails.
        """
        path = self._path(number)
        found = read_state_file(path, lambda data: _decoded(number, data), LARGEST)
        if isinstance(found, StateUnreadable):
            raise OSError(f"{path}: {found.reason}")
        if isinstance(found, StateDamaged):
            said = (
                f"commit {number} can't be shown or gone back to: {path} is damaged ({found.reason}); {put_aside(path)}"
            )
            self._complain(said)
        return found.value if isinstance(found, StateContent) else None

    def latest(self) -> Commit | None:
        """The newest commit that can be read.

        :raises OSError: the disk fails.
        """
        return next((commit for commit in map(self.get, self.numbers()) if commit is not None), None)

    def add(self, when: float, by: str, comment: str, texts: ConfigurationTexts) -> Commit:
        """Keep a commit under the next number.

        :raises OSError: the disk fails.
        """
        make_private(self._folder)
        numbers = self.numbers()
        commit = Commit(self._highest() + 1, when, by, comment, texts)
        raw = {"when": when, "by": by, "comment": comment, "texts": attrs.asdict(texts)}
        replace_file(self._path(commit.number), json.dumps(raw).encode())
        for number in numbers[self._kept - 1 :]:
            self._path(number).unlink(missing_ok=True)
        return commit

    def _highest(self) -> int:
        """The highest number ever given, those of damaged commits too."""
        found = [path.name.partition(".")[0] for path in self._folder.glob("*.json*")]
        return max((int(stem) for stem in found if stem.isascii() and stem.isdigit()), default=0)

    def _path(self, number: int) -> Path:
        return self._folder / f"{number:06}.json"


def _decoded(number: int, data: bytes) -> Commit:
    """:raises ValueError: it isn't what `History.add` writes (and the other errors that `read_state_file` knows)."""
    raw = json.loads(data)
    when, by, comment = raw["when"], raw["by"], raw["comment"]
    if not (isinstance(when, int | float) and math.isfinite(when) and isinstance(by, str) and isinstance(comment, str)):
        raise ValueError("a field has another type")
    return Commit(number, float(when), by, comment, texts_from(raw["texts"]))
