"""Writes the tables of rooms in docs/architecture.md from the table that tests/test_layering.py holds: ``python -m tests.rooms``."""

from __future__ import annotations

from functools import cache

from seg.config.marked import replace_block
from tests.test_layering import FREE, IMPORTS, PACKAGE

COMMAND = "python -m tests.rooms"
PAGE = PACKAGE.parent / "docs" / "architecture.md"


def whole(room: str) -> list[str]:
    """The rooms that a room may import from as a whole."""
    return [word for word in IMPORTS[room].split() if ":" not in word]


def interfaces(room: str) -> list[str]:
    """Those of which it may import what `interfaces.py` says."""
    return [word.partition(":")[0] for word in IMPORTS[room].split() if word.endswith(":interfaces")]


@cache
def floor(room: str) -> int:
    """1 + the highest floor that a room may import from."""
    return 1 + max((floor(other) for other in (*whole(room), *interfaces(room))), default=0)


def floors() -> str:
    """The rooms by floor, the highest first; the table of who may import whom."""
    rows = ["| floor | rooms |", "|---|---|"]
    for number in range(max(map(floor, IMPORTS)), 0, -1):
        rows.append(f"| {number} | {' '.join(f'`{room}`' for room in IMPORTS if floor(room) == number)} |")
    rows += ["", "| room | may import | only `interfaces.py` of |", "|---|---|---|"]
    for room in sorted(IMPORTS, key=floor):
        rows.append(f"| `{room}` | {' '.join(whole(room)) or 'nothing of seg'} | {' '.join(interfaces(room))} |")
    free = " and ".join(f"`{room}`" for room in sorted(FREE - {"plugin"}))
    rows += ["", f"{free} put the others together, and may import every room."]
    return "\n".join(rows)


def updated() -> str:
    """The page as it has to be."""
    return replace_block(PAGE.read_text("utf-8"), COMMAND, floors())


if __name__ == "__main__":
    PAGE.write_text(updated(), "utf-8")
