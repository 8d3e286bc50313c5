"""Reading the mail log that a gateway writes: its lines for people, and the events of its JSON twin."""

from __future__ import annotations

import json
import os
from datetime import datetime
from pathlib import Path
from typing import Any

import attrs


@attrs.frozen
class LoggedEvent:
    """One line of ``mail.jsonl``."""

    time: float  # POSIX seconds
    level: str
    name: str  # class name in seg.events, in snake case
    fields: dict[str, Any]

    def __getitem__(self, key: str) -> Any:
        return self.fields[key]

    def matches(self, name: str, fields: dict[str, Any]) -> bool:
        """Whether it's of this name and has all these fields."""
        return self.name == name and all(self.fields.get(key) == value for key, value in fields.items())


class Follower:
    """The lines that were added to a file since one looked last; half a line waits for its end.

    When another file has taken the place of the one read so far (rotation), it's read from its beginning.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._identity = (0, 0)
        self._offset = 0
        self._rest = b""

    def new_lines(self) -> list[str]:
        """What came since; nothing while the file doesn't exist."""
        try:
            with self._path.open("rb") as file:
                status = os.fstat(file.fileno())
                if (status.st_dev, status.st_ino) != self._identity:
                    self._identity = (status.st_dev, status.st_ino)
                    self._offset, self._rest = 0, b""
                file.seek(self._offset)
                data = file.read()
        except FileNotFoundError:
            return []
        self._offset += len(data)
        *lines, self._rest = (self._rest + data).split(b"\n")
        return [line.decode("utf-8", "replace") for line in lines]


def event_of(line: str) -> LoggedEvent:
    """An event from its line.

    :raises ValueError: the line isn't one.
    """
    found = json.loads(line)
    if not isinstance(found, dict) or "event" not in found:
        raise ValueError(f"not an event: {line[:200]}")
    fields = {key: value for key, value in found.items() if key not in ("time", "level", "event")}
    time = datetime.fromisoformat(found["time"]).timestamp() if "time" in found else 0.0
    return LoggedEvent(time, str(found.get("level", "")), str(found["event"]), fields)
