"""Every commit with the files as they were then, so that each can be looked at and gone back to."""

from __future__ import annotations

import json
from pathlib import Path

import attrs

from seg.change.texts import Texts, texts_from
from seg.files import replace_file

KEPT = 100  # commits; older ones are dropped


@attrs.frozen
class Commit:
    """One commit."""

    number: int
    when: float  # POSIX seconds
    by: str
    comment: str
    texts: Texts  # as they are from then on


class History:
    """The commits, a file for each. All of it blocks.

    :param kept: most commits that are kept.
    """

    def __init__(self, folder: Path, kept: int = KEPT) -> None:
        self._folder = folder
        self._kept = kept

    def numbers(self) -> list[int]:
        """The commits there are, the newest first."""
        if not self._folder.is_dir():
            return []
        found = [path.stem for path in self._folder.glob("*.json")]
        return sorted((int(stem) for stem in found if stem.isascii() and stem.isdigit()), reverse=True)

    def get(self, number: int) -> Commit | None:
        """One commit; None when it isn't there, or can't be read any more.

        :raises OSError: the disk fails.
        """
        try:
            raw = json.loads(self._path(number).read_bytes())
            return Commit(number, raw["when"], raw["by"], raw["comment"], texts_from(raw["texts"]))
        except FileNotFoundError:
            return None
        except (ValueError, KeyError, TypeError):
            return None

    def latest(self) -> Commit | None:
        """The newest commit that can be read.

        :raises OSError: the disk fails.
        """
        return next((commit for commit in map(self.get, self.numbers()) if commit is not None), None)

    def add(self, when: float, by: str, comment: str, texts: Texts) -> Commit:
        """Keep a commit under the next number.

        :raises OSError: the disk fails.
        """
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        numbers = self.numbers()
        commit = Commit(numbers[0] + 1 if numbers else 1, when, by, comment, texts)
        raw = {"when": when, "by": by, "comment": comment, "texts": attrs.asdict(texts)}
        replace_file(self._path(commit.number), json.dumps(raw).encode())
        for number in numbers[self._kept - 1 :]:
            self._path(number).unlink(missing_ok=True)
        return commit

    def _path(self, number: int) -> Path:
        return self._folder / f"{number:06}.json"
