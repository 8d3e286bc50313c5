"""Every relative link leads somewhere."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from page_checks.pages import BLOCK, LINK, ROOT, anchors


def broken_links(page: Path) -> Iterator[str]:
    """A line for each relative link that leads nowhere."""
    for target in LINK.findall(BLOCK.sub("", page.read_text("utf-8"))):
        if "://" in target or target.startswith("mailto:"):
            continue
        path, _, anchor = target.partition("#")
        aim = (page.parent / path).resolve() if path else page
        if not aim.exists():
            yield f"{page.relative_to(ROOT)}: link to {target}: there is no such file"
        elif anchor and aim.suffix == ".md" and anchor not in anchors(aim):
            yield f"{page.relative_to(ROOT)}: link to {target}: there is no such heading"
