"""Generated parts of hand-written pages, between marks that say where they come from."""

from __future__ import annotations

import re


def replace_block(page: str, command: str, body: str) -> str:
    """The page with the block made by `command` replaced.

    :raises ValueError: the page hasn't exactly one such block.
    """
    begin, end = f"<!-- begin: made by {command} -->", f"<!-- end: made by {command} -->"
    pattern = re.compile(re.escape(begin) + r".*?" + re.escape(end), re.DOTALL)
    if len(pattern.findall(page)) != 1:
        raise ValueError(f"there must be one block between {begin} and {end}")
    return pattern.sub(lambda _: f"{begin}\n\n{body.strip()}\n\n{end}", page)
