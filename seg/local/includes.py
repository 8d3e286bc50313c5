"""Files that aliases include (``:include:/file``): bounded, and only those that nobody else can write. Blocks."""

from __future__ import annotations

from pathlib import Path

from seg.common.files import NO_FILE, FileSignature, read_regular, signature_of
from seg.config.trust import Trusted, distrust

LARGEST = 1024 * 1024  # octets of one file


class Includes:
    """Reads them, and knows which were read.

    :param trusted: whose files are obeyed: who can write into one chooses who gets mail.
    """

    def __init__(self, trusted: Trusted) -> None:
        self._trusted = trusted
        self._marks: dict[Path, FileSignature] = {}

    def read(self, name: str) -> str:
        """The text of a file.

        :raises OSError: it can't be read.
        :raises ValueError: it is too large, no file, or somebody else's.
        """
        path = Path(name)
        if not path.is_absolute():
            raise ValueError("it wants the whole path of the file")
        self._marks[path] = _mark(path)
        if fault := distrust(path, self._trusted):
            raise ValueError(f"{fault}, so it isn't read")
        return read_regular(path, LARGEST).decode("utf-8", "surrogateescape")

    def begin(self) -> None:
        """The aliases are read anew."""
        self._marks = {}

    def changed(self) -> bool:
        """Whether one of those read isn't what it was."""
        return any(_mark(path) != mark for path, mark in self._marks.items())


def _mark(path: Path) -> FileSignature:
    try:
        return signature_of(path)
    except OSError as error:
        return (*NO_FILE[:2], error.errno or 0)
