"""Writes the generated part of docs/plugins.md: ``python -m tests.plugins.page``."""

from __future__ import annotations

import inspect
import re
from pathlib import Path

from zope.interface.interface import InterfaceClass

from seg import plugin
from seg.config.marked import replace_block

ROOT = Path(__file__).parents[2]
COMMAND = "python -m tests.plugins.page"
# Whose each name is, by the first word of the module that defines it.
GROUPS = {"policy": "Providers", "filter": "Filters", "auth": "Checkers of users"}
REST = "What they may use"


def page() -> Path:
    """docs/plugins.md."""
    return ROOT / "docs" / "plugins.md"


def row(name: str) -> str:
    """A name with the beginning of what is said of it, and the file where the rest stands."""
    given = getattr(plugin, name)
    text = re.sub(r"\s+", " ", inspect.cleandoc(given.__doc__ or "")).replace("``", "`")
    sentence = re.split(r"(?<=[^.])\. ", text)[0].rstrip(".").replace("|", "\\|")
    place = given.__module__.replace(".", "/") + ".py"
    kind = "interface" if isinstance(given, InterfaceClass) else "class"
    contract = f"[{place.removeprefix('seg/')}](../{place})"
    if given.__name__ != name:
        contract += f", named by [plugin.py](../seg/plugin.py): `{given.__name__}`"
    return f"| `{name}` | {kind} | {sentence} | {contract} |"


def names_table() -> str:
    """A table for each group."""
    groups: dict[str, list[str]] = {heading: [] for heading in (*GROUPS.values(), REST)}
    for name in plugin.__all__:
        groups[GROUPS.get(getattr(plugin, name).__module__.split(".")[1], REST)].append(row(name))
    parts = []
    for heading, rows in groups.items():
        parts.append(
            "\n".join([f"### {heading}", "", "| name | | what it is | contract |", "|---|---|---|---|", *rows])
        )
    return "\n\n".join(parts)


def updated() -> str:
    """The page as it has to be."""
    return replace_block(page().read_text("utf-8"), COMMAND, names_table())


if __name__ == "__main__":
    page().write_text(updated(), "utf-8")
