"""Files in which each line is something with a name: what can be read counts, and what can't is told. Pure."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, TypeVar


class NamedEntry(Protocol):
    """What a line says."""

    @property
    def name(self) -> str:
        """Unique in the file."""


N = TypeVar("N", bound=NamedEntry)


def named_lines(text: str, parse: Callable[[str], N | None]) -> tuple[dict[str, N], tuple[str, ...]]:
    """All of them by name, and a fault for each line that isn't one. Of two lines with one name the first counts.

    :param parse: reads a line, None for a comment; its `ValueError` is a line for people.
    """
    found: dict[str, N] = {}
    where: dict[str, int] = {}
    faults: list[str] = []
    for number, line in enumerate(text.splitlines(), 1):
        try:
            one = parse(line)
            if one is not None and one.name in found:
                raise ValueError(f"{one.name} stands in line {where[one.name]} already")
        except ValueError as error:
            faults.append(f"line {number}: {error}")
            continue
        if one is not None:
            found[one.name], where[one.name] = one, number
    return found, tuple(faults)
