"""One thing done to many messages: in pieces, with progress on a terminal."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any

import attrs

from seg.cli.client import GatewayClient
from seg.cli.output import say

PAGE = 500  # messages done at a time


DOING = {
    "hold": "Holding",
    "release": "Releasing",
    "delete": "Deleting",
    "retry": "Hurrying",
    "bounce": "Bouncing",
    "redirect": "Redirecting",
}


@attrs.frozen
class Selection:
    """How many messages were found, and the first of them, so that one search may be enough."""

    total: int
    first: tuple[int, ...] | None = None  # MIDs; None when too long ago

    def after_asking(self, asked: bool) -> Selection:
        """What is left of it once somebody may have thought it over for a while."""
        return Selection(self.total) if asked else self


def find(gateway: GatewayClient, wanted: Mapping[str, object]) -> Selection:
    """The messages that `wanted` (domain, sender) finds."""
    found = gateway.get("/v1/messages", limit=PAGE, **wanted)
    return Selection(found["total"], tuple(each["mid"] for each in found["messages"]))


def counted(number: int, one: str = "message", many: str = "") -> str:
    """``1 message``, ``2 messages``.

    :param many: more of them, where that isn't `one` with an s.
    """
    return f"{number} {one if number == 1 else many or one + 's'}"


def in_pieces(
    gateway: GatewayClient, action: str, wanted: Mapping[str, object], found: Selection, quiet: bool, **more: object
) -> dict[str, Any]:
    """Do it to all messages that `wanted` (domain, sender) finds; others are served in between.

    :param action: one of `DOING`.
    :param found: what `find` found by it.
    :param quiet: show no progress even on a terminal.
    :param more: what else the action wants to know.
    """
    from rich.console import Console
    from rich.progress import Progress

    console = Console(stderr=True)
    told, text = not quiet and sys.stderr.isatty(), f"{DOING[action]} messages, please wait."
    if told and console.is_dumb_terminal:  # it can't show what moves
        say(text, err=True)
    result: dict[str, Any] = {"done": [], "refused": {}, "not_written": {}}
    page = found.first if found.first is not None else _page(gateway, wanted, 0)
    with Progress(console=console, disable=not told, transient=True) as progress:
        task = progress.add_task(text, total=found.total)
        while page:
            answer = gateway.post("/v1/messages", action=action, mids=list(page), **more)
            result["done"] += answer["done"]
            result["refused"] |= answer["refused"]
            result["not_written"] |= answer.get("not_written", {})
            progress.advance(task, len(page))
            page = _page(gateway, wanted, page[-1]) if len(page) == PAGE else ()
    return result


def _page(gateway: GatewayClient, wanted: Mapping[str, object], after: int) -> tuple[int, ...]:
    found = gateway.get("/v1/messages", limit=PAGE, after=after, **wanted)
    return tuple(each["mid"] for each in found["messages"])
