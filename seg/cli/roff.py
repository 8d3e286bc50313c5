"""Text for manual pages, in roff (man macros)."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Sequence

AS_IT_IS = "\b"  # click's mark: the paragraph's lines stay as they are


def heading(name: str, section: int, source: str) -> str:
    """The first line of a page."""
    return f'.TH {name.upper()} {section} "" "{source}" "Mail gateway"'


def terms(pairs: Sequence[tuple[str, str]]) -> Iterator[str]:
    """Words, each with what it means."""
    for term, meaning in pairs:
        yield ".TP"
        yield f".B {escape(term)}"
        yield escape(" ".join(meaning.split()))


def text(paragraphs: str) -> Iterator[str]:
    """Paragraphs, parted by empty lines."""
    for paragraph in inspect.cleandoc(paragraphs).split("\n\n"):
        lines = paragraph.splitlines()
        yield ".PP"
        if lines and lines[0].strip() == AS_IT_IS:
            yield from (".nf", *(escape(line) for line in lines[1:]), ".fi")
        else:
            yield escape(" ".join(line.strip() for line in lines))


def escape(words: str) -> str:
    """Text that roff prints as it is."""
    words = words.replace("\\", "\\e").replace("-", "\\-")
    return "\\&" + words if words[:1] in (".", "'") else words
