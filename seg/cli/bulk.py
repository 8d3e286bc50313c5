"""One thing done to many messages: in pieces, with progress on a terminal."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any

from seg.cli.client import Gateway

PAGE = 500  # messages done at a time


def in_pieces(
    gateway: Gateway, action: str, gerund: str, wanted: Mapping[str, object], total: int, quiet: bool
) -> dict[str, Any]:
    """Do it to all messages that `wanted` (domain, sender) finds; others are served in between.

    :param gerund: "Deleting", for people.
    :param quiet: show no progress even on a terminal.
    """
    from rich.progress import Progress

    result: dict[str, Any] = {"done": [], "refused": {}}
    last = 0
    with Progress(disable=quiet or not sys.stderr.isatty(), transient=True) as progress:
        task = progress.add_task(f"{gerund} messages, please wait.", total=total)
        while page := gateway.get("/v1/messages", limit=PAGE, after=last, **wanted)["messages"]:
            last = page[-1]["mid"]
            answer = gateway.post("/v1/messages", action=action, mids=[message["mid"] for message in page])
            result["done"] += answer["done"]
            result["refused"] |= answer["refused"]
            progress.advance(task, len(page))
    return result
