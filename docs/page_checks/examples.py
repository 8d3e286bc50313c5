"""Every Python example compiles, every TOML example can be read."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from pathlib import Path

from page_checks.pages import BLOCK, ROOT


def broken_examples(page: Path) -> Iterator[str]:
    """A line for each Python or TOML block that can't be read by a program."""
    for language, text in BLOCK.findall(page.read_text("utf-8")):
        try:
            if language == "python":
                compile(text, str(page), "exec")
            elif language == "toml":
                tomllib.loads(text)
        except (SyntaxError, tomllib.TOMLDecodeError) as error:
            yield f"{page.relative_to(ROOT)}: {language} example: {error}"
