"""One thing done to many messages: in pieces, with progress on a terminal."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any

from seg.cli.client import Gateway

PAGE = 500  # messages done at a time


DOING = {
    "hold": "Holding",
    "release": "Releasing",
    "delete": "Deleting",
    "retry": "Hurrying",
    "bounce": "Bouncing",
    "redirect": "Redirecting",
}


def count(gateway: Gateway, wanted: Mapping[str, object]) -> int:
    """How many messages `wanted` (domain, sender) finds."""
    total: int = gateway.get("/v1/messages", limit=0, **wanted)["total"]
    return total


def counted(number: int) -> str:
    """``1 message``, ``2 messages``."""
    return f"{number} message{'' if number == 1 else 's'}"


def in_pieces(
    gateway: Gateway, action: str, wanted: Mapping[str, object], total: int, quiet: bool, **more: object
) -> dict[str, Any]:
    """Do it to all messages that `wanted` (domain, sender) finds; others are served in between.

    :param action: one of `DOING`.
    :param quiet: show no progress even on a terminal.
    :param more: what else the action wants to know.
    """
    from rich.progress import Progress

    result: dict[str, Any] = {"done": [], "refused": {}}
    last = 0
    with Progress(disable=quiet or not sys.stderr.isatty(), transient=True) as progress:
        task = progress.add_task(f"{DOING[action]} messages, please wait.", total=total)
        while page := gateway.get("/v1/messages", limit=PAGE, after=last, **wanted)["messages"]:
            last = page[-1]["mid"]
            answer = gateway.post("/v1/messages", action=action, mids=[each["mid"] for each in page], **more)
            result["done"] += answer["done"]
            result["refused"] |= answer["refused"]
            progress.advance(task, len(page))
    return result
