"""The commands of a page of the documentation."""

from __future__ import annotations

import re

_HEADING = re.compile(r"^(#+) (.*)$", re.MULTILINE)
_FENCED = re.compile(r"^```(?:sh)?\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def commands(page: str, section: str, *, whole: bool = False) -> list[str]:
    """What stands in fenced blocks of a section, without the sections below it: one command a string, continued lines joined.

    :param whole: each block as it stands, instead: a script.

    :raises ValueError: there is no section of that name, or no command in it.
    """
    headings = list(_HEADING.finditer(page))
    found = [number for number, heading in enumerate(headings) if heading[2] == section]
    if len(found) != 1:
        raise ValueError(f"{len(found)} sections named {section!r}")
    (number,) = found
    end = headings[number + 1].start() if number + 1 < len(headings) else len(page)
    blocks = _FENCED.findall(page[headings[number].end() : end])
    if whole:
        return blocks
    lines = [line.strip() for block in blocks for line in block.replace("\\\n", " ").splitlines() if line.strip()]
    if not lines:
        raise ValueError(f"no command in section {section!r}")
    return [re.sub(r" {2,}", " ", line) for line in lines]
