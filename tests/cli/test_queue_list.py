"""A long listing comes in pieces, a line for each message."""

from __future__ import annotations

from typing import Any
from unittest import mock

from click.testing import CliRunner
from twisted.trial.unittest import SynchronousTestCase

from seg.cli.main import CommandContext, main


class PagingGateway:
    """So many messages, from MID 1 up."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.asked: list[tuple[int, int]] = []

    def get(self, path: str, limit: int, after: int = 0, **query: object) -> Any:
        """Those behind `after`."""
        self.asked.append((after, limit))
        messages = [
            {
                "mid": mid,
                "size": 1000,
                "arrived": 0.0,
                "sender": "a@sender.example",
                "recipients": ["b@receiver.example"],
                "waiting": 1,
                "state": "held",
                "attempts": 1,
                "due": 0.0,
                "error": "4.4.1 No answer" if mid != 7 else "4.0.0 odd \x1b[31m words",
            }
            for mid in range(after + 1, min(self.number, after + limit) + 1)
        ]
        return {"total": self.number, "messages": messages}


class LongListTests(SynchronousTestCase):
    """``seg queue list --limit``."""

    def listing(self, number: int, limit: int) -> tuple[list[str], list[tuple[int, int]]]:
        """The lines printed, and what was asked for."""
        gateway = PagingGateway(number)
        with mock.patch.object(CommandContext, "gateway", lambda *_: gateway):
            result = CliRunner().invoke(main, ["queue", "list", "--limit", str(limit)])
        self.assertEqual(result.exit_code, 0, result.output)
        return result.output.splitlines(), gateway.asked

    def test_pages(self) -> None:
        """Page by page, one header, nothing twice and nothing left out."""
        lines, asked = self.listing(1200, 2000)
        self.assertEqual(asked, [(0, 500), (500, 500), (1000, 500), (1200, 500)])
        self.assertEqual([line.split()[0] for line in lines], ["MID", *map(str, range(1, 1201)), "1200"])
        self.assertEqual(lines[-1], "1200 messages.")
        self.assertIn("\\x1b[31m", lines[7])

    def test_limit(self) -> None:
        """No more than was asked for, and that there are more."""
        lines, asked = self.listing(1200, 700)
        self.assertEqual(asked, [(0, 500), (500, 200)])
        self.assertEqual((len(lines), lines[-1]), (702, "The first 700 of 1200 messages; more with --limit."))
