"""What each table looks like: the command on answers that are kept in a file. ``python -m tests.cli.transcripts`` writes docs/cli.md.

The answers are held against the API's description by the test, so that they stay what a gateway would say.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from unittest import mock

from click.testing import CliRunner

from seg.cli import main as cli
from seg.cli.reference import page
from seg.config.marked import replace_block
from tests.zones import utc

COMMAND = "python -m tests.cli.transcripts"
DATA = Path(__file__).with_name("data") / "transcripts.json"


class KeptGateway:
    """Answers by path, whatever the query or body."""

    def __init__(self, answers: Mapping[str, tuple[str, Any]]) -> None:
        self._answers = answers

    def get(self, path: str, **query: object) -> Any:
        """The kept answer; what comes behind a page that was asked for is nothing."""
        if query.get("after"):
            return {"total": 0, "messages": []}
        return self._answers.get(f"GET {path}", self._answers.get(path, ("", None)))[1]

    def post(self, path: str, **body: object) -> Any:
        """The kept answer."""
        return self._answers[path][1]


def kept() -> tuple[float, list[dict[str, Any]]]:
    """The moment at which all is shown, in POSIX seconds, and the commands with their answers."""
    found = json.loads(DATA.read_text("utf-8"))
    return found["now"], found["transcripts"]


def shown(transcript: Mapping[str, Any], now: float) -> str:
    """What the command prints."""
    gateway = KeptGateway(transcript["answers"])
    words = shlex.split(transcript["command"])[1:]
    with (
        utc(),
        mock.patch.object(cli.CommandContext, "gateway", lambda *_: gateway),
        mock.patch("time.time", lambda: now),
    ):
        result = CliRunner().invoke(cli.main, words, prog_name="seg")
    if result.exit_code != transcript.get("status", 0):
        raise AssertionError(f"{transcript['command']}: {result.output} {result.exception!r}")
    return "\n".join(line.rstrip() for line in result.output.strip("\n").splitlines()).strip("\n")


def updated() -> str:
    """docs/cli.md with the tables as they are."""
    now, transcripts = kept()
    blocks = [f"```\n$ {each['command']}\n{shown(each, now)}\n```" for each in transcripts]
    return replace_block(page().read_text("utf-8"), COMMAND, "\n\n".join(blocks))


if __name__ == "__main__":
    page().write_text(updated(), "utf-8")
